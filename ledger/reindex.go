package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ledgerline/ledgerline/schemas"
)

// DropIndex empties the sequence index at path and the notes of foreign events beside it, which
// nobody may have open: both are copies, and whoever follows next makes them anew.
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

// Reindex drops the sequence index and the notes of foreign and forged events, and
// counts the whole ledger anew; forged ones only where the process has a vault. It
// returns how many events the ledger has.
func (l *Ledger) Reindex(ctx context.Context, progress func(events uint64)) (uint64, error) {
	if l.index == nil {
		return 0, errors.New("reindex: this process has no sequence index")
	}
	fail := func(err error) (uint64, error) { return 0, fmt.Errorf("reindex: %w", err) }
	if err := l.index.reset(); err != nil {
		return fail(err)
	}
	l.resetForeign()
	var batch []schemas.Envelope
	var next uint64
	size := 0
	flush := func() error {
		if err := l.index.record(batch); err != nil {
			return err
		}
		if err := l.judgeBatch(ctx, batch); err != nil {
			return err
		}
		batch, size = batch[:0], 0
		if progress != nil {
			progress(next)
		}
		return nil
	}
	for r, err := range l.readAll(ctx, schemas.Position{}, false, l.meet) {
		if err != nil {
			return fail(err)
		}
		r.Seq = next
		batch = append(batch, r)
		size += r.Size()
		next++
		if len(batch) == maxBatch || size >= batchBytes {
			if err := flush(); err != nil {
				return fail(err)
			}
		}
	}
	if err := flush(); err != nil {
		return fail(err)
	}
	if err := l.saveForeign(true); err != nil {
		return fail(err)
	}
	return next, nil
}
