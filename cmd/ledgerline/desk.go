package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// places are where acts find their stores. The zero value opens those that the configuration names;
// a test puts its own in their place, and sees what was done to them.
type places struct {
	office func(ctx context.Context) (*desk, error)
	now    func() time.Time
}

func (a *app) now() time.Time {
	if a.places.now != nil {
		return a.places.now()
	}
	return time.Now()
}

// connect finds the servers; what it opens belongs to the command.
func (a *app) connect() (*node.Services, error) { return node.Dial(a.node(nil)) }

// desk is the office, and who is at it. The tenant is the zero one until one is chosen.
type desk struct {
	*node.Services
	office *office.Office
	who    access.Principal
	tenant vault.Tenant
}

// openDesk opens what an act for the tenant of that name needs.
func (a *app) openDesk(cmd *cobra.Command, tenant string) (*desk, error) {
	d, err := a.openOffice(cmd)
	if err != nil {
		return nil, err
	}
	if d.tenant, err = d.office.Tenant(cmd.Context(), d.who, tenant); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// openOffice opens what an act needs that is for no tenant yet.
func (a *app) openOffice(cmd *cobra.Command) (*desk, error) {
	if a.places.office != nil {
		return a.places.office(cmd.Context())
	}
	return a.openAs(cmd, a.connect, func(ctx context.Context, s *node.Services, c *office.Config) (err error) {
		if c.Vault, err = s.OpenVault(ctx, false); err != nil {
			return err
		}
		l, err := s.OpenLedger(ctx, c.Vault)
		if err != nil {
			return err
		}
		c.Ledger = l
		c.Custody, err = a.node(nil).Custody(l, c.Vault)
		return err
	})
}

// openLists opens what is listed and changed without the ledger: tenants and accounts.
func (a *app) openLists(cmd *cobra.Command) (*desk, error) {
	return a.openAs(cmd, func() (*node.Services, error) { return node.Local(a.node(nil)), nil },
		func(ctx context.Context, s *node.Services, c *office.Config) (err error) {
			c.Vault, err = s.OpenVault(ctx, false)
			return err
		})
}

// openTopics opens what follows the topics. Where there is no vault, nobody can have an account.
func (a *app) openTopics(cmd *cobra.Command, needsVault bool) (*desk, error) {
	return a.openAs(cmd, a.connect, func(ctx context.Context, s *node.Services, c *office.Config) (err error) {
		if !needsVault && a.cfg.As == "" && !exists(a.node(nil).VaultPath()) {
			return nil
		}
		c.Vault, err = s.OpenVault(ctx, false)
		return err
	})
}

// openAs wires an office from what connect and open give, and seats who acts.
func (a *app) openAs(
	cmd *cobra.Command, connect func() (*node.Services, error),
	open func(context.Context, *node.Services, *office.Config) error,
) (_ *desk, err error) {
	if err := a.readAsPassword(cmd); err != nil {
		return nil, err
	}
	s, err := connect()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	ctx := cmd.Context()
	c := a.officeConfig(s, cmd.ErrOrStderr())
	if err := open(ctx, s, &c); err != nil {
		return nil, err
	}
	d := &desk{Services: s}
	if c.Vault == nil {
		d.who, err = a.systemUser()
	} else if c.Accounts, err = accounts.New(accounts.Config{Store: c.Vault, Clock: time.Now}); err == nil {
		d.who, err = a.signIn(ctx, c.Accounts, cmd.ErrOrStderr())
	}
	if err != nil {
		return nil, err
	}
	d.office, err = office.New(c)
	return d, err
}

// officeConfig has what every office is wired with; views and topics are opened when they are read.
func (a *app) officeConfig(s *node.Services, warnings io.Writer) office.Config {
	return office.Config{Clock: time.Now, Logger: a.log, ImportHook: node.CrashHook(a.log),
		Views: func(ctx context.Context) (office.Views, error) {
			v, err := s.OpenViews(ctx)
			if err == nil {
				a.tellProblems(ctx, warnings)
			}
			return v, err
		},
		Topics: func(context.Context) (office.Topics, error) {
			client, err := s.OpenKafka(datadir.Reader)
			if err != nil {
				return nil, err
			}
			return node.NewSource(client), nil
		}}
}

// signIn returns who acts: an account where there are any, and else the operating system's user.
func (a *app) signIn(ctx context.Context, list *accounts.Accounts, told io.Writer) (access.Principal, error) {
	if a.cfg.As != "" {
		return list.SignIn(ctx, a.cfg.As, a.asPassword)
	}
	if any, err := list.Any(ctx); err != nil {
		return access.Principal{}, err
	} else if any {
		return access.Principal{}, &access.Denied{Code: access.NotSignedIn}
	}
	p, err := a.systemUser()
	if err != nil {
		return p, err
	}
	switch tell, err := list.TellOnce(ctx); {
	case err != nil:
		return p, err
	case tell:
		fmt.Fprintln(told, nobodyText(p))
	}
	return p, nil
}

// nobodyText says who acts where nobody has an account.
func nobodyText(p access.Principal) string {
	return "nobody has an account yet: whoever is this machine's user acts as " + rolesText(p.Roles) +
		" of all tenants (`ledgerline officer add` changes that; this is said once)"
}

func rolesText(roles []access.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// systemUser is who acts where nobody has an account. Whoever can read the data directory holds the
// keys anyway.
func (a *app) systemUser() (access.Principal, error) {
	login, err := a.systemLogin()
	return access.Principal{Login: login,
		Roles: []access.Role{access.TenantAdmin, access.Officer, access.Operator}, All: true}, err
}

// machineOperator is who starts, restores and repairs, whether or not anybody has an account: the
// operating system's user, who sees no tenant's data by that.
func (a *app) machineOperator() (access.Principal, error) {
	login, err := a.systemLogin()
	return access.Principal{Login: login, Roles: []access.Role{access.Operator}, All: true}, err
}

func (a *app) systemLogin() (string, error) {
	if a.cfg.Operator != "" {
		return a.cfg.Operator, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who acts: %w (set operator)", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("who acts: %w (set operator)", err)
	}
	return u.Username + "@" + host, nil
}

// readAsPassword reads the password of the account that is to act: from its file, unseen from a
// terminal, or else the first line of standard input. It comes before all that a command reads there.
func (a *app) readAsPassword(cmd *cobra.Command) error {
	if a.cfg.As == "" {
		if a.cfg.AsPasswordFile != "" {
			return usage("as-password-file is for an account, and none is named: --as NAME")
		}
		return nil
	}
	if a.asPassword != "" {
		return nil
	}
	var err error
	if path := a.cfg.AsPasswordFile; path != "" {
		var raw []byte
		if raw, err = datadir.ReadPrivate(path); err != nil {
			return usage("as-password-file: %w", err)
		}
		a.asPassword, _, _ = strings.Cut(string(raw), "\n")
		a.asPassword = strings.TrimSuffix(a.asPassword, "\r")
	} else {
		a.asPassword, err = terminal.Password(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(),
			"password of "+a.cfg.As+": ")
	}
	switch {
	case err != nil:
		return err
	case a.asPassword == "":
		return usage("no password was given: type it, give it as the first line of standard input, or name its " +
			"file by as-password-file")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
