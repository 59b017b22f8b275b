package eventlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

const (
	dbDirUnborn = "db.creating"
	lockFile    = "LOCK"
)

func lockDirectory(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return lock, nil
}

// Create makes an empty store in dir, which is missing or empty. The store
// appears by one rename, so a crash leaves either none or a whole one; of one
// that lacks its mark yet, Open makes up for it.
func Create(dir string, o Options) error {
	if err := disk.MakeDir(dir, o.FS); err != nil {
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
		switch name {
		case lockFile, dbDirUnborn, disk.MarkUnborn:
		case disk.MarkFile:
			if !slices.Contains(entries, disk.Dir) {
				return ErrGone
			}
			return fmt.Errorf("%w: %s", ErrExists, name)
		default:
			return fmt.Errorf("%w: %s", ErrExists, name)
		}
	}
	unborn := o.FS.PathJoin(dir, dbDirUnborn)
	if err := o.FS.RemoveAll(unborn); err != nil {
		return err
	}
	f := layout.FormatRecord{Version: layout.FormatVersion}
	if f.ID, err = randomID(); err != nil {
		return err
	}
	h := disk.NewHalt(func(error) {}, "")
	opts := disk.PebbleOptions(o.files(), h)
	opts.ErrorIfExists = true
	db, err := disk.Open(unborn, opts, h)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	err = errors.Join(
		b.Set(layout.KeyFormat, f.Encode(), nil),
		b.Set(layout.KeyChecked, layout.CheckedMark{Next: layout.FirstPosition}.Encode(), nil),
	)
	if err == nil {
		err = h.Do(func() error { return b.Commit(pebble.Sync) })
	}
	if err := errors.Join(err, disk.Close(db, h)); err != nil {
		return err
	}
	if err := o.FS.Rename(unborn, o.FS.PathJoin(dir, disk.Dir)); err != nil {
		return err
	}
	if err := disk.SyncDir(o.FS, dir); err != nil {
		return err
	}
	return disk.CreateMark(o.FS, dir, disk.Mark{ID: f.ID, Next: layout.FirstPosition})
}

// Exists tells whether dir holds a store that Create has finished. ErrGone:
// it did once, and the events' files are gone.
func Exists(dir string, fs vfs.FS) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		if _, statErr := fs.Stat(dir); statErr != nil {
			return false, nil // not there at all; create says what is wrong with the path
		}
		return false, err
	}
	if slices.Contains(names, disk.Dir) {
		return true, nil
	}
	if slices.Contains(names, disk.MarkFile) {
		return false, ErrGone
	}
	return false, nil
}

// Open opens the store in dir, verifies what must hold after any crash,
// and starts the writer. What an interrupted backup left is removed.
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
		dir: dir, fs: o.FS, options: o,
		lock: lock, logger: o.Logger, now: o.Now, observer: observerOf(o),
		queue:   make(chan *Request, 1024),
		pauses:  make(chan func()),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		failed:  make(chan struct{}),
		over:    make(chan struct{}),
	}
	s.halt = disk.NewHalt(s.fail, o.FS.PathJoin(dir, cutPrefix))
	s.halt.HoldBack()
	defer func() {
		if err != nil {
			if s.mark != nil {
				err = errors.Join(err, s.mark.Close())
			}
			if s.db != nil {
				err = errors.Join(err, disk.Close(s.db, s.halt))
			}
			err = fmt.Errorf("open event store: %w", errors.Join(err, lock.Close()))
		}
	}()
	if err := removeCuts(o.FS, dir); err != nil {
		return nil, err
	}
	t, err := s.recover()
	if err != nil {
		return nil, err
	}
	s.id = t.format.ID
	if err := s.publish(s.newView(t.next, t.total, t.system)); err != nil {
		return nil, err
	}
	w := newWriter(s, t)
	go w.run()
	return s, nil
}

// recover opens Pebble's files and verifies what it made of them, before
// anything that it found obsolete is removed and anything of ours is written.
func (s *Log) recover() (tail, error) {
	mark, marked, err := disk.ReadMark(s.fs, s.dir)
	if err != nil {
		return tail{}, err
	}
	dbPath := s.fs.PathJoin(s.dir, disk.Dir)
	if err := scanLogs(s.fs, dbPath, func(torn string) {
		s.logger.Info("event store: an unfinished write at the end of a log is cut", "where", torn)
	}); err != nil {
		return tail{}, err
	}
	opts := disk.PebbleOptions(s.options.files(), s.halt)
	opts.ErrorIfNotExists = true
	if s.db, err = disk.Open(dbPath, opts, s.halt); err != nil {
		return tail{}, err
	}
	t, err := verify(s.db)
	if err != nil {
		return t, err
	}
	if t.system, err = layout.HasSystemStreams(s.db); err != nil {
		return t, err
	}
	if marked {
		err = mark.Compare(t.format.ID, t.commit, t.next, t.total)
	} else {
		mark = disk.Mark{ID: t.format.ID, Commit: t.commit, Next: t.next, Total: t.total}
		if err = disk.CreateMark(s.fs, s.dir, mark); err == nil {
			mark, _, err = disk.ReadMark(s.fs, s.dir)
		}
	}
	if err != nil {
		return t, err
	}
	if s.mark, err = disk.OpenMark(s.fs, s.dir, mark); err != nil {
		return t, err
	}
	if err := moveChecked(s.db, s.halt, &t); err != nil {
		return t, err
	}
	if err := s.mark.Move(t.commit, t.next, t.total); err != nil {
		return t, err
	}
	return t, s.halt.LetGo(s.fs)
}
