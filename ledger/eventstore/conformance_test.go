package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/authority"
	server "github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// kinds are the servers on which the store and the ledger must keep their promises; each changes
// the configuration of a plain one.
var kinds = map[string]func(*server.Config){
	"calm":      func(*server.Config) {},
	"disturbed": func(c *server.Config) { c.Disturb = everything(1, 12) },
	"secured":   secured,
	"secured and disturbed": func(c *server.Config) {
		secured(c)
		c.Disturb = everything(3, 12)
	},
}

// secured has the server speak TLS and ask who comes; only the ledger's group may write
// its streams and read $all.
func secured(c *server.Config) {
	c.Open, c.TLS = false, certificate()
	c.Users = []guard.User{{Name: account, PasswordHash: accountHash(), Groups: []string{"ledger"}}}
	c.ProtectedWriters, c.AllReaders = []string{"ledger"}, []string{"ledger"}
}

const account, password = "ledgerline", "a password for the test"

// certificate is one of an authority of the tests' own, for this machine; TestMain removes it.
var certificate = sync.OnceValue(func() *guard.TLSConfig {
	dir, err := os.MkdirTemp("", "ledgerline-eventstore")
	if err != nil {
		panic(err)
	}
	certificateDir = dir
	hosts, err := authority.Hosts("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	a, err := authority.Open(authority.Config{Dir: filepath.Join(dir, "tls"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	certFile, keyFile, err := a.Issue("eventstore", hosts)
	if err != nil {
		panic(err)
	}
	return &guard.TLSConfig{CertFile: certFile, KeyFile: keyFile, CAFile: a.CAFile()}
})

var certificateDir string // "" until certificate has made it

// runTests is another thing in the child of a benchmark.
var runTests = (*testing.M).Run

func TestMain(m *testing.M) {
	code := runTests(m)
	if certificateDir != "" {
		if err := os.RemoveAll(certificateDir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var accountHash = sync.OnceValue(func() string {
	h, err := guard.HashPassword(password)
	if err != nil {
		panic(err)
	}
	return h
})

// everything is all that a real server has and does; its calls fail about every so
// many messages or appends.
func everything(seed uint64, every int) *disturb.Disturbance {
	return &disturb.Disturbance{
		Seed: seed, SystemEvents: true, StatsEvery: 5, LinksEvery: 3, ForeignEvery: 3, MetadataEvery: 7,
		DeletesEvery: 9, TombstonesEvery: 9,
		NotReadyFirst: 2, NotReadyEvery: 2 * every, NotLeaderEvery: every, TimeoutsEvery: every,
		LostAnswersEvery: every, DropsEvery: every, CutsEvery: every,
		CaughtUpDelay: 3 * time.Millisecond,
	}
}

// address logs in where the server asks for that, and has clients look again for a server that is
// not ready without the pause that they make by default.
func address(srv *server.Server) string {
	a := srv.ConnectionString() + "&discoveryInterval=5"
	if srv.CAFile() != "" {
		a = strings.Replace(a, "esdb://", "esdb://"+url.UserPassword(account, password).String()+"@", 1)
	}
	return a
}

// wantEverything fails the test where the server did not do all that it was told to. Reads that
// are no subscriptions are rare in these tests: it makes enough of them for one to be cut.
func wantEverything(t *testing.T, srv *server.Server) {
	t.Helper()
	store := open(t, address(srv))
	for range 2 * 12 {
		if _, _, err := store.Last(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	d := srv.Disturbed()
	for what, n := range map[string]int{"system events": d.System, "statistics": d.Stats, "links": d.Links,
		"foreign events": d.Foreign, "metadata": d.Metadata,
		"deletes": d.Deleted, "tombstones": d.Tombstoned, "not ready": d.NotReady, "not leader": d.NotLeader,
		"timeouts":     d.Timeouts,
		"lost answers": d.LostAnswers, "dropped subscriptions": d.Drops, "cut reads": d.Cuts,
		"late caught-ups": d.LateCaughtUps} {
		if n == 0 {
			t.Errorf("the server was to disturb with %s, and did not", what)
		}
	}
}

func TestTheAdapterKeepsTheStoresPromises(t *testing.T) {
	for name, change := range kinds {
		t.Run(name, func(t *testing.T) {
			srv := startServer(t, t.TempDir(), "127.0.0.1:0", change)
			defer stop(t, srv)
			ledgertest.Run(t, func(t *testing.T) ledger.Store { return open(t, address(srv)) })
			if strings.Contains(name, "disturbed") {
				wantEverything(t, srv)
			}
		})
	}
}

func TestTheLedgerKeepsItsPromisesOnTheAdapter(t *testing.T) {
	// the other kinds differ in single calls, which the suite above makes
	for _, name := range []string{"calm", "disturbed"} {
		change := kinds[name]
		t.Run(name, func(t *testing.T) {
			ledgertest.RunLedger(t, func(t *testing.T) ledger.Store {
				srv := startServer(t, t.TempDir(), "127.0.0.1:0", change, func(c *server.Config) {
					if c.Disturb != nil {
						c.Disturb = everything(2, 60) // these flows read a thousand times
					}
				})
				t.Cleanup(func() { stop(t, srv) })
				return open(t, address(srv))
			})
		})
	}
}

// Several followers see one sequence while others append, the server disturbs everybody and
// starts anew in between; a calm server on the same files shows the same one, and so do the
// index files, byte for byte.
func TestTheSequenceIsTheSameDisturbedOrNot(t *testing.T) {
	dir, n := t.TempDir(), 120
	srv := startServer(t, dir, "127.0.0.1:0", kinds["disturbed"])
	addr := srv.Addr()
	store := open(t, address(srv))
	writer, _ := ledgertest.Create(t, store)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	const followers = 3
	var indexes [followers]string
	var sequences [followers][]uuid.UUID
	var following sync.WaitGroup
	for i := range followers {
		indexes[i] = filepath.Join(t.TempDir(), "sequence.index")
		l, err := ledger.Open(ctx, ledgertest.Config(store, indexes[i]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		following.Go(func() {
			err := l.Follow(ctx, nil, func(_ context.Context, batch []schemas.Envelope) error {
				for _, r := range batch {
					if r.Seq != uint64(len(sequences[i])) {
						t.Errorf("follower %d: sequence %d where %d was due", i, r.Seq, len(sequences[i]))
					}
					sequences[i] = append(sequences[i], r.ID)
				}
				if len(sequences[i]) == n+1 {
					return enough
				}
				return nil
			})
			if !errors.Is(err, enough) {
				t.Errorf("follower %d ended with %v", i, err)
			}
		})
	}
	const writers = 4
	half := func() {
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for i := range n / 2 / writers {
					name := ledgertest.NewStream()
					if _, err := writer.Append(ctx, name, ledger.NoStream,
						[]schemas.Event{ledgertest.Event(t, name, i)}); err != nil {
						t.Errorf("append: %v", err)
					}
				}
			})
		}
		writing.Wait()
	}
	half()
	wantEverything(t, srv)
	stop(t, srv)
	srv = startServer(t, dir, addr, kinds["disturbed"])
	half()
	following.Wait()
	stop(t, srv)

	srv = startServer(t, dir, "127.0.0.1:0", kinds["calm"])
	defer stop(t, srv)
	calm, err := ledger.Open(ctx, ledgertest.Config(open(t, address(srv)),
		filepath.Join(t.TempDir(), "sequence.index")))
	if err != nil {
		t.Fatal(err)
	}
	defer calm.Close()
	var want []uuid.UUID
	for r, err := range calm.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r.ID)
	}
	if len(want) != n+1 {
		t.Errorf("the ledger has %d events, want %d", len(want), n+1)
	}
	var first []byte
	for i := range followers {
		if len(sequences[i]) != len(want) {
			t.Errorf("follower %d saw %d events, want %d", i, len(sequences[i]), len(want))
			continue
		}
		for seq := range want {
			if sequences[i][seq] != want[seq] {
				t.Fatalf("follower %d saw %s as sequence %d, undisturbed it is %s", i,
					sequences[i][seq], seq, want[seq])
			}
		}
		index, err := os.ReadFile(indexes[i])
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = index
		}
		if len(index) == 0 || !bytes.Equal(index, first) {
			t.Errorf("the index of follower %d differs from that of follower 0", i)
		}
	}
}
