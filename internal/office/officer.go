package office

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
)

// Officers returns the accounts that act for one of the principal's tenants.
func (o *Office) Officers(ctx context.Context, p access.Principal) ([]accounts.Account, error) {
	if err := anywhere(p, access.ListOfficers); err != nil {
		return nil, err
	}
	all, err := o.cfg.Accounts.List(ctx)
	return slices.DeleteFunc(all, func(a accounts.Account) bool {
		return !p.All && !a.All && !slices.ContainsFunc(a.Tenants, p.Sees)
	}), err
}

// mayManage asks the table for every tenant that the account acts for: who manages one tenant's
// officers gives nobody, and takes from nobody, what concerns another.
func mayManage(p access.Principal, a accounts.Account) error {
	if a.All {
		return p.Can(access.ManageOfficer, uuid.Nil)
	}
	for _, t := range a.Tenants {
		if err := p.Can(access.ManageOfficer, t); err != nil {
			return err
		}
	}
	return nil
}

// managed returns the account, where the principal may manage it.
func (o *Office) managed(ctx context.Context, p access.Principal, name string) (accounts.Account, error) {
	if err := anywhere(p, access.ManageOfficer); err != nil {
		return accounts.Account{}, err
	}
	a, err := o.cfg.Accounts.Find(ctx, name)
	if err != nil {
		return accounts.Account{}, err
	}
	return a, mayManage(p, a)
}

// AddOfficer makes an account.
func (o *Office) AddOfficer(ctx context.Context, p access.Principal, n accounts.Account, password string) error {
	if err := anywhere(p, access.ManageOfficer); err != nil {
		return err
	}
	if err := accounts.CheckNew(n); err != nil {
		return err
	}
	if err := mayManage(p, n); err != nil {
		return err
	}
	return o.cfg.Accounts.Add(ctx, n, password)
}

// SetOfficer gives an account other roles and tenants.
func (o *Office) SetOfficer(
	ctx context.Context, p access.Principal, name string, roles []access.Role, tenants []uuid.UUID, all bool,
) (accounts.Account, error) {
	a, err := o.managed(ctx, p, name)
	if err != nil {
		return accounts.Account{}, err
	}
	if err := mayManage(p, accounts.Account{Tenants: tenants, All: all}); err != nil {
		return accounts.Account{}, err
	}
	return o.cfg.Accounts.Change(ctx, a.Name, roles, tenants, all)
}

// RemoveOfficer removes an account.
func (o *Office) RemoveOfficer(ctx context.Context, p access.Principal, name string) error {
	a, err := o.managed(ctx, p, name)
	if err != nil {
		return err
	}
	return o.cfg.Accounts.Remove(ctx, a.Name)
}

// SetPassword gives another's account a new password.
func (o *Office) SetPassword(ctx context.Context, p access.Principal, name, password string) error {
	a, err := o.managed(ctx, p, name)
	if err != nil {
		return err
	}
	return o.cfg.Accounts.SetPassword(ctx, a.Name, password)
}

// SetOwnPassword gives the principal's own account a new password.
func (o *Office) SetOwnPassword(ctx context.Context, p access.Principal, password string) error {
	if err := anywhere(p, access.OwnPassword); err != nil {
		return err
	}
	return o.cfg.Accounts.SetPassword(ctx, p.Login, password)
}
