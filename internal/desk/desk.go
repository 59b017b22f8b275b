// Package desk owns the opening of what an act needs on this machine: the stores that the settings
// name, the office over them, and who is at it, an account or the machine's user.
//
// It keeps nothing beyond the act: Close gives back all that was opened. It trusts the settings,
// and whoever can read the data directory.
package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/signin"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Places are where acts find their stores. The zero value opens those that the settings name; a
// test puts its own in their place, and sees what was done to them.
type Places struct {
	Office func(context.Context) (*Desk, error)
	Clock  func() time.Time
	Cost   accounts.Cost // of passwords' digests
}

// Now is the time at the desk.
func (p Places) Now() time.Time {
	if p.Clock != nil {
		return p.Clock()
	}
	return time.Now()
}

// Config says on which machine a desk is opened, and for whom.
type Config struct {
	Node     node.Config
	Who      signin.Who
	Warnings io.Writer              // what whoever acts should read, and is asked
	Words    func() *words.Language // of warnings, asked when there is one; the command line's where nil
	Places   Places
}

// Desk is the office, and who is at it. The tenant is the zero one until one is chosen.
type Desk struct {
	*node.Services
	Office *office.Office
	Who    access.Principal
	Tenant vault.Tenant
}

// Choose has the desk be for the tenant of that name; "" names the only one.
func (d *Desk) Choose(ctx context.Context, tenant string) (err error) {
	d.Tenant, err = d.Office.Tenant(ctx, d.Who, tenant)
	return err
}

// Reads returns in which language and time zone whoever is at the desk is told of events: the
// tenant's, where one is chosen or there is only one; else those of the command line and of this
// machine.
func (d *Desk) Reads(ctx context.Context) (*words.Language, *time.Location) {
	of := d.Tenant
	if of.ID == uuid.Nil {
		if all, err := d.Office.Tenants(ctx, d.Who); err == nil && len(all) == 1 {
			of = all[0]
		}
	}
	in, known := words.Default().Language(of.Language)
	zone, err := time.LoadLocation(of.TimeZone)
	if !known || err != nil {
		return words.Default().Base(), time.Local
	}
	return in, zone
}

// Acts opens what acts need: the vault, the ledger and custody.
func (c Config) Acts(ctx context.Context) (*Desk, error) {
	if c.Places.Office != nil {
		return c.Places.Office(ctx)
	}
	return c.open(ctx, node.Dial, func(s *node.Services, o *office.Config) (err error) {
		if o.Vault, err = s.OpenVault(ctx, false); err != nil {
			return err
		}
		l, err := s.OpenLedger(ctx, o.Vault)
		if err != nil {
			return err
		}
		o.Ledger = l
		o.Custody, err = c.Node.Custody(l, o.Vault)
		return err
	})
}

// Lists opens what is listed and changed without the ledger: tenants and accounts.
func (c Config) Lists(ctx context.Context) (*Desk, error) {
	local := func(n node.Config) (*node.Services, error) { return node.Local(n), nil }
	return c.open(ctx, local, withVault(ctx))
}

// Topics opens what follows the topics. Where there is no vault, nobody can have an account, and
// all is followed that there is.
func (c Config) Topics(ctx context.Context) (*Desk, error) {
	return c.open(ctx, node.Dial, func(s *node.Services, o *office.Config) error {
		if _, err := os.Stat(c.Node.VaultPath()); err != nil && c.Who.As == "" {
			return nil
		}
		return withVault(ctx)(s, o)
	})
}

// TenantsTopics opens what follows the topics for a tenant, whom the vault knows.
func (c Config) TenantsTopics(ctx context.Context) (*Desk, error) {
	return c.open(ctx, node.Dial, withVault(ctx))
}

// withVault opens the vault, and nothing else.
func withVault(ctx context.Context) func(*node.Services, *office.Config) error {
	return func(s *node.Services, o *office.Config) (err error) {
		o.Vault, err = s.OpenVault(ctx, false)
		return err
	}
}

// In is the desk of a node that this process runs, at which the machine's user is.
func (c Config) In(n *node.Node) (*Desk, error) {
	d := &Desk{Services: node.Local(c.Node)}
	var err error
	if d.Who, err = c.Who.User(); err != nil {
		return nil, err
	}
	o := c.office(d.Services)
	o.Vault, o.Ledger, o.Observer = n.Vault, n.Ledger, n.Metrics().Intake()
	if o.Custody, err = c.Node.Custody(n.Ledger, n.Vault); err != nil {
		return nil, err
	}
	d.Office, err = office.New(o)
	return d, err
}

// open wires an office from what connect and open give, and seats who acts.
func (c Config) open(
	ctx context.Context, connect func(node.Config) (*node.Services, error),
	open func(*node.Services, *office.Config) error,
) (_ *Desk, err error) {
	s, err := connect(c.Node)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	o := c.office(s)
	if err := open(s, &o); err != nil {
		return nil, err
	}
	d := &Desk{Services: s}
	if d.Who, err = c.seat(ctx, &o); err != nil {
		return nil, err
	}
	d.Office, err = office.New(o)
	return d, err
}

// seat says who acts, and once that nobody has an account.
func (c Config) seat(ctx context.Context, o *office.Config) (who access.Principal, err error) {
	if o.Vault == nil {
		return c.Who.User()
	}
	list := accounts.Config{Store: o.Vault, Clock: time.Now, Cost: c.Places.Cost}
	if o.Accounts, err = accounts.New(list); err != nil {
		return who, err
	}
	who, first, err := c.Who.Principal(ctx, o.Accounts)
	if first && err == nil {
		fmt.Fprintln(c.Warnings, answer.Nobody(who)+" (`ledgerline officer add` changes that; this is said once)")
	}
	return who, err
}

// office has what every office is wired with; views and topics are opened when they are read.
func (c Config) office(s *node.Services) office.Config {
	return office.Config{Clock: time.Now, Logger: c.Node.Log, ImportHook: node.CrashHook(c.Node.Log),
		Views: func(ctx context.Context) (office.Views, error) {
			v, err := s.OpenViews(ctx)
			if err == nil {
				c.tellProblems(ctx)
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

// in is the language of warnings.
func (c Config) in() *words.Language {
	if c.Words == nil {
		return words.Default().Base()
	}
	return c.Words()
}

// tellProblems warns of what stands in the running ledger: an answer that is made meanwhile counts
// forged events as true, and lacks what is lost. A ledger on servers of its own is not asked.
func (c Config) tellProblems(ctx context.Context) {
	doc, err := node.AskStatus(ctx, c.Node)
	if errors.Is(err, datadir.ErrNotUp) {
		return
	}
	if err != nil {
		fmt.Fprintln(c.Warnings, c.in().Text("answer.problems-unknown", words.Args{"error": err}))
	}
	for _, p := range doc.Problems {
		fmt.Fprintln(c.Warnings, c.in().Text("answer.problem-stands", words.Args{"problem": p}))
	}
}
