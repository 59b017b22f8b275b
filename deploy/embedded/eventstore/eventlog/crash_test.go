package eventlog

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

var rounds = flag.Int("rounds", 20, "rounds of simulated power failures")

// witness knows what was answered and what was shown.
type witness struct {
	mu    sync.Mutex
	known map[[16]byte]uint64 // position by id; 0 for one that was not told
	moved chan struct{}
}

func (w *witness) add(ids [][16]byte, last uint64) {
	w.mu.Lock()
	for _, id := range ids {
		w.known[id] = max(w.known[id], 0)
	}
	if len(ids) > 0 {
		w.known[ids[len(ids)-1]] = last
	}
	w.mu.Unlock()
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

func (w *witness) snapshot() map[[16]byte]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[[16]byte]uint64, len(w.known))
	for id, position := range w.known {
		out[id] = position
	}
	return out
}

// Random requests of every kind, readers and backups on a disk that loses
// unsynced writes, some or all of them, at a random moment, one round after the
// other on what the last one left: what was answered or shown is there, and the
// store is whole by every rule that Check knows; so is each backup.
func TestPowerFailures(t *testing.T) {
	rng := testRNG(t)
	disk := vfs.NewCrashableMem()
	for round := range *rounds {
		percent := []int{0, 0, rng.IntN(100), 100}[rng.IntN(4)]
		disk = powerFailure(t, rng, disk, round, percent)
		if round%10 == 9 { // stores do not grow for ever, so that rounds stay short
			disk = vfs.NewCrashableMem()
		}
	}
}

// linksApart keeps links and the cloning of the disk apart: the in-memory file
// system takes one lock twice for a link, and they would wait for each other.
type linksApart struct {
	vfs.FS
	mu sync.RWMutex
}

func (l *linksApart) Link(oldname, newname string) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.FS.Link(oldname, newname)
}

func powerFailure(t *testing.T, rng *rand.Rand, disk *vfs.MemFS, round, percent int) *vfs.MemFS {
	t.Helper()
	links := &linksApart{FS: disk}
	slow := errorfs.Wrap(links, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isLogSync(op) {
			for range rand.IntN(50) { // what is shown before its fsync has ended is caught by a crash
				runtime.Gosched()
			}
		}
		return nil
	}))
	o := testOptions(slow)
	o.MemTable = 64 << 10 // logs rotate, tables are flushed and compacted
	o.checkedDistance = 20
	exists, err := Exists("s", disk)
	if err != nil {
		t.Fatal(err)
	}
	if !exists {
		if err := Create("s", o); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open("s", o)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	w := &witness{known: positions(t, s), moved: make(chan struct{}, 1)}
	before := len(w.known)
	ctx, cancel := context.WithCancel(testContext(t))
	var wg sync.WaitGroup
	for range 6 {
		r := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		wg.Go(func() {
			for ctx.Err() == nil {
				q := randomRequest(r)
				res, err := s.Submit(ctx, q)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("round %d: %v", round, err)
					}
					return
				}
				if q.Kind == KindAppend && res.Outcome == OutcomeWritten && res.HasPosition {
					var ids [][16]byte
					for _, e := range q.Events {
						ids = append(ids, e.ID)
					}
					w.add(ids, res.Position)
				}
			}
		})
	}
	wg.Go(func() { // a subscriber
		next := uint64(0)
		for ctx.Err() == nil {
			v := s.Acquire()
			if err := v.ScanAll(next, v.End(), false, func(position uint64, r *Record) bool {
				w.add([][16]byte{r.ID}, position)
				return true
			}); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			next = v.End()
			select {
			case <-v.Superseded():
			case <-ctx.Done():
			}
			if err := v.Release(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			dir := fmt.Sprintf("b%d-%d", round, i)
			switch err := s.Backup(ctx, dir); {
			case err == nil:
				wantWhole(t, disk, dir)
			case ctx.Err() == nil:
				t.Errorf("round %d: %v", round, err)
			}
		}
	})
	for target := before + 50 + rng.IntN(400); len(w.snapshot()) < target; {
		select {
		case <-w.moved:
		case <-ctx.Done():
			t.Fatal("appends do not go on")
		}
	}
	known := w.snapshot()
	links.mu.Lock()
	crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	links.mu.Unlock()
	cancel()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, disk, "s")
	wantWhole(t, crashed, "s")
	names, err := crashed.List("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "b") && !strings.HasSuffix(name, ".creating") {
			wantWhole(t, crashed, name)
			if err := crashed.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := Open("s", testOptions(crashed))
	if err != nil {
		t.Fatalf("round %d, %d%% of what was unsynced kept: %v", round, percent, err)
	}
	got := positions(t, r)
	for id, position := range known {
		if at, ok := got[id]; !ok || position != 0 && at != position {
			t.Fatalf("round %d, %d%% of what was unsynced kept: event %x is at %d, was at %d", round, percent,
				id, at, position)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, crashed, "s")
	return crashed
}

// positions is every event's position by its id.
func positions(t testing.TB, s *Log) map[[16]byte]uint64 {
	t.Helper()
	v := s.Acquire()
	out := map[[16]byte]uint64{}
	err := v.ScanAll(0, v.End(), false, func(position uint64, r *Record) bool {
		out[r.ID] = position
		return true
	})
	if err := errors.Join(err, v.Release()); err != nil {
		t.Fatal(err)
	}
	return out
}

// The checked mark moves during a session, never past what is in tables, and
// the commits behind it are walked at the next Open no more.
func TestCheckedMarkMovesDuringASession(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs)
	o.checkedDistance = 10
	if err := Create("s", o); err != nil {
		t.Fatal(err)
	}
	s, err := Open("s", o)
	if err != nil {
		t.Fatal(err)
	}
	marked := func(s *Log) uint64 {
		v, err := disk.Get(s.db, layout.KeyChecked)
		if err != nil {
			t.Fatal(err)
		}
		m, err := layout.DecodeChecked(v)
		if err != nil {
			t.Fatal(err)
		}
		return m.Commit
	}
	for ctx := testContext(t); marked(s) < 30; {
		put(t, s, "a", 2)
		if ctx.Err() != nil {
			t.Fatal("the mark does not move")
		}
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	mark := marked(s)
	it, err := s.db.NewIter(commitRange)
	if err != nil {
		t.Fatal(err)
	}
	if it.First(); !it.Valid() || string(it.Key()) != string(layout.CommitKey(mark+1)) {
		t.Errorf("the first commit record is not that after the mark, commit %d", mark)
	}
	if err := errors.Join(it.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, disk := range []vfs.FS{fs, crashed} {
		wantWhole(t, disk, "s")
		s := openAt(t, disk, "s")
		if len(contents(t, s)) < 60 {
			t.Error("events are missing")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
