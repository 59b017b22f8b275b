package office

import (
	"context"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
)

// CheckLedger reads the whole event store, and hands over what it finds of each event: whose it
// is, and no value of it.
func (o *Office) CheckLedger(ctx context.Context, p access.Principal, each func(ledger.Found) error) error {
	if err := p.Can(access.CheckLedger, uuid.Nil); err != nil {
		return err
	}
	l, _, err := o.acts()
	if err != nil {
		return err
	}
	all, err := o.cfg.Vault.Tenants(ctx)
	if err != nil {
		return err
	}
	var tenants []uuid.UUID
	for _, t := range all {
		tenants = append(tenants, t.ID)
	}
	return l.Check(ctx, tenants, owners(o.cfg.Vault), each)
}

// Disown takes events that are not the ledger's own out of views, reports and packages; the zero
// tenant asks for events of any. custody.Disown says the rest.
func (o *Office) Disown(
	ctx context.Context, p access.Principal, tenant uuid.UUID, events []uuid.UUID, ground string,
	progress func(read uint64),
) (custody.Disowning, error) {
	if err := p.Can(access.Disown, tenant); err != nil {
		return custody.Disowning{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Disowning{}, err
	}
	return c.Disown(ctx, p, tenant, events, ground, progress)
}
