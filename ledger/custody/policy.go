package custody

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// policyChanged is the type of the events that tell a tenant's collection policy.
const policyChanged = "tenant.policy-changed.v2"

// SetTenantPolicy gives the tenant a new version of its collection policy: first in the ledger, so
// that no record is judged by one that is not there. Where a crash comes between, the old one
// holds, and doing it again completes it under a further number. A policy that says what holds
// already changes nothing. The error joins what is wrong with the policy, each a *policy.Error.
func (c *Custody) SetTenantPolicy(
	ctx context.Context, p access.Principal, tenant uuid.UUID, change func(policy.Policy) policy.Policy,
) (vault.Tenant, error) {
	fail := func(err error) (vault.Tenant, error) { return vault.Tenant{}, fmt.Errorf("set policy: %w", err) }
	if err := p.Can(access.ChangeTenant, tenant); err != nil {
		return fail(err)
	}
	t, err := c.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	to := change(t.Policy).Settled(c.cat.Catalogue)
	if err := to.Validate(c.cat.Catalogue); err != nil {
		return fail(err)
	}
	if to.Same(t.Policy) {
		return t, nil
	}
	last := t.Policy.Number
	err = c.changeTenant(ctx, tenant, policyChanged, func(d *schemas.Draft) {
		to.Number = last + 1
		d.Policy = to.Number
		c.tell(d, to)
	}, func(own ledger.Own) { last = max(last, toldPolicy(own).Number) })
	if err != nil {
		return fail(err)
	}
	if t, err = c.cfg.Vault.SetTenantPolicy(ctx, tenant, to); err != nil {
		return fail(err)
	}
	return t, nil
}

// tell sets in the event what the policy says.
func (c *Custody) tell(d *schemas.Draft, p policy.Policy) {
	d.Policy = p.Number
	c.set(d, "policy.number", p.Number, tenantOwner)
	c.set(d, "policy.personal-apps", p.PersonalApps, tenantOwner)
	c.set(d, "policy.location", policy.Refused, tenantOwner)
	c.set(d, "policy.diagnostics", p.Diagnostics, tenantOwner)
	c.set(d, "policy.refused-items", orNone(strings.Join(p.Items, " ")), tenantOwner)
	c.set(d, "policy.retention", orNone(p.Periods()), tenantOwner)
	if len(p.Retention) > 0 {
		grounds := map[string]string{}
		for class, r := range p.Retention {
			grounds[class] = r.Ground
		}
		c.set(d, "policy.retention-grounds", grounds, tenantOwner)
	}
}

// none stands where a policy says nothing beside the catalogue.
const none = "none"

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// PolicyVersion is a version of a tenant's policy, and since when it holds. Grounds are sealed: of
// a past version only the periods are told.
type PolicyVersion struct {
	policy.Policy
	Since time.Time
}

// PolicyHistory returns the versions of the tenant's policy that the ledger tells, first first.
func (c *Custody) PolicyHistory(ctx context.Context, p access.Principal, tenant uuid.UUID) ([]PolicyVersion, error) {
	if err := p.Can(access.ListTenants, tenant); err != nil {
		return nil, fmt.Errorf("policy's history: %w", err)
	}
	var out []PolicyVersion
	_, err := c.read(ctx, schemas.NewStream("tenant", tenant), tenant, func(own ledger.Own) error {
		if of := toldPolicy(own); of.Number > 0 {
			out = append(out, PolicyVersion{of, own.Draft.Occurred})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("policy's history: %w", err)
	}
	return out, nil
}

// toldPolicy is what an event says of a policy; of number 0 where it says nothing of one.
func toldPolicy(own ledger.Own) (out policy.Policy) {
	for _, v := range own.Draft.Values {
		text := v.Text()
		switch v.Attr.ID {
		case "policy.number":
			_ = json.Unmarshal(v.Plain, &out.Number) // not a number: the event tells no policy
		case "policy.personal-apps":
			out.PersonalApps = text
		case "policy.diagnostics":
			out.Diagnostics = text
		case "policy.refused-items":
			if text != none {
				out.Items = strings.Fields(text)
			}
		case "policy.retention":
			for _, part := range strings.Fields(text) {
				if class, keep, ok := strings.Cut(part, "="); ok {
					if out.Retention == nil {
						out.Retention = map[string]policy.Retention{}
					}
					out.Retention[class] = policy.Retention{Keep: keep}
				}
			}
		}
	}
	return out
}
