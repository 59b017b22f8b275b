package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
)

// sessionOpener lets a report open tokens through a custody session.
type sessionOpener struct{ session *custody.Session }

func (o sessionOpener) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	asked := make([]vault.Sealed, len(tokens))
	for i, t := range tokens { // the place is the asker's word: what a token says of itself proves nothing
		asked[i] = vault.Sealed{Token: t.Token, Attr: t.Attribute, Event: t.Event}
	}
	opened, err := o.session.Open(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := make([]projections.Opened, len(opened))
	for i, v := range opened {
		out[i] = projections.Opened{Plain: v.Plain, Err: openedError(v.Err)}
	}
	return out, nil
}

// openedError says in the projections' words why the vault did not open a token.
func openedError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrErased):
		return fmt.Errorf("%w: %w", projections.ErrErased, err)
	case errors.Is(err, vault.ErrExpired):
		return fmt.Errorf("%w: %w", projections.ErrExpired, err)
	case errors.Is(err, vault.ErrLost):
		return fmt.Errorf("%w: %w", projections.ErrLost, err)
	}
	return fmt.Errorf("%w: %w", projections.ErrTampered, err)
}

// viewsEnd is what waiting for the views asks of them.
type viewsEnd interface {
	SeqOf(ctx context.Context, tenant, event uuid.UUID) (seq uint64, found bool, err error)
	WaitThrough(ctx context.Context, seq uint64) error
}

// waitForViews returns when the views hold every event that the ledger holds now, with the ledger's last sequence.
func waitForViews(ctx context.Context, l *ledger.Ledger, views viewsEnd, p *progress) (uint64, error) {
	last, err := l.Last(ctx)
	if err != nil {
		return 0, err
	}
	defer p.done()
	for {
		seq, found, err := views.SeqOf(ctx, last.Meta().Tenant, last.ID)
		if err != nil {
			return 0, err
		}
		if found {
			return seq, views.WaitThrough(ctx, seq)
		}
		p.show("waiting for the views to reach the ledger's end")
		if err := ledger.Pause(ctx, viewsPoll); err != nil {
			return 0, fmt.Errorf("waiting for the views to reach the ledger's end: %w (--no-wait reports on what they hold)", err)
		}
	}
}
