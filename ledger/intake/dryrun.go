package intake

import (
	"context"
	"errors"
	"slices"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// errJudged ends the transaction of a dry run, so that nothing of it stays.
var errJudged = errors.New("a dry run writes nothing")

// judge says what would become of a batch of records, and writes nothing. It plans them as take
// does, in a transaction that it takes back, and appends nothing; so each batch is compared with
// the ledger as it stands, and not with what the batches before it would have told.
func (in *Intake) judge(ctx context.Context, tenant vault.Tenant, left *leftOut, before *recognition, b *batch) error {
	anew, err := before.look(ctx, b)
	if err != nil {
		return err
	}
	known, needs := b.known, map[schemas.Stream]bool{}
	var first []schemas.Stream
	conflicts := 0
	for round := 0; ; round++ {
		open := inOrder(b.entries)
		if len(open) == 0 {
			return before.conclude(ctx, b)
		}
		if round == maxRounds {
			for _, e := range open {
				e.outcome, e.reason = failed, "cannot be judged: its streams change while they are read"
			}
			continue
		}
		if round+conflicts > 0 || anew {
			if known, err = in.know(ctx, tenant, left, open, needs, nil, first...); err != nil {
				return err
			}
		}
		p, _, err := in.plan(ctx, tenant, left, open, known, conflicts, func(*vault.Tx) error { return nil },
			func(*vault.Tx) error { return errJudged })
		if errors.Is(err, vault.ErrConflict) {
			conflicts++
			round--
			continue
		}
		if !errors.Is(err, errJudged) {
			return err
		}
		for _, e := range open {
			if !e.settled() && len(e.steps) > 0 {
				e.outcome, e.steps = e.planned, nil
			}
		}
		if before.after(b, open) {
			for _, e := range open { // what they told was taken back: they are judged together
				e.outcome = pending
			}
		}
		if slices.ContainsFunc(open, (*entry).settled) {
			first = nil
		}
		var unread []schemas.Stream
		needs, unread = known.missing(p)
		if first = append(first, unread...); len(unread) > 0 {
			round = 0 // nobody else's doing
		}
	}
}
