package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	embedded "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// authority issues certificates for 127.0.0.1 and for clients.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func startFake(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

// Everything goes over TLS, with a client certificate where the broker wants one.
func TestConformanceOverTLS(t *testing.T) {
	ca := newAuthority(t)
	until := time.Now().Add(time.Hour)
	brokers := startFake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "broker", until)},
		ClientCAs: ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert}))
	client := &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue(t, "relay", until)}}
	c, err := kafka.New(kafka.Config{Brokers: brokers, TLS: client})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		if err := call(t.Context(), c); err != nil && name != "group" && name != "read" { // they may find nothing
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	events := kafkatest.Numbered(0, kafkatest.NewGenerator(1).Events(1))
	topic, key := c.Route(events[0])
	if n, _, _, err := c.Publish(t.Context(), [16]byte{}, topic, c.Partition(key, 4), events); n != 1 || err != nil {
		t.Errorf("publish: %d %v", n, err)
	}
}

// Each way in which a client and a broker may not fit is told in words that name what to set.
func TestMisfitsAreTold(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	hour, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	plain := startFake(t)
	encrypted := startFake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "broker", hour)}}))
	expired := startFake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "broker", past)}}))
	mutual := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "broker", hour)}, ClientCAs: ca.pool(),
		ClientAuth: tls.RequireAndVerifyClientCert}
	wantsCert := startFake(t, kfake.TLS(mutual))
	old := mutual.Clone()
	old.MaxVersion = tls.VersionTLS12
	wantsCert12 := startFake(t, kfake.TLS(old))
	open, err := embedded.Start(t.Context(), embedded.Config{Dir: filepath.Join(t.TempDir(), "kafka"),
		Addr: "127.0.0.1:0", Open: true,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop(context.Background())
	scram := kafka.SASL{Mechanism: kafka.ScramSHA256, User: "relay", Password: "a-password-of-relay"}
	trusting := &tls.Config{RootCAs: ca.pool()}
	for name, c := range map[string]struct {
		cfg   kafka.Config
		says  string
		final bool // and is ErrAuthentication, at once
	}{
		"TLS to a plain port": {kafka.Config{Brokers: plain, TLS: trusting}, "kafka.tls", false},
		"TLS to a plain port, ours": {kafka.Config{Brokers: []string{open.Addr()}, TLS: trusting},
			"does not speak TLS on this port", false},
		"plain to a TLS port": {kafka.Config{Brokers: encrypted},
			"speaks TLS on this port: set kafka.tls to on", true},
		"login to a TLS port": {kafka.Config{Brokers: encrypted, SASL: scram},
			"speaks TLS on this port: set kafka.tls to on", true},
		"unknown authority": {kafka.Config{Brokers: encrypted, TLS: &tls.Config{RootCAs: other.pool()}},
			"kafka.ca", true},
		"expired": {kafka.Config{Brokers: expired, TLS: trusting}, "expired", true},
		"another's name": {kafka.Config{Brokers: encrypted,
			TLS: &tls.Config{RootCAs: ca.pool(), ServerName: "elsewhere"}}, "elsewhere", true},
		"no client certificate":      {kafka.Config{Brokers: wantsCert, TLS: trusting}, "kafka.cert", true},
		"no client certificate, 1.2": {kafka.Config{Brokers: wantsCert12, TLS: trusting}, "kafka.cert", true},
		"another's client certificate": {kafka.Config{Brokers: wantsCert, TLS: &tls.Config{RootCAs: ca.pool(),
			Certificates: []tls.Certificate{other.issue(t, "relay", hour)}}}, "kafka.cert", true},
		"login to an open port": {kafka.Config{Brokers: []string{open.Addr()}, SASL: scram}, "kafka.sasl", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.RequestTimeout = 2 * time.Second
			client, err := kafka.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for call, do := range calls {
				if call != "topics" && !c.final {
					continue // they wait for a broker that may still come
				}
				err := do(t.Context(), client)
				if call == "group" && errors.Is(err, context.DeadlineExceeded) {
					continue // the driver tries three times before it tells, and the call gave it no time
				}
				if err == nil || c.final && (!errors.Is(err, kafka.ErrAuthentication) ||
					!strings.Contains(err.Error(), c.says)) {
					t.Errorf("%s: %v; want %q", call, err, c.says)
				}
				if call == "topics" && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v; want %q", call, err, c.says)
				}
			}
		})
	}
}

// A password goes to nobody who could read it on the way.
func TestPlainNeedsTLS(t *testing.T) {
	login := kafka.SASL{Mechanism: kafka.Plain, User: "u", Password: "hunter2"}
	for _, c := range []struct {
		broker string
		tls    *tls.Config
		good   bool
	}{
		{"127.0.0.1:9092", nil, true}, {"[::1]:9092", nil, true}, {"localhost:9092", nil, true},
		{"kafka.example:9092", nil, false}, {"10.0.0.1:9092", nil, false}, {"kafka.example:9092", &tls.Config{}, true},
	} {
		err := kafka.Config{Brokers: []string{"127.0.0.1:1", c.broker}, TLS: c.tls, SASL: login}.Validate()
		if c.good != (err == nil) || err != nil &&
			(!strings.Contains(err.Error(), c.broker) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", c.broker, err)
		}
	}
	for name, bad := range map[string]kafka.SASL{
		"no mechanism": {User: "u", Password: "hunter2"},
		"unknown":      {Mechanism: "gssapi", User: "u", Password: "hunter2"},
		"no user":      {Mechanism: kafka.ScramSHA256, Password: "hunter2"},
		"no password":  {Mechanism: kafka.ScramSHA256, User: "u"},
	} {
		if err := (kafka.Config{Brokers: []string{"127.0.0.1:1"}, SASL: bad}).Validate(); err == nil ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An attempt that the deadline cuts says nothing of the broker: what an earlier one was told is
// not hidden by it.
func TestTheLastAttemptDoesNotHideWhatTheBrokerDid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // the first connection is ended, the others get no answer
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if n == 0 {
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
		}
	}()
	c, err := kafka.New(kafka.Config{Brokers: []string{l.Addr().String()}, TLS: &tls.Config{},
		RequestTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, _, err = c.Describe(t.Context(), "ledger.device")
	if err == nil || !strings.Contains(err.Error(), "does not speak TLS on this port") {
		t.Errorf("%v; the broker ended the first connection", err)
	}
}
