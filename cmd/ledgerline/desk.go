package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
)

// views are what reports and packages ask of.
type views interface {
	report.Reader
	dsar.Reader
	WaitThrough(ctx context.Context, seq uint64) error
}

// places are where acts find their stores. The zero value opens those that the configuration names;
// a test puts its own in their place, and sees what was done to them.
type places struct {
	office func(ctx context.Context) (*desk, error)
	views  func(ctx context.Context) (views, error)
	now    func() time.Time
}

func (a *app) openReader(ctx context.Context, s *node.Services) (views, error) {
	if a.places.views != nil {
		return a.places.views(ctx)
	}
	return s.OpenViews(ctx)
}

func (a *app) now() time.Time {
	if a.places.now != nil {
		return a.places.now()
	}
	return time.Now()
}

// connect finds the servers; what it opens belongs to the command.
func (a *app) connect() (*node.Services, error) { return node.Dial(a.node(nil)) }

// desk is what an act of an officer or operator needs. The tenant is the
// zero one until one is chosen.
type desk struct {
	*node.Services
	tenant  vault.Tenant
	vault   *vault.Vault
	ledger  *ledger.Ledger
	custody *custody.Custody
	who     access.Principal
}

// openDesk opens what an act for the tenant of that name needs.
func (a *app) openDesk(ctx context.Context, tenant string) (*desk, error) {
	d, err := a.openOffice(ctx)
	if err != nil {
		return nil, err
	}
	if d.tenant, err = findTenant(ctx, d.vault, tenant); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// openOffice opens what an act needs that is for no tenant yet.
func (a *app) openOffice(ctx context.Context) (_ *desk, err error) {
	if a.places.office != nil {
		return a.places.office(ctx)
	}
	s, err := a.connect()
	if err != nil {
		return nil, err
	}
	d := &desk{Services: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if d.vault, err = s.OpenVault(ctx, false); err != nil {
		return nil, err
	}
	if d.ledger, err = s.OpenLedger(ctx, d.vault); err != nil {
		return nil, err
	}
	if d.custody, err = a.node(nil).Custody(d.ledger, d.vault); err != nil {
		return nil, err
	}
	d.who, err = a.principal()
	return d, err
}

// principal is who acts: on one machine, the operating system's user, who may do everything.
func (a *app) principal() (access.Principal, error) {
	login := a.cfg.Operator
	if login == "" {
		u, err := user.Current()
		if err != nil {
			return access.Principal{}, fmt.Errorf("who acts: %w (set operator)", err)
		}
		host, err := os.Hostname()
		if err != nil {
			return access.Principal{}, fmt.Errorf("who acts: %w (set operator)", err)
		}
		login = u.Username + "@" + host
	}
	return access.Principal{Login: login, Roles: []access.Role{access.Operator, access.Officer}, All: true}, nil
}

// findTenant returns the tenant of that name; the error lists what there is.
func findTenant(ctx context.Context, v *vault.Vault, name string) (vault.Tenant, error) {
	all, err := v.Tenants(ctx)
	if err != nil {
		return vault.Tenant{}, err
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	var names []string
	for _, t := range all {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
		names = append(names, fmt.Sprintf("%q", t.Name))
	}
	switch {
	case len(all) == 0:
		return vault.Tenant{}, usage("there is no tenant yet: add one with `ledgerline tenant add NAME " +
			"--source-tenant ID|any`")
	case name == "":
		return vault.Tenant{}, usage("--tenant is required: one of %s", strings.Join(names, ", "))
	}
	return vault.Tenant{}, usage("there is no tenant %q: --tenant is one of %s", name, strings.Join(names, ", "))
}

func parseRequestID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, usage("request %q is not a uuid, as `ledgerline dsar open` printed it", s)
	}
	return id, nil
}
