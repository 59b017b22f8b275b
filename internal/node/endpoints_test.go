package node

import (
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// configured is a node with settings, given as key=value; a later one wins.
func configured(given ...string) (Config, error) {
	env := map[string]string{}
	for _, s := range given {
		key, value, _ := strings.Cut(s, "=")
		env[settings.EnvName(key)] = value
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	c := testConfig()
	var err error
	if c.Settings, err = settings.Load("", environ); err != nil {
		return c, err
	}
	return c, c.Validate()
}

func testConfig() Config {
	return Config{Log: slog.New(slog.DiscardHandler), Console: terminal.NewProgress(io.Discard),
		Command: func(command string) string { return "ledgerline " + command }}
}

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

// What a configured server is given: TLS, account, authority; and what is refused before anything
// is dialled, by its key.
func TestHowConfiguredServersAreReached(t *testing.T) {
	ca := authorityPEM(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("from a file\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere := []string{"eventstore.address=esdb://es:2113?tls=true", "kafka.brokers=a:9093,b:9093",
		"clickhouse.address=ch:8443"}
	with := func(more ...string) Config {
		t.Helper()
		a, err := configured(append(everywhere, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	e, err := with("eventstore.ca="+ca, "eventstore.user=anna", "eventstore.password=p@ss", "kafka.ca="+ca,
		"kafka.user=relay", "kafka.password-file="+secret, "clickhouse.tls=on", "clickhouse.user=ledger",
		"clickhouse.password=x").endpoints()
	if err != nil {
		t.Fatal(err)
	}
	if want := "esdb://anna:p%40ss@es:2113?tls=true&tlsCAFile="; !strings.HasPrefix(e.EventStore, want) {
		t.Errorf("the event store is not dialled as %s…", want)
	}
	k, err := e.Kafka(datadir.Reader)
	if err != nil || k.TLS == nil || k.TLS.RootCAs == nil || len(k.Brokers) != 2 || k.SASL == (kafka.SASL{}) {
		t.Fatalf("Kafka: %v", err)
	}
	if k.SASL.Mechanism != kafka.ScramSHA256 || k.SASL.User != "relay" || k.SASL.Password != "from a file" {
		t.Errorf("Kafka is logged in to as %s by %s, or with another password", k.SASL.User, k.SASL.Mechanism)
	}
	if c := e.ClickHouse; c.TLS == nil || c.TLS.RootCAs != nil || c.Username != "ledger" || c.Password != "x" {
		t.Errorf("ClickHouse as %s, TLS %v", c.Username, c.TLS != nil)
	}
	for name, text := range e.Shown {
		for _, p := range []string{"p@ss", "p%40ss", "from a file"} {
			if strings.Contains(text, p) {
				t.Errorf("%s is shown with its password", name)
			}
		}
	}
	if e, err = with().endpoints(); err != nil {
		t.Fatal(err)
	}
	k, err = e.Kafka(datadir.Relay)
	if err != nil || k.TLS != nil || k.SASL != (kafka.SASL{}) || e.ClickHouse.TLS != nil {
		t.Errorf("without a word of TLS or accounts: %v", err)
	}
	if _, err := with("clickhouse.tls=off", "clickhouse.user=u", "clickhouse.password=p").endpoints(); err != nil {
		t.Errorf("plaintext that was asked for: %v", err)
	}

	for _, tc := range []struct {
		given []string
		says  string
	}{
		{[]string{"kafka.tls=maybe"}, "kafka.tls"},
		{[]string{"kafka.tls=off", "kafka.ca=" + ca}, "kafka.tls is off"},
		{[]string{"kafka.ca=/none"}, "kafka.ca"},
		{[]string{"kafka.ca=" + secret}, "kafka.ca"},
		{[]string{"kafka.cert=" + ca}, "kafka.key"},
		{[]string{"kafka.cert=" + ca, "kafka.key=" + ca}, "kafka.cert"},
		{[]string{"kafka.user=u", "kafka.password=p", "kafka.password-file=" + secret}, "both set"},
		{[]string{"kafka.password=p"}, "kafka.user is not"},
		{[]string{"kafka.sasl=plain"}, "kafka.user is not"},
		{[]string{"kafka.user=u", "kafka.password=p", "kafka.sasl=gssapi"}, "gssapi"},
		{[]string{"kafka.user=u", "kafka.password=p", "kafka.sasl=plain"}, "TLS"},
		{[]string{"kafka.user=u", "kafka.password-file=/none"}, "kafka.password-file"},
		{[]string{"kafka.user=u", "kafka.password-file=" + empty}, "empty"},
		{[]string{"kafka.partitions=0"}, "kafka.partitions"},
		{[]string{"clickhouse.user=u", "clickhouse.password=p"}, "plaintext"},
		{[]string{"clickhouse.password=p"}, "clickhouse.user is not"},
		{[]string{"eventstore.address=esdb://anna:x@es:2113", "eventstore.user=piet"}, "eventstore.user"},
		{[]string{"eventstore.address=", "eventstore.ca=" + ca}, "eventstore.address"},
		{[]string{"kafka.brokers=", "kafka.password=hunter22"}, "kafka.brokers"},
		{[]string{"clickhouse.address=", "clickhouse.key=" + ca}, "clickhouse.address"},
		{[]string{"kafka.brokers=a"}, "host:port"},
		{[]string{"embedded.clickhouse-cert=" + ca}, "embedded.clickhouse-key"},
		{[]string{"eventstore.address=esdb://anna:hunter22@es:2113?tls=perhaps"}, "eventstore.address"},
	} {
		_, err := configured(append(everywhere, tc.given...)...)
		if err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%v: the error repeats a password", tc.given[0][:9])
		}
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v, want a wrong configuration that names %q", tc.given, err, tc.says)
		}
	}
}

// Where a port is taken, no directory is made, and one that was there gains nothing but the empty
// file of its lock.
func TestATakenPortLeavesNothingBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	data := filepath.Join(t.TempDir(), "data")
	for _, key := range []string{"eventstore", "kafka", "clickhouse"} {
		given := []string{"embedded.eventstore-addr=127.0.0.1:0", "embedded.kafka-addr=127.0.0.1:0",
			"embedded.clickhouse-addr=127.0.0.1:0", "data=" + data}
		a, err := configured(append(given, "embedded."+key+"-addr="+taken.Addr().String())...)
		if err != nil {
			t.Fatal(err)
		}
		refused := func() {
			t.Helper()
			if lock, err := a.takeDirectory(); err == nil ||
				!strings.Contains(err.Error(), "Another program listens there") {
				t.Errorf("%s on a taken port: %v, %v", key, lock, err)
			}
		}
		refused()
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the directory was made: %v", key, err)
		}
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		refused()
		if left, err := os.ReadDir(data); err != nil || len(left) != 1 || left[0].Name() != "up.lock" {
			t.Errorf("%s: the directory holds %v, %v", key, left, err)
		}
		if a, err = configured(given...); err != nil {
			t.Fatal(err)
		}
		lock, err := a.takeDirectory()
		if err != nil {
			t.Fatalf("%s: free again: %v", key, err)
		}
		if err := errors.Join(lock.Close(), os.RemoveAll(data)); err != nil {
			t.Fatal(err)
		}
	}
}
