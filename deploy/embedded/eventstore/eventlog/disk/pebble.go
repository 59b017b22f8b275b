package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// pebbleLogger sends Pebble's messages to slog. Pebble's state is undefined
// after Fatalf, so it halts the log and does not return.
type pebbleLogger struct {
	*slog.Logger
	h *Halt
}

func (l pebbleLogger) Infof(format string, args ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.h.stop(fmt.Errorf("pebble: "+format, args...))
	l.h.park()
}

// Files say how Pebble keeps its files. All but FS and Logger may be zero.
type Files struct {
	FS           vfs.FS
	Logger       *slog.Logger
	CacheBytes   int64  // bounds the cache of blocks read from disk; 0 is Pebble's default
	MemTable     uint64 // bytes; 0 is the default
	BlockBytes   int    // 0 is the default
	Uncompressed bool
}

// PebbleOptions are Pebble's, under h.
func PebbleOptions(o Files, h *Halt) *pebble.Options {
	opts := &pebble.Options{
		FS: haltFS{o.FS, h},
		// WAL sync chunks: a torn tail and corruption can be told apart
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                cmp.Or(o.MemTable, 32<<20),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                1000,
		Logger:                      pebbleLogger{o.Logger, h},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if !errors.Is(err, pebble.ErrCancelledCompaction) {
					if pebble.IsCorruptionError(err) {
						err = fmt.Errorf("%w: %w", layout.ErrCorrupt, err)
					}
					h.notify(fmt.Errorf("background write: %w", err))
				}
			},
			// The reader that met it gets the error; Pebble would end the process.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				o.Logger.Error("event store: a file is corrupt", "path", i.Path)
			},
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // heads of streams that do not exist yet
		opts.Levels[i].BlockSize = cmp.Or(o.BlockBytes, 16<<10)
	}
	if o.Uncompressed {
		opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	}
	return opts
}

// Open opens the files in dir. Where it fails Pebble has given its lock back.
func Open(dir string, opts *pebble.Options, h *Halt) (db *pebble.DB, err error) {
	err = h.Do(func() (err error) {
		defer func() {
			if r := recover(); r != nil { // Pebble panics at some contradictions between its files
				err = fmt.Errorf("%w: pebble: %v", layout.ErrCorrupt, r)
			}
		}()
		db, err = pebble.Open(dir, opts)
		return err
	})
	switch {
	case h.Stopped(): // db may be written by a goroutine that is still on its way
		return nil, errors.Join(h.err, h.Quiesce())
	case err == nil:
		return db, nil
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		err = fmt.Errorf("%w: %w", layout.ErrGone, err)
	case pebble.IsCorruptionError(err):
		err = fmt.Errorf("%w: %w", layout.ErrCorrupt, err)
	}
	return nil, err
}

// Close closes the files; after a failed write it leaves them.
func Close(db *pebble.DB, h *Halt) error {
	err := h.Do(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("close pebble: %v", r)
			}
		}()
		return db.Close()
	})
	if h.Stopped() {
		return errors.Join(err, h.Quiesce())
	}
	return err
}

// Get returns a copy of the key's value, or pebble.ErrNotFound.
func Get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}
