package custody

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	declare "github.com/ledgerline/ledgerline/ledger/tenant"
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
		first.Policy = t.Policy.Number
		policy := c.draft(policyChanged, t.ID, stream)
		c.tell(&policy, t.Policy)
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
	if err := declare.CheckSources(all, sources); err != nil {
		return fail(err)
	}
	if err := c.changeTenant(ctx, tenant, "tenant.sources-changed.v1", func(d *schemas.Draft) {
		c.set(d, "tenant.source", declared(all, declare.DistinctSources(sources)), tenantOwner)
	}); err != nil {
		return fail(err)
	}
	t, err := c.cfg.Vault.SetTenantSources(ctx, tenant, all, sources)
	if err != nil {
		return fail(err)
	}
	return t, nil
}

// SetTenantPurposes changes for which purposes the tenant's protected values may be seen, all that
// there are where none are named: first in the ledger, as SetTenantSources does.
func (c *Custody) SetTenantPurposes(
	ctx context.Context, p access.Principal, tenant uuid.UUID, purposes []string,
) (vault.Tenant, error) {
	fail := func(err error) (vault.Tenant, error) { return vault.Tenant{}, fmt.Errorf("set purposes: %w", err) }
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return fail(err)
	}
	for _, code := range purposes {
		if err := oneOf(FieldPurpose, code, Purposes()); err != nil {
			return fail(err)
		}
	}
	var kept []string // in the order of the list, each once
	for _, code := range Purposes() {
		if slices.Contains(purposes, code) {
			kept = append(kept, code)
		}
	}
	if err := c.changeTenant(ctx, tenant, "tenant.purposes-changed.v1", func(d *schemas.Draft) {
		named := kept
		if len(named) == 0 {
			named = Purposes()
		}
		c.set(d, "tenant.purposes", strings.Join(named, ","), tenantOwner)
	}); err != nil {
		return fail(err)
	}
	t, err := c.cfg.Vault.SetTenantPurposes(ctx, tenant, kept)
	if err != nil {
		return fail(err)
	}
	return t, nil
}

// changeTenant records what changes of a tenant that is in the ledger.
func (c *Custody) changeTenant(
	ctx context.Context, tenant uuid.UUID, typ string, say func(*schemas.Draft), each ...func(ledger.Own),
) error {
	t, err := c.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return err
	}
	stream := schemas.NewStream("tenant", tenant)
	known := false
	reading, err := c.read(ctx, stream, tenant, func(own ledger.Own) error {
		known = known || own.Type == registered
		for _, do := range each {
			do(own)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !known:
		return errors.New("the tenant's registration is not in the ledger: register it again to complete that")
	}
	var e schemas.Event
	err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		d := c.draft(typ, tenant, stream)
		d.Policy = t.Policy.Number
		say(&d)
		var err error
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return err
	}
	_, err = c.appendBehind(ctx, stream, reading.Expect(), e)
	return err
}
