package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// RegisterTenant declares a tenant in the vault and records it in the ledger, with its first collection policy. Called again for
// a tenant whose recording a crash cut off, it completes that; for a recorded one it returns vault.ErrExists.
func (c *Custody) RegisterTenant(ctx context.Context, p access.Principal, n vault.NewTenant) (vault.Tenant, error) {
	fail := func(err error) (vault.Tenant, error) { return vault.Tenant{}, fmt.Errorf("register tenant: %w", err) }
	if err := p.Can(access.Operator, uuid.Nil); err != nil {
		return fail(err)
	}
	t, err := c.cfg.Vault.AddTenant(ctx, n)
	known := errors.Is(err, vault.ErrExists)
	if known {
		t, err = c.cfg.Vault.Tenant(ctx, n.Name)
	}
	if err != nil {
		return fail(err)
	}
	stream := schemas.NewStream("tenant", t.ID)
	var events []schemas.Event
	err = c.cfg.Vault.Update(ctx, t.ID, func(tx *vault.Tx) error {
		registered := c.draft("tenant.registered.v1", t.ID, stream)
		c.set(&registered, "tenant.name", t.Name, tenantOwner)
		sources := t.Sources
		if t.AnySource {
			sources = []string{"any"}
		}
		c.set(&registered, "tenant.source", sources, tenantOwner)
		c.set(&registered, "tenant.time-zone", t.TimeZone, tenantOwner)
		policy := c.draft("tenant.policy-changed.v1", t.ID, stream)
		policy.Policy = t.Policy
		registered.Policy = t.Policy
		c.set(&policy, "policy.number", t.Policy, tenantOwner)
		c.set(&policy, "policy.personal-apps", "refused", tenantOwner)
		c.set(&policy, "policy.location", "refused", tenantOwner)
		c.set(&policy, "policy.diagnostics", "refused", tenantOwner)
		for _, d := range []*schemas.Draft{&registered, &policy} {
			e, err := c.sealAndEncode(tx, d)
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	switch before, err := c.recordOnce(ctx, t.ID, events...); {
	case err != nil:
		return fail(err)
	case before:
		return fail(&Problem{Field: FieldTenant, Code: vault.ErrExists, Given: n.Name})
	}
	return t, nil
}
