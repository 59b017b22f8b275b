package office

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
)

// sessionOpener lets a report open tokens through a custody session.
type sessionOpener struct{ session *custody.Session }

func (o sessionOpener) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	return unsealed(ctx, tokens, o.session.Open)
}

// Search implements projections.Searcher.
func (o sessionOpener) Search(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	return unsealed(ctx, tokens, o.session.Search)
}

func unsealed(
	ctx context.Context, tokens []projections.Sealed, by func(context.Context, []vault.Sealed) ([]vault.Opened, error),
) ([]projections.Opened, error) {
	asked := make([]vault.Sealed, len(tokens))
	for i, t := range tokens { // the place is the asker's word: what a token says of itself proves nothing
		asked[i] = vault.Sealed{Token: t.Token, Attr: t.Attribute, Event: t.Event, Header: t.Header, Body: t.Body}
	}
	opened, err := by(ctx, asked)
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
