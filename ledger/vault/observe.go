package vault

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
)

// TxKind says what a transaction on the store is for.
type TxKind string

// Kinds of transactions.
const (
	TxUpdate TxKind = "update"
	TxView   TxKind = "view"
	TxScrub  TxKind = "scrub" // destroyed bytes are being removed from the files
)

// TxKinds are all of them.
var TxKinds = []TxKind{TxUpdate, TxView, TxScrub}

// Observer is told of each transaction of an open vault, and nothing of whom it was about. Ended
// follows each Began, with the time from the call on, waiting for a turn included. Both are called
// by whichever goroutine runs the transaction, and may not block.
type Observer interface {
	Began(kind TxKind)
	Ended(kind TxKind, took time.Duration, err error)
}

type unobserved struct{}

func (unobserved) Began(TxKind)                       {}
func (unobserved) Ended(TxKind, time.Duration, error) {}

// update, view and scrub are the only ways to an open vault's store, so that each is observed.

func (v *Vault) update(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return v.observed(TxUpdate, func() error { return v.store.Update(ctx, tenant, do) })
}

func (v *Vault) view(ctx context.Context, tenant uuid.UUID, do func(store.Rows) error) error {
	return v.observed(TxView, func() error { return v.store.View(ctx, tenant, do) })
}

func (v *Vault) scrub(ctx context.Context) error {
	return v.observed(TxScrub, func() error { return v.store.Scrub(ctx) })
}

func (v *Vault) observed(kind TxKind, do func() error) (err error) {
	begun := v.clock()
	v.observer.Began(kind)
	defer func() { v.observer.Ended(kind, v.clock().Sub(begun), err) }()
	return do()
}
