// Package office owns the use cases: what people do with a ledger, whichever door they come by.
// Each takes who acts and for which tenant, and asks the table of package access before anything
// is read or written. What it hands out is bound to that tenant and can see no other.
//
// It keeps no state and may lose none: acts are in the ledger and the vault, and custody
// completes those that a crash cut. It trusts the door that says who acts. It says what is wrong
// by codes and fields; the door puts them into words. The rules are docs/DESIGN.md §3.
package office

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ledger is what the office needs of the ledger.
type Ledger interface {
	intake.Ledger
	Last(ctx context.Context) (schemas.Envelope, error)
	Check(ctx context.Context, tenants []uuid.UUID, owners ledger.Owners, each func(ledger.Found) error) error
}

// Views are what reports and packages ask of.
type Views interface {
	report.Reader
	dsar.Reader
	WaitThrough(ctx context.Context, seq uint64) error
}

// Config is what an office works with. Ledger and Custody may be nil where there is nothing but
// tenants and accounts to look at, Vault and Accounts too where events are only followed.
type Config struct {
	Vault    *vault.Vault
	Accounts *accounts.Accounts
	Ledger   Ledger
	Custody  *custody.Custody
	Views    func(context.Context) (Views, error)  // opened where they are read
	Topics   func(context.Context) (Topics, error) // likewise
	Clock    func() time.Time
	Logger   *slog.Logger
	// ImportHook is called at named points of an import, for crash tests; nil does nothing.
	ImportHook func(point string) error
	Observer   intake.Observer // nobody where nil
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	for _, m := range []struct {
		missing bool
		name    string
	}{{c.Clock == nil, "Clock"}, {c.Logger == nil, "Logger"}, {c.Views == nil, "Views"},
		{c.Topics == nil, "Topics"}} {
		if m.missing {
			errs = append(errs, errors.New("office config: "+m.name+" is missing"))
		}
	}
	return errors.Join(errs...)
}

// Office performs the use cases. It is safe for concurrent use.
type Office struct{ cfg Config }

// New returns an office.
func New(c Config) (*Office, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Office{c}, nil
}

var (
	errNoLedger = errors.New("office: this one was opened without its ledger")
	errNoVault  = errors.New("office: this one was opened without its vault")
)

// acts returns what acts of the ledger need.
func (o *Office) acts() (Ledger, *custody.Custody, error) {
	if o.cfg.Ledger == nil || o.cfg.Custody == nil {
		return nil, nil, errNoLedger
	}
	return o.cfg.Ledger, o.cfg.Custody, nil
}

// anywhere returns nil where the principal may do that in one of their tenants at least.
func anywhere(p access.Principal, do access.Action) error {
	if p.All || len(p.Tenants) == 0 {
		return p.Can(do, uuid.Nil)
	}
	return p.Can(do, p.Tenants[0])
}

// owners tells whom aliases of a tenant name; those that name nobody any more are left out.
func owners(v *vault.Vault) func(context.Context, uuid.UUID, []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
	return func(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
		out := map[uuid.UUID]schemas.Owner{}
		err := v.View(ctx, tenant, func(tx *vault.Tx) error {
			if err := tx.LookAhead(vault.Ahead{Aliases: aliases}); err != nil {
				return err
			}
			for _, a := range aliases {
				o, err := tx.AliasOwner(a)
				switch {
				case err == nil:
					out[a] = o
				case !errors.Is(err, vault.ErrErased) && !errors.Is(err, vault.ErrExpired) &&
					!errors.Is(err, vault.ErrNotFound):
					return err
				}
			}
			return nil
		})
		return out, err
	}
}
