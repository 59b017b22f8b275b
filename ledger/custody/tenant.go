package custody

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// RegisterTenant declares a tenant in the vault and records it in the ledger, with its first
// collection policy. Called again for a tenant whose recording a crash cut off, it completes
// that; for a recorded one it returns vault.ErrExists.
func (c *Custody) RegisterTenant(ctx context.Context, p access.Principal, n vault.NewTenant) (vault.Tenant, error) {
	fail := func(err error) (vault.Tenant, error) { return vault.Tenant{}, fmt.Errorf("register tenant: %w", err) }
	if err := p.Can(access.AddTenant, uuid.Nil); err != nil {
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
		first := c.draft(registered, t.ID, stream)
		c.set(&first, "tenant.name", t.Name, tenantOwner)
		c.set(&first, "tenant.source", declared(t.AnySource, t.Sources), tenantOwner)
		c.set(&first, "tenant.time-zone", t.TimeZone, tenantOwner)
		policy := c.draft("tenant.policy-changed.v1", t.ID, stream)
		policy.Policy = t.Policy
		first.Policy = t.Policy
		c.set(&policy, "policy.number", t.Policy, tenantOwner)
		c.set(&policy, "policy.personal-apps", "refused", tenantOwner)
		c.set(&policy, "policy.location", "refused", tenantOwner)
		c.set(&policy, "policy.diagnostics", "refused", tenantOwner)
		for _, d := range []*schemas.Draft{&first, &policy} {
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

// registered is the type of the event that a tenant begins with.
const registered = "tenant.registered.v1"

// declared is how the ledger names a tenant's source tenants.
func declared(all bool, sources []string) []string {
	if all {
		return []string{"any"}
	}
	return sources
}

// SetTenantSources changes which source tenants' records are the tenant's own: first in the
// ledger, so that no record is taken by a declaration that is not there. Where a crash comes
// between, the old one holds, and doing it again completes it.
func (c *Custody) SetTenantSources(
	ctx context.Context, p access.Principal, tenant uuid.UUID, all bool, sources []string,
) (vault.Tenant, error) {
	fail := func(err error) (vault.Tenant, error) {
		return vault.Tenant{}, fmt.Errorf("set source tenants: %w", err)
	}
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return fail(err)
	}
	if err := vault.CheckSources(all, sources); err != nil {
		return fail(err)
	}
	t, err := c.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	stream := schemas.NewStream("tenant", tenant)
	known := false
	reading, err := c.read(ctx, stream, tenant, func(own ledger.Own) error {
		known = known || own.Type == registered
		return nil
	})
	switch {
	case err != nil:
		return fail(err)
	case !known:
		return fail(errors.New("the tenant's registration is not in the ledger: register it again to complete that"))
	}
	var e schemas.Event
	err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		d := c.draft("tenant.sources-changed.v1", tenant, stream)
		d.Policy = t.Policy
		c.set(&d, "tenant.source", declared(all, vault.DistinctSources(sources)), tenantOwner)
		var err error
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if _, err := c.appendBehind(ctx, stream, reading.Expect(), e); err != nil {
		return fail(err)
	}
	if t, err = c.cfg.Vault.SetTenantSources(ctx, tenant, all, sources); err != nil {
		return fail(err)
	}
	return t, nil
}
