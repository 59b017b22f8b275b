package office

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// viewsPoll is how often it is looked whether the views have arrived.
const viewsPoll = 50 * time.Millisecond

// BehindError says that the views had not reached the ledger's end when waiting for them ended.
type BehindError struct{ err error }

func (e *BehindError) Error() string {
	return "waiting for the views to reach the ledger's end: " + e.err.Error()
}
func (e *BehindError) Unwrap() error { return e.err }

// WaitForViews returns when the views hold every event that the ledger holds now, with the ledger's
// last sequence. waiting, when not nil, is called now and then until they do.
func WaitForViews(
	ctx context.Context, l interface {
		Last(ctx context.Context) (schemas.Recorded, error)
	}, views interface {
		SeqOf(ctx context.Context, tenant, event uuid.UUID) (seq uint64, found bool, err error)
		WaitThrough(ctx context.Context, seq uint64) error
	}, waiting func(),
) (uint64, error) {
	last, err := l.Last(ctx)
	if err != nil {
		return 0, err
	}
	m, err := schemas.ParseMetadata(last.Metadata)
	if err != nil {
		return 0, err
	}
	for {
		seq, found, err := views.SeqOf(ctx, m.Tenant, last.ID)
		if err != nil {
			return 0, err
		}
		if found {
			return seq, views.WaitThrough(ctx, seq)
		}
		if waiting != nil {
			waiting()
		}
		if err := ledger.Pause(ctx, viewsPoll); err != nil {
			return 0, &BehindError{err}
		}
	}
}
