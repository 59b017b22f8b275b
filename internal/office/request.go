package office

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
)

// OpenRequest records a request of a data subject of the tenant, whatever tenant n names.
func (o *Office) OpenRequest(
	ctx context.Context, p access.Principal, tenant uuid.UUID, n custody.NewRequest,
) (custody.Request, error) {
	if err := p.Can(access.OpenRequest, tenant); err != nil {
		return custody.Request{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Request{}, err
	}
	n.Tenant = tenant
	return c.OpenRequest(ctx, p, n)
}

// Request returns a request of the tenant.
func (o *Office) Request(
	ctx context.Context, p access.Principal, tenant, request uuid.UUID,
) (custody.Request, error) {
	if err := p.Can(access.ReadRequest, tenant); err != nil {
		return custody.Request{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Request{}, err
	}
	return c.FindRequest(ctx, p, tenant, request)
}

// Package says how an access package is made.
type Package struct {
	To interface {
		io.Writer
		Sync() error
	}
	Lang    string // that comes first; "" for the tenant's
	Waiting func() // called now and then while the views are behind the ledger; may be nil
}

// Export writes the package of what the ledger links to the person of a request. Everything that
// can be refused is refused before the access is recorded; that the package was made is recorded
// when it is written, and only then may it be put in its place.
func (o *Office) Export(
	ctx context.Context, p access.Principal, tenant, request uuid.UUID, how Package,
) (dsar.Manifest, error) {
	fail := func(err error) (dsar.Manifest, error) { return dsar.Manifest{}, err }
	if err := p.Can(access.MakePackage, tenant); err != nil {
		return fail(err)
	}
	l, c, err := o.acts()
	if err != nil {
		return fail(err)
	}
	t, err := o.cfg.Vault.TenantByID(ctx, tenant)
	if err != nil {
		return fail(err)
	}
	r, err := c.FindRequest(ctx, p, tenant, request)
	if err != nil {
		return fail(err)
	}
	loc, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return fail(err)
	}
	views, err := o.cfg.Views(ctx)
	if err != nil {
		return fail(err)
	}
	cfg := dsar.Config{Reader: confined{views, tenant}, Catalogue: schemas.Default(), Clock: o.cfg.Clock,
		Lang:     how.Lang,
		Location: loc, Owners: owners(o.cfg.Vault)}
	if cfg.Lang == "" {
		cfg.Lang = t.Language
	}
	if err := cfg.Validate(); err != nil {
		return fail(err)
	}
	seq, err := WaitForViews(ctx, l, views, how.Waiting)
	if err != nil {
		return fail(err)
	}
	session, err := c.Access(ctx, p, custody.Purpose{Tenant: tenant, Report: "access-package",
		Code: custody.AnswerRequest, Text: request.String(), Seq: seq})
	if err != nil {
		return fail(err)
	}
	cfg.Opener = sessionOpener{session}
	person, err := o.person(ctx, t, r, seq)
	if err != nil {
		return fail(err)
	}
	m, err := dsar.Build(ctx, cfg, person, how.To)
	if err != nil {
		return fail(err)
	}
	if err := how.To.Sync(); err != nil {
		return fail(err)
	}
	return m, c.RecordPackage(ctx, p, r, m.Hash, seq, len(m.Files)+1)
}

// person gathers what the vault knows of the one who asks; of an erased person, nothing.
func (o *Office) person(ctx context.Context, t vault.Tenant, r custody.Request, seq uint64) (dsar.Person, error) {
	p := dsar.Person{Request: r.ID, Tenant: t.ID, TenantName: t.Name, Seq: seq}
	if r.Person == uuid.Nil {
		return p, nil
	}
	err := o.cfg.Vault.View(ctx, t.ID, func(tx *vault.Tx) error {
		aliases, err := tx.Aliases(r.Person)
		if err != nil {
			return err
		}
		for _, a := range aliases {
			p.Aliases = append(p.Aliases, dsar.Alias(a))
		}
		held, err := tx.DevicesOf(r.Person)
		if err != nil {
			return err
		}
		for _, h := range held {
			var refusals []schemas.Stream // of a shared device they are nobody's
			if vault.Shared(h.Ownership) {
				h.Ownership = dsar.Shared
			} else {
				if refusals, err = tx.RefusalsOf(h.Stream); err != nil {
					return err
				}
			}
			p.Devices = append(p.Devices, dsar.Device{Stream: h.Stream, From: h.From, To: h.To, Ownership: h.Ownership,
				Refusals: refusals})
		}
		names, err := tx.Identity(r.Person)
		for _, n := range names {
			p.Identity = append(p.Identity, dsar.Identity(n))
		}
		return err
	})
	if err != nil {
		return p, fmt.Errorf("gather what the vault knows of the person: %w", err)
	}
	return p, nil
}

// Erase erases the person of a request; custody.Erase says how. waiting may be nil.
func (o *Office) Erase(
	ctx context.Context, p access.Principal, tenant, request uuid.UUID, ground string, waiting func(time.Duration),
) (custody.Erased, error) {
	if err := p.Can(access.Erase, tenant); err != nil {
		return custody.Erased{}, err
	}
	_, c, err := o.acts()
	if err != nil {
		return custody.Erased{}, err
	}
	r, err := c.FindRequest(ctx, p, tenant, request)
	if err != nil {
		return custody.Erased{}, err
	}
	return c.Erase(ctx, p, r, ground, waiting)
}
