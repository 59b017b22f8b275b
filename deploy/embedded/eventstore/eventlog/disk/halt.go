// Package disk is how a log's files are written: Pebble over a file system that stops at the first
// write that fails, the durable mark beside it, and directories that outlive a power failure.
//
// It may lose nothing that was fsynced. It trusts the file system to keep that, and no answer of
// it after one failed. It knows keys and events only as bytes. See DESIGN.md.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Halt ends all writing below Pebble at the first write that fails.
//
// Pebble answers a failed write in ways that a ledger cannot use: it tries a
// table's write and fsync again, ends the process where the MANIFEST's fail,
// and panics with its locks in disorder where a new log cannot be made. So it
// never learns of the failure: the goroutine that met it is parked for good, as
// is each that wants to write afterwards. The log has failed then, answers
// nothing more, and leaves Pebble as it is. Parked goroutines stay until the
// process ends, which is what a failed log is good for.
type Halt struct {
	notify func(error) // told once; must not wait for Pebble
	spared string      // failures at paths that begin with it are the caller's alone; "" spares none

	once sync.Once
	over chan struct{} // closed at the first failure
	err  error         // written before over is closed

	// mu is held shared during each write and exclusively by quiesce, which
	// thereby waits for the last write. It guards locks.
	mu    sync.RWMutex
	locks []io.Closer

	// While hold is set, files that Pebble finds obsolete while it opens stay: a
	// store that is then refused keeps its evidence.
	heldMu sync.Mutex
	hold   bool
	held   []string
}

// NewHalt returns one that tells notify of the first failure, once.
func NewHalt(notify func(error), spared string) *Halt {
	return &Halt{notify: notify, spared: spared, over: make(chan struct{})}
}

// HoldBack keeps every file that Pebble wants removed, until LetGo.
func (h *Halt) HoldBack() {
	h.heldMu.Lock()
	defer h.heldMu.Unlock()
	h.hold = true
}

// Halted is closed at the first failure.
func (h *Halt) Halted() <-chan struct{} { return h.over }

func (h *Halt) stop(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.over)
		h.notify(err)
	})
}

// park keeps the calling goroutine for good.
func (h *Halt) park() { select {} }

// Stopped tells whether a write has failed.
func (h *Halt) Stopped() bool {
	select {
	case <-h.over:
		return true
	default:
		return false
	}
}

// write runs one operation that changes the disk.
func (h *Halt) write(op, path string, f func() error) error {
	h.mu.RLock()
	if h.Stopped() {
		h.mu.RUnlock()
		h.park()
	}
	err := f()
	h.mu.RUnlock()
	if err == nil || h.spared != "" && strings.HasPrefix(path, h.spared) {
		return err
	}
	h.stop(fmt.Errorf("%s %s: %w", op, path[strings.LastIndexByte(path, '/')+1:], err))
	h.park()
	return err
}

// Do runs f, which writes through Pebble, and returns the failure that parked
// it if one did.
func (h *Halt) Do(f func() error) error {
	if h.Stopped() {
		return h.err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-h.over:
		return h.err
	}
}

// Quiesce waits, after a failure, until nothing writes any more, and then gives
// Pebble's file locks back.
func (h *Halt) Quiesce() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	for _, l := range h.locks {
		err = errors.Join(err, l.Close())
	}
	h.locks = nil
	return err
}

// haltFS is the file system that Pebble gets.
type haltFS struct {
	vfs.FS
	h *Halt
}

func (f haltFS) open(op, name string, open func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.h.write(op, name, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &haltFile{File: file, h: f.h, path: name}, nil
}

func (f haltFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f haltFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f haltFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open("reuse", newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

func (f haltFS) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &haltFile{File: d, h: f.h, path: name}, nil
}

func (f haltFS) Rename(oldname, newname string) error {
	return f.h.write("rename", newname, func() error { return f.FS.Rename(oldname, newname) })
}

// Remove loses nothing where it fails, but has to stop with the rest.
func (f haltFS) Remove(name string) error {
	var failed error
	err := f.h.write("remove", name, func() error {
		if !f.h.keep(name) {
			failed = f.FS.Remove(name)
		}
		return nil
	})
	return errors.Join(err, failed)
}

// keep notes a file that Pebble wants removed before what it made of the files
// has been verified.
func (h *Halt) keep(name string) bool {
	h.heldMu.Lock()
	defer h.heldMu.Unlock()
	if h.hold {
		h.held = append(h.held, name)
	}
	return h.hold
}

// LetGo removes what was kept, and keeps nothing more.
func (h *Halt) LetGo(fs vfs.FS) error {
	h.heldMu.Lock()
	defer h.heldMu.Unlock()
	h.hold = false
	var err error
	for _, name := range h.held {
		if e := fs.Remove(name); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	h.held = nil
	return err
}

func (f haltFS) Lock(name string) (io.Closer, error) {
	c, err := f.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	l := &onceCloser{c: c}
	f.h.mu.Lock()
	f.h.locks = append(f.h.locks, l)
	f.h.mu.Unlock()
	return l, nil
}

// Unwrap keeps Pebble from looking behind this file system.
func (f haltFS) Unwrap() vfs.FS { return nil }

type onceCloser struct {
	once sync.Once
	c    io.Closer
	err  error
}

func (o *onceCloser) Close() error {
	o.once.Do(func() { o.err = o.c.Close() })
	return o.err
}

type haltFile struct {
	vfs.File
	h    *Halt
	path string
}

func (f *haltFile) Write(p []byte) (n int, err error) {
	err = f.h.write("write", f.path, func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *haltFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.h.write("write", f.path, func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *haltFile) Sync() error { return f.h.write("fsync", f.path, f.File.Sync) }

func (f *haltFile) SyncData() error { return f.h.write("fsync", f.path, f.File.SyncData) }

func (f *haltFile) SyncTo(length int64) (full bool, err error) {
	err = f.h.write("fsync", f.path, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}
