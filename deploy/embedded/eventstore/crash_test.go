package eventstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// witness is what the outside world knows of a store: what was acknowledged
// to it, and what it saw. Both must be there after any crash.
type witness struct {
	mu    sync.Mutex
	acked []known
	seen  []known
	grown chan struct{} // receives after growth, never blocks the writer
}

type known struct {
	id       uuid.UUID
	position uint64 // 0: not told
}

func newWitness() *witness { return &witness{grown: make(chan struct{}, 1)} }

func (w *witness) note(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	select {
	case w.grown <- struct{}{}:
	default:
	}
}

// snapshot returns what is known now, at no cost: a crash image must be taken
// after it, and soon, before what was known too early becomes true.
func (w *witness) snapshot() (acked, seen []known) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked, w.seen
}

func (w *witness) ackAll(ids []uuid.UUID, last uint64) {
	w.note(func() {
		for _, id := range ids {
			w.acked = append(w.acked, known{id: id})
		}
		w.acked[len(w.acked)-1].position = last
	})
}

func (w *witness) see(id uuid.UUID, position uint64) {
	w.note(func() { w.seen = append(w.seen, known{id, position}) })
}

// wantAll checks the contents of a recovered store against a witness.
func wantAll(t *testing.T, what string, got map[[16]byte]uint64, want []known) {
	t.Helper()
	for _, k := range want {
		id, position := k.id, k.position
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
	rng := rand.New(rand.NewPCG(testSeed(t), 0))
	mem := vfs.NewCrashableMem()
	cfg := testConfig("s")
	// A disk whose fsyncs take a while: what is shown or answered before its
	// fsync has ended is then likely to be caught by a crash.
	slow := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isLogSync(op) {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		}
		return nil
	})
	cfg.fs, cfg.memTable = errorfs.Wrap(mem, slow), 256<<10 // logs rotate, tables flush and compact
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
				res, err := f.c.AppendToStream(ctx, fmt.Sprintf("s-%d-%d", worker, i%5),
					esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, ev...)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("append: %v", err)
					}
					return
				}
				var ids []uuid.UUID
				for _, e := range ev {
					ids = append(ids, e.EventID)
				}
				w.ackAll(ids, res.CommitPosition)
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
				w.see(r.EventID, r.Position.Commit)
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
			for _, r := range got {
				w.see(r.EventID, r.Position.Commit)
			}
		}
	})
	defer sub.Close()

	const crashes = 8
	for crash := range crashes {
		for target := -1; ; {
			// Half the crashes come right after something was acknowledged, half
			// right after something was seen: the moments that would show a lie.
			acked, seen := w.snapshot()
			n := len(acked)
			if crash%2 == 1 {
				n = len(seen)
			}
			if target < 0 {
				target = n + 200 + rng.IntN(200)
			}
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
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 0, 40, 100}[crash/2], RNG: rng})
		recovered, err := eventlog.Open("s", testOptions(clone))
		if err != nil {
			t.Fatalf("open after crash %d: %v", crash, err)
		}
		got := contents(t, recovered)
		wantAll(t, "acknowledged", got, acked)
		wantAll(t, "seen", got, seen)
		// It goes on from there, and a second crash keeps that too.
		res := put(t, recovered, "after", 1)
		again := clone.CrashClone(vfs.CrashCloneCfg{})
		if err := recovered.Close(); err != nil {
			t.Fatal(err)
		}
		second, err := eventlog.Open("s", testOptions(again))
		if err != nil {
			t.Fatalf("open after the second crash: %v", err)
		}
		after := contents(t, second)
		wantAll(t, "acknowledged, second crash", after, acked)
		if len(after) != len(got)+1 || !slices.Contains(values(after), res.Position) {
			t.Fatalf("%d events after the second crash, want %d", len(after), len(got)+1)
		}
		if err := second.Close(); err != nil {
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
