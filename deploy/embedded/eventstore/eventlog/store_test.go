package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Logger: slog.New(slog.DiscardHandler), Now: time.Now, CacheBytes: 8 << 20}
}

// testTimeout bounds a whole test that would otherwise hang; nothing waits for it to pass.
const testTimeout = time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func newStore(t testing.TB, fs vfs.FS) *Log {
	t.Helper()
	if err := Create("s", testOptions(fs)); err != nil {
		t.Fatal(err)
	}
	return reopen(t, fs)
}

func reopen(t testing.TB, fs vfs.FS) *Log {
	t.Helper()
	s, err := Open("s", testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t testing.TB, s *Log, stream string, n int) Result {
	t.Helper()
	res, err := s.Submit(context.Background(), appendRequest(stream, n))
	if err != nil || res.Outcome != OutcomeWritten {
		t.Fatalf("append: %+v, %v", res, err)
	}
	return res
}

func appendRequest(stream string, n int) *Request {
	r := &Request{Stream: stream, Expect: ExpectAny}
	for range n {
		id, _ := randomID()
		r.Events = append(r.Events, Proposal{ID: id, Type: "t", Data: []byte(fmt.Sprintf("data of %x", id))})
	}
	return r
}

// contents is every event of the store, read in $all order and checked on the way.
func contents(t testing.TB, s *Log) map[[16]byte]uint64 {
	t.Helper()
	v := s.Acquire()
	defer v.Release()
	out := map[[16]byte]uint64{}
	next := uint64(layout.FirstPosition)
	last := map[string]uint64{}
	err := v.ScanAll(0, v.end, false, func(position uint64, r *Record) bool {
		if position != next {
			t.Fatalf("event at position %d, the one before ended at %d", position, next)
		}
		if n, ok := last[string(r.Stream)]; ok && r.Revision != n+1 || !ok && r.Revision != 0 {
			t.Fatalf("stream %s: revision %d follows %d", r.Stream, r.Revision, n)
		}
		last[string(r.Stream)] = r.Revision
		next = position + layout.LogSize(r.Size())
		out[r.ID] = position
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != v.end || uint64(len(out)) != v.events {
		t.Fatalf("log ends at %d with %d events, the view says %d with %d", next, len(out), v.end, v.events)
	}
	for stream, n := range last {
		h, err := v.streamHead(stream)
		if err != nil || uint64(h.Last) != n {
			t.Fatalf("stream %s: head %+v, %v; last revision %d", stream, h, err, n)
		}
		var revision uint64
		err = scanIndex(v.snap, stream, 0, n+1, false, func(r uint64, e IndexEntry) (bool, error) {
			if r != revision || out[e.ID] != e.Position {
				t.Fatalf("stream %s: index entry %d is %+v, want revision %d at %d", stream, r, e, revision, out[e.ID])
			}
			revision++
			return true, nil
		})
		if err != nil || revision != n+1 {
			t.Fatalf("stream %s: index has %d entries, %v; want %d", stream, revision, err, n+1)
		}
	}
	return out
}

func TestCreateAndOpenAreDistinct(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Open("s", testOptions(fs)); !errors.Is(err, ErrMissing) {
		t.Errorf("open of nothing: %v, want ErrMissing", err)
	}
	s := newStore(t, fs)
	put(t, s, "a", 1)
	if err := Create("s", testOptions(fs)); !errors.Is(err, ErrLocked) {
		t.Errorf("create over an open store: %v, want ErrLocked", err)
	}
	if _, err := Open("s", testOptions(fs)); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Create("s", testOptions(fs)); !errors.Is(err, ErrExists) {
		t.Errorf("create over a store: %v, want ErrExists", err)
	}
	if n := len(contents(t, reopen(t, fs))); n != 1 {
		t.Errorf("%d events after all that", n)
	}
}

// Wherever a crash interrupts the creation, the directory then holds no store
// and can be used, or a whole one.
func TestCrashDuringCreate(t *testing.T) {
	for step := int64(1); ; step++ {
		mem := vfs.NewCrashableMem()
		var n int64
		var crashed *vfs.MemFS
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if n++; n == step {
					crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50,
						RNG: rand.New(rand.NewPCG(1, uint64(step)))})
				}
			}
			return nil
		}))
		if err := Create("s", testOptions(fs)); err != nil {
			t.Fatal(err)
		}
		if crashed == nil {
			if step < 10 {
				t.Fatalf("creation took %d writes only", step)
			}
			return
		}
		exists, err := Exists("s", crashed)
		if err != nil {
			t.Fatal(err)
		}
		if !exists {
			if err := Create("s", testOptions(crashed)); err != nil {
				t.Fatalf("create after a crash at write %d: %v", step, err)
			}
		}
		s, err := Open("s", testOptions(crashed))
		if err != nil {
			t.Fatalf("open after a crash at write %d: %v", step, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// rawDB opens the files below a closed store, to damage them.
func rawDB(t *testing.T, fs vfs.FS, damage func(db *pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open("s/db", disk.PebbleOptions(testOptions(fs).files(), disk.NewHalt(func(error) {}, "")))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(damage(db), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesInconsistentStores(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(db *pebble.DB) error
		want   error
		text   string
	}{
		{"no format record", func(db *pebble.DB) error { return db.Delete(layout.KeyFormat, pebble.Sync) }, ErrCorrupt,
			"no format record"},
		{"another format", func(db *pebble.DB) error {
			return db.Set(layout.KeyFormat, layout.FormatRecord{Version: 2}.Encode(), pebble.Sync)
		}, ErrFormat, "format 2"},
		{"something else's record", func(db *pebble.DB) error {
			return db.Set(layout.KeyFormat, []byte("hello world, this is not it"), pebble.Sync)
		}, ErrCorrupt, "not an event store"},
		{"a commit is missing", func(db *pebble.DB) error { return db.Delete(layout.CommitKey(2), pebble.Sync) },
			ErrCorrupt, "commit 3 follows commit 1"},
		{"the last commit is missing", func(db *pebble.DB) error {
			return db.Delete(layout.CommitKey(3), pebble.Sync)
		}, ErrCorrupt, "the commit counter at"},
		{"a commit does not chain", func(db *pebble.DB) error {
			return db.Set(layout.CommitKey(2), layout.CommitRecord{First: 300, Next: 400, Events: 1,
				Total: 2}.Encode(), pebble.Sync)
		}, ErrCorrupt, "commit 2 begins at position 300"},
		{"a commit miscounts", func(db *pebble.DB) error {
			return db.Set(layout.CommitKey(1), layout.CommitRecord{First: layout.FirstPosition, Next: 400, Events: 1,
				Total: 9}.Encode(), pebble.Sync)
		}, ErrCorrupt, "miscounts"},
		{"a commit record is damaged", func(db *pebble.DB) error {
			return db.Set(layout.CommitKey(1), make([]byte, 32), pebble.Sync)
		}, ErrCorrupt, "commit record"},
		{"the last event is missing", func(db *pebble.DB) error { return deleteLastEvent(db) }, ErrCorrupt,
			"the last event ends at"},
		{"no mark", func(db *pebble.DB) error { return db.Delete(layout.KeyChecked, pebble.Sync) }, ErrCorrupt,
			"checked mark"},
		{"all events are missing", func(db *pebble.DB) error {
			return db.DeleteRange([]byte{layout.PrefixEvent}, []byte{layout.PrefixEvent + 1}, pebble.Sync)
		}, ErrCorrupt, "none found"},
		{"an event's bytes changed", func(db *pebble.DB) error { return flipLastEvent(db) }, ErrCorrupt,
			"checksum of the event at position"},
	} {
		fs := vfs.NewMem()
		s := newStore(t, fs)
		for range 3 {
			put(t, s, "a", 1)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		rawDB(t, fs, c.damage)
		_, err := Open("s", testOptions(fs))
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: got %v, want %v with %q", c.name, err, c.want, c.text)
		}
	}
}

func lastEvent(db *pebble.DB) (key, value []byte, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{layout.PrefixEvent},
		UpperBound: []byte{layout.PrefixEvent + 1}})
	if err != nil {
		return nil, nil, err
	}
	it.Last()
	key = append(key, it.Key()...)
	value = append(value, it.Value()...)
	return key, value, it.Close()
}

func deleteLastEvent(db *pebble.DB) error {
	key, _, err := lastEvent(db)
	if err != nil {
		return err
	}
	return db.Delete(key, pebble.Sync)
}

func flipLastEvent(db *pebble.DB) error {
	key, value, err := lastEvent(db)
	if err != nil {
		return err
	}
	value[len(value)/2] ^= 1
	return db.Set(key, value, pebble.Sync)
}

// Damage below a reader is an error with the position, never a skipped event.
func TestReadersFindDamage(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	first := put(t, s, "a", 1)
	put(t, s, "a", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rawDB(t, fs, func(db *pebble.DB) error {
		v, err := disk.Get(db, layout.EventKey(first.Position))
		if err != nil {
			return err
		}
		v[20] ^= 4
		return db.Set(layout.EventKey(first.Position), v, pebble.Sync)
	})
	s = reopen(t, fs)
	v := s.Acquire()
	defer v.Release()
	err := v.ScanAll(0, v.end, false, func(uint64, *Record) bool { return true })
	if want := fmt.Sprintf("position %d", first.Position); !errors.Is(err, ErrCorrupt) ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want ErrCorrupt at %s", err, want)
	}
}

// The commit counter stays dense over restarts, and Open drops what it has verified.
func TestCommitCounterOverRestarts(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	for round := range 4 {
		for range 5 {
			put(t, s, "a", 2)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		rawDB(t, fs, func(db *pebble.DB) error {
			it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{layout.PrefixCommit},
				UpperBound: []byte{layout.PrefixCommit + 1}})
			if err != nil {
				return err
			}
			n := 0
			for it.First(); it.Valid(); it.Next() {
				n++
			}
			if n != 5 {
				t.Errorf("round %d: %d commit records, want this session's 5", round, n)
			}
			return it.Close()
		})
		s = reopen(t, fs)
	}
	if n := len(contents(t, s)); n != 40 {
		t.Errorf("%d events, want 40", n)
	}
}

// gate holds every WAL fsync, once armed, until it is opened.
type gate struct {
	armed   atomic.Bool
	entered chan struct{} // receives once for each fsync that waits
	open    chan struct{}
	err     error
}

func isLogSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, ".log")
	}
	return false
}

func (g *gate) injector() errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !g.armed.Load() || !isLogSync(op) {
			return nil
		}
		g.entered <- struct{}{}
		<-g.open
		return g.err
	})
}

// While an append's fsync is under way, nobody sees it: not a reader, not a
// stream's head; and nobody is answered on the strength of it, neither its
// repetition nor a conflict with it.
func TestNothingIsSeenBeforeItsFsync(t *testing.T) {
	g := &gate{entered: make(chan struct{}, 16), open: make(chan struct{})}
	s := newStore(t, errorfs.Wrap(vfs.NewMem(), g.injector()))
	put(t, s, "a", 1)
	g.armed.Store(true)
	before := s.Acquire()
	first := appendRequest("a", 1)
	first.Expect = 0
	answers := make(chan string, 3)
	submit := func(name string, r *Request) {
		go func() {
			res, err := s.Submit(context.Background(), r)
			answers <- fmt.Sprintf("%s %d %d %v", name, res.Outcome, res.Last, err)
		}()
	}
	submit("first", first)
	<-g.entered
	again := *first
	conflict := appendRequest("a", 1)
	conflict.Expect = ExpectNoStream
	submit("again", &again)
	submit("conflict", conflict)

	// Pebble itself shows the event while its fsync is held, as soon as it is in
	// the memtable: without views it would be seen.
	for ctx := testContext(t); ; runtime.Gosched() {
		h, err := readHead(s.db, "a")
		if err != nil {
			t.Fatal(err)
		}
		if h.Last == 1 {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("pebble does not show the event; the test proves nothing")
		}
	}

	v := s.Acquire()
	if v != before || v.events != 1 {
		t.Errorf("a view with %d events is shown before the fsync", v.events)
	}
	if h, err := v.streamHead("a"); err != nil || h.Last != 0 {
		t.Errorf("head %+v, %v", h, err)
	}
	select {
	case a := <-answers:
		t.Errorf("answered before the fsync: %s", a)
	default:
	}
	if err := errors.Join(v.Release(), before.Release()); err != nil {
		t.Error(err)
	}
	close(g.open)
	got := map[string]bool{}
	for range 3 {
		got[<-answers] = true
	}
	for _, want := range []string{"first 0 1 <nil>", "again 0 1 <nil>", "conflict 1 1 <nil>"} {
		if !got[want] {
			t.Errorf("answers %v lack %q", got, want)
		}
	}
	if n := len(contents(t, s)); n != 2 {
		t.Errorf("%d events", n)
	}
	g.armed.Store(false)
}

// Appends that arrive while an fsync is under way share the next one.
func TestConcurrentAppendsShareAnFsync(t *testing.T) {
	g := &gate{entered: make(chan struct{}, 1024), open: make(chan struct{})}
	s := newStore(t, errorfs.Wrap(vfs.NewMem(), g.injector()))
	g.armed.Store(true)
	const callers = 200
	requests := []*Request{appendRequest("s", 1)}
	enqueue := func(r *Request) {
		r.done = make(chan struct{})
		s.queue <- r
	}
	enqueue(requests[0])
	<-g.entered
	for i := range callers {
		r := appendRequest(fmt.Sprintf("s-%d", i), 1)
		requests = append(requests, r)
		enqueue(r) // the queue holds them all, so they are there when the gate opens
	}
	close(g.open)
	for _, r := range requests {
		<-r.done
		if r.result.err != nil {
			t.Fatal(r.result.err)
		}
	}
	if n := len(g.entered) + 1; n != 2 {
		t.Errorf("%d fsyncs for one append and %d that came during its fsync, want 2", n, callers)
	}
	g.armed.Store(false)
}

// A failed fsync stops the store for good. Nothing it covered is acknowledged
// or shown, it is not tried again, and what was durable before is still there.
func TestFsyncFailureIsFatal(t *testing.T) {
	mem := vfs.NewCrashableMem()
	g := &gate{entered: make(chan struct{}, 1024), open: make(chan struct{}), err: errors.New("disk on fire")}
	close(g.open)
	s := newStore(t, errorfs.Wrap(mem, g.injector()))
	kept := put(t, s, "a", 1)
	g.armed.Store(true)
	if _, err := s.Submit(context.Background(), appendRequest("a", 1)); !errors.Is(err, ErrStopped) ||
		!strings.Contains(err.Error(), "disk on fire") {
		t.Fatalf("append with a failing fsync: %v", err)
	}
	tries := len(g.entered)
	if _, err := s.Submit(context.Background(), appendRequest("a", 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("append after the failure: %v", err)
	}
	<-s.done
	if len(g.entered) != tries {
		t.Errorf("fsync was tried %d times more", len(g.entered)-tries)
	}
	if v := s.Acquire(); v.events != 1 {
		t.Errorf("a reader sees %d events", v.events)
	} else if err := v.Release(); err != nil {
		t.Error(err)
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	g.armed.Store(false)
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("close of a failed store: %v", err)
	}
	got := contents(t, reopen(t, crashed))
	if len(got) != 1 {
		t.Errorf("after the crash: %v, want the event at %d", got, kept.Position)
	}
}

// Uncompressed tables hold an event's text as it is, so that a search of the
// files for personal data proves something; compressed ones need not.
func TestUncompressedTablesCanBeSearched(t *testing.T) {
	for _, uncompressed := range []bool{true, false} {
		mem := vfs.NewMem()
		o := testOptions(mem)
		o.Uncompressed = uncompressed
		if err := Create("s", o); err != nil {
			t.Fatal(err)
		}
		s, err := Open("s", o)
		if err != nil {
			t.Fatal(err)
		}
		const text = "canary-canary-canary-0123456789"
		r := appendRequest("a", 200)
		for i := range r.Events {
			r.Events[i].Data = []byte(strings.Repeat("abcabcabc", 50) + text)
		}
		if _, err := s.Submit(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
			t.Fatal(err)
		}
		names, err := mem.List("s/db")
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, name := range names {
			if !strings.HasSuffix(name, ".sst") {
				continue
			}
			f, err := mem.Open(mem.PathJoin("s/db", name))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			found += strings.Count(string(b), text)
		}
		if (found == 200) != uncompressed {
			t.Errorf("uncompressed %v: the text is found %d times in 200 events", uncompressed, found)
		}
	}
}
