// Package semantics holds the event store to what EventStoreDB 24.x promises
// its clients, from outside: through the official client and the protocol's
// generated stubs, and by nothing else of the server.
//
// Without EVENTSTORE_DSN it runs against an embedded server of its own, and
// with EVENTSTORE_DSN=esdb://… only against that one, which may be a cluster,
// in use and full. So every test has names of its own (streams, types) under a
// random prefix, looks at no event that it did not write, and takes nothing
// for granted about positions but their order. What a real server does
// otherwise, and rightly so, is in ours_test.go, each with its reason.
//
// It leaves its streams in the server that it is given.
package semantics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
)

// dsnVariable names the server to run against, in place of an embedded one.
const dsnVariable = "EVENTSTORE_DSN"

// testTimeout bounds a test that would otherwise hang; nothing waits for it to pass.
const testTimeout = 2 * time.Minute

// target is the server under test.
type target struct {
	dsn  string
	ours bool // the embedded one
}

// embedded is the server that all tests share where no other is named: what
// they write beside one another is what a server in use has anyway.
var embedded struct {
	once   sync.Once
	dir    string
	server *eventstore.Server
	err    error
}

// targetConfig is how the embedded server runs.
func targetConfig(dir string) eventstore.Config {
	return eventstore.Config{Dir: dir, Addr: "127.0.0.1:0", Open: true, Logger: slog.New(slog.DiscardHandler)}
}

// startTarget returns the server under test and starts it where that is ours to do.
func startTarget(t testing.TB) target {
	t.Helper()
	if dsn := os.Getenv(dsnVariable); dsn != "" {
		return target{dsn: dsn}
	}
	embedded.once.Do(func() {
		if embedded.dir, embedded.err = os.MkdirTemp("", "semantics"); embedded.err == nil {
			embedded.server, embedded.err = eventstore.Start(context.Background(), targetConfig(embedded.dir))
		}
	})
	if embedded.err != nil {
		t.Fatal(embedded.err)
	}
	return target{dsn: embedded.server.ConnectionString(), ours: true}
}

// TestMain stops the embedded server after the tests: one that does not stop
// cleanly has failed.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := stopTarget(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the server under test:", err)
		code = 1
	}
	os.Exit(code)
}

func stopTarget() error {
	var err error
	if embedded.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		err = embedded.server.Stop(ctx)
	}
	if embedded.dir != "" {
		err = errors.Join(err, os.RemoveAll(embedded.dir))
	}
	return err
}
