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
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Record and IndexEntry are what a View yields.
type (
	Record     = layout.Record
	IndexEntry = layout.IndexEntry
)

// Errors that callers branch on.
var (
	// ErrCorrupt says that the files contradict themselves. Nothing is skipped or repaired.
	ErrCorrupt = layout.ErrCorrupt
	// ErrGone says that the directory held a store and the events' files are
	// gone. It is never made anew.
	ErrGone = layout.ErrGone
	// ErrFormat says that the files were written by another version of this program.
	ErrFormat = layout.ErrFormat
	// ErrExists is returned by create for a directory that is not empty.
	ErrExists = errors.New("directory already holds a store or other files")
	// ErrMissing is returned by open for a directory without a store.
	ErrMissing = errors.New("no event store in this directory")
	// ErrLocked says that another process, or another server of this one, has the directory open.
	ErrLocked = errors.New("event store directory is in use by another process")
	// ErrStopped is returned after Stop, or after the store failed.
	ErrStopped = errors.New("event store has stopped")
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

	checkedDistance uint64 // tests set these; 0 is the default
	blockBytes      int
}

// files are the options that are Pebble's.
func (o Options) files() disk.Files {
	return disk.Files{FS: o.FS, Logger: o.Logger, CacheBytes: o.CacheBytes, MemTable: o.MemTable,
		BlockBytes: o.blockBytes, Uncompressed: o.Uncompressed}
}

// Log is the storage below the protocol: one writer goroutine, any number of readers.
type Log struct {
	dir     string
	fs      vfs.FS
	options Options
	halt    *disk.Halt
	mark    *disk.Marker // the syncer's while the writer runs

	db     *pebble.DB
	lock   *pebble.Lock
	id     [16]byte
	logger *slog.Logger
	now    func() time.Time

	observer Observer

	queue   chan *Request
	pauses  chan func()   // run by the writer while nothing is being written
	closing chan struct{} // closed by close: the writer drains and ends
	done    chan struct{} // closed when the writer has ended; err is set before

	using sync.RWMutex // held shared while a backup is cut; Close waits for it

	closeOnce sync.Once
	closeErr  error

	failOnce sync.Once
	failed   chan struct{} // closed at the first fatal error
	err      error         // the fatal error; written before failed is closed

	overOnce sync.Once
	over     chan struct{} // closed with the first of done and failed; one channel, for callers to wait on few

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
	halt       *disk.Halt
	end        uint64 // position after the last event
	events     uint64
	system     bool // there are system streams
	refs       atomic.Int64
	superseded chan struct{} // closed when a newer view is published
}

func (s *Log) newView(end, events uint64, system bool) *View {
	v := &View{
		snap: s.db.NewSnapshot(), halt: s.halt,
		end: end, events: events, system: system, superseded: make(chan struct{}),
	}
	v.refs.Store(1)
	return v
}

// End is the position after the last event.
func (v *View) End() uint64 { return v.end }

// Events is the number of events.
func (v *View) Events() uint64 { return v.events }

// HasSystemStreams tells whether a stream whose name begins with "$" has ever
// been written. Where it has not, no stream has metadata and there are no
// settings, so that nobody need look for them.
func (v *View) HasSystemStreams() bool { return v.system }

// Superseded is closed when a newer view has been published.
func (v *View) Superseded() <-chan struct{} { return v.superseded }

// Release gives the view back; its methods may not be called afterwards.
func (v *View) Release() error {
	if v.refs.Add(-1) > 0 || v.halt.Stopped() { // what parks may hold Pebble's locks
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
		s.overOnce.Do(func() { close(s.over) })
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

// Close drains the writer and closes the files. A failed store's files are
// closed too, except those that Pebble was left with where a write failed; its
// error is returned.
func (s *Log) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		err := s.release()
		if err = errors.Join(err, s.lock.Close()); err != nil {
			s.closeErr = fmt.Errorf("close event store: %w", err)
		}
	})
	return s.closeErr
}

func (s *Log) release() error {
	select {
	case <-s.done:
	case <-s.halt.Halted(): // the writer may be parked
	}
	if s.halt.Stopped() {
		return errors.Join(s.Failure(), s.halt.Quiesce())
	}
	s.using.Lock()
	defer s.using.Unlock()
	if s.halt.Stopped() {
		return errors.Join(s.Failure(), s.halt.Quiesce())
	}
	s.mu.Lock()
	v := s.current
	s.mu.Unlock()
	return errors.Join(s.Failure(), v.Release(), disk.Close(s.db, s.halt), s.mark.Close())
}
