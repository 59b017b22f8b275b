package office

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/schemas"
)

// viewsPoll is how often it is looked whether the views have arrived.
const viewsPoll = 50 * time.Millisecond

// ErrViewsBehind says that ctx ended before the views had reached the ledger's end.
var ErrViewsBehind = errors.New("waiting for the views to reach the ledger's end")

// WaitForViews returns when the views hold every event that the ledger holds now, with the
// ledger's last sequence. waiting, when not nil, is called now and then until they do. It wraps
// ErrViewsBehind where ctx ends before.
func WaitForViews(
	ctx context.Context, l interface {
		Last(ctx context.Context) (schemas.Envelope, error)
	}, views interface {
		SeqOf(ctx context.Context, tenant, event uuid.UUID) (seq uint64, found bool, err error)
		WaitThrough(ctx context.Context, seq uint64) error
	}, waiting func(),
) (uint64, error) {
	last, err := l.Last(ctx)
	if err != nil {
		return 0, err
	}
	for {
		seq, found, err := views.SeqOf(ctx, last.Meta().Tenant, last.ID)
		if err != nil {
			return 0, err
		}
		if found {
			err := views.WaitThrough(ctx, seq)
			if err != nil && ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", ErrViewsBehind, err)
			}
			return seq, err
		}
		if waiting != nil {
			waiting()
		}
		if err := retry.Wait(ctx, viewsPoll); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrViewsBehind, err)
		}
	}
}
