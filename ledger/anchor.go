package ledger

import (
	"context"
	"fmt"
	"iter"

	"github.com/ledgerline/ledgerline/schemas"
)

// Holds returns nil when the ledger has the anchored event at its sequence, and ErrDiverged
// when it has another there or is shorter: it is not the one that the anchor was taken
// from, or an older copy of it.
func (l *Ledger) Holds(ctx context.Context, a schemas.Anchor) error {
	if _, err := l.anchored(ctx, &a); err != nil {
		return fmt.Errorf("sequence %d: %w", a.Seq, err)
	}
	return nil
}

// After yields the ledger's events that follow the anchor, all where it is nil, up to the present
// end, with Seq. Where the anchor does not match it yields ErrDiverged.
func (l *Ledger) After(ctx context.Context, a *schemas.Anchor) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		after, err := l.anchored(ctx, a)
		if err != nil {
			yield(schemas.Envelope{}, fmt.Errorf("read after sequence %d: %w", a.Seq, err))
			return
		}
		var seq uint64
		if a != nil {
			seq = a.Seq + 1
		}
		for r, err := range l.readAll(ctx, after, false, nil) {
			r.Seq = seq
			if !yield(r, err) || err != nil {
				return
			}
			seq++
		}
	}
}

// anchored returns the position of the anchor's event: by the index where
// there is one, else by counting.
func (l *Ledger) anchored(ctx context.Context, a *schemas.Anchor) (schemas.Position, error) {
	if a == nil {
		return schemas.Position{}, nil
	}
	if a.LedgerID != l.id {
		return schemas.Position{}, fmt.Errorf("the position was taken from ledger %s, this is %s: %w",
			a.LedgerID, l.id, ErrDiverged)
	}
	if l.index != nil {
		_, after, err := l.start(ctx, a)
		return after, err
	}
	var seq uint64
	for r, err := range l.readAll(ctx, schemas.Position{}, false, nil) {
		if err != nil {
			return schemas.Position{}, err
		}
		if seq == a.Seq {
			if r.ID != a.EventID || r.Leaf() != a.Leaf {
				err = fmt.Errorf("it is event %s, the position names %s: %w", r.ID, a.EventID, ErrDiverged)
			}
			return r.Position, err
		}
		seq++
	}
	return schemas.Position{}, fmt.Errorf("the ledger has %d events: %w", seq, ErrDiverged)
}
