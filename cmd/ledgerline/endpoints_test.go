package main

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/internal/datadir"
)

// configured is an app with settings, given as key=value; a later one wins.
func configured(settings ...string) (*app, error) {
	env := map[string]string{}
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		env[envName(key)] = value
	}
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	a := &app{log: slog.New(slog.DiscardHandler)}
	var err error
	if a.cfg, err = loadConfig("", environ); err != nil {
		return a, &exitError{exitUsage, err}
	}
	return a, a.check()
}

// authorityPEM is a file with a certificate that can be trusted.
func authorityPEM(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a configured server is given: TLS, account, authority; and what is refused before anything is dialled, by its key.
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
	everywhere := []string{"eventstore.address=esdb://es:2113?tls=true", "kafka.brokers=a:9093,b:9093", "clickhouse.address=ch:8443"}
	with := func(more ...string) *app {
		t.Helper()
		a, err := configured(append(everywhere, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}

	e, err := with("eventstore.ca="+ca, "eventstore.user=anna", "eventstore.password=p@ss", "kafka.ca="+ca, "kafka.user=relay",
		"kafka.password-file="+secret, "clickhouse.tls=on", "clickhouse.user=ledger", "clickhouse.password=x").endpoints()
	if err != nil {
		t.Fatal(err)
	}
	if want := "esdb://anna:p%40ss@es:2113?tls=true&tlsCAFile="; !strings.HasPrefix(e.eventStore, want) {
		t.Errorf("the event store is not dialled as %s…", want)
	}
	k, err := e.kafka(datadir.Reader)
	if err != nil || k.TLS == nil || k.TLS.RootCAs == nil || len(k.Brokers) != 2 || k.SASL == (kafka.SASL{}) {
		t.Fatalf("Kafka: %v", err)
	}
	if k.SASL.Mechanism != kafka.ScramSHA256 || k.SASL.User != "relay" || k.SASL.Password != "from a file" {
		t.Errorf("Kafka is logged in to as %s by %s, or with another password", k.SASL.User, k.SASL.Mechanism)
	}
	if c := e.clickHouse; c.TLS == nil || c.TLS.RootCAs != nil || c.Username != "ledger" || c.Password != "x" {
		t.Errorf("ClickHouse as %s, TLS %v", c.Username, c.TLS != nil)
	}
	for name, text := range e.shown {
		for _, p := range []string{"p@ss", "p%40ss", "from a file"} {
			if strings.Contains(text, p) {
				t.Errorf("%s is shown with its password", name)
			}
		}
	}
	if e, err = with().endpoints(); err != nil {
		t.Fatal(err)
	}
	if k, err := e.kafka(datadir.Relay); err != nil || k.TLS != nil || k.SASL != (kafka.SASL{}) || e.clickHouse.TLS != nil {
		t.Errorf("without a word of TLS or accounts: %v", err)
	}
	if _, err := with("clickhouse.tls=off", "clickhouse.user=u", "clickhouse.password=p").endpoints(); err != nil {
		t.Errorf("plaintext that was asked for: %v", err)
	}

	for _, tc := range []struct {
		settings []string
		says     string
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
		a, err := configured(append(everywhere, tc.settings...)...)
		if err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%v: the error repeats a password", tc.settings[0][:9])
		}
		if err == nil || a.exitCode(err) != exitUsage || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v, want a wrong configuration that names %q", tc.settings, err, tc.says)
		}
	}
}

// A configuration file with a password in it is its owner's alone.
func TestAPasswordInAFileThatOthersReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledgerline.yaml")
	if err := os.WriteFile(path, []byte("kafka:\n  user: u\n  password: hunter22\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") ||
		strings.Contains(err.Error(), "hunter22") {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := loadConfig(path, nil); err != nil || c.Kafka.Password != "hunter22" {
		t.Errorf("%v", err)
	}
}

// What `connect` says of a running ledger, and that it shows a password to nobody else.
func TestConnectSaysHowToAttach(t *testing.T) {
	data := dataDir(t)
	d := datadir.Dir(data)
	if _, code, err := runCommand(t, "", "connect", "--data", data); code != exitFailed || err == nil || !strings.Contains(err.Error(), "ledgerline up") {
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
	running := datadir.Running{EventStore: "esdb://127.0.0.1:2113?tls=true&tlsCAFile=" + ca, Kafka: "127.0.0.1:9092", ClickHouse: "http://127.0.0.1:8123",
		Status: "http://127.0.0.1:4", CAFile: ca, Advertised: "esdb://ledger.example:2113?tls=true"}
	if err := lock.Announce(running); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[datadir.Server]struct{ account, address string }{
		datadir.EventStore: {datadir.Reader, running.EventStore}, datadir.Kafka: {datadir.Reader, running.Kafka}, datadir.ClickHouse: {datadir.Reader, running.ClickHouse},
		datadir.Status: {datadir.Operator, running.Status},
	} {
		out, _, err := runCommand(t, "", "connect", string(server), "--data", data, "--output", "json")
		if err != nil {
			t.Errorf("%s: %v", server, err)
			continue
		}
		var got door
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		password, err := secrets.Password(server, want.account)
		if err != nil {
			t.Fatal(err)
		}
		if got.User != want.account || got.Password != password || first(got.URL, got.Brokers) != want.address {
			t.Errorf("%s: account %s at %s", server, got.User, first(got.URL, got.Brokers))
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
			if f := strings.Fields(line); strings.Contains(line, password) && (f[0] == "curl" || f[0] == "kcat" || f[0] == "java") {
				t.Errorf("%s: %s would show a password to every user of the machine", server, f[0])
			}
		}
	}
	out, _, err := runCommand(t, "", "connect", "--data", data, "--output", "json")
	var all map[string]door
	if err != nil || json.Unmarshal([]byte(out), &all) != nil || len(all) != 3 || all["kafka"].User != datadir.Reader {
		t.Errorf("all of them: %v", err)
	}
	for _, args := range [][]string{{"connect", "mongodb"}, {"connect", "kafka", "--account", "ledger"}, {"connect", "--account", "relay"}, {"connect", "kafka", "clickhouse"}} {
		if _, code, err := runCommand(t, "", append(args, "--data", data)...); err == nil || code != exitUsage && code != exitFailed {
			t.Errorf("%v: exit %d, %v", args, code, err)
		}
	}
	if out, _, err := runCommand(t, "", "connect", "kafka", "--account", "consumer", "--data", data); err != nil || !strings.Contains(out, "kafka-consumer.conf") {
		t.Errorf("another account: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runCommand(t, "", "connect", "--data", data); !errors.Is(err, datadir.ErrNotUp) {
		t.Errorf("after it has ended: %v", err)
	}
}

func TestWordsOfACommandLineAreQuotedWhereTheyNeedIt(t *testing.T) {
	for in, want := range map[string]string{"/srv/ledger": "/srv/ledger", "/srv/my ledger": "'/srv/my ledger'", "it's": `'it'\''s'`, "": "''", "$HOME": "'$HOME'", "a;b": "'a;b'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
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
	data := dataDir(t)
	for _, key := range []string{"eventstore", "kafka", "clickhouse"} {
		settings := []string{"embedded.eventstore-addr=127.0.0.1:0", "embedded.kafka-addr=127.0.0.1:0",
			"embedded.clickhouse-addr=127.0.0.1:0", "data=" + data}
		a, err := configured(append(settings, "embedded."+key+"-addr="+taken.Addr().String())...)
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
		if a, err = configured(settings...); err != nil {
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
