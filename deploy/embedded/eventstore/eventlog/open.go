package eventlog

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	dbDir       = "db"
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
		switch name {
		case lockFile, dbDirUnborn, markUnborn:
		case markFile:
			if !slices.Contains(entries, dbDir) {
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
	f := formatRecord{version: formatVersion}
	if f.id, err = randomID(); err != nil {
		return err
	}
	h := newHalt(func(error) {}, "")
	opts := pebbleOptions(o, h)
	opts.ErrorIfExists = true
	db, err := openPebble(unborn, opts, h)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	err = errors.Join(
		b.Set(keyFormat, f.encode(), nil),
		b.Set(keyChecked, checkedMark{next: firstPosition}.encode(), nil),
	)
	if err == nil {
		err = h.do(func() error { return b.Commit(pebble.Sync) })
	}
	if err := errors.Join(err, closePebble(db, h)); err != nil {
		return err
	}
	if err := o.FS.Rename(unborn, o.FS.PathJoin(dir, dbDir)); err != nil {
		return err
	}
	if err := syncDir(o.FS, dir); err != nil {
		return err
	}
	return createMark(o.FS, dir, durableMark{id: f.id, next: firstPosition})
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
	if slices.Contains(names, dbDir) {
		return true, nil
	}
	if slices.Contains(names, markFile) {
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
	s.halt = newHalt(s.fail, o.FS.PathJoin(dir, cutPrefix))
	s.halt.hold = true
	defer func() {
		if err != nil {
			if s.mark != nil {
				err = errors.Join(err, s.mark.close())
			}
			if s.db != nil {
				err = errors.Join(err, closePebble(s.db, s.halt))
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
	s.id = t.format.id
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
	mark, marked, err := readMark(s.fs, s.dir)
	if err != nil {
		return tail{}, err
	}
	dbPath := s.fs.PathJoin(s.dir, dbDir)
	if err := scanLogs(s.fs, dbPath, func(torn string) {
		s.logger.Info("event store: an unfinished write at the end of a log is cut", "where", torn)
	}); err != nil {
		return tail{}, err
	}
	opts := pebbleOptions(s.options, s.halt)
	opts.ErrorIfNotExists = true
	if s.db, err = openPebble(dbPath, opts, s.halt); err != nil {
		return tail{}, err
	}
	t, err := verify(s.db)
	if err != nil {
		return t, err
	}
	if t.system, err = hasSystemStreams(s.db); err != nil {
		return t, err
	}
	if marked {
		err = mark.compare(t)
	} else {
		mark = durableMark{id: t.format.id, commit: t.commit, next: t.next, total: t.total}
		if err = createMark(s.fs, s.dir, mark); err == nil {
			mark, _, err = readMark(s.fs, s.dir)
		}
	}
	if err != nil {
		return t, err
	}
	if s.mark, err = openMarker(s.fs, s.dir, mark); err != nil {
		return t, err
	}
	if err := moveChecked(s.db, s.halt, &t); err != nil {
		return t, err
	}
	if err := s.mark.move(t.commit, t.next, t.total); err != nil {
		return t, err
	}
	return t, s.halt.letGo(s.fs)
}
