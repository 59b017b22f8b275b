package eventlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// pebbleLogger sends Pebble's messages to slog. Pebble's state is undefined
// after Fatalf, so it halts the log and does not return.
type pebbleLogger struct {
	*slog.Logger
	h *halt
}

func (l pebbleLogger) Infof(format string, args ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.h.stop(fmt.Errorf("pebble: "+format, args...))
	l.h.park()
}

func pebbleOptions(o Options, h *halt) *pebble.Options {
	opts := &pebble.Options{
		FS:                          haltFS{o.FS, h},
		FormatMajorVersion:          pebble.FormatNewest, // WAL sync chunks: a torn tail and corruption can be told apart
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
						err = fmt.Errorf("%w: %w", ErrCorrupt, err)
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
		opts.Levels[i].BlockSize = cmp.Or(o.blockBytes, 16<<10)
	}
	if o.Uncompressed {
		opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	}
	return opts
}

// openPebble opens the files in dir. Where it fails Pebble has given its lock back.
func openPebble(dir string, opts *pebble.Options, h *halt) (db *pebble.DB, err error) {
	err = h.do(func() (err error) {
		defer func() {
			if r := recover(); r != nil { // Pebble panics at some contradictions between its files
				err = fmt.Errorf("%w: pebble: %v", ErrCorrupt, r)
			}
		}()
		db, err = pebble.Open(dir, opts)
		return err
	})
	switch {
	case h.stopped(): // db may be written by a goroutine that is still on its way
		return nil, errors.Join(h.err, h.quiesce())
	case err == nil:
		return db, nil
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		err = fmt.Errorf("%w: %w", ErrGone, err)
	case pebble.IsCorruptionError(err):
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil, err
}

// closePebble closes the files; after a failed write it leaves them.
func closePebble(db *pebble.DB, h *halt) error {
	err := h.do(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("close pebble: %v", r)
			}
		}()
		return db.Close()
	})
	if h.stopped() {
		return errors.Join(err, h.quiesce())
	}
	return err
}

func getCopy(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if err != nil {
		return nil, err
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}
