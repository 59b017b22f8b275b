package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/schemas"
)

// The servers ask, and the ledger works: its commands log in by accounts whose passwords nobody
// sees; a ledgerline elsewhere does with the writers' group; a user without it neither reads $all
// nor writes the ledger's streams.
func TestTheServersAskForPasswordsAndTheLedgerWorks(t *testing.T) {
	dir, gen := smallFleet(t, 20, 2)
	n := newNode(t)
	const password = "a password for the test"
	n.must(password+"\n", "eventstore", "user", "add", "remote", "--groups", "writers")
	n.must(password+"\n", "eventstore", "user", "add", "siem")
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	s := n.importJSON("Contoso", dir)
	if s.EventsAppended == 0 {
		t.Error("nothing was imported")
	}
	n.must("", "report", "admin-actions", "--masked", "--output", "json") // waits until the views hold everything
	tail := n.must("", "tail", "--from-start", "--until-end", "--output", "json")
	if got := strings.Count(tail, "\n"); got < s.EventsAppended {
		t.Errorf("tail shows %d events, %d were imported", got, s.EventsAppended)
	}
	status := n.must("", "status", "--output", "json")

	var run struct {
		PID        int
		EventStore string
	}
	runFile, err := os.ReadFile(filepath.Join(n.dir, "data", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(runFile, &run); err != nil {
		t.Fatal(err)
	}
	accounts, err := os.ReadFile(filepath.Join(n.dir, "data", "keys", "accounts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var secrets map[string]map[string]string
	if err := json.Unmarshal(accounts, &secrets); err != nil {
		t.Fatal(err)
	}
	passwords := []string{password}
	for _, accounts := range secrets {
		passwords = slices.AppendSeq(passwords, maps.Values(accounts))
	}
	if len(passwords) < 8 {
		t.Errorf("%d passwords, want those of three servers, the status port, and the user's", len(passwords))
	}
	for _, name := range []string{"accounts.json", "eventstore-users"} {
		if info, err := os.Stat(filepath.Join(n.dir, "data", "keys", name)); err != nil ||
			info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want only its owner to read it", name, info, err)
		}
	}
	log, err := os.ReadFile(filepath.Join(n.dir, "up.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "Ledgerline is up") {
		t.Error("the log of up does not hold what up says")
	}
	places := map[string]string{"status": status, "run.json": string(runFile), "up's output and log": string(log)}
	processes := append(children(t, run.PID), run.PID)
	if len(processes) != 2 {
		t.Errorf("up and its children are %d processes, want two", len(processes))
	}
	for _, pid := range processes {
		for _, name := range []string{"cmdline", "environ"} {
			raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
			if err != nil {
				t.Fatal(err)
			}
			places[name+" of process "+strconv.Itoa(pid)] = string(raw)
		}
	}
	for place, text := range places {
		for _, p := range passwords {
			if strings.Contains(text, p) {
				t.Errorf("%s holds a password", place)
			}
		}
	}

	ctx := context.Background()
	open := func(user string) (*eventstore.Store, *ledger.Ledger, error) {
		u, err := url.Parse(run.EventStore)
		if err != nil {
			t.Fatal(err)
		}
		if u.Scheme != "esdb" || u.Query().Get("tls") != "true" {
			t.Errorf("the event store's address is %s, want TLS", run.EventStore)
		}
		if user != "" {
			u.User = url.UserPassword(user, password)
		}
		logger := slog.New(slog.DiscardHandler)
		store, err := eventstore.Open(eventstore.Config{Address: u.String(), Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		l, err := ledger.Open(ctx, ledger.Config{Store: store, Logger: logger, Clock: time.Now})
		return store, l, err
	}
	event := schemas.Event{ID: uuid.New(), Type: "device.observed.v1", Data: []byte(`{}`), Metadata: []byte(`{}`)}
	stream := schemas.Stream("device-" + uuid.NewString())
	_, l, err := open("remote")
	if err != nil {
		t.Fatalf("a ledgerline elsewhere: %v", err)
	}
	if _, err := l.Last(ctx); err != nil {
		t.Errorf("a ledgerline elsewhere reads $all: %v", err)
	}
	store, l, err := open("siem")
	if err != nil {
		t.Fatalf("a user reads a stream: %v", err)
	}
	if _, err := l.Last(ctx); err == nil {
		t.Error("a user who is in no group reads $all")
	}
	if _, err := store.Append(ctx, stream, ledger.NoStream, []schemas.Event{event}); err == nil {
		t.Error("a user who is in no group wrote a stream of the ledger's")
	}
	if _, _, err := open(""); err == nil {
		t.Error("somebody without credentials opened the ledger")
	}
	n.stop()
	if err := n.start(); err != nil { // the account and the certificate are there already
		n.dumpLog()
		t.Fatal(err)
	}
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}

	// Without their file all passwords are new, and the old ones open nothing.
	before := map[string]door{"clickhouse": n.door("clickhouse", "reader"), "status": n.door("status", "operator")}
	old := n.door("kafka", "reader")
	n.stop()
	if err := os.Remove(filepath.Join(n.dir, "data", "keys", "accounts.json")); err != nil {
		t.Fatal(err)
	}
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	for server, path := range map[string]string{"clickhouse": "/?query=SELECT+1", "status": "/status"} {
		was := before[server]
		now := n.door(server, was.User)
		now.ask(t, ctx, http.MethodGet, path, "")
		was.URL = now.URL
		if status := was.status(t, ctx, path); status != http.StatusUnauthorized {
			t.Errorf("%s answers the old password with %d", server, status)
		}
	}
	broker := n.door("kafka", "reader")
	client, err := kafka.New(kafka.Config{Brokers: []string{broker.Brokers}, SASL: old.scram()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Topics(ctx); !errors.Is(err, kafka.ErrAuthentication) {
		t.Errorf("Kafka and the old password: %v", err)
	}
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}
	n.stop()
}

// Beyond loopback event store and ClickHouse speak TLS by certificates of one authority, which the
// machine's own commands and everybody who is given its file trust.
func TestBeyondLoopbackEverythingSpeaksTLS(t *testing.T) {
	dir, gen := smallFleet(t, 10, 2)
	n := newNode(t, "LEDGERLINE_EMBEDDED_EVENTSTORE_ADDR=0.0.0.0:0", "LEDGERLINE_EMBEDDED_CLICKHOUSE_ADDR=0.0.0.0:0")
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	n.must("", "report", "admin-actions", "--masked")
	n.must("", "views", "reconcile", "--deep")
	for server, path := range map[string]string{"eventstore": "/metrics", "clickhouse": "/?query=SELECT+1"} {
		d := n.door(server, "reader")
		_, port, err := net.SplitHostPort(d.address())
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM([]byte(d.CA)) {
			t.Fatalf("%s at %s: an authority of %d bytes, %v", server, d.URL, len(d.CA), err)
		}
		for _, host := range []string{"127.0.0.1", "localhost"} {
			get := func(scheme string, t *tls.Config) (int, error) {
				req, err := http.NewRequest(http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+path, nil)
				if err != nil {
					return 0, err
				}
				req.SetBasicAuth(d.User, d.Password)
				res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: t,
					DisableKeepAlives: true}}).Do(req)
				if err != nil {
					return 0, err
				}
				return res.StatusCode, res.Body.Close()
			}
			if status, err := get("https", &tls.Config{RootCAs: roots}); err != nil || status != http.StatusOK {
				t.Errorf("%s as %s, by its authority: %d, %v", server, host, status, err)
			}
			if _, err := get("https", nil); err == nil {
				t.Errorf("%s as %s: is trusted by whoever trusts the system's authorities", server, host)
			}
			if status, err := get("http", nil); err == nil && status != http.StatusBadRequest {
				t.Errorf("%s as %s, in plaintext: %d", server, host, status)
			}
		}
	}
	// Another machine's commands, which know these servers as they would know clusters: by
	// addresses, authority and accounts.
	store, topics, views := n.door("eventstore", "ledger"), n.door("kafka", "reader"), n.door("clickhouse", "reader")
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(views.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address, _, _ := strings.Cut(store.URL, "&tlsCAFile=")
	elsewhere := newNode(t, "LEDGERLINE_EVENTSTORE_ADDRESS="+address, "LEDGERLINE_EVENTSTORE_CA="+store.CAFile,
		"LEDGERLINE_EVENTSTORE_USER=ledger",
		"LEDGERLINE_EVENTSTORE_PASSWORD="+store.Password, "LEDGERLINE_KAFKA_BROKERS="+topics.Brokers,
		"LEDGERLINE_KAFKA_USER=reader",
		"LEDGERLINE_KAFKA_PASSWORD="+topics.Password, "LEDGERLINE_CLICKHOUSE_ADDRESS="+views.address(),
		"LEDGERLINE_CLICKHOUSE_CA="+views.CAFile,
		"LEDGERLINE_CLICKHOUSE_USER=reader", "LEDGERLINE_CLICKHOUSE_PASSWORD_FILE="+secret)
	if out := elsewhere.must("", "views", "reconcile", "--deep"); !strings.Contains(out,
		"no difference in what was compared") {
		t.Errorf("reconcile from elsewhere said %q", out)
	}
	if here, there := n.must("", "tail", "--from-start", "--until-end"),
		elsewhere.must("", "tail", "--from-start", "--until-end"); here != there || here == "" {
		t.Errorf("tail from elsewhere shows %d bytes, here %d", len(there), len(here))
	}
	for wrong, says := range map[string]string{
		"LEDGERLINE_KAFKA_PASSWORD=wrong": "the name or the password is not right",
		"LEDGERLINE_KAFKA_TLS=on":         "does not speak TLS",
	} {
		if r := elsewhere.runEnv([]string{wrong}, "", "tail", "--until-end"); r.code != 1 ||
			!strings.Contains(r.stderr, says) {
			t.Errorf("%s: exit %d, %s", wrong, r.code, r.stderr)
		}
	}
	for wrong, says := range map[string]string{
		"LEDGERLINE_EVENTSTORE_PASSWORD=wrong": "the user or the password is wrong",
		"LEDGERLINE_CLICKHOUSE_USER=nobody":    "AUTHENTICATION_FAILED",
		"LEDGERLINE_CLICKHOUSE_TLS=off":        "clickhouse.tls",
	} {
		if r := elsewhere.runEnv([]string{wrong}, "", "views", "reconcile"); r.code == 0 ||
			!strings.Contains(r.stderr, says) || strings.Contains(r.stderr, store.Password) {
			t.Errorf("%s: exit %d, %s", wrong, r.code, r.stderr)
		}
	}
	n.stop()
}

// children are the processes that a process has started and that still run.
func children(t testing.TB, pid int) (out []int) {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no threads of process %d, %v", pid, err)
	}
	for _, path := range tasks {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(raw)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, child)
		}
	}
	return out
}
