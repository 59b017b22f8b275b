package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/internal/flow"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxBatch is how many events Follow hands over at once; batchBytes bounds their size. Tests lower
// the former.
var maxBatch = 4096

const batchBytes = 8 << 20

// Follow hands over every ledger event after the anchor, from the beginning where from is nil, in
// ledger order and in batches whose sequences are contiguous; then it waits for more, until ctx
// ends or handle returns an error, which it returns. Positions are in the synced index before a
// batch is handed over. Where the event at the anchor is not the anchored one, or the ledger is
// shorter than that, it returns ErrDiverged.
//
// The index only says where to begin to read. Where what is read there is not what the
// anchor or the index says, the index is dropped and everything counted anew from the store
// before anything is called diverged.
func (l *Ledger) Follow(
	ctx context.Context, from *schemas.Anchor, handle func(context.Context, []schemas.Envelope) error,
) error {
	if l.index == nil {
		return errors.New("follow: this process has no sequence index")
	}
	if from != nil && from.LedgerID != l.id {
		return fmt.Errorf("follow from sequence %d: the position was taken from ledger %s, this is %s: %w",
			from.Seq, from.LedgerID, l.id, ErrDiverged)
	}
	next, after, err := l.start(ctx, from)
	if err != nil {
		if from == nil {
			return fmt.Errorf("follow: %w", err)
		}
		return fmt.Errorf("follow from sequence %d: %w", from.Seq, err)
	}
	err = l.follow(ctx, next, after, handle)
	var stale *staleIndexError
	if errors.As(err, &stale) { // noticed only now: handed over so far is what the store holds
		if err := l.reindex(ctx, stale); err != nil {
			return fmt.Errorf("follow: %w", err)
		}
		if stale.last == nil {
			stale.last = from
		}
		return l.Follow(ctx, stale.last, handle)
	}
	return err
}

// staleIndexError says that the index does not describe the store.
type staleIndexError struct {
	why  string
	last *schemas.Anchor // of the last event that was handed over
}

func (e *staleIndexError) Error() string {
	return "the sequence index does not describe the event store: " + e.why
}

// reindex drops the index, so that it is made anew from the store: what stands behind the newest
// checkpoint that holds, or all of it.
func (l *Ledger) reindex(ctx context.Context, why error) error {
	had := l.index.len()
	kept := l.keepChecked(ctx)
	l.cfg.Logger.Warn("the sequence index is made anew from the event store", "records", had, "kept", kept,
		"error", why)
	if kept > 0 {
		return nil
	}
	if err := l.index.reset(); err != nil {
		return err
	}
	l.resetForeign() // they were of the same store as the index
	return nil
}

// start returns the first sequence to be handed over and the position after which it is
// read: that of the anchor's event, which must match. It uses what the index says, and
// without it where that does not fit.
func (l *Ledger) start(ctx context.Context, from *schemas.Anchor) (uint64, schemas.Position, error) {
	for l.index.len() > 0 { // as it is, its checked beginning, and not at all
		next, after, err := l.startAt(ctx, from)
		if err == nil || ctx.Err() != nil {
			return next, after, err
		}
		// A position that the store never gave makes a server answer anything at all.
		if err := l.reindex(ctx, err); err != nil {
			return 0, schemas.Position{}, err
		}
	}
	return l.startAt(ctx, from)
}

func (l *Ledger) startAt(ctx context.Context, from *schemas.Anchor) (uint64, schemas.Position, error) {
	known := l.index.len()
	if known > 0 {
		if err := l.indexHolds(ctx, known-1); err != nil {
			return 0, schemas.Position{}, err
		}
	}
	if from == nil {
		return 0, schemas.Position{}, nil
	}
	next := min(from.Seq, known)
	if n, judges := l.unjudged(); judges {
		next = min(next, n) // the notes of what is not the ledger's were lost, or made without a vault
	}
	after, err := l.before(next)
	if err == nil {
		after, err = l.verify(ctx, *from, next, after)
	}
	return from.Seq + 1, after, err
}

// before returns the position of the event before sequence n, which the index must
// hold; the zero position for n = 0.
func (l *Ledger) before(n uint64) (schemas.Position, error) {
	if n == 0 {
		return schemas.Position{}, nil
	}
	return l.index.position(n - 1)
}

// indexHolds returns nil when the store has a ledger event exactly where the
// index says that sequence n is.
func (l *Ledger) indexHolds(ctx context.Context, n uint64) error {
	want, err := l.index.position(n)
	if err != nil {
		return err
	}
	after, err := l.before(n)
	if err != nil {
		return err
	}
	if after.Commit >= want.Commit {
		return &staleIndexError{why: fmt.Sprintf("record %d does not come after the one before it", n)}
	}
	for r, err := range l.readAll(ctx, after, false, nil) {
		if err != nil {
			return err
		}
		if r.Position == want {
			return nil
		}
		break
	}
	return &staleIndexError{why: fmt.Sprintf("no ledger event is where record %d says", n)}
}

// verify reads from sequence next up to the anchor's, fills the index on the way, and
// returns the anchor's position.
func (l *Ledger) verify(
	ctx context.Context, a schemas.Anchor, next uint64, after schemas.Position,
) (schemas.Position, error) {
	var batch []schemas.Envelope
	size, first := 0, next
	for r, err := range l.readAll(ctx, after, false, l.meet) {
		if err != nil {
			return after, err
		}
		r.Seq = next
		next++
		batch = append(batch, r)
		size += r.Size()
		if len(batch) == maxBatch || size >= batchBytes || r.Seq == a.Seq {
			if err := l.index.record(batch); err != nil {
				return after, err
			}
			if err := l.judgeBatch(ctx, batch); err != nil {
				return after, err
			}
			if err := l.saveForeign(false); err != nil { // cut short, it goes on from here
				return after, err
			}
			if l.cfg.Progress != nil && r.Seq < a.Seq {
				l.cfg.Progress(next-first, a.Seq+1-first)
			}
			clear(batch)
			batch, size = batch[:0], 0
		}
		if r.Seq < a.Seq {
			continue
		}
		if r.ID != a.EventID || r.Leaf() != a.Leaf {
			return after, fmt.Errorf("sequence %d holds event %s, the position names %s: %w",
				a.Seq, r.ID, a.EventID, ErrDiverged)
		}
		return r.Position, nil
	}
	return after, fmt.Errorf("the ledger ends at sequence %d: %w", int64(next)-1, ErrDiverged)
}

// follow batches what a live read yields: it hands over what has come when nothing more is
// waiting.
func (l *Ledger) follow(
	ctx context.Context, next uint64, after schemas.Position, handle func(context.Context, []schemas.Envelope) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	type item struct {
		r   schemas.Envelope
		err error
	}
	queue := flow.New(batchBytes, maxBatch, func(i item) int { return i.r.Size() })
	go func() {
		defer queue.Close()
		for r, err := range l.readAll(ctx, after, true, l.meet) {
			if queue.Put(ctx, item{r, err}) != nil || err != nil {
				return
			}
		}
	}()
	items := queue.Items()
	defer func() {
		cancel()
		for range items { // until the reader has ended
		}
	}()
	var batch []schemas.Envelope
	var last *schemas.Envelope // handed over
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := l.index.record(batch)
		var stale *staleIndexError
		if errors.As(err, &stale) && last != nil {
			at := last.Anchor(l.id)
			stale.last, err = &at, stale
		}
		if err == nil {
			err = l.judgeBatch(ctx, batch)
		}
		if err == nil {
			err = l.saveForeign(false)
		}
		if err != nil {
			return fmt.Errorf("follow: %w", err)
		}
		err = handle(ctx, batch)
		last = &batch[len(batch)-1]
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
		if open {
			queue.Took(it) // from here on it counts in the batch
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

// Counted returns how many events the index holds: all but the newest, as a rule; 0 where this
// process has none.
func (l *Ledger) Counted() uint64 {
	if l.index == nil {
		return 0
	}
	return l.index.len()
}

// Sequence returns the sequence of the ledger event at that position, and false where
// the index does not hold it yet.
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
