package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/signin"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// places are where acts find their stores. The zero value opens those that the configuration
// names; a test puts its own in their place, and sees what was done to them.
type places struct {
	office func(ctx context.Context) (*desk, error)
	now    func() time.Time
	cost   accounts.Cost // of passwords' digests
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

// listing runs a command on tenants and accounts.
func (a *app) listing(do func(cmd *cobra.Command, d *desk, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		d, err := a.openLists(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		return do(cmd, d, args)
	}
}

// openTopics opens what follows the topics. Where there is no vault, nobody can have an account.
func (a *app) openTopics(cmd *cobra.Command, needsVault bool) (*desk, error) {
	return a.openAs(cmd, a.connect, func(ctx context.Context, s *node.Services, c *office.Config) (err error) {
		if !needsVault && a.cfg.As == "" && !a.hasVault() {
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
	first := false
	if c.Vault == nil {
		d.who, err = a.who().User()
	} else {
		list := accounts.Config{Store: c.Vault, Clock: time.Now, Cost: a.places.cost}
		if c.Accounts, err = accounts.New(list); err == nil {
			d.who, first, err = a.who().Principal(ctx, c.Accounts)
		}
	}
	if err != nil {
		return nil, err
	}
	if first {
		fmt.Fprintln(cmd.ErrOrStderr(), answer.Nobody(d.who)+
			" (`ledgerline officer add` changes that; this is said once)")
	}
	d.office, err = office.New(c)
	return d, err
}

// officeConfig has what every office is wired with; views and topics are opened when they are
// read.
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

// who says who acts, as flags and settings have it.
func (a *app) who() signin.Who {
	return signin.Who{As: a.cfg.As, Password: a.asPassword, Operator: a.cfg.Operator}
}

// readAsPassword reads the password of the account that is to act. It comes before all that a
// command reads from standard input.
func (a *app) readAsPassword(cmd *cobra.Command) (err error) {
	switch {
	case a.cfg.As == "" && a.cfg.AsPasswordFile != "":
		return usage("as-password-file is for an account, and none is named: --as NAME")
	case a.cfg.As != "" && a.asPassword == "":
		a.asPassword, err = a.who().ReadPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(),
			a.cfg.AsPasswordFile)
	}
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

func (a *app) hasVault() bool {
	_, err := os.Stat(a.node(nil).VaultPath())
	return err == nil
}
