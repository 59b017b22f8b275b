package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/schemas"
)

// maxBatch is how many events Follow hands over at once; batchBytes bounds their size.
const (
	maxBatch   = 4096
	batchBytes = 8 << 20
)

// Follow hands over every ledger event after the anchor, from the beginning where from is nil, in ledger order and in
// batches whose sequences are contiguous; then it waits for more, until ctx ends or handle returns an error, which it
// returns. Positions are in the synced index before a batch is handed over. Where the event at the anchor is not the anchored one, or the
// ledger is shorter than that, it returns ErrDiverged.
func (l *Ledger) Follow(ctx context.Context, from *schemas.Anchor, handle func(context.Context, []schemas.Recorded) error) error {
	if l.index == nil {
		return errors.New("follow: this process has no sequence index")
	}
	next, after, err := l.start(ctx, from)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if from != nil {
		if after, err = l.verify(ctx, *from, next, after); err != nil {
			return fmt.Errorf("follow from sequence %d: %w", from.Seq, err)
		}
		next = from.Seq + 1
	}
	return l.follow(ctx, next, after, handle)
}

// start returns the sequence to be read next and the position to read after, so that reading from there passes the
// anchor's event. It checks that the index still describes this store, and drops it where it does not.
func (l *Ledger) start(ctx context.Context, from *schemas.Anchor) (uint64, schemas.Position, error) {
	known := l.index.len()
	if known > 0 {
		ok, err := l.indexHolds(ctx, known-1)
		if err != nil {
			return 0, schemas.Position{}, err
		}
		if !ok {
			l.cfg.Logger.Warn("the sequence index does not match the event store and is rebuilt", "records", known)
			if err := l.index.reset(); err != nil {
				return 0, schemas.Position{}, err
			}
			known = 0
		}
	}
	first := uint64(0)
	if from != nil {
		first = min(from.Seq, known)
	}
	after, err := l.before(first)
	return first, after, err
}

// before returns the position of the event before sequence n, which the index must hold; the zero position for n = 0.
func (l *Ledger) before(n uint64) (schemas.Position, error) {
	if n == 0 {
		return schemas.Position{}, nil
	}
	return l.index.position(n - 1)
}

// indexHolds reports whether the store has a ledger event exactly where the index says that sequence n is.
func (l *Ledger) indexHolds(ctx context.Context, n uint64) (bool, error) {
	want, err := l.index.position(n)
	if err != nil {
		return false, err
	}
	after, err := l.before(n)
	if err != nil {
		return false, err
	}
	for r, err := range l.cfg.Store.ReadAll(ctx, after, false) {
		if err != nil {
			return false, err
		}
		return r.Position == want, nil
	}
	return false, nil
}

// verify reads from sequence next up to the anchor's, fills the index on the way, and returns the anchor's position.
func (l *Ledger) verify(ctx context.Context, a schemas.Anchor, next uint64, after schemas.Position) (schemas.Position, error) {
	if a.LedgerID != l.id {
		return after, fmt.Errorf("the position was taken from ledger %s, this is %s: %w", a.LedgerID, l.id, ErrDiverged)
	}
	var batch []schemas.Recorded
	for r, err := range l.cfg.Store.ReadAll(ctx, after, false) {
		if err != nil {
			return after, err
		}
		r.Seq = next
		next++
		batch = append(batch, r)
		if len(batch) == maxBatch || r.Seq == a.Seq {
			if err := l.index.record(batch); err != nil {
				return after, err
			}
			batch = batch[:0]
		}
		if r.Seq < a.Seq {
			continue
		}
		leaf, err := r.Leaf()
		if err != nil {
			return after, err
		}
		if r.ID != a.EventID || leaf != a.Leaf {
			return after, fmt.Errorf("sequence %d holds event %s, the position names %s: %w", a.Seq, r.ID, a.EventID, ErrDiverged)
		}
		return r.Position, nil
	}
	return after, fmt.Errorf("the ledger ends at sequence %d: %w", int64(next)-1, ErrDiverged)
}

// follow batches what a live read yields: it hands over what has come when nothing more is waiting.
func (l *Ledger) follow(ctx context.Context, next uint64, after schemas.Position, handle func(context.Context, []schemas.Recorded) error) error {
	ctx, cancel := context.WithCancel(ctx)
	type item struct {
		r   schemas.Recorded
		err error
	}
	items := make(chan item, maxBatch)
	go func() {
		defer close(items)
		for r, err := range l.cfg.Store.ReadAll(ctx, after, true) {
			select {
			case items <- item{r, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range items { // until the reader has ended
		}
	}()
	var batch []schemas.Recorded
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := l.index.record(batch); err != nil {
			return fmt.Errorf("follow: %w", err)
		}
		err := handle(ctx, batch)
		batch, size = nil, 0
		return err
	}
	for {
		var it item
		var open bool
		if len(batch) == 0 {
			it, open = <-items
		} else {
			select {
			case it, open = <-items:
			default:
				if err := flush(); err != nil {
					return err
				}
				continue
			}
		}
		if !open || it.err != nil {
			if err := flush(); err != nil {
				return err
			}
			if it.err == nil {
				it.err = ctx.Err()
			}
			if it.err == nil {
				it.err = errors.New("the live read ended by itself")
			}
			return fmt.Errorf("follow: %w", it.err)
		}
		it.r.Seq = next
		next++
		batch = append(batch, it.r)
		size += it.r.Size()
		if len(batch) == maxBatch || size >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// Sequence returns the sequence of the ledger event at that position, and false where the index does not hold it yet.
func (l *Ledger) Sequence(p schemas.Position) (uint64, bool, error) {
	if l.index == nil {
		return 0, false, errors.New("sequence: this process has no sequence index")
	}
	lo, hi := uint64(0), l.index.len()
	for lo < hi {
		mid := (lo + hi) / 2
		at, err := l.index.position(mid)
		if err != nil {
			return 0, false, err
		}
		if at == p {
			return mid, true, nil
		}
		if at.Commit < p.Commit {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return 0, false, nil
}
