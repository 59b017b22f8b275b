package eventlog

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
)

// eventLines identifies a store's events up to a position.
func eventLines(t testing.TB, s *Log, end uint64) string {
	t.Helper()
	v := s.Acquire()
	defer v.Release()
	n, sum := 0, sha256.New()
	if err := v.ScanAll(0, end, false, func(position uint64, r *Record) bool {
		b := make([]byte, r.Size())
		r.Put(b, position)
		sum.Write(b)
		n++
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d events, %x", n, sum.Sum(nil))
}

func openAt(t testing.TB, fs vfs.FS, dir string) *Log {
	t.Helper()
	s, err := Open(dir, testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// load appends from several callers until stopped; acknowledged ids go to acked.
type load struct {
	mu    sync.Mutex
	acked map[[16]byte]uint64 // id of a request's last event, and its position
	wg    sync.WaitGroup
	stop  context.CancelFunc
}

func startLoad(t testing.TB, s *Log, callers int) *load {
	ctx, cancel := context.WithCancel(testContext(t))
	l := &load{acked: map[[16]byte]uint64{}, stop: cancel}
	for i := range callers {
		l.wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := appendRequest(fmt.Sprintf("load-%d-%d", i, n%3), 1+n%3)
				res, err := s.Submit(ctx, r)
				if err != nil {
					if ctx.Err() == nil && !errors.Is(err, ErrStopped) {
						t.Errorf("append: %v", err)
					}
					return
				}
				l.mu.Lock()
				l.acked[r.Events[len(r.Events)-1].ID] = res.Position
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) snapshot() map[[16]byte]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[[16]byte]uint64, len(l.acked))
	for id, position := range l.acked {
		out[id] = position
	}
	return out
}

// atLeast waits until n requests are acknowledged.
func (l *load) atLeast(t testing.TB, s *Log, n int) {
	t.Helper()
	for ctx := testContext(t); ; {
		v := s.Acquire()
		if len(l.snapshot()) >= n {
			_ = v.Release()
			return
		}
		select {
		case <-v.Superseded():
		case <-ctx.Done():
			t.Fatal("appends do not go on")
		}
		_ = v.Release()
	}
}

func (l *load) end() { l.stop(); l.wg.Wait() }

// wantCopy opens a copy and compares it with its original: it holds what was
// acknowledged before it began, is a beginning of the original, is whole, and
// can be gone on with.
func wantCopy(t *testing.T, fs vfs.FS, dir string, original *Log, acked map[[16]byte]uint64) {
	t.Helper()
	wantWhole(t, fs, dir)
	c := openAt(t, fs, dir)
	got := contents(t, c)
	for id, position := range acked {
		if got[id] != position {
			t.Fatalf("event %x is at %d in the copy, at %d in the original", id, got[id], position)
		}
	}
	v := c.Acquire()
	end := v.End()
	if err := v.Release(); err != nil {
		t.Fatal(err)
	}
	if c.ID() != original.ID() || eventLines(t, c, end) != eventLines(t, original, end) {
		t.Fatal("the copy is no beginning of the original")
	}
	put(t, c, "after", 2)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, fs, dir)
}

// Backups under load, as directories and as streams, hold all that was
// acknowledged before they began, are a beginning of the original, and open.
func TestBackupUnderLoad(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	o.MemTable = 256 << 10
	if err := Create("s", o); err != nil {
		t.Fatal(err)
	}
	s, err := Open("s", o)
	if err != nil {
		t.Fatal(err)
	}
	l := startLoad(t, s, 4)
	for i := range 2 {
		l.atLeast(t, s, 100*(i+1))
		acked := l.snapshot()
		dir := fmt.Sprintf("b/%d", i)
		if err := s.Backup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		wantCopy(t, fs, dir, s, acked)

		acked = l.snapshot()
		var stream bytes.Buffer
		if err := s.BackupTo(t.Context(), &stream); err != nil {
			t.Fatal(err)
		}
		dir = fmt.Sprintf("r/%d", i)
		if err := Restore(t.Context(), dir, o, &stream); err != nil {
			t.Fatal(err)
		}
		wantCopy(t, fs, dir, s, acked)
	}
	if err := s.Backup(t.Context(), "b/0"); !errors.Is(err, ErrExists) {
		t.Errorf("backup over another: %v, want ErrExists", err)
	}
	l.end()
	names, err := fs.List("s")
	if err != nil || len(names) != 3 {
		t.Errorf("beside the store are %v, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, fs, "s")
	if err := s.Backup(t.Context(), "b/late"); !errors.Is(err, ErrStopped) {
		t.Errorf("backup of a closed store: %v", err)
	}
}

// A copy never holds an event that a power failure can still take from the
// original: were the original to lose its power while the log is copied, it
// would have all that the copy has.
func TestBackupHoldsOnlyWhatIsDurable(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var crashed *vfs.MemFS // written while the backup copies
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch {
		case isLogSync(op) && strings.HasPrefix(op.Path, "s/"+cutPrefix):
			crashed = mem.CrashClone(vfs.CrashCloneCfg{})
		case isLogSync(op):
			for range 100 { // a disk whose fsyncs take a while
				runtime.Gosched()
			}
		}
		return nil
	}))
	s := newStore(t, fs)
	l := startLoad(t, s, 8)
	defer l.end()
	for i := range 5 {
		l.atLeast(t, s, 50*(i+1))
		crashed = nil
		dir := fmt.Sprintf("b%d", i)
		if err := s.Backup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if crashed == nil {
			t.Fatal("the backup copied no log")
		}
		c, o := openAt(t, mem, dir), openAt(t, crashed, "s")
		v := c.Acquire()
		if got, want := eventLines(t, c, v.End()), eventLines(t, o, v.End()); got != want {
			t.Errorf("the copy holds what the original would have lost: %s, %s", got, want)
		}
		if err := errors.Join(v.Release(), c.Close(), o.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// tarOf is a backup's stream.
func tarOf(t testing.TB, s *Log) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.BackupTo(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A stream that is cut short anywhere, altered, or leads out of the directory
// is refused, and the directory stays as it was.
func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	fs := vfs.NewMem()
	s := newStore(t, fs)
	put(t, s, "a", 50)
	whole := tarOf(t, s)
	rng := testRNG(t)
	refused := func(what string, stream []byte, want error) {
		t.Helper()
		target := vfs.NewMem()
		err := Restore(t.Context(), "x/y", testOptions(target), bytes.NewReader(stream))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if names, _ := target.List("x"); len(names) != 0 {
			t.Errorf("%s: it left %v", what, names)
		}
		if names, _ := target.List(""); len(names) > 1 {
			t.Errorf("%s: it left %v", what, names)
		}
	}
	refused("an empty stream", nil, ErrBackup)
	// A tar's last blocks are empty; without them the manifest is still the last entry.
	for range 30 {
		n := rng.IntN(len(whole) - 2048)
		refused(fmt.Sprintf("cut to %d of %d bytes", n, len(whole)), whole[:n], ErrBackup)
	}
	edit := func(with func(h *tar.Header, body []byte) (*tar.Header, []byte)) []byte {
		var out bytes.Buffer
		tw := tar.NewWriter(&out)
		tr := tar.NewReader(bytes.NewReader(whole))
		for {
			h, err := tr.Next()
			if err != nil {
				break
			}
			body, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			if h, body = with(h, body); h == nil {
				continue
			}
			h.Size = int64(len(body))
			if err := tw.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := tw.Write(body); err != nil {
				t.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	refused("an altered file", edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		if h.Name == disk.MarkFile {
			b[disk.MarkDistance/2] ^= 1
		}
		return h, b
	}), ErrBackup)
	refused("a missing file", edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		if strings.HasPrefix(h.Name, "db/OPTIONS") {
			return nil, nil
		}
		return h, b
	}), ErrBackup)
	refused("no manifest", edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		if h.Name == manifestName {
			return nil, nil
		}
		return h, b
	}), ErrBackup)
	refused("another format", edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		if h.Name == manifestName {
			b = bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 2`), 1)
		}
		return h, b
	}), ErrFormat)
	for _, name := range []string{"../evil", "/evil", "db/../../evil", "db/a/b", "db/..", "db/LOCK", "LOCK", `db/a\b`,
		"store/x", "db/\x00"} {
		first := true
		refused(fmt.Sprintf("a file named %q", name), edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			if first {
				h.Name, h.PAXRecords, first = name, nil, false
			}
			if strings.ContainsRune(name, 0) {
				h.Name = "db/\x7f"
			}
			return h, b
		}), ErrBackup)
	}
	refused("a symbolic link", edit(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		if h.Name == disk.MarkFile {
			return &tar.Header{Typeflag: tar.TypeSymlink, Name: disk.MarkFile, Linkname: "/etc/passwd"}, nil
		}
		return h, b
	}), ErrBackup)

	put(t, s, "a", 1)
	if err := Restore(t.Context(), "s", testOptions(fs), bytes.NewReader(whole)); !errors.Is(err, ErrExists) {
		t.Errorf("restore over a store: %v, want ErrExists", err)
	}
	if err := fs.MkdirAll("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), "empty", testOptions(fs), bytes.NewReader(whole)); err != nil {
		t.Errorf("restore into an empty directory: %v", err)
	}
	wantCopy(t, fs, "empty", s, nil)
}

// A backup that fails, for want of space or because it is given up, leaves
// nothing behind and does not stop the store; what a crash leaves of one is
// removed by Open.
func TestBackupFailsAlone(t *testing.T) {
	mem := vfs.NewMem()
	var full faults
	s := newStore(t, full.wrap(mem))
	put(t, s, "a", 20)
	for name, at := range map[string]string{"of the cut": "s/" + cutPrefix, "of the copy": "b.creating"} {
		for _, kind := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync} {
			full.set(func(op errorfs.Op) error {
				if kindOf(op) == kind && strings.HasPrefix(op.Path, at) {
					return syscall.ENOSPC
				}
				return nil
			})
			if err := s.Backup(t.Context(), "b"); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("no space %s, operation %d: %v", name, kind, err)
			}
			full.clear()
			put(t, s, "a", 1)
			if names, _ := mem.List(""); len(names) != 1 {
				t.Errorf("no space %s: left %v", name, names)
			}
			if names, _ := mem.List("s"); len(names) != 3 {
				t.Errorf("no space %s: left %v in the store", name, names)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("backup with an ended context: %v", err)
	}
	if err := s.BackupTo(t.Context(), failingWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("backup to a closed pipe: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mem.MkdirAll("s/"+cutPrefix+"0123/db", 0o700); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, mem, "s")
	if names, _ := mem.List("s"); len(names) != 3 {
		t.Errorf("open left %v", names)
	}
	put(t, s, "a", 1)
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
