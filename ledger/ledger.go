// Package ledger owns the one way into and out of the event store: append, read, and follow in
// ledger order, with the only counter of the ledger sequence (docs/FORMATS.md §6).
//
// It may lose nothing that an append acknowledged; its sequence index is a copy that is rebuilt
// from $all. It trusts the Store for durability and order, and checks the rest: limits before an
// append, anchors before following.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/schemas"
)

// Errors by which callers branch.
var (
	// ErrNoLedger: the store does not begin with ledger.created.v1. Create makes one.
	ErrNoLedger = errors.New("the event store holds no ledger")
	// ErrExists: the store holds a ledger already.
	ErrExists = errors.New("the event store holds a ledger already")
	// ErrDiverged: the ledger is not the one a saved position was taken from, or it
	// is shorter. Everything stops.
	ErrDiverged = errors.New("the ledger has diverged from a saved position")
	// ErrOtherVault: the vault did not make this ledger's first event, so it
	// can judge none and sign none.
	ErrOtherVault = errors.New("the vault is not this ledger's")
)

// Config says where the ledger lives.
type Config struct {
	Store     Store
	IndexPath string // the sequence index's file; empty where this process never follows

	// Origin gives a tenant's origin key, and false where the vault knows no such tenant. Without
	// it nothing can be appended and nothing judged; a process that only reads may leave it out.
	Origin func(ctx context.Context, tenant uuid.UUID) (schemas.OriginKey, bool, error)
	Logger *slog.Logger
	Clock  func() time.Time
	// Progress, where set, is told while the index catches up with a saved position, of how many
	// events it lacked how many it has.
	Progress func(done, of uint64)
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("ledger config: Store is missing"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("ledger config: Logger is missing"))
	}
	if c.Clock == nil {
		errs = append(errs, errors.New("ledger config: Clock is missing"))
	}
	return errors.Join(errs...)
}

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	cfg   Config
	id    uuid.UUID
	index *sequenceIndex // nil where this process never follows
	kept  atomic.Bool    // a beginning of the index was kept, or looked for

	foreignMu sync.Mutex
	foreign   foreignNotes // guarded by foreignMu
}

// Create writes the ledger's first event, with a random ledger id, into a store that holds no
// ledger, and opens it. It returns ErrExists where there is one. A crash between the two
// leaves a ledger that Open accepts.
func Create(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := schemas.Default()
	e, err := c.Encode(schemas.Draft{
		Type: c.MustType("ledger.created.v1"), Stream: schemas.LedgerStream, ID: schemas.NewID(),
		Recorded: cfg.Clock(), Source: "ledger",
		Values: []schemas.Value{{Attr: c.MustAttribute("ledger.id"), Plain: schemas.JSON(uuid.New().String())}},
	})
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	if _, found, err := cfg.Store.Last(ctx); err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	} else if found {
		return nil, fmt.Errorf("create ledger: %w", ErrExists)
	}
	expect := NoStream
	for r, err := range cfg.Store.ReadStream(ctx, schemas.LedgerStream, 0) { // foreign events keep their revisions
		if err != nil {
			return nil, fmt.Errorf("create ledger: %w", err)
		}
		expect = Exact(r.Revision)
	}
	events, err := cfg.sign(ctx, expect, []schemas.Event{e})
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	if _, err := appendRetrying(ctx, cfg.Store, schemas.LedgerStream, expect, events); err != nil {
		if errors.Is(err, ErrConflict) {
			err = ErrExists
		}
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return Open(ctx, cfg)
}

// Open opens the ledger the store holds, or returns ErrNoLedger.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{cfg: cfg}
	for r, err := range cfg.Store.ReadStream(ctx, schemas.LedgerStream, 0) {
		if err != nil {
			return nil, fmt.Errorf("open ledger: %w", err)
		}
		e, err := schemas.NewEnvelope(r)
		if err != nil {
			continue
		}
		if l.id, err = createdID(e); err != nil {
			return nil, fmt.Errorf("open ledger: %w", err)
		}
		if cfg.Origin == nil {
			break
		}
		if v, err := l.Judge(ctx, e); err != nil || v != Genuine {
			return nil, fmt.Errorf("open ledger %s: %w", l.id, cmp.Or(err, ErrOtherVault))
		}
		break
	}
	if l.id == uuid.Nil {
		return nil, fmt.Errorf("open ledger: %w", ErrNoLedger)
	}
	if cfg.IndexPath != "" {
		ix, err := openIndex(cfg.IndexPath)
		if err != nil {
			return nil, fmt.Errorf("open ledger: %w", err)
		}
		l.index = ix
		l.foreign = loadForeign(cfg.IndexPath+foreignSuffix, l.id)
		if ix.len() == 0 {
			l.resetForeign() // it will all be met again, and may be another store's
		}
		ix.goOn(l.foreign.Checkpoint)
	}
	return l, nil
}

// createdID returns the ledger's id out of the first event of the ledger's stream.
func createdID(e schemas.Envelope) (uuid.UUID, error) {
	d, err := schemas.Default().Decode(e)
	if err != nil || d.Type.Name != "ledger.created.v1" || len(d.Values) != 1 {
		return uuid.Nil, fmt.Errorf("the first event of %s is no ledger.created.v1: %w",
			schemas.LedgerStream, errors.Join(err, ErrNoLedger))
	}
	id, err := schemas.ParseUUID(d.Values[0].Text())
	if err != nil {
		return uuid.Nil, fmt.Errorf("ledger id: %w", err)
	}
	return id, nil
}

// Close releases the sequence index.
func (l *Ledger) Close() error {
	if l.index == nil {
		return nil
	}
	return errors.Join(l.saveForeign(true), l.index.close())
}

// ID returns the ledger's random id.
func (l *Ledger) ID() uuid.UUID { return l.id }

// Append signs the events for the revisions that they get, stores them in one stream, all or none,
// and returns the last one's revision once they are durable. It refuses what breaks a limit before
// it is sent, and repeats, with the same event ids, an append whose outcome is unknown.
func (l *Ledger) Append(ctx context.Context, s schemas.Stream, expect Expect, events []schemas.Event) (uint64, error) {
	signed, err := l.cfg.sign(ctx, expect, events)
	if err == nil {
		err = checkAppend(s, signed)
	}
	if err != nil {
		return 0, fmt.Errorf("append to %s: %w", s, err)
	}
	return appendRetrying(ctx, l.cfg.Store, s, expect, signed)
}

// sign gives each event its origin. What a draft encodes has none; the tenant stands before it.
func (c Config) sign(ctx context.Context, expect Expect, events []schemas.Event) ([]schemas.Event, error) {
	if c.Origin == nil {
		return nil, errors.New("this process has no vault to sign with")
	}
	out := make([]schemas.Event, len(events))
	for i, e := range events {
		tenant, ok := schemas.TenantOf(e.Metadata)
		if !ok {
			return nil, fmt.Errorf("event %d: its metadata names no tenant where it should", i)
		}
		k, known, err := c.Origin(ctx, tenant)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		if !known {
			return nil, fmt.Errorf("event %d: the vault knows no tenant %s", i, tenant)
		}
		out[i] = schemas.Sign(e, expect.first()+uint64(i), k)
	}
	return out, nil
}

func checkAppend(s schemas.Stream, events []schemas.Event) error {
	if len(events) == 0 {
		return errors.New("no events")
	}
	total := 0
	ids := make(map[uuid.UUID]bool, len(events))
	for i, e := range events {
		switch {
		case e.Size() > schemas.MaxEventBytes:
			return fmt.Errorf("event %d: %w: %d bytes, at most %d",
				i, schemas.ErrTooLarge, e.Size(), schemas.MaxEventBytes)
		case e.Stream != s || !schemas.InLedger(e):
			return fmt.Errorf("event %d belongs to %q as %q, which is not a ledger event of this stream",
				i, e.Stream, e.Type)
		case ids[e.ID]:
			return fmt.Errorf("event %d has no id of its own", i)
		}
		ids[e.ID] = true
		total += e.Size()
	}
	if total > schemas.MaxAppendBytes {
		return fmt.Errorf("%w: %d bytes in one append, at most %d", schemas.ErrTooLarge, total, schemas.MaxAppendBytes)
	}
	return nil
}

// An append whose outcome is unknown is repeated for so long, with these pauses, before the caller
// is told. This is the one layer that repeats it: a caller that is told does not, for the store is
// gone.
const appendPatience = 10 * time.Second

var appendAgain = retry.Policy{First: 50 * time.Millisecond, Longest: 2 * time.Second}

// appendRetrying gives the first attempt the store's own time, and those after it what is left of
// the patience.
func appendRetrying(
	ctx context.Context, store Store, s schemas.Stream, expect Expect, events []schemas.Event,
) (uint64, error) {
	last, err := store.Append(ctx, s, expect, events)
	if err == nil || !errors.Is(err, ErrUnknownOutcome) {
		return last, err
	}
	patient, cancel := context.WithTimeout(ctx, appendPatience)
	defer cancel()
	attempts := 1
	for pauses := appendAgain.Begin(); pauses.Wait(patient) == nil; {
		attempts++
		again, cause := store.Append(patient, s, expect, events)
		switch {
		case cause == nil:
			return again, nil
		case patient.Err() != nil: // what ended is the patience
		case !errors.Is(cause, ErrUnknownOutcome):
			return again, cause
		default:
			err = cause
		}
	}
	if ctx.Err() != nil {
		return 0, fmt.Errorf("append to %s: %w", s, errors.Join(ErrUnknownOutcome, context.Cause(ctx)))
	}
	return 0, fmt.Errorf("no answer to %d attempts in %s, given up: %w", attempts, appendPatience, err)
}

// ReadStream yields the stream's events from that revision on, foreign ones too, without Seq.
// Expected revisions count all of them; whoever acts on one asks Judge first.
func (l *Ledger) ReadStream(
	ctx context.Context, s schemas.Stream, from uint64,
) iter.Seq2[schemas.RecordedEvent, error] {
	return l.cfg.Store.ReadStream(ctx, s, from)
}

// Verdict says what an event in the store is.
type Verdict int

// Verdicts.
const (
	Genuine     Verdict = iota // the ledger's own, where it was appended
	Foreign                    // not of the ledger's form (FORMATS §3): it has no sequence
	Forged                     // counted in the sequence, and not made by a holder of this vault at this place
	OtherTenant                // genuine, and of another tenant than the stream was read for; only ReadGenuine tells
	Unfitting                  // genuine, and not what its type says; only Examine tells
	verdicts                   // how many there are
)

// String names the verdict for people.
func (v Verdict) String() string {
	return [...]string{"genuine", "foreign", "forged", "another tenant's", "unfitting"}[v]
}

// Judge tells by its origin whether an event is Genuine or Forged. It needs the vault's origin
// keys.
func (l *Ledger) Judge(ctx context.Context, e schemas.Envelope) (Verdict, error) {
	if l.cfg.Origin == nil {
		return Forged, errors.New("judge an event: this process has no vault to compare origins with")
	}
	k, known, err := l.cfg.Origin(ctx, e.Meta().Tenant)
	if err != nil {
		return Forged, fmt.Errorf("judge event %s: %w", e.ID, err)
	}
	if !known || !e.Genuine(k) {
		return Forged, nil
	}
	return Genuine, nil
}

// Last returns the ledger's last event, without Seq. There is always one.
func (l *Ledger) Last(ctx context.Context) (schemas.Envelope, error) {
	e, err := lastOf(ctx, l.cfg.Store)
	if err != nil {
		return e, fmt.Errorf("last event of the ledger: %w", err)
	}
	return e, nil
}

func lastOf(ctx context.Context, store Store) (schemas.Envelope, error) {
	r, found, err := store.Last(ctx)
	if err == nil && !found {
		err = ErrNoLedger
	}
	if err != nil {
		return schemas.Envelope{}, err
	}
	return schemas.NewEnvelope(r)
}

// Events yields every ledger event up to the present end, in ledger order and with Seq counted
// from 0. It is for checking and rebuilding; Follow is for keeping up.
//
// It is the ledger of the store alone: no index is asked.
func (l *Ledger) Events(ctx context.Context) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		var seq uint64
		for e, err := range l.readAll(ctx, schemas.Position{}, false, nil) {
			e.Seq = seq
			if !yield(e, err) || err != nil {
				return
			}
			seq++
		}
	}
}
