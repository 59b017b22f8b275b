// Package signin owns who acts at a command line: somebody with an account, or, as long as nobody
// has one, this machine's user.
//
// It keeps nothing. It trusts the operating system to say who its user is, and whoever can read
// the data directory with everything: they hold the keys anyway.
package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

// Who says who is to act.
type Who struct {
	As       string // an account's name, "" for none
	Password string // the account's
	Operator string // what the machine's user is called; "" for the operating system's user at this host
}

// Principal returns who acts. first tells, once in the life of the accounts, that nobody has one.
// It errs with access.NotSignedIn where there are accounts and none is named.
func (w Who) Principal(ctx context.Context, list *accounts.Accounts) (p access.Principal, first bool, err error) {
	if w.As != "" {
		p, err = list.SignIn(ctx, w.As, w.Password)
		return p, false, err
	}
	if any, err := list.Any(ctx); err != nil {
		return p, false, err
	} else if any {
		return p, false, &access.Denied{Code: access.NotSignedIn}
	}
	if p, err = w.User(); err == nil {
		first, err = list.TellOnce(ctx)
	}
	return p, first, err
}

// User is who acts where nobody has an account: the machine's user, in each of these roles, for
// all tenants.
func (w Who) User() (access.Principal, error) {
	login, err := w.login()
	return access.Principal{Login: login,
		Roles: []access.Role{access.TenantAdmin, access.Officer, access.Operator}, All: true}, err
}

// Keeper is who starts, restores and repairs, whether or not anybody has an account: the machine's
// user, who sees no tenant's data by that.
func (w Who) Keeper() (access.Principal, error) {
	login, err := w.login()
	return access.Principal{Login: login, Roles: []access.Role{access.Operator}, All: true}, err
}

func (w Who) login() (string, error) {
	if w.Operator != "" {
		return w.Operator, nil
	}
	u, err := user.Current()
	var host string
	if err == nil {
		host, err = os.Hostname()
	}
	if err != nil {
		return "", fmt.Errorf("who acts: %w (set operator)", err)
	}
	return u.Username + "@" + host, nil
}

// ErrNoPassword says that an account was named, and no password given.
var ErrNoPassword = errors.New("no password was given: type it, give it as the first line of standard input, or " +
	"name its file by as-password-file")

// ReadPassword reads the account's password: from its file, unseen from a terminal, or else the
// next line of in.
func (w Who) ReadPassword(ctx context.Context, in io.Reader, prompt io.Writer, file string) (string, error) {
	var password string
	if file != "" {
		raw, err := datadir.ReadPrivate(file)
		if err != nil {
			return "", fmt.Errorf("as-password-file: %w", err)
		}
		password, _, _ = strings.Cut(string(raw), "\n")
		password = strings.TrimSuffix(password, "\r")
	} else {
		var err error
		if password, err = terminal.Password(ctx, in, prompt, "password of "+w.As+": "); err != nil {
			return "", err
		}
	}
	if password == "" {
		return "", ErrNoPassword
	}
	return password, nil
}
