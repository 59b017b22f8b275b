package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ledgerline/ledgerline/schemas"
)

// DropIndex empties the sequence index at path and the notes of foreign events beside it, which nobody may have open:
// both are copies, and whoever follows next makes them anew.
func DropIndex(path string) error {
	ix, err := openIndex(path)
	if err != nil {
		return fmt.Errorf("drop the sequence index: %w", err)
	}
	err = errors.Join(ix.reset(), ix.close())
	if gone := os.Remove(path + foreignSuffix); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("drop the sequence index: %w", err)
	}
	return nil
}

// Reindex drops the sequence index and the notes of foreign events, and counts the whole ledger anew. It returns how
// many events the ledger has.
func (l *Ledger) Reindex(ctx context.Context, progress func(events uint64)) (uint64, error) {
	if l.index == nil {
		return 0, errors.New("reindex: this process has no sequence index")
	}
	fail := func(err error) (uint64, error) { return 0, fmt.Errorf("reindex: %w", err) }
	if err := l.index.reset(); err != nil {
		return fail(err)
	}
	l.foreignMu.Lock()
	l.foreign = foreignNotes{Ledger: l.id, path: l.cfg.IndexPath + foreignSuffix, changed: true}
	l.foreignMu.Unlock()
	var batch []schemas.Recorded
	var next uint64
	flush := func() error {
		if err := l.index.record(batch); err != nil {
			return err
		}
		batch = batch[:0]
		if progress != nil {
			progress(next)
		}
		return nil
	}
	for r, err := range l.readAll(ctx, schemas.Position{}, false, l.meet) {
		if err != nil {
			return fail(err)
		}
		batch = append(batch, schemas.Recorded{Seq: next, Position: r.Position})
		next++
		if len(batch) == maxBatch {
			if err := flush(); err != nil {
				return fail(err)
			}
		}
	}
	if err := flush(); err != nil {
		return fail(err)
	}
	if err := l.saveForeign(); err != nil {
		return fail(err)
	}
	return next, nil
}
