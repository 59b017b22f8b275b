package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/schemas"
)

// With users, the event store speaks TLS and asks; the commands of this machine log in by their own account, which nobody sees;
// a ledgerline elsewhere does with the ledger's group; a user without it neither reads $all nor writes the ledger's streams.
func TestTheEventStoreAsksForPasswordsAndTheLedgerWorks(t *testing.T) {
	dir, gen := smallFleet(t, 20, 2)
	n := newNode(t, "LEDGERLINE_EMBEDDED_EVENTSTORE_TLS=on")
	const password = "a password for the test"
	n.must(password+"\n", "eventstore", "user", "add", "remote", "--groups", "ledger")
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
	secret, err := os.ReadFile(filepath.Join(n.dir, "data", "keys", "eventstore-account"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eventstore-account", "eventstore-users"} {
		if info, err := os.Stat(filepath.Join(n.dir, "data", "keys", name)); err != nil || info.Mode().Perm() != 0o600 {
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
	proc := filepath.Join("/proc", strconv.Itoa(run.PID))
	places := map[string]string{"status": status, "run.json": string(runFile), "up's output and log": string(log)}
	for _, name := range []string{"cmdline", "environ"} {
		raw, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		places[name] = string(raw)
	}
	for place, text := range places {
		for _, p := range []string{strings.TrimSpace(string(secret)), password} {
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
	n.stop()
}
