package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Held is what a store beside the event store says of the ledger that it belongs to.
type Held struct {
	Store  string          // as people call it: "the vault"
	Ledger uuid.UUID       // the zero uuid where it holds nothing of any ledger
	Anchor *schemas.Anchor // the last event that it noted, nil where it noted none
	Remedy string          // what to do where it is another ledger's
}

// ErrApart is wrapped where the stores do not belong together: nothing is
// served, and nothing made anew.
var ErrApart = errors.New("the stores do not belong together")

// RestoreEventStore is the way out where the event store is gone, or older
// than what the others have noted.
const RestoreEventStore = "`ledgerline restore eventstore` completes it from the topics"

// Together returns nil when the stores belong to one ledger: that of the event store, which is the
// zero uuid where it holds none. holds says whether the event store has an anchored event. The
// error names each store that does not fit, why, and what to do.
//
// A store that is missing is never taken for a new one: with an empty event store
// all others must be empty too.
func Together(
	ctx context.Context, ledger uuid.UUID, others []Held, holds func(context.Context, schemas.Anchor) error,
) error {
	var wrong []string
	if x, ok := agreeAgainst(ledger, others); ok {
		return fmt.Errorf("%w:\nThe event store is of ledger %s, %s are of ledger %s. Put the event store of that "+
			"ledger back. If it is lost, move this one away, and %s",
			ErrApart, ledger, x.Store, x.Ledger, RestoreEventStore)
	}
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, h := range others {
		switch {
		case h.Ledger == uuid.Nil:
		case ledger == uuid.Nil:
			say("The event store holds no ledger, and %s is of ledger %s%s. No new ledger is made beside it. Is "+
				"its disk mounted? If it is lost, %s", h.Store, h.Ledger, upTo(h.Anchor), RestoreEventStore)
		case h.Ledger != ledger:
			say("%s is of ledger %s, the event store of %s. %s", capital(h.Store), h.Ledger, ledger, h.Remedy)
		case h.Anchor != nil:
			if err := holds(ctx, *h.Anchor); err != nil {
				if ctx.Err() != nil {
					return err
				}
				say("The event store does not hold what %s noted at sequence %d (%v). If it is an older copy, %s",
					h.Store, h.Anchor.Seq, err, RestoreEventStore)
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w:\n%s", ErrApart, strings.Join(wrong, "\n"))
}

// agreeAgainst reports whether several others are all of one ledger, which is not the event
// store's: then that is the one that does not fit, and to make the others fit it would be the
// wrong way out. The stores' names are joined.
func agreeAgainst(ledger uuid.UUID, others []Held) (all Held, ok bool) {
	var names []string
	for _, h := range others {
		switch {
		case h.Ledger == uuid.Nil:
		case ledger == uuid.Nil || h.Ledger == ledger || len(names) > 0 && h.Ledger != all.Ledger:
			return Held{}, false
		default:
			names, all.Ledger = append(names, h.Store), h.Ledger
		}
	}
	all.Store = strings.Join(names, " and ")
	return all, len(names) > 1
}

func upTo(a *schemas.Anchor) string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf(", which had come to sequence %d", a.Seq)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
