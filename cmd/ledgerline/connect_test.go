package main

import (
	"cmp"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
)

// authorityPEM is a file with a certificate that can be trusted.
func authorityPEM(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What `connect` says of a running ledger, and that it shows a password to nobody else.
func TestConnectSaysHowToAttach(t *testing.T) {
	data := dataDir(t)
	d := datadir.Dir(data)
	_, code, err := runCommand(t, "", "connect", "--data", data)
	if code != exitFailed || err == nil || !strings.Contains(err.Error(), "ledgerline up") {
		t.Errorf("without a ledger: exit %d, %v", code, err)
	}
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	secrets, err := d.MakeSecrets()
	if err != nil {
		t.Fatal(err)
	}
	ca := authorityPEM(t)
	running := datadir.Running{EventStore: "esdb://127.0.0.1:2113?tls=true&tlsCAFile=" + ca, Kafka: "127.0.0.1:9092",
		ClickHouse: "http://127.0.0.1:8123", Status: "http://127.0.0.1:4", CAFile: ca,
		Advertised: "esdb://ledger.example:2113?tls=true"}
	if err := lock.Announce(running); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[datadir.Server]struct{ account, address string }{
		datadir.EventStore: {datadir.Reader, running.EventStore}, datadir.Kafka: {datadir.Reader, running.Kafka},
		datadir.ClickHouse: {datadir.Reader, running.ClickHouse}, datadir.Status: {datadir.Operator, running.Status},
	} {
		out, _, err := runCommand(t, "", "connect", string(server), "--data", data, "--output", "json")
		if err != nil {
			t.Errorf("%s: %v", server, err)
			continue
		}
		var got node.Door
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		password, err := secrets.Password(server, want.account)
		if err != nil {
			t.Fatal(err)
		}
		if got.User != want.account || got.Password != password || cmp.Or(got.URL, got.Brokers) != want.address {
			t.Errorf("%s: account %s at %s", server, got.User, cmp.Or(got.URL, got.Brokers))
		}
		if (got.CA != "") != (server == datadir.EventStore) {
			t.Errorf("%s: an authority of %d bytes", server, len(got.CA))
		}
		text, _, err := runCommand(t, "", "connect", string(server), "--data", data)
		if err != nil {
			t.Errorf("%s: %v", server, err)
		}
		if named := strings.Contains(text, running.Advertised); named != (server == datadir.EventStore) {
			t.Errorf("%s: the advertised address is named: %v", server, named)
		}
		for program, path := range got.Files {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", path, info, err)
			}
			if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), password) {
				t.Errorf("%s: the configuration for %s holds no password, %v", server, program, err)
			}
			if !strings.Contains(text, path) {
				t.Errorf("%s: no line for %s", server, program)
			}
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if strings.Contains(line, password) && (f[0] == "curl" || f[0] == "kcat" || f[0] == "java") {
				t.Errorf("%s: %s would show a password to every user of the machine", server, f[0])
			}
		}
	}
	out, _, err := runCommand(t, "", "connect", "--data", data, "--output", "json")
	var all map[string]node.Door
	if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all) != 3 || all["kafka"].User != datadir.Reader {
		t.Errorf("all of them: %v", err)
	}
	for _, args := range [][]string{{"connect", "mongodb"}, {"connect", "kafka", "--account", "ledger"},
		{"connect", "--account", "relay"}, {"connect", "kafka", "clickhouse"}} {
		_, code, err := runCommand(t, "", append(args, "--data", data)...)
		if err == nil || code != exitUsage && code != exitFailed {
			t.Errorf("%v: exit %d, %v", args, code, err)
		}
	}
	out, _, err = runCommand(t, "", "connect", "kafka", "--account", "consumer", "--data", data)
	if err != nil || !strings.Contains(out, "kafka-consumer.conf") {
		t.Errorf("another account: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runCommand(t, "", "connect", "--data", data); !errors.Is(err, datadir.ErrNotUp) {
		t.Errorf("after it has ended: %v", err)
	}
}
