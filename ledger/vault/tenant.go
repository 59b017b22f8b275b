package vault

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

// What a tenant is declared as stands in its own package.
type (
	Tenant    = tenant.Tenant
	NewTenant = tenant.New
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
func (v *Vault) AddTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	if err := n.Validate(); err != nil {
		return Tenant{}, fmt.Errorf("add tenant: %w", err)
	}
	p := profile{Name: strings.TrimSpace(n.Name), AnySource: n.AnySource, TimeZone: n.TimeZone, Language: n.Language}
	if p.TimeZone == "" {
		p.TimeZone = "UTC"
	}
	if p.Language == "" {
		p.Language = words.Base
	}
	p.Sources = tenant.DistinctSources(n.Sources)
	row := store.TenantRow{ID: uuid.New(), NameHash: v.nameHash(n.Name), Policy: 1, Created: cut(v.clock())}
	err := v.update(ctx, uuid.Nil, func(rows store.Rows) error {
		if _, ok, err := rows.TenantByName(row.NameHash); err != nil || ok {
			return errors.Join(err, ErrExists)
		}
		var err error
		if _, row.Lookup, err = keyring.Mint(ctx, v.kek, row.ID, row.ID, keyring.KindLookupKey); err != nil {
			return err
		}
		if _, row.Record, err = keyring.Mint(ctx, v.kek, row.ID, row.ID, keyring.KindRecordKey); err != nil {
			return err
		}
		if row.Profile, err = keyring.Wrap(ctx, v.kek, row.ID, row.ID, kindProfile, schemas.JSON(p)); err != nil {
			return err
		}
		return rows.PutTenant(row)
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("add tenant: %w", err)
	}
	return newTenant(row, p), nil
}

// SetTenantSources changes which source tenants' records are the tenant's own. What was taken
// before stays. ErrNotFound: there is no such tenant.
func (v *Vault) SetTenantSources(ctx context.Context, id uuid.UUID, all bool, sources []string) (Tenant, error) {
	err := tenant.CheckSources(all, sources)
	var t Tenant
	if err == nil {
		t, err = v.changeProfile(ctx, id, func(_ *store.TenantRow, p *profile) error {
			p.AnySource, p.Sources = all, tenant.DistinctSources(sources)
			return nil
		})
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("set source tenants: %w", err)
	}
	return t, nil
}

// SetTenantPurposes changes for which purposes the tenant's data may be unsealed. ErrNotFound:
// there is no such tenant.
func (v *Vault) SetTenantPurposes(ctx context.Context, id uuid.UUID, purposes []string) (Tenant, error) {
	t, err := v.changeProfile(ctx, id, func(_ *store.TenantRow, p *profile) error {
		p.Purposes = slices.Clone(purposes)
		return nil
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("set purposes: %w", err)
	}
	return t, nil
}

// SetTenantPolicy changes the tenant's collection policy to one of a higher number. ErrNotFound:
// there is no such tenant.
func (v *Vault) SetTenantPolicy(ctx context.Context, id uuid.UUID, to policy.Policy) (Tenant, error) {
	t, err := v.changeProfile(ctx, id, func(row *store.TenantRow, p *profile) error {
		if to.Number <= row.Policy {
			return fmt.Errorf("policy %d is not behind %d, which holds", to.Number, row.Policy)
		}
		row.Policy, p.Policy = to.Number, &to
		return nil
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("set policy: %w", err)
	}
	return t, nil
}

// Policy returns the collection policy of the tenant that holds now. ErrNotFound: there is no such
// tenant.
func (v *Vault) Policy(ctx context.Context, tenant uuid.UUID) (policy.Policy, error) {
	t, err := v.TenantByID(ctx, tenant)
	return t.Policy, err
}

func (v *Vault) changeProfile(
	ctx context.Context, id uuid.UUID, change func(*store.TenantRow, *profile) error,
) (t Tenant, err error) {
	err = v.update(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.Tenant(id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		p, err := v.readProfile(ctx, row)
		if err != nil {
			return err
		}
		if err := change(&row, &p); err != nil {
			return err
		}
		if row.Profile, err = keyring.Wrap(ctx, v.kek, row.ID, row.ID, kindProfile, schemas.JSON(p)); err != nil {
			return err
		}
		t = newTenant(row, p)
		return rows.PutTenant(row)
	})
	return t, err
}

func newTenant(row store.TenantRow, p profile) Tenant {
	of := policy.Default()
	if p.Policy != nil {
		of = *p.Policy
	}
	of.Number = row.Policy
	return Tenant{ID: row.ID, Name: p.Name, AnySource: p.AnySource, Sources: p.Sources,
		Purposes: p.Purposes, Policy: of, TimeZone: p.TimeZone, Language: p.Language, Created: row.Created}
}

func (v *Vault) nameHash(name string) []byte {
	return keyring.LookupHash(v.global, kindTenantName, normalise(kindTenantName, name))
}

func (v *Vault) readTenant(ctx context.Context, row store.TenantRow) (Tenant, error) {
	p, err := v.readProfile(ctx, row)
	if err != nil {
		return Tenant{}, err
	}
	return newTenant(row, p), nil
}

func (v *Vault) readProfile(ctx context.Context, row store.TenantRow) (p profile, err error) {
	raw, err := keyring.Unwrap(ctx, v.kek, row.ID, row.ID, kindProfile, row.Profile)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("profile of tenant %s: %w", row.ID, err)
	}
	return p, nil
}

// Tenant returns the tenant of that name, whatever its case. ErrNotFound: there is none.
func (v *Vault) Tenant(ctx context.Context, name string) (Tenant, error) {
	var t Tenant
	err := v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.TenantByName(v.nameHash(name))
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		t, err = v.readTenant(ctx, row)
		return err
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("tenant by name: %w", err)
	}
	return t, nil
}

// TenantByID returns the tenant of that id. ErrNotFound: there is none.
func (v *Vault) TenantByID(ctx context.Context, id uuid.UUID) (Tenant, error) {
	var t Tenant
	err := v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		row, ok, err := rows.Tenant(id)
		if err != nil {
			return err
		}
		if !ok {
			return ErrNotFound
		}
		t, err = v.readTenant(ctx, row)
		return err
	})
	if err != nil {
		return Tenant{}, fmt.Errorf("tenant %s: %w", id, err)
	}
	return t, nil
}

// Tenants returns all tenants in the order in which they were added.
func (v *Vault) Tenants(ctx context.Context) ([]Tenant, error) {
	var out []Tenant
	err := v.view(ctx, uuid.Nil, func(rows store.Rows) error {
		all, err := rows.Tenants()
		for _, row := range all {
			if err != nil {
				break
			}
			var t Tenant
			t, err = v.readTenant(ctx, row)
			out = append(out, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return out, nil
}
