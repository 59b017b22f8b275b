package office

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Tenants returns the principal's tenants, in the order in which they were added.
func (o *Office) Tenants(ctx context.Context, p access.Principal) ([]vault.Tenant, error) {
	if err := anywhere(p, access.ListTenants); err != nil {
		return nil, err
	}
	if o.cfg.Vault == nil {
		return nil, errNoVault
	}
	all, err := o.cfg.Vault.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	var theirs []vault.Tenant
	for _, t := range all {
		if p.Sees(t.ID) {
			theirs = append(theirs, t)
		}
	}
	if len(theirs) == 0 && len(all) > 0 {
		return nil, p.Can(access.ListTenants, all[0].ID)
	}
	return theirs, nil
}

// Tenant returns the principal's tenant of that name, whatever its case; "" names the only one. A
// Problem names theirs; another's tenant is as if there were none.
func (o *Office) Tenant(ctx context.Context, p access.Principal, name string) (vault.Tenant, error) {
	theirs, err := o.Tenants(ctx, p)
	if err != nil {
		return vault.Tenant{}, err
	}
	if name == "" && len(theirs) == 1 {
		return theirs[0], nil
	}
	var names []string
	for _, t := range theirs {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
		names = append(names, t.Name)
	}
	wrong := &Problem{Field: FieldTenant, Code: ErrUnknown, Given: name, Known: names}
	switch {
	case len(theirs) == 0:
		wrong.Code = ErrNone
	case name == "":
		wrong.Code = ErrMissing
	}
	return vault.Tenant{}, wrong
}

// AddTenant declares a tenant.
func (o *Office) AddTenant(ctx context.Context, p access.Principal, n vault.NewTenant) (vault.Tenant, error) {
	if err := p.Can(access.AddTenant, uuid.Nil); err != nil {
		return vault.Tenant{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return vault.Tenant{}, err
	}
	return c.RegisterTenant(ctx, p, n)
}

// SetPurposes changes for which purposes the tenant's protected values may be seen; none named:
// for all that there are.
func (o *Office) SetPurposes(
	ctx context.Context, p access.Principal, tenant uuid.UUID, purposes []string,
) (vault.Tenant, error) {
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return vault.Tenant{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return vault.Tenant{}, err
	}
	return c.SetTenantPurposes(ctx, p, tenant, purposes)
}

// SetPolicy gives the tenant a new version of its collection policy: what change makes of the one
// that holds. One that says what holds already changes nothing.
func (o *Office) SetPolicy(
	ctx context.Context, p access.Principal, tenant uuid.UUID, change func(policy.Policy) policy.Policy,
) (vault.Tenant, error) {
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return vault.Tenant{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return vault.Tenant{}, err
	}
	return c.SetTenantPolicy(ctx, p, tenant, change)
}

// PolicyHistory returns the versions of the tenant's collection policy, first first.
func (o *Office) PolicyHistory(
	ctx context.Context, p access.Principal, tenant uuid.UUID,
) ([]custody.PolicyVersion, error) {
	if err := p.Can(access.ListTenants, tenant); err != nil {
		return nil, err
	}
	_, c, err := o.acts()
	if err != nil {
		return nil, err
	}
	return c.PolicyHistory(ctx, p, tenant)
}

// SetSources changes which source tenants' records are the tenant's own.
func (o *Office) SetSources(
	ctx context.Context, p access.Principal, tenant uuid.UUID, all bool, sources []string,
) (vault.Tenant, error) {
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return vault.Tenant{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return vault.Tenant{}, err
	}
	return c.SetTenantSources(ctx, p, tenant, all, sources)
}
