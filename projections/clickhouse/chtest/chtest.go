// Package chtest gives tests a migrated views database on the real engine, in a few lines:
// TestMain calls Main, a test calls Start; and ledgers to fill it with, invented (Ledger) or
// written by hand (Story). One embedded server runs for a whole test binary, started by the first
// test that asks; each Start has a database of its own, dropped when its test ends. It owns a
// temporary directory and trusts nothing.
package chtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	embedded "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// childArgument makes the test binary run the engine instead of its tests.
const childArgument = "run-embedded-clickhouse"

// Main is a package's whole TestMain: it runs the tests, stops the server that they
// may have started, and exits.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		cfg, err := embedded.ChildConfigFromEnv()
		if err == nil {
			err = embedded.RunChild(context.Background(), cfg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the engine:", err)
		return 1
	}
	return code
}

// The accounts are those that an embedded ledger has, so that tests show what they may do.
const (
	Writer, WriterPassword = "ledger", "the writer's password in tests, 32 bytes"
	Reader, ReaderPassword = "reader", "the reader's password in tests, 32 bytes"
)

var accounts = []embedded.Account{
	{Name: Writer, Password: sha256.Sum256([]byte(WriterPassword))},
	{Name: Reader, Password: sha256.Sum256([]byte(ReaderPassword)), ReadOnly: true},
}

// server is the engine that all tests of a binary share.
type server struct {
	once sync.Once
	dir  string
	s    *embedded.Server
	err  error
	next atomic.Uint32 // number of the next database
}

var shared server

func (s *server) start() {
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp(place(), "chtest-"); s.err != nil {
			return
		}
		s.s, s.err = serve(s.dir, "")
	})
}

// place is where the shared server's directory is made: in memory, on systems that have a
// directory there with room. An engine syncs hundreds of files in each test, and nothing that
// tests promise hangs on the disk: what they kill are processes, never the machine.
func place() string {
	const memory = "/dev/shm"
	if free, ok := freeBytes(memory); ok && free >= 4<<30 {
		return memory
	}
	return ""
}

func serve(dir, addr string) (*embedded.Server, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first run ever fetches the library
	defer cancel()
	return embedded.Start(ctx, embedded.Config{
		Accounts: accounts, DataDir: dir, Addr: addr, Command: []string{exe, childArgument},
		LibPath: os.Getenv("EMBEDDED_CLICKHOUSE_LIB"),
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// Serve starts an engine of the test's own, on addr or, where that is empty, on a free port. The
// test may kill it and start it again; the last one is stopped by its caller.
func Serve(t testing.TB, dir, addr string) *embedded.Server {
	t.Helper()
	s, err := serve(dir, addr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) stop() error {
	var err error
	if s.s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = s.s.Stop(ctx)
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// EnginePID is the process id of the shared server's engine, which runs once a test has asked for
// a database: benchmarks ask the system what it has used.
func EnginePID() int { return shared.s.PID() }

// Config returns the configuration of a database that is not there yet, on the shared server.
func Config(t testing.TB) clickhouse.Config {
	t.Helper()
	shared.start()
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return clickhouse.Config{
		Username: Writer, Password: WriterPassword,
		Addrs: []string{shared.s.Addr()}, Database: fmt.Sprintf("test_%d", shared.next.Add(1)),
		Poll: 10 * time.Millisecond,
	}
}

// Start returns a migrated, empty database. It is closed and dropped when the test ends.
func Start(t testing.TB) *clickhouse.DB {
	t.Helper()
	cfg := Config(t)
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return Open(t, cfg)
}

// Open opens a migrated database, which is closed and dropped when the test ends.
func Open(t testing.TB, cfg clickhouse.Config) *clickhouse.DB {
	t.Helper()
	db, err := clickhouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(db.Drop(ctx), db.Close()); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return db
}
