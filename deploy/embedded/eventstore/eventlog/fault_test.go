package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// faults is a disk on which chosen operations fail.
type faults struct {
	fails atomic.Pointer[func(op errorfs.Op) error]
	hits  atomic.Int64
}

func (f *faults) set(fails func(op errorfs.Op) error) { f.fails.Store(&fails) }
func (f *faults) clear()                              { f.fails.Store(nil) }

func (f *faults) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		fails := f.fails.Load()
		if fails == nil {
			return nil
		}
		err := (*fails)(op)
		if err != nil {
			f.hits.Add(1)
		}
		return err
	}))
}

// fileKind is "log", "MANIFEST", "sst" and so on.
func fileKind(path string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	return strings.TrimRight(base[strings.LastIndexByte(base, '.')+1:], "0123456789-")
}

// kindOf is the operation, with every kind of fsync being one.
func kindOf(op errorfs.Op) errorfs.OpKind {
	switch op.Kind {
	case errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return errorfs.OpFileSync
	}
	return op.Kind
}

// Whatever write of whatever file fails, once or from then on: the log fails
// with that error and answers nobody after it, neither ends the process nor
// hangs, tries no fsync again, and gives its directory back; and what was
// acknowledged or shown is there when it is opened again.
func TestFailedWritesStopTheLog(t *testing.T) {
	type fault struct {
		kind errorfs.OpKind
		file string
	}
	for _, c := range []fault{
		{errorfs.OpFileWrite, "log"},
		{errorfs.OpFileSync, "log"},
		{errorfs.OpCreate, "log"},
		{errorfs.OpReuseForWrite, "log"},
		{errorfs.OpCreate, "sst"},
		{errorfs.OpFileWrite, "sst"},
		{errorfs.OpFileSync, "sst"},
		{errorfs.OpFileWrite, "MANIFEST"},
		{errorfs.OpFileSync, "MANIFEST"},
		{errorfs.OpFileSync, "db"},
		{errorfs.OpFileWriteAt, disk.MarkFile},
	} {
		for _, once := range []bool{false, true} {
			mem := vfs.NewMem()
			var f faults
			o := testOptions(f.wrap(mem))
			o.MemTable = 64 << 10 // logs rotate, tables are flushed and compacted
			if err := Create("s", o); err != nil {
				t.Fatal(err)
			}
			s, err := Open("s", o)
			if err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("operation %d of %s, once %v", c.kind, c.file, once)
			l := startLoad(t, s, 4)
			l.atLeast(t, s, 50)
			f.hits.Store(0)
			f.set(func(op errorfs.Op) error {
				if kindOf(op) != c.kind || fileKind(op.Path) != c.file || once && f.hits.Load() > 0 {
					return nil
				}
				return syscall.ENOSPC
			})
			select {
			case <-s.Failed():
			case <-testContext(t).Done():
				t.Fatalf("%s: the log goes on", what)
			}
			if err := s.Failure(); !errors.Is(err, ErrStopped) || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: it failed with %v", what, err)
			}
			acked := l.snapshot()
			l.wg.Wait() // every caller is answered
			if _, err := s.Submit(t.Context(), appendRequest("a", 1)); !errors.Is(err, ErrStopped) {
				t.Errorf("%s: append after the failure: %v", what, err)
			}
			v := s.Acquire()
			seen := v.Events()
			if err := v.Release(); err != nil {
				t.Error(err)
			}
			if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: close: %v", what, err)
			}
			// A few goroutines may have been in their operations at that moment, none comes again.
			if n := f.hits.Load(); n > 4 {
				t.Errorf("%s: %d operations failed; it went on", what, n)
			}
			f.clear()
			wantWhole(t, mem, "s")
			s = openAt(t, mem, "s")
			got := contents(t, s)
			for _, known := range []map[[16]byte]uint64{acked, l.snapshot()} {
				for id, position := range known {
					if got[id] != position {
						t.Fatalf("%s: event %x is at %d after the failure, was at %d", what, id, got[id], position)
					}
				}
			}
			if uint64(len(got)) < seen {
				t.Errorf("%s: %d events, %d were seen", what, len(got), seen)
			}
			put(t, s, "a", 1)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A disk that fills up at any write while a store is opened: Open says so, or
// the log does; and when there is space again, the store is as it was.
func TestFullDiskDuringOpen(t *testing.T) {
	mem := vfs.NewMem()
	s := newStore(t, mem)
	populate(t, s, testRNG(t), 100)
	want, err := dump(s)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	files := fileBytes(t, mem, "s")
	for step := int64(1); ; step++ {
		disk := memFS(t, files)
		var f faults
		var n atomic.Int64
		f.set(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpRename, errorfs.OpFileWrite,
				errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
				if n.Add(1) >= step {
					return syscall.ENOSPC
				}
			}
			return nil
		})
		s, err := Open("s", testOptions(f.wrap(disk)))
		if err == nil {
			err = s.Close()
		}
		if f.hits.Load() == 0 {
			if err != nil {
				t.Fatal(err)
			}
			if step < 10 {
				t.Fatalf("open took %d writes only", step-1)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("no space from write %d on: %v", step, err)
		}
		wantWhole(t, disk, "s")
		s = openAt(t, disk, "s")
		got, err := dump(s)
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("no space from write %d on: the store is another afterwards", step)
		}
	}
}

// A disk that fills up at any write while a store is made: Create says so, and
// when there is space again, the directory can be used.
func TestFullDiskDuringCreate(t *testing.T) {
	for step := int64(1); ; step++ {
		mem := vfs.NewMem()
		var f faults
		var n atomic.Int64
		f.set(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose &&
				op.Kind != errorfs.OpRemoveAll && n.Add(1) >= step {
				return syscall.ENOSPC
			}
			return nil
		})
		err := Create("s", testOptions(f.wrap(mem)))
		if f.hits.Load() == 0 {
			if err != nil || step < 10 {
				t.Fatalf("create took %d writes: %v", step-1, err)
			}
			return
		}
		exists, existsErr := Exists("s", mem)
		if existsErr != nil {
			t.Fatal(existsErr)
		}
		if err == nil && !exists {
			t.Errorf("no space from write %d on: create says nothing and made nothing", step)
		}
		if !exists {
			if err := Create("s", testOptions(mem)); err != nil {
				t.Fatalf("create after a full disk at write %d: %v", step, err)
			}
		}
		s := openAt(t, mem, "s")
		put(t, s, "a", 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, mem, "s")
	}
}

// On a slow disk a caller whose context ends gets that, and may ask again with
// the same ids: the event is there once.
func TestSlowDiskAndRetries(t *testing.T) {
	g := &gate{entered: make(chan struct{}, 16), open: make(chan struct{})}
	s := newStore(t, errorfs.Wrap(vfs.NewMem(), g.injector()))
	put(t, s, "a", 1)
	g.armed.Store(true)
	r := appendRequest("a", 2)
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := s.Submit(ctx, r)
		first <- err
	}()
	<-g.entered
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("append given up during its fsync: %v", err)
	}
	again := &Request{Stream: r.Stream, Expect: r.Expect, Events: r.Events}
	second := make(chan Result, 1)
	go func() {
		res, err := s.Submit(context.Background(), again)
		if err != nil {
			t.Errorf("append again: %v", err)
		}
		second <- res
	}()
	close(g.open)
	if res := <-second; res.Outcome != OutcomeWritten || res.Last != 2 {
		t.Errorf("append again: %+v", res)
	}
	if n := len(contents(t, s)); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	g.armed.Store(false)
}

// Events' times never go back, also over a restart, where the clock does.
func TestClockGoesBackwards(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	now := time.Unix(2_000_000_000, 0)
	o.Now = func() time.Time {
		now = now.Add(-time.Hour)
		return now
	}
	if err := Create("s", o); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s, err := Open("s", o)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "a", 2)
		put(t, s, "b", 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if r := wantWhole(t, fs, "s"); r.Events != 9 { // Check compares the times
		t.Errorf("%d events", r.Events)
	}
}

// A store whose files are gone is not made anew: neither by Create, nor does
// Exists say that there is none. An older store, without its mark, is given one.
func TestStoreThatIsGone(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	put(t, s, "a", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := fileBytes(t, fs, "s")
	gone := memFS(t, files)
	if err := gone.RemoveAll("s/db"); err != nil {
		t.Fatal(err)
	}
	if _, err := Exists("s", gone); !errors.Is(err, ErrGone) {
		t.Errorf("exists: %v, want ErrGone", err)
	}
	if _, err := Open("s", testOptions(gone)); !errors.Is(err, ErrGone) {
		t.Errorf("open: %v, want ErrGone", err)
	}
	if err := Create("s", testOptions(gone)); !errors.Is(err, ErrGone) {
		t.Errorf("create: %v, want ErrGone", err)
	}
	if r := checkStore(t, gone, "s"); r.Whole() {
		t.Error("check finds nothing")
	}
	empty := memFS(t, map[string]string{"s/" + disk.MarkFile: files["s/"+disk.MarkFile], "s/db/x": ""})
	if _, err := Open("s", testOptions(empty)); !errors.Is(err, ErrGone) {
		t.Errorf("open of an empty db: %v, want ErrGone", err)
	}

	older := maps.Clone(files)
	delete(older, "s/"+disk.MarkFile)
	unmarked := memFS(t, older)
	wantWhole(t, unmarked, "s")
	s = openAt(t, unmarked, "s")
	put(t, s, "a", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := fileBytes(t, unmarked, "s")["s/"+disk.MarkFile]; !ok {
		t.Error("an older store gets no mark")
	}

	other := newStore(t, vfs.NewMem())
	mixed := maps.Clone(files)
	m := disk.Mark{ID: other.ID(), Next: layout.FirstPosition}
	alien := vfs.NewMem()
	if err := disk.CreateMark(alien, "", m); err != nil {
		t.Fatal(err)
	}
	mixed["s/"+disk.MarkFile] = fileBytes(t, alien, "")[disk.MarkFile]
	if _, err := Open("s", testOptions(memFS(t, mixed))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open of two stores' files: %v, want ErrCorrupt", err)
	}
}

// Acknowledged events that are gone are missed, whatever took them: a log file
// that was removed, cut, or replaced by an older one, however clean it looks.
// The refused store keeps all its files.
func TestLostTailIsRefused(t *testing.T) {
	for _, crash := range []bool{false, true} {
		mem := vfs.NewCrashableMem()
		s := newStore(t, mem)
		for range 20 {
			put(t, s, "a", 3)
		}
		killed := fileBytes(t, mem, "s")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		files := killed
		if !crash {
			files = fileBytes(t, mem, "s")
		}
		logs := slices.DeleteFunc(slices.Sorted(maps.Keys(files)),
			func(n string) bool { return !strings.HasSuffix(n, ".log") })
		last := logs[len(logs)-1]
		for what, damage := range map[string]func(files map[string]string){
			"removed":     func(files map[string]string) { delete(files, last) },
			"empty":       func(files map[string]string) { files[last] = "" },
			"cut in half": func(files map[string]string) { files[last] = files[last][:len(files[last])/2] },
			"zero at its end": func(files map[string]string) {
				b := []byte(files[last])
				clear(b[len(b)-200:])
				files[last] = string(b)
			},
		} {
			damaged := maps.Clone(files)
			damage(damaged)
			disk := memFS(t, damaged)
			for range 2 { // a second try, by whatever restarts it, must not help
				if s, err := Open("s", testOptions(disk)); !errors.Is(err, ErrCorrupt) {
					t.Errorf("crash %v, log %s: open: %v, want ErrCorrupt", crash, what, err)
					if err == nil {
						_ = s.Close()
					}
				}
			}
			after := fileBytes(t, disk, "s")
			for name, content := range damaged {
				if after[name] != content {
					t.Errorf("crash %v, log %s: the refused store's %s has changed", crash, what, name)
				}
			}
			if r := checkStore(t, memFS(t, damaged), "s"); r.Whole() {
				t.Errorf("crash %v, log %s: check finds nothing", crash, what)
			}
		}
	}
}
