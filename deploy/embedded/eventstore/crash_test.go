package eventstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// witness is what the outside world knows of a store: what was acknowledged
// to it, and what it saw. Both must be there after any crash.
type witness struct {
	mu    sync.Mutex
	acked map[uuid.UUID]uint64 // position that the append answered, for its last event; 0 for others
	seen  map[uuid.UUID]uint64
	grown chan struct{} // receives after growth, never blocks the writer
}

func newWitness() *witness {
	return &witness{acked: map[uuid.UUID]uint64{}, seen: map[uuid.UUID]uint64{}, grown: make(chan struct{}, 1)}
}

func (w *witness) note(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.grown <- struct{}{}:
	default:
	}
}

// snapshot returns what is known now. A crash image must be taken after it.
func (w *witness) snapshot() (acked, seen map[uuid.UUID]uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	acked, seen = map[uuid.UUID]uint64{}, map[uuid.UUID]uint64{}
	for id, p := range w.acked {
		acked[id] = p
	}
	for id, p := range w.seen {
		seen[id] = p
	}
	return acked, seen
}

// wantAll checks the contents of a recovered store against a witness.
func wantAll(t *testing.T, what string, got map[[16]byte]uint64, known map[uuid.UUID]uint64) {
	t.Helper()
	for id, position := range known {
		at, ok := got[id]
		if !ok {
			t.Fatalf("%s: event %v is missing after the crash", what, id)
		}
		if position != 0 && at != position {
			t.Fatalf("%s: event %v is at %d after the crash, was at %d", what, id, at, position)
		}
	}
}

// Power failures at many moments under load: with the file system's unsynced
// data lost, kept in part, or kept whole, nothing acknowledged and nothing that
// a reader or subscriber saw is missing, and the log is whole.
func TestPowerFailure(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewCrashableMem()
	cfg := testConfig("s")
	cfg.fs, cfg.memTable = mem, 256<<10 // logs rotate, tables flush and compact
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	w := newWitness()
	ctx, cancel := context.WithCancel(f.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	for worker := range 16 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				ev := events(1 + (worker+i)%4)
				ev[0].Data = make([]byte, 3000)
				res, err := f.c.AppendToStream(ctx, fmt.Sprintf("s-%d-%d", worker, i%5), esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, ev...)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("append: %v", err)
					}
					return
				}
				w.note(func() {
					for _, e := range ev {
						w.acked[e.EventID] = 0
					}
					w.acked[ev[len(ev)-1].EventID] = res.CommitPosition
				})
			}
		})
	}
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wg.Go(func() {
		for {
			e := sub.Recv()
			if e.SubscriptionDropped != nil {
				return // the test has ended and closed it
			}
			if e.EventAppeared != nil {
				r := e.EventAppeared.OriginalEvent()
				w.note(func() { w.seen[r.EventID] = r.Position.Commit })
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			got, err := f.readAll(esdb.Backwards, esdb.End{}, 50)
			if err != nil {
				t.Errorf("read: %v", err)
				return
			}
			w.note(func() {
				for _, r := range got {
					w.seen[r.EventID] = r.Position.Commit
				}
			})
		}
	})
	defer sub.Close()

	const crashes = 12
	for crash := range crashes {
		for target := (crash + 1) * 300; ; {
			w.mu.Lock()
			n := len(w.acked)
			w.mu.Unlock()
			if n >= target {
				break
			}
			select {
			case <-w.grown:
			case <-ctx.Done():
				t.Fatal("appends do not go on")
			}
		}
		acked, seen := w.snapshot()
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 0, 30, 70, 100}[crash%5], RNG: rng})
		recovered, err := openStore("s", testOptions(clone))
		if err != nil {
			t.Fatalf("open after crash %d: %v", crash, err)
		}
		got := contents(t, recovered)
		wantAll(t, "acknowledged", got, acked)
		wantAll(t, "seen", got, seen)
		// It goes on from there, and a second crash keeps that too.
		res := put(t, recovered, "after", 1)
		again := clone.CrashClone(vfs.CrashCloneCfg{})
		if err := recovered.close(); err != nil {
			t.Fatal(err)
		}
		second, err := openStore("s", testOptions(again))
		if err != nil {
			t.Fatalf("open after the second crash: %v", err)
		}
		after := contents(t, second)
		wantAll(t, "acknowledged, second crash", after, acked)
		if len(after) != len(got)+1 || !slices.Contains(values(after), res.position) {
			t.Fatalf("%d events after the second crash, want %d", len(after), len(got)+1)
		}
		if err := second.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func values(m map[[16]byte]uint64) []uint64 {
	var out []uint64
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
