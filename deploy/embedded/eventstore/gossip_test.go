package eventstore

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// gossiped is the address that the server tells a client who says that it dialled the authority.
func gossiped(t *testing.T, s *Server, authority string) string {
	t.Helper()
	creds := insecure.NewCredentials()
	if s.CAFile() != "" {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) // a client that lies trusts anybody
	}
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(creds), grpc.WithAuthority(authority))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	resp, err := gossip.NewGossipClient(conn).Read(testContext(t), &shared.Empty{})
	if err != nil || len(resp.GetMembers()) != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
	at := resp.GetMembers()[0].GetHttpEndPoint()
	return net.JoinHostPort(at.GetAddress(), strconv.Itoa(int(at.GetPort())))
}

// Gossip sends clients where they came from: under the host that they dialled, where it is the
// server's, through whatever tunnel; otherwise to the advertised address, or to the one that this
// machine's own clients dial.
func TestGossipNamesTheHostDialled(t *testing.T) {
	secure := secureConfig(t)
	secure.TLS = testTLS(t, "ledger.example", "other.example")
	everywhere := secure
	everywhere.Dir, everywhere.Addr = t.TempDir(), "0.0.0.0:0"
	advertised := secure
	advertised.Dir, advertised.Advertise = t.TempDir(), "ledger.example:32113"
	for name, tc := range map[string]struct {
		cfg  Config
		want map[string]string // by authority; PORT is the listener's
	}{
		"open": {testConfig(t.TempDir()), map[string]string{
			"localhost:PORT": "localhost:PORT", "127.0.0.1:PORT": "127.0.0.1:PORT",
			"[::1]:7": "[::1]:7", "LOCALHOST:7": "LOCALHOST:7",
			"evil.example:PORT": "127.0.0.1:PORT", "192.0.2.1:1": "127.0.0.1:PORT",
		}},
		"TLS": {secure, map[string]string{
			"localhost:PORT": "localhost:PORT", "127.0.0.1:PORT": "127.0.0.1:PORT",
			"other.example:2113": "other.example:2113", "evil.example:PORT": "127.0.0.1:PORT",
			"localhost": "127.0.0.1:PORT", "localhost:0": "127.0.0.1:PORT", "localhost:99999": "127.0.0.1:PORT",
		}},
		"every address": {everywhere, map[string]string{
			"ledger.example:PORT": "ledger.example:PORT",
			"evil.example:PORT":   "127.0.0.1:PORT", "0.0.0.0:PORT": "127.0.0.1:PORT",
		}},
		"advertised": {advertised, map[string]string{
			"ledger.example:32113": "ledger.example:32113", "ledger.example:7": "ledger.example:32113",
			"Ledger.Example:7": "ledger.example:32113", "localhost:PORT": "localhost:PORT",
			"other.example:7": "other.example:7", "evil.example:32113": "ledger.example:32113",
		}},
	} {
		s := startServer(t, tc.cfg)
		_, port, err := net.SplitHostPort(s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		with := func(addr string) string {
			host, p, err := net.SplitHostPort(addr)
			if err != nil || p != "PORT" {
				return addr
			}
			return net.JoinHostPort(host, port)
		}
		for authority, want := range tc.want {
			if got := gossiped(t, s, with(authority)); got != with(want) {
				t.Errorf("%s: who dials %s is sent to %s, want %s", name, with(authority), got, with(want))
			}
		}
	}
}
