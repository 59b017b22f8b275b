// Package eventlog keeps numbered events of many streams in one directory, on
// Pebble: it decides expectations, numbers, makes durable, and shows what is.
//
// It may lose nothing that it has answered, and nothing that a view has shown,
// to a crash of the process or the machine. It may lose what it has not
// answered. It trusts the file system to keep what it has fsynced, and nobody's
// bytes: what it reads is checked. It knows neither the protocol nor what the
// events mean. See ../DESIGN.md.
package eventlog

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Errors that callers branch on.
var (
	// ErrExists is returned by create for a directory that is not empty.
	ErrExists = errors.New("directory already holds a store or other files")
	// ErrMissing is returned by open for a directory without a store.
	ErrMissing = errors.New("no event store in this directory")
	// ErrLocked says that another process, or another server of this one, has the directory open.
	ErrLocked = errors.New("event store directory is in use by another process")
	// ErrFormat says that the files were written by another version of this program.
	ErrFormat = errors.New("unsupported on-disk format")
	// ErrCorrupt says that the files contradict themselves. Nothing is skipped or repaired.
	ErrCorrupt = errors.New("event store is corrupt")
	// ErrStopped is returned after Stop, or after the store failed.
	ErrStopped = errors.New("event store has stopped")
)

const (
	dbDir       = "db"
	dbDirUnborn = "db.creating"
)

// Options say how a log's files are kept. All but FS, Logger and Now may be zero.
type Options struct {
	FS           vfs.FS           // tests put the log on a file system that fails or crashes
	Logger       *slog.Logger     // what an operator should know; never event data
	Now          func() time.Time // events' times never go back even where it does
	CacheBytes   int64            // bounds the cache of blocks read from disk; 0 is Pebble's default
	Uncompressed bool             // blocks are stored as they are, so that files can be searched for text
	MemTable     uint64           // bytes; 0 is the default
	Observer     Observer         // nil for none
}

// Log is the storage below the protocol: one writer goroutine, any number of readers.
type Log struct {
	db     *pebble.DB
	lock   *pebble.Lock
	id     [16]byte
	logger *slog.Logger
	now    func() time.Time

	observer Observer

	queue   chan *Request
	closing chan struct{} // closed by close: the writer drains and ends
	done    chan struct{} // closed when the writer has ended; err is set before

	closeOnce sync.Once
	closeErr  error

	failOnce sync.Once
	failed   chan struct{} // closed at the first fatal error
	err      error         // the fatal error; written before failed is closed

	// mu guards current. A view is acquired under mu, so that it cannot be
	// released for good between being read and being counted.
	mu      sync.RWMutex
	current *View
}

// View is a durable state of the store: everything in it has been fsynced,
// because its snapshot was taken after its last group was applied and before
// the next, and it was published after that group's fsync.
type View struct {
	snap       *pebble.Snapshot
	end        uint64 // position after the last event
	events     uint64
	refs       atomic.Int64
	superseded chan struct{} // closed when a newer view is published
}

func newView(db *pebble.DB, end, events uint64) *View {
	v := &View{snap: db.NewSnapshot(), end: end, events: events, superseded: make(chan struct{})}
	v.refs.Store(1)
	return v
}

// End is the position after the last event.
func (v *View) End() uint64 { return v.end }

// Events is the number of events.
func (v *View) Events() uint64 { return v.events }

// Superseded is closed when a newer view has been published.
func (v *View) Superseded() <-chan struct{} { return v.superseded }

// Release gives the view back; its methods may not be called afterwards.
func (v *View) Release() error {
	if v.refs.Add(-1) > 0 {
		return nil
	}
	return v.snap.Close()
}

// Acquire returns the newest durable view; the caller releases it, soon.
func (s *Log) Acquire() *View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.current.refs.Add(1)
	return s.current
}

func (s *Log) publish(v *View) error {
	s.mu.Lock()
	old := s.current
	s.current = v
	s.mu.Unlock()
	if old == nil {
		return nil
	}
	close(old.superseded)
	return old.Release()
}

// fail stops the store: the writer ends, every later call gets the error.
func (s *Log) fail(err error) {
	s.failOnce.Do(func() {
		s.err = err
		close(s.failed)
		s.logger.Error("event store failed and has stopped", "error", err)
	})
}

// ID is the random id that the log got when it was created.
func (s *Log) ID() [16]byte { return s.id }

// Failed is closed when the log has failed; Failure says why.
func (s *Log) Failed() <-chan struct{} { return s.failed }

// Failure is nil while the log works; afterwards it wraps ErrStopped and the
// error that stopped it.
func (s *Log) Failure() error {
	select {
	case <-s.failed:
		return fmt.Errorf("%w: %w", ErrStopped, s.err)
	default:
		return nil
	}
}

// pebbleLogger sends Pebble's messages to slog. Fatalf must not return: Pebble's
// state is undefined then, and the process has to go down with it.
type pebbleLogger struct{ *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic(fatalError{fmt.Errorf("pebble: "+format, args...)})
}

type fatalError struct{ error }

func (f fatalError) Unwrap() error { return f.error }

func pebbleOptions(o Options, onBackgroundError func(error)) *pebble.Options {
	opts := &pebble.Options{
		FS:                          o.FS,
		FormatMajorVersion:          pebble.FormatNewest, // WAL sync chunks: a torn tail and corruption can be told apart
		CacheSize:                   o.CacheBytes,
		MemTableSize:                cmp.Or(o.MemTable, 32<<20),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                1000,
		Logger:                      pebbleLogger{o.Logger},
		EventListener: &pebble.EventListener{
			BackgroundError: onBackgroundError,
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // heads of streams that do not exist yet
		opts.Levels[i].BlockSize = 16 << 10
	}
	if o.Uncompressed {
		opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	}
	return opts
}

func lockDirectory(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return lock, nil
}

// Create makes an empty store in dir, which is missing or empty. The store
// appears by one rename, so a crash leaves either none or a whole one.
func Create(dir string, o Options) error {
	if err := makeDir(dir, o.FS); err != nil {
		return fmt.Errorf("create event store: %w", err)
	}
	lock, err := lockDirectory(o.FS, dir)
	if err != nil {
		return fmt.Errorf("create event store: %w", err)
	}
	err = createLocked(dir, o)
	if err := errors.Join(err, lock.Close()); err != nil {
		return fmt.Errorf("create event store: %w", err)
	}
	return nil
}

func createLocked(dir string, o Options) error {
	entries, err := o.FS.List(dir)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if name != "LOCK" && name != dbDirUnborn {
			return fmt.Errorf("%w: %s", ErrExists, name)
		}
	}
	unborn := o.FS.PathJoin(dir, dbDirUnborn)
	if err := o.FS.RemoveAll(unborn); err != nil {
		return err
	}
	opts := pebbleOptions(o, nil)
	opts.ErrorIfExists = true
	db, err := pebble.Open(unborn, opts)
	if err != nil {
		return err
	}
	f := formatRecord{version: formatVersion}
	if _, err := rand.Read(f.id[:]); err != nil {
		return errors.Join(err, db.Close())
	}
	f.id[6], f.id[8] = f.id[6]&0x0f|0x40, f.id[8]&0x3f|0x80
	b := db.NewBatch()
	err = errors.Join(
		b.Set(keyFormat, f.encode(), nil),
		b.Set(keyChecked, checkedMark{next: firstPosition}.encode(), nil),
	)
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := o.FS.Rename(unborn, o.FS.PathJoin(dir, dbDir)); err != nil {
		return err
	}
	return syncDir(o.FS, dir)
}

// makeDir makes dir and its missing parents, durably: a directory whose entry
// in its parent is not synced may be gone after a power failure, with all in it.
func makeDir(dir string, fs vfs.FS) error {
	parents := []string{fs.PathDir(dir)}
	for d := parents[0]; ; {
		if _, err := fs.Stat(d); err == nil {
			break
		}
		up := fs.PathDir(d)
		if up == d {
			break
		}
		parents = append(parents, up)
		d = up
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range parents {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Exists tells whether dir holds a store that Create has finished.
func Exists(dir string, fs vfs.FS) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		if _, statErr := fs.Stat(dir); statErr != nil {
			return false, nil // not there at all; create says what is wrong with the path
		}
		return false, err
	}
	for _, n := range names {
		if n == dbDir {
			return true, nil
		}
	}
	return false, nil
}

// Open opens the store in dir, verifies what must hold after any crash,
// and starts the writer.
func Open(dir string, o Options) (_ *Log, err error) {
	ok, err := Exists(dir, o.FS)
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("open event store: %w", ErrMissing)
	}
	lock, err := lockDirectory(o.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	s := &Log{
		lock: lock, logger: o.Logger, now: o.Now, observer: observerOf(o),
		queue:   make(chan *Request, 1024),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		failed:  make(chan struct{}),
	}
	defer func() {
		if err != nil {
			if s.db != nil {
				err = errors.Join(err, s.db.Close())
			}
			err = fmt.Errorf("open event store: %w", errors.Join(err, lock.Close()))
		}
	}()
	opts := pebbleOptions(o, func(err error) {
		if !errors.Is(err, pebble.ErrCancelledCompaction) {
			s.fail(fmt.Errorf("background write: %w", err))
		}
	})
	opts.ErrorIfNotExists = true
	if s.db, err = openPebble(o.FS.PathJoin(dir, dbDir), opts); err != nil {
		return nil, err
	}
	tail, err := verify(s.db)
	if err != nil {
		return nil, err
	}
	s.id = tail.format.id
	if err := s.publish(newView(s.db, tail.next, tail.total)); err != nil {
		return nil, err
	}
	w := newWriter(s, tail)
	go w.run()
	return s, nil
}

// openPebble turns Pebble's fatal errors during recovery into errors.
func openPebble(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if f, ok := recover().(fatalError); ok {
			db, err = nil, f
		}
	}()
	db, err = pebble.Open(dir, opts)
	if err != nil && pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return db, err
}

// tail is where the log ends.
type tail struct {
	format  formatRecord
	commit  uint64 // number of the last commit
	next    uint64 // position of the next event
	total   uint64
	created int64 // time of the last event
}

// verify checks the format, that the commit counter is dense and chains from
// the last verified mark, and that the log ends where the counter says. It then
// moves the mark: what it covers is in checksummed tables by now.
func verify(db *pebble.DB) (tail, error) {
	var t tail
	v, err := getCopy(db, keyFormat)
	if errors.Is(err, pebble.ErrNotFound) {
		return t, fmt.Errorf("%w: no format record", ErrCorrupt)
	} else if err != nil {
		return t, err
	}
	if t.format, err = decodeFormat(v); err != nil {
		return t, err
	}
	if v, err = getCopy(db, keyChecked); err != nil {
		return t, fmt.Errorf("%w: checked mark: %w", ErrCorrupt, err)
	}
	mark, err := decodeChecked(v)
	if err != nil {
		return t, err
	}
	t.commit, t.next, t.total = mark.commit, mark.next, mark.total
	if err := verifyCommits(db, &t); err != nil {
		return t, err
	}
	if err := verifyLastEvent(db, &t); err != nil {
		return t, err
	}
	if t.commit == mark.commit {
		return t, nil
	}
	b := db.NewBatch()
	err = errors.Join(
		b.DeleteRange([]byte{prefixCommit}, commitKey(t.commit+1), nil),
		b.Set(keyChecked, checkedMark{commit: t.commit, next: t.next, total: t.total}.encode(), nil),
	)
	if err == nil {
		err = b.Commit(pebble.Sync)
	}
	if err != nil {
		return t, fmt.Errorf("move checked mark: %w", err)
	}
	return t, nil
}

func verifyCommits(db *pebble.DB, t *tail) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixCommit}, UpperBound: []byte{prefixCommit + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != 9 {
			return fmt.Errorf("%w: commit key of %d bytes", ErrCorrupt, len(it.Key()))
		}
		n := binary.BigEndian.Uint64(it.Key()[1:])
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		c, err := decodeCommit(v)
		if err != nil {
			return err
		}
		switch {
		case n != t.commit+1:
			return fmt.Errorf("%w: commit %d follows commit %d", ErrCorrupt, n, t.commit)
		case c.first != t.next:
			return fmt.Errorf("%w: commit %d begins at position %d, the one before ended at %d", ErrCorrupt, n, c.first, t.next)
		case c.total != t.total+uint64(c.events) || c.events == 0 || c.next <= c.first:
			return fmt.Errorf("%w: commit %d miscounts its events", ErrCorrupt, n)
		}
		t.commit, t.next, t.total = n, c.next, c.total
	}
	return it.Error()
}

func verifyLastEvent(db *pebble.DB, t *tail) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		if err := it.Error(); err != nil {
			return err
		}
		if t.total != 0 {
			return fmt.Errorf("%w: %d events counted, none found", ErrCorrupt, t.total)
		}
		return nil
	}
	position, err := positionOf(it.Key())
	if err != nil {
		return err
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	r, err := decodeRecord(position, v)
	if err != nil {
		return err
	}
	if end := position + logSize(len(v)); end != t.next {
		return fmt.Errorf("%w: the last event ends at position %d, the commit counter at %d", ErrCorrupt, end, t.next)
	}
	t.created = r.Created
	return nil
}

// Close drains the writer and closes the files. A failed store's files are
// closed too; its error is returned.
func (s *Log) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.done
		s.mu.Lock()
		v := s.current
		s.mu.Unlock()
		err := errors.Join(s.Failure(), v.Release(), closePebble(s.db), s.lock.Close())
		if err != nil {
			s.closeErr = fmt.Errorf("close event store: %w", err)
		}
	})
	return s.closeErr
}

func closePebble(db *pebble.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("close pebble: %v", r)
		}
	}()
	return db.Close()
}

func getCopy(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}
