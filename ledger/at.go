package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/schemas"
)

// At returns the event of a sequence, and false where the ledger does not reach it. It reads one
// event where the sequence index holds it, and from the end of the index on otherwise. The index
// is believed only where an event lies where it says.
func (l *Ledger) At(ctx context.Context, seq uint64) (schemas.Envelope, bool, error) {
	if l.index == nil {
		return schemas.Envelope{}, false, errors.New("at: this process has no sequence index")
	}
	r, ok, err := l.at(ctx, seq)
	if err != nil {
		return schemas.Envelope{}, false, fmt.Errorf("event of sequence %d: %w", seq, err)
	}
	return r, ok, nil
}

func (l *Ledger) at(ctx context.Context, seq uint64) (schemas.Envelope, bool, error) {
	next := uint64(0)
	if known := l.index.len(); known > 0 {
		next = min(seq, known-1)
		if err := l.indexHolds(ctx, next); err != nil {
			if ctx.Err() != nil {
				return schemas.Envelope{}, false, err
			}
			next = 0 // Follow makes the index anew
		}
	}
	after, err := l.before(next)
	if err != nil {
		return schemas.Envelope{}, false, err
	}
	for r, err := range l.readAll(ctx, after, false, nil) {
		if err != nil {
			return schemas.Envelope{}, false, err
		}
		if next == seq {
			r.Seq = seq
			return r, true, nil
		}
		next++
	}
	return schemas.Envelope{}, false, nil
}
