package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/tenant"
	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// profile is what is kept of a tenant wrapped.
type profile struct {
	Name      string         `json:"name"`
	AnySource bool           `json:"anySource,omitempty"`
	Sources   []string       `json:"sources,omitempty"`
	Purposes  []string       `json:"purposes,omitempty"`
	Policy    *policy.Policy `json:"policy,omitempty"` // nil: the one that a tenant begins with
	TimeZone  string         `json:"timeZone"`
	Language  string         `json:"language"`
}

// AddTenant declares a tenant and mints its lookup and record keys. ErrExists: the
// name, but for case, is taken.
func (r *Register) AddTenant(ctx context.Context, n tenant.New) (tenant.Tenant, error) {
	if err := n.Validate(); err != nil {
		return tenant.Tenant{}, fmt.Errorf("add tenant: %w", err)
	}
	p := profile{Name: strings.TrimSpace(n.Name), AnySource: n.AnySource, TimeZone: n.TimeZone, Language: n.Language}
	if p.TimeZone == "" {
		p.TimeZone = "UTC"
	}
	if p.Language == "" {
		p.Language = words.Base
	}
	p.Sources = tenant.DistinctSources(n.Sources)
	row := store.TenantRow{ID: uuid.New(), NameHash: r.nameHash(n.Name), Policy: 1, Created: store.Cut(r.c.Clock())}
	err := r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		if _, ok, err := rows.TenantByName(row.NameHash); err != nil || ok {
			return errors.Join(err, ErrExists)
		}
		var err error
		if _, row.Lookup, err = keyring.Mint(ctx, r.c.KEK, row.ID, row.ID, keyring.KindLookupKey); err != nil {
			return err
		}
		if _, row.Record, err = keyring.Mint(ctx, r.c.KEK, row.ID, row.ID, keyring.KindRecordKey); err != nil {
			return err
		}
		if row.Profile, err = keyring.Wrap(ctx, r.c.KEK, row.ID, row.ID, kindProfile, schemas.JSON(p)); err != nil {
			return err
		}
		return rows.PutTenant(row)
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("add tenant: %w", err)
	}
	return newTenant(row, p), nil
}

// SetTenantSources changes which source tenants' records are the tenant's own. What was taken
// before stays. ErrNotFound: there is no such tenant.
func (r *Register) SetTenantSources(
	ctx context.Context, id uuid.UUID, all bool, sources []string,
) (tenant.Tenant, error) {
	err := tenant.CheckSources(all, sources)
	var t tenant.Tenant
	if err == nil {
		t, err = r.changeProfile(ctx, id, func(_ *store.TenantRow, p *profile) error {
			p.AnySource, p.Sources = all, tenant.DistinctSources(sources)
			return nil
		})
	}
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("set source tenants: %w", err)
	}
	return t, nil
}

// SetTenantPurposes changes for which purposes the tenant's data may be unsealed. ErrNotFound:
// there is no such tenant.
func (r *Register) SetTenantPurposes(ctx context.Context, id uuid.UUID, purposes []string) (tenant.Tenant, error) {
	t, err := r.changeProfile(ctx, id, func(_ *store.TenantRow, p *profile) error {
		p.Purposes = slices.Clone(purposes)
		return nil
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("set purposes: %w", err)
	}
	return t, nil
}

// SetTenantPolicy changes the tenant's collection policy to one of a higher number. ErrNotFound:
// there is no such tenant.
func (r *Register) SetTenantPolicy(ctx context.Context, id uuid.UUID, to policy.Policy) (tenant.Tenant, error) {
	t, err := r.changeProfile(ctx, id, func(row *store.TenantRow, p *profile) error {
		if to.Number <= row.Policy {
			return fmt.Errorf("policy %d is not behind %d, which holds", to.Number, row.Policy)
		}
		row.Policy, p.Policy = to.Number, &to
		return nil
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("set policy: %w", err)
	}
	return t, nil
}

// Policy returns the collection policy of the tenant that holds now. ErrNotFound: there is no such
// tenant.
func (r *Register) Policy(ctx context.Context, tenant uuid.UUID) (policy.Policy, error) {
	t, err := r.TenantByID(ctx, tenant)
	return t.Policy, err
}

func (r *Register) changeProfile(
	ctx context.Context, id uuid.UUID, change func(*store.TenantRow, *profile) error,
) (t tenant.Tenant, err error) {
	err = r.c.Update(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.Tenant(id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		p, err := r.readProfile(ctx, row)
		if err != nil {
			return err
		}
		if err := change(&row, &p); err != nil {
			return err
		}
		if row.Profile, err = keyring.Wrap(ctx, r.c.KEK, row.ID, row.ID, kindProfile, schemas.JSON(p)); err != nil {
			return err
		}
		t = newTenant(row, p)
		return rows.PutTenant(row)
	})
	return t, err
}

func newTenant(row store.TenantRow, p profile) tenant.Tenant {
	of := policy.Default()
	if p.Policy != nil {
		of = *p.Policy
	}
	of.Number = row.Policy
	return tenant.Tenant{ID: row.ID, Name: p.Name, AnySource: p.AnySource, Sources: p.Sources,
		Purposes: p.Purposes, Policy: of, TimeZone: p.TimeZone, Language: p.Language, Created: row.Created}
}

func (r *Register) nameHash(name string) []byte {
	return keyring.LookupHash(*r.c.Global, kindTenantName, schemas.LowerASCII(strings.TrimSpace(name)))
}

func (r *Register) readTenant(ctx context.Context, row store.TenantRow) (tenant.Tenant, error) {
	p, err := r.readProfile(ctx, row)
	if err != nil {
		return tenant.Tenant{}, err
	}
	return newTenant(row, p), nil
}

func (r *Register) readProfile(ctx context.Context, row store.TenantRow) (p profile, err error) {
	raw, err := keyring.Unwrap(ctx, r.c.KEK, row.ID, row.ID, kindProfile, row.Profile)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("profile of tenant %s: %w", row.ID, err)
	}
	return p, nil
}

// Tenant returns the tenant of that name, whatever its case. ErrNotFound: there is none.
func (r *Register) Tenant(ctx context.Context, name string) (tenant.Tenant, error) {
	var t tenant.Tenant
	err := r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.TenantByName(r.nameHash(name))
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		t, err = r.readTenant(ctx, row)
		return err
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("tenant by name: %w", err)
	}
	return t, nil
}

// TenantByID returns the tenant of that id. ErrNotFound: there is none.
func (r *Register) TenantByID(ctx context.Context, id uuid.UUID) (tenant.Tenant, error) {
	var t tenant.Tenant
	err := r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.Tenant(id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		t, err = r.readTenant(ctx, row)
		return err
	})
	if err != nil {
		return tenant.Tenant{}, fmt.Errorf("tenant %s: %w", id, err)
	}
	return t, nil
}

// Tenants returns all tenants in the order in which they were added.
func (r *Register) Tenants(ctx context.Context) ([]tenant.Tenant, error) {
	var out []tenant.Tenant
	err := r.c.View(ctx, uuid.Nil, func(rows store.Rows) error {
		all, err := rows.Tenants()
		for _, row := range all {
			if err != nil {
				break
			}
			var t tenant.Tenant
			t, err = r.readTenant(ctx, row)
			out = append(out, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return out, nil
}
