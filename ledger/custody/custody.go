// Package custody owns the acts in which a key and an event must agree: access to personal data,
// requests of data subjects, packages, and erasure.
//
// It keeps no state of its own: an act is in the ledger and in the vault, and is resumed from
// there. It may lose nothing between them: each act is ordered so that a crash leaves it
// either not begun or completed by Resume. It trusts the doors that authenticate the
// principal, and authorises itself. The rules are docs/DESIGN.md §4.
package custody

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Ledger is what custody needs of the ledger.
type Ledger interface {
	Append(ctx context.Context, s schemas.Stream, expect ledger.Expect, events []schemas.Event) (uint64, error)
	ledger.Reader
	// Events yields the whole ledger, and After what follows the anchor, for acts that a crash
	// interrupted; the latter yields ledger.ErrDiverged where the anchor does not match.
	Events(ctx context.Context) iter.Seq2[schemas.Envelope, error]
	After(ctx context.Context, a *schemas.Anchor) iter.Seq2[schemas.Envelope, error]
}

// Config is what custody works with.
type Config struct {
	Ledger Ledger
	Vault  *vault.Vault
	Logger *slog.Logger
	Clock  func() time.Time
	// Settle is how long an erasure waits between destroying and recording that it is done: no
	// process may hold a derived key any longer than that (DESIGN §4); 30 s when zero.
	Settle time.Duration
	// Progress, where set, is told the sequence up to which Resume has looked for orders.
	Progress func(seq uint64)
	// Hook is called at named points of an act, for crash tests; nil does nothing.
	Hook func(point string) error
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Ledger == nil {
		errs = append(errs, errors.New("custody config: Ledger is missing"))
	}
	if c.Vault == nil {
		errs = append(errs, errors.New("custody config: Vault is missing"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("custody config: Logger is missing"))
	}
	if c.Clock == nil {
		errs = append(errs, errors.New("custody config: Clock is missing"))
	}
	return errors.Join(errs...)
}

// Custody performs the acts. It is safe for concurrent use.
type Custody struct {
	cfg Config
	cat *schemas.Catalogue
}

// New returns a Custody. Call Resume before serving.
func New(cfg Config) (*Custody, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Settle == 0 {
		cfg.Settle = 30 * time.Second
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) error { return nil }
	}
	return &Custody{cfg: cfg, cat: schemas.Default()}, nil
}

// source is the metadata's source of custody's own events.
const source = "custody"

func (c *Custody) draft(typ string, tenant uuid.UUID, stream schemas.Stream) schemas.Draft {
	now := c.cfg.Clock()
	return schemas.Draft{Type: c.cat.MustType(typ), Tenant: tenant, Stream: stream, ID: schemas.NewID(), Occurred: now,
		Recorded: now, Source: source}
}

// set adds a value of v's JSON form to the draft, under the key of owner where it is sealed.
func (c *Custody) set(d *schemas.Draft, attr string, v any, owner schemas.Owner, path ...string) {
	d.Values = append(d.Values, schemas.Value{Attr: c.cat.MustAttribute(attr), Path: path,
		Plain: schemas.JSON(v), Owner: owner})
}

// tenantOwner seals under the tenant's own key.
var tenantOwner = schemas.Owner{Kind: schemas.OwnerTenant}

func personOwner(person uuid.UUID) schemas.Owner {
	if person == uuid.Nil {
		return tenantOwner
	}
	return schemas.Owner{Kind: schemas.OwnerPerson, ID: person}
}

// officer returns the person in the vault who stands for the principal, and mints one at first
// sight: operators of the ledger are persons too.
func officer(tx *vault.Tx, p access.Principal, at time.Time) (uuid.UUID, error) {
	id, _, err := tx.Person(vault.PersonHint{UPN: p.Login, At: at})
	if err != nil {
		return uuid.Nil, fmt.Errorf("the acting person: %w", err)
	}
	if id == uuid.Nil {
		return uuid.Nil, &Problem{Field: FieldBy, Code: ErrUnfit}
	}
	return id, nil
}

// sealAndEncode turns a draft into an event inside a vault transaction; its aliases are
// durable when that has committed.
func (c *Custody) sealAndEncode(tx *vault.Tx, d *schemas.Draft) (schemas.Event, error) {
	if err := tx.Seal(d); err != nil {
		return schemas.Event{}, err
	}
	return c.cat.Encode(*d)
}

// read hands over the events of a stream on which the tenant's acts may rest. What it leaves out
// is in the log and in the reading.
func (c *Custody) read(
	ctx context.Context, s schemas.Stream, tenant uuid.UUID, each func(ledger.Own) error,
) (ledger.Reading, error) {
	var reading ledger.Reading
	for own, err := range ledger.ReadGenuine(ctx, c.cfg.Ledger, c.cat, s, tenant, &reading) {
		if err == nil {
			err = each(own)
		}
		if err != nil {
			return reading, fmt.Errorf("read %s: %w", s, err)
		}
	}
	for _, e := range reading.Left.First {
		c.leftOut(e)
	}
	return reading, nil
}

func (c *Custody) leftOut(e ledger.LeftEvent) {
	c.cfg.Logger.Warn("an event of a stream is not acted on", "event", e.ID, "stream", e.Stream,
		"revision", e.Revision, "why", e.Verdict.String())
}

// maxContended bounds how often an append is tried at the end of a stream to which others write.
const maxContended = 8

// appendBehind appends the events where the stream ends, which is at last known as expect
// says: what others wrote there by then keeps its revision. It is for events that say the
// same whatever came before them.
func (c *Custody) appendBehind(
	ctx context.Context, s schemas.Stream, expect ledger.Expect, events ...schemas.Event,
) (uint64, error) {
	for try := 1; ; try++ {
		last, err := c.cfg.Ledger.Append(ctx, s, expect, events)
		if !errors.Is(err, ledger.ErrConflict) || try == maxContended {
			return last, err
		}
		from, _ := expect.Revision()
		for r, err := range c.cfg.Ledger.ReadStream(ctx, s, from) {
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", s, err)
			}
			expect = ledger.Exact(r.Revision)
		}
	}
}

// recordOnce brings events into a stream that is to hold an event of the first one's type once,
// and reports whether it did already. A conflict alone says nothing, nor does an answer to a
// known id: anybody may have written there.
func (c *Custody) recordOnce(ctx context.Context, tenant uuid.UUID, events ...schemas.Event) (before bool, err error) {
	s := events[0].Stream
	for try := 0; ; try++ {
		recorded := false
		reading, err := c.read(ctx, s, tenant, func(own ledger.Own) error {
			recorded = recorded || own.Type == events[0].Type
			return nil
		})
		if err != nil || recorded {
			return try == 0, err
		}
		if try == maxContended {
			return false, fmt.Errorf("record in %s: others write to the stream each time: %w", s, ledger.ErrConflict)
		}
		if _, err := c.cfg.Ledger.Append(ctx, s, reading.Expect(), events); err != nil &&
			!errors.Is(err, ledger.ErrConflict) {
			return false, err
		}
	}
}

func (c *Custody) append(ctx context.Context, expect ledger.Expect, e schemas.Event) error {
	if _, err := c.cfg.Ledger.Append(ctx, e.Stream, expect, []schemas.Event{e}); err != nil {
		return err
	}
	return nil
}
