package custody

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// DisownGrounds say how events came into the store that are not the ledger's
// own, as far as that is known.
var DisownGrounds = []string{"intrusion", "mistake", "test", "unknown"}

// MaxDisowned bounds the events of one disowning: it is one append, so that it is in
// the ledger whole or not at all.
const MaxDisowned = 8_000

// disownedPerEvent keeps one event well below its limit.
const disownedPerEvent = 2_000

// DisownedEvent is an event that a disowning names.
type DisownedEvent struct {
	ledger.Place
	Stream  schemas.Stream
	Verdict ledger.Verdict
}

// Disowning is what became of a wish to disown.
type Disowning struct {
	Events []DisownedEvent // disowned now
	Before []DisownedEvent // disowned already; nothing was appended for them
}

// Disown takes events out of views, reports and packages that are forged, another tenant's
// than their stream, or not what their type says; the store and every proof keep them. With
// the zero tenant they may name any tenant, and the operator of the whole ledger acts;
// otherwise they must name the tenant. An event is named by its id; where that id stands at
// several places, the ledger's own stays. Everything is checked first: one event that must not
// be disowned (a Problem each), and nothing is. It reads the whole ledger; progress, when not
// nil, is told how many events were read.
func (c *Custody) Disown(
	ctx context.Context, p access.Principal, tenant uuid.UUID, ids []uuid.UUID, ground string, progress func(uint64),
) (Disowning, error) {
	fail := func(err error) (Disowning, error) { return Disowning{}, fmt.Errorf("disown: %w", err) }
	if err := p.Can(access.Disown, tenant); err != nil {
		return fail(err)
	}
	if err := CheckDisown(ids, ground); err != nil {
		return fail(err)
	}
	out, err := c.findDisowned(ctx, tenant, distinct(ids), progress)
	if err != nil {
		return fail(err)
	}
	if len(out.Events) > MaxDisowned { // one event may stand at several places
		return fail(tooManyEvents(len(out.Events)))
	}
	if len(out.Events) == 0 {
		return out, nil
	}
	events, err := c.disownEvents(ctx, p, tenant, out.Events, ground)
	if err != nil {
		return fail(err)
	}
	var reading ledger.Reading
	if reading, err = c.read(ctx, events[0].Stream, tenant, func(ledger.Own) error { return nil }); err != nil {
		return fail(err)
	}
	if _, err := c.appendBehind(ctx, events[0].Stream, reading.Expect(), events...); err != nil {
		return fail(err)
	}
	return out, nil
}

// CheckDisown returns the Problem with what is to be disowned that is seen without the ledger.
func CheckDisown(ids []uuid.UUID, ground string) error {
	switch n := len(distinct(ids)); {
	case n == 0:
		return &Problem{Field: FieldEvent, Code: ErrMissing}
	case n > MaxDisowned:
		return tooManyEvents(n)
	}
	return oneOf(FieldGround, ground, DisownGrounds)
}

func distinct(ids []uuid.UUID) map[uuid.UUID]bool {
	out := map[uuid.UUID]bool{}
	for _, id := range ids {
		out[id] = true
	}
	return out
}

func tooManyEvents(n int) error {
	return &Problem{Field: FieldEvent, Code: ErrTooMany, Given: fmt.Sprint(n), Most: MaxDisowned}
}

func eventProblem(id uuid.UUID, code error, seq *uint64) error {
	return &Problem{Field: FieldEvent, Code: code, Given: id.String(), Seq: seq}
}

// findDisowned finds the events in the ledger and checks that each may be disowned.
func (c *Custody) findDisowned(
	ctx context.Context, tenant uuid.UUID, wanted map[uuid.UUID]bool, progress func(uint64),
) (out Disowning, err error) {
	known := map[uuid.UUID]map[ledger.Place]bool{} // by the tenant that the event names
	own := map[uuid.UUID]uint64{}
	found := map[uuid.UUID]bool{}
	var errs []error
	for r, err := range c.cfg.Ledger.Events(ctx) {
		if err != nil {
			return out, err
		}
		if progress != nil {
			progress(r.Seq + 1)
		}
		if !wanted[r.ID] {
			continue
		}
		verdict, err := c.verdict(ctx, r)
		if err != nil {
			return out, err
		}
		if verdict == ledger.Genuine {
			own[r.ID] = r.Seq
			continue
		}
		found[r.ID] = true
		names := r.Meta().Tenant
		if tenant != uuid.Nil && names != tenant {
			errs = append(errs, eventProblem(r.ID, ErrNotTenants, &r.Seq))
			continue
		}
		if known[names] == nil {
			if known[names], err = ledger.Disowned(ctx, c.cfg.Ledger, c.cat, names); err != nil {
				return out, err
			}
		}
		e := DisownedEvent{ledger.Place{Event: r.ID, Seq: r.Seq}, r.Stream, verdict}
		if known[names][e.Place] {
			out.Before = append(out.Before, e)
		} else {
			out.Events = append(out.Events, e)
		}
	}
	for id := range wanted {
		if found[id] {
			continue
		}
		if seq, is := own[id]; is {
			errs = append(errs, eventProblem(id, ErrOwnEvent, &seq))
		} else {
			errs = append(errs, eventProblem(id, ErrNoEvent, nil))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return out, errors.Join(errs...)
}

// verdict examines an event, and tells of a genuine one whether its stream is another tenant's:
// that of the first genuine event in it.
func (c *Custody) verdict(ctx context.Context, r schemas.Envelope) (ledger.Verdict, error) {
	d, v, err := ledger.Examine(ctx, c.cfg.Ledger, c.cat, r)
	if err != nil || v != ledger.Genuine {
		return v, err
	}
	for first, err := range c.cfg.Ledger.ReadStream(ctx, r.Stream, 0) {
		if err != nil {
			return v, fmt.Errorf("read %s: %w", r.Stream, err)
		}
		e, foreign := schemas.NewEnvelope(first)
		if foreign != nil {
			continue
		}
		f, fv, err := ledger.Examine(ctx, c.cfg.Ledger, c.cat, e)
		if err != nil {
			return v, err
		}
		if fv == ledger.Genuine {
			if f.Tenant != d.Tenant {
				v = ledger.OtherTenant
			}
			break
		}
	}
	return v, nil
}

// disownEvents encodes the events that name these. A tenant's name the operator too;
// the zero tenant has no persons.
func (c *Custody) disownEvents(
	ctx context.Context, p access.Principal, tenant uuid.UUID, named []DisownedEvent, ground string,
) (events []schemas.Event, err error) {
	encode := func(tx *vault.Tx) error {
		events = nil
		for part := range slices.Chunk(named, disownedPerEvent) {
			d := c.draft(ledger.DisownedType, tenant, ledger.DisownedStream(tenant))
			for i, e := range part {
				at := fmt.Sprint(i)
				c.set(&d, "disowned.event", e.Event.String(), tenantOwner, at)
				c.set(&d, "disowned.sequence", e.Seq, tenantOwner, at)
			}
			c.set(&d, "disowned.ground", ground, tenantOwner)
			var e schemas.Event
			if tx == nil {
				e, err = c.cat.Encode(d)
			} else {
				var who uuid.UUID
				if who, err = officer(tx, p, d.Occurred); err != nil {
					return err
				}
				d.Subjects = []schemas.SubjectRef{{Role: "officer", Person: who}}
				e, err = c.sealAndEncode(tx, &d)
			}
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	}
	if tenant == uuid.Nil {
		err = encode(nil)
	} else {
		err = c.cfg.Vault.Update(ctx, tenant, encode)
	}
	return events, err
}
