package custody

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Grounds on which a person is erased (Art. 17(1) GDPR).
var Grounds = []string{"no-longer-necessary", "consent-withdrawn", "objection", "unlawful", "legal-obligation"}

// CheckGround returns the Problem with a ground that is none of Grounds.
func CheckGround(ground string) error { return oneOf(FieldGround, ground, Grounds) }

// Erased is what an erasure did.
type Erased struct {
	Order      uuid.UUID // event id of request.erasure-ordered
	Completion uuid.UUID // event id of subject.erased
	Keys       int       // subject keys destroyed
	Completed  time.Time
}

// Crash points of an erasure, in order.
const (
	PointErasing   = "erase: marked in the vault"
	PointOrdered   = "erase: order appended"
	PointDestroyed = "erase: keys destroyed"
	PointCompleted = "erase: completion appended"
)

// claimFor is how long a caller that carries an erasure out keeps others from it: longer than the
// order's append, the destruction and the settling take. One that was killed keeps them from it no
// longer than that.
const claimFor = 5 * time.Minute

// cutError is a hook's error: the act is cut there as by a crash, and nothing after it is done.
type cutError struct{ error }

func (e cutError) Unwrap() error { return e.error }

func (c *Custody) hook(point string) error {
	if err := c.cfg.Hook(point); err != nil {
		return cutError{err}
	}
	return nil
}

// Erase destroys everything by which the vault could open the person's data or find the person, in
// an order that survives a crash: mark in the vault, order in the ledger, destroy, complete.
// waiting, when not nil, is told how long Erase waits, so that no process can still hold a derived
// key when the completion is recorded.
//
// An act that failed or was cut short is carried on by the next call, under the same completion
// event; where it failed before anything was ordered, its mark is taken back. ErrUnderWay: another
// call is at it. vault.ErrErased: done before.
func (c *Custody) Erase(ctx context.Context, p access.Principal, r Request, ground string,
	waiting func(time.Duration)) (done Erased, err error) {
	fail := func(err error) (Erased, error) { return Erased{}, fmt.Errorf("erase: %w", err) }
	if err := p.Can(access.Erase, r.Tenant); err != nil {
		return fail(err)
	}
	if r.Right != "erasure" {
		return fail(&Problem{Field: FieldRight, Code: ErrUnfit, Given: r.Right, Known: []string{"erasure"}})
	}
	if err := CheckGround(ground); err != nil {
		return fail(err)
	}
	a, err := c.begin(ctx, p, r, ground)
	if err != nil {
		return fail(err)
	}
	defer func() {
		var cut cutError
		if err != nil && !errors.As(err, &cut) {
			err = errors.Join(err, c.release(ctx, r.Tenant, a.completion))
		}
	}()
	if a.event.ID != uuid.Nil {
		if err := c.hook(PointErasing); err != nil {
			return fail(err)
		}
		stands, err := c.appendOrder(ctx, r, a)
		if err != nil {
			return fail(err)
		}
		a.order = stands
		if err := c.hook(PointOrdered); err != nil {
			return fail(err)
		}
	}
	return c.complete(ctx, r.Tenant, a.order, waiting)
}

// act is an erasure that a caller has claimed. Its order stands in the ledger, or is the event to
// append there.
type act struct {
	order
	event  schemas.Event // without an id where the order stands in the ledger
	expect ledger.Expect
}

// begin claims the erasure of the request's person: the one that an earlier call left, or a new
// one.
func (c *Custody) begin(ctx context.Context, p access.Principal, r Request, ground string) (act, error) {
	last, ordered, err := c.ordersIn(ctx, r.Stream(), r.Tenant)
	if err != nil {
		return act{}, err
	}
	person := r.Person
	if person == uuid.Nil {
		person = r.Erasing
	}
	refused := func(code error) error { return &Problem{Field: FieldRequest, Code: code, Given: r.ID.String()} }
	var a act
	err = c.cfg.Vault.Update(ctx, r.Tenant, func(tx *vault.Tx) error {
		a = act{expect: ledger.Exact(last)}
		d := c.draft("request.erasure-ordered.v1", r.Tenant, r.Stream())
		who, err := officer(tx, p, d.Occurred)
		if err != nil {
			return err
		}
		if own, err := isOf(tx, who, person); err != nil || own {
			return cmp.Or(err, refused(ErrOwnRequest))
		}
		if len(ordered) > 0 {
			a.order = ordered[len(ordered)-1]
			pending, found, err := tx.Erasure(a.completion)
			switch {
			case err != nil:
				return err
			case found:
				return c.claim(tx, pending, d.Occurred)
			case person == uuid.Nil:
				return refused(vault.ErrErased)
			}
			return nil // ordered, and the vault knows nothing of it: carry it out
		}
		if person == uuid.Nil {
			return refused(vault.ErrErased)
		}
		pending, found, err := tx.ErasureOf(person)
		if err != nil {
			return err
		}
		if !found {
			pending.Completion = schemas.NewID()
			pending.Keys, err = tx.BeginErasure(person, pending.Completion)
			for _, code := range []error{vault.ErrErased, vault.ErrHeld} {
				if errors.Is(err, code) {
					return refused(code)
				}
			}
			if err != nil {
				return err
			}
		}
		if err := c.claim(tx, pending, d.Occurred); err != nil {
			return err
		}
		a.order = order{event: d.ID, tenant: r.Tenant, completion: pending.Completion,
			keys: pending.Keys, ground: ground}
		a.event, err = c.encodeOrder(tx, d, a.order, who)
		return err
	})
	return a, err
}

// claim makes the erasure the caller's, unless another has it.
func (c *Custody) claim(tx *vault.Tx, pending vault.PendingErasure, now time.Time) error {
	if pending.Claimed.After(now) {
		return &Problem{Field: FieldRequest, Code: ErrUnderWay, Until: pending.Claimed}
	}
	return tx.ClaimErasure(pending.Completion, now.Add(claimFor))
}

// afterwards is how long what must be done for an act that failed may take, whatever has become of
// its context.
const afterwards = 30 * time.Second

// release lets the next call carry the erasure on.
func (c *Custody) release(ctx context.Context, tenant, completion uuid.UUID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	return c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		_, found, err := tx.Erasure(completion)
		if err != nil || !found {
			return err
		}
		return tx.ClaimErasure(completion, time.Time{})
	})
}

// orderTries bounds how often an order is appended anew because something else was appended to its
// request.
const orderTries = 5

// appendOrder appends the act's order and returns what stands in the ledger under its completion:
// it, or the order of another call that carried the same act on. Where none stands there for
// certain, the mark is taken back.
func (c *Custody) appendOrder(ctx context.Context, r Request, a act) (order, error) {
	for try := 1; ; try++ {
		err := c.append(ctx, a.expect, a.event)
		if err == nil {
			return a.order, nil
		}
		if errors.Is(err, ledger.ErrUnknownOutcome) || ctx.Err() != nil {
			return order{}, fmt.Errorf("whether it was ordered is not known; the next call finds out: %w", err)
		}
		last, ordered, readErr := c.ordersIn(ctx, r.Stream(), r.Tenant)
		if readErr != nil {
			err = errors.Join(err, readErr)
			return order{}, fmt.Errorf("whether it was ordered is not known; the next call finds out: %w", err)
		}
		for _, o := range ordered {
			if o.completion == a.completion {
				return o, nil
			}
		}
		if errors.Is(err, ledger.ErrConflict) && try < orderTries {
			a.expect = ledger.Exact(last)
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
		defer cancel()
		cancelErr := c.cfg.Vault.Update(ctx, r.Tenant, func(tx *vault.Tx) error {
			return tx.CancelErasure(a.completion)
		})
		if cancelErr != nil {
			err = errors.Join(err, cancelErr)
			return order{}, fmt.Errorf("nothing was ordered, and the mark stands: the next call carries it on: %w",
				err)
		}
		return order{}, fmt.Errorf("nothing was ordered, and the mark is taken back: %w", err)
	}
}

// ordersIn reads the tenant's orders in a request's stream, and the revision of its last event.
func (c *Custody) ordersIn(ctx context.Context, stream schemas.Stream,
	tenant uuid.UUID) (last uint64, found []order, err error) {
	for r, err := range c.cfg.Ledger.ReadStream(ctx, stream, 0) {
		if err != nil {
			return 0, nil, err
		}
		last = r.Revision
		e, foreign := schemas.NewEnvelope(r)
		if foreign != nil {
			continue
		}
		o, ok, err := c.genuineOrder(ctx, e)
		if err != nil {
			return 0, nil, err
		}
		if ok && o.tenant == tenant {
			found = append(found, o)
		}
	}
	return last, found, nil
}

// encodeOrder encodes the erasure order; everything in it stands open but the officer's alias.
func (c *Custody) encodeOrder(tx *vault.Tx, d schemas.Draft, o order, who uuid.UUID) (schemas.Event, error) {
	for i, k := range o.keys {
		c.set(&d, "request.key", k.String(), tenantOwner, fmt.Sprint(i))
	}
	c.set(&d, "request.ground", o.ground, tenantOwner)
	c.set(&d, "request.completion", o.completion.String(), tenantOwner)
	d.Subjects = []schemas.SubjectRef{{Role: "officer", Person: who}}
	return c.sealAndEncode(tx, &d)
}

// complete carries out an order that stands in the ledger and records the completion; repeating it
// is harmless.
func (c *Custody) complete(ctx context.Context, tenant uuid.UUID, o order,
	waiting func(time.Duration)) (Erased, error) {
	fail := func(err error) (Erased, error) { return Erased{}, fmt.Errorf("complete erasure: %w", err) }
	err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error { return tx.Destroy(o.completion, o.keys) })
	if err != nil {
		return fail(err)
	}
	if err := c.hook(PointDestroyed); err != nil {
		return fail(err)
	}
	if waiting != nil {
		waiting(c.cfg.Settle)
	}
	timer := time.NewTimer(c.cfg.Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	var e schemas.Event
	err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		// The completion has a stream of its own, by which a repeated act finds it.
		d := c.draft("subject.erased.v1", tenant, schemas.NewStream("subject", o.completion))
		d.ID, d.Causation = o.completion, o.event
		c.set(&d, "subject.order", o.event.String(), tenantOwner)
		c.set(&d, "subject.keys", len(o.keys), tenantOwner)
		c.set(&d, "subject.ground", o.ground, tenantOwner)
		var err error
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return fail(err)
	}
	// Whoever reads the order knows this stream's name: a conflict does not say
	// that the completion is there.
	if _, err := c.recordOnce(ctx, tenant, e); err != nil {
		return fail(err)
	}
	if err := c.hook(PointCompleted); err != nil {
		return fail(err)
	}
	err = c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error { return tx.CompleteErasure(o.completion) })
	if err != nil {
		return fail(err)
	}
	return Erased{Order: o.event, Completion: o.completion, Keys: len(o.keys), Completed: c.cfg.Clock()}, nil
}

// Resume carries on with the erasures that a crash interrupted, before anything is served: one
// whose order is in the ledger is completed, one whose order is not has not begun and is taken
// back. Before that it settles what a crash left of merges. It returns how many it completed and
// how many it took back.
func (c *Custody) Resume(ctx context.Context) (completed, takenBack int, err error) {
	fail := func(err error) (int, int, error) {
		return completed, takenBack, fmt.Errorf("resume erasures: %w", err)
	}
	if err := c.resumeMerges(ctx); err != nil {
		return fail(err)
	}
	pending, err := c.cfg.Vault.PendingErasures(ctx)
	if err != nil || len(pending) == 0 {
		if err != nil {
			return fail(err)
		}
		return 0, 0, nil
	}
	orders, err := c.ordersOf(ctx, pending)
	if err != nil {
		return fail(err)
	}
	for _, p := range pending {
		o, ordered := orders[p.Completion]
		ordered = ordered && o.tenant == p.Tenant
		switch {
		case ordered:
			if _, err := c.complete(ctx, p.Tenant, o, nil); err != nil {
				return fail(err)
			}
			completed++
		case p.Destroyed:
			return fail(fmt.Errorf("erasure %s destroyed keys without an order in the ledger", p.Completion))
		default:
			if err := c.cfg.Vault.Update(ctx, p.Tenant, func(tx *vault.Tx) error {
				return tx.CancelErasure(p.Completion)
			}); err != nil {
				return fail(err)
			}
			takenBack++
		}
	}
	return completed, takenBack, nil
}

// order is an erasure order that stands in the ledger.
type order struct {
	event      uuid.UUID
	tenant     uuid.UUID
	completion uuid.UUID
	keys       []uuid.UUID
	ground     string
	at         time.Time // when it was recorded
}

// genuineOrder reads an erasure order that this vault's holder appended. Whatever else is of that
// type is left out.
func (c *Custody) genuineOrder(ctx context.Context, r schemas.Envelope) (order, bool, error) {
	o, ok := c.decodeOrder(r)
	if !ok {
		return order{}, false, nil
	}
	verdict, err := c.cfg.Ledger.Judge(ctx, r)
	return o, verdict == ledger.Genuine, err
}

// decodeOrder reads an erasure order, whoever wrote it; false for an event that is none.
func (c *Custody) decodeOrder(r schemas.Envelope) (order, bool) {
	if r.Type != "request.erasure-ordered.v1" || r.Stream.Kind() != "request" {
		return order{}, false
	}
	d, err := c.cat.Decode(r)
	if err != nil {
		return order{}, false
	}
	o := order{event: r.ID, tenant: d.Tenant, at: d.Recorded}
	for _, v := range d.Values {
		switch v.Attr.ID {
		case "request.key":
			k, err := schemas.ParseUUID(v.Text())
			if err != nil {
				return order{}, false
			}
			o.keys = append(o.keys, k)
		case "request.ground":
			o.ground = v.Text()
		case "request.completion":
			if o.completion, err = schemas.ParseUUID(v.Text()); err != nil {
				return order{}, false
			}
		}
	}
	return o, o.completion != uuid.Nil && o.tenant != uuid.Nil && len(o.keys) > 0
}

// maxLeftLogged bounds the events that one reading of the ledger names in the log.
const maxLeftLogged = 100

// ordersOf returns the orders of those of the pending erasures that have one, by the id of the
// completion event. It reads what follows the anchor noted before the first of them began, and the
// whole ledger only where it lacks the order of one that has destroyed keys.
func (c *Custody) ordersOf(ctx context.Context, pending []vault.PendingErasure) (map[uuid.UUID]order, error) {
	wanted := map[uuid.UUID]bool{}
	for _, p := range pending {
		wanted[p.Completion] = true
	}
	after, noted, err := c.cfg.Vault.OrdersAfter(ctx)
	if err != nil {
		return nil, err
	}
	if noted {
		orders, err := c.orders(ctx, c.cfg.Ledger.After(ctx, &after), wanted)
		lacks := slices.ContainsFunc(pending, func(p vault.PendingErasure) bool {
			_, ordered := orders[p.Completion]
			return p.Destroyed && !ordered
		})
		if err == nil && !lacks || err != nil && !errors.Is(err, ledger.ErrDiverged) {
			return orders, err
		}
	}
	return c.orders(ctx, c.cfg.Ledger.Events(ctx), wanted)
}

// orders returns those erasure orders among the events that are wanted, by the id of their
// completion event: the first of each counts. It reads no further than to the last of them. What
// says that it is one, and is not, is left out and told: it must not keep the others from being
// carried out.
func (c *Custody) orders(
	ctx context.Context, events iter.Seq2[schemas.Envelope, error], wanted map[uuid.UUID]bool,
) (map[uuid.UUID]order, error) {
	out := map[uuid.UUID]order{}
	left := 0
	for r, err := range events {
		if err != nil {
			return nil, err
		}
		if c.cfg.Progress != nil && r.Seq%1024 == 0 {
			c.cfg.Progress(r.Seq)
		}
		o, ok, err := c.genuineOrder(ctx, r)
		if err != nil {
			return nil, err
		}
		if !ok {
			if r.Type != "request.erasure-ordered.v1" {
				continue
			}
			if left++; left <= maxLeftLogged {
				c.cfg.Logger.Warn("an event that says it orders an erasure is not acted on",
					"event", r.ID, "stream", r.Stream, "revision", r.Revision)
			}
			continue
		}
		if _, again := out[o.completion]; !again && wanted[o.completion] {
			out[o.completion] = o
		}
		if len(out) == len(wanted) {
			break
		}
	}
	if left > 0 {
		c.cfg.Logger.Warn("events that say they order an erasure were left out", "events", left)
	}
	return out, nil
}
