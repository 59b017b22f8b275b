package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Grounds on which a person is erased (Art. 17(1) GDPR), the vocabulary of --ground.
var Grounds = []string{"no-longer-necessary", "consent-withdrawn", "objection", "unlawful", "legal-obligation"}

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

// Erase destroys everything by which the vault could open the person's data or find the person, in an order that survives a crash: mark
// in the vault, order in the ledger, destroy, complete. waiting, when not nil, is told how long Erase waits, so that
// no process can still hold a derived key when the completion is recorded.
func (c *Custody) Erase(ctx context.Context, p access.Principal, r Request, ground string, waiting func(time.Duration)) (Erased, error) {
	fail := func(err error) (Erased, error) { return Erased{}, fmt.Errorf("erase: %w", err) }
	if err := p.Can(access.Officer, r.Tenant); err != nil {
		return fail(err)
	}
	if r.Person == uuid.Nil {
		return fail(errors.New("the person of this request is erased already"))
	}
	if r.Right != "erasure" {
		return fail(fmt.Errorf("the request asks for %s; open one for erasure", r.Right))
	}
	completion := schemas.NewID()
	var e schemas.Event
	var keys []uuid.UUID
	err := c.cfg.Vault.Update(ctx, r.Tenant, func(tx *vault.Tx) error {
		d := c.draft("request.erasure-ordered.v1", r.Tenant, r.Stream())
		who, err := officer(tx, p, d.Occurred)
		if err != nil {
			return err
		}
		if who == r.Person {
			return ErrOwnRequest
		}
		if keys, err = tx.BeginErasure(r.Person, completion); err != nil {
			return err
		}
		e, err = c.order(tx, d, keys, ground, completion, who)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if err := c.cfg.Hook(PointErasing); err != nil {
		return fail(err)
	}
	if err := c.append(ctx, ledger.Exact(r.Revision), e); err != nil {
		return fail(err)
	}
	if err := c.cfg.Hook(PointOrdered); err != nil {
		return fail(err)
	}
	return c.complete(ctx, r.Tenant, e.ID, completion, keys, ground, waiting)
}

// order encodes the erasure order; everything in it stands open but the officer's alias.
func (c *Custody) order(tx *vault.Tx, d schemas.Draft, keys []uuid.UUID, ground string, completion, who uuid.UUID) (schemas.Event, error) {
	for i, k := range keys {
		c.set(&d, "request.key", k.String(), tenantOwner, fmt.Sprint(i))
	}
	c.set(&d, "request.ground", ground, tenantOwner)
	c.set(&d, "request.completion", completion.String(), tenantOwner)
	d.Subjects = []schemas.SubjectRef{{Role: "officer", Person: who}}
	return c.sealAndEncode(tx, &d)
}

// complete destroys and records the completion; repeating it is harmless.
func (c *Custody) complete(ctx context.Context, tenant, order, completion uuid.UUID, keys []uuid.UUID, ground string, waiting func(time.Duration)) (Erased, error) {
	fail := func(err error) (Erased, error) { return Erased{}, fmt.Errorf("complete erasure: %w", err) }
	if err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error { return tx.Destroy(completion, keys) }); err != nil {
		return fail(err)
	}
	if err := c.cfg.Hook(PointDestroyed); err != nil {
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
	err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error {
		// The completion has a stream of its own and a fixed id, so that repeating the act conflicts with itself.
		d := c.draft("subject.erased.v1", tenant, schemas.NewStream("subject", completion))
		d.ID, d.Causation = completion, order
		c.set(&d, "subject.order", order.String(), tenantOwner)
		c.set(&d, "subject.keys", len(keys), tenantOwner)
		c.set(&d, "subject.ground", ground, tenantOwner)
		var err error
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return fail(err)
	}
	// Whoever reads the order knows this stream's name: a conflict does not say that the completion is there.
	if _, err := c.recordOnce(ctx, tenant, e); err != nil {
		return fail(err)
	}
	if err := c.cfg.Hook(PointCompleted); err != nil {
		return fail(err)
	}
	if err := c.cfg.Vault.Update(ctx, tenant, func(tx *vault.Tx) error { return tx.CompleteErasure(completion) }); err != nil {
		return fail(err)
	}
	return Erased{Order: order, Completion: completion, Keys: len(keys), Completed: c.cfg.Clock()}, nil
}

// Resume carries on with the erasures that a crash interrupted, before anything is served: one whose order is in the ledger is
// completed, one whose order is not has not begun and is taken back. It returns how many it completed and how many it took back.
func (c *Custody) Resume(ctx context.Context) (completed, takenBack int, err error) {
	fail := func(err error) (int, int, error) {
		return completed, takenBack, fmt.Errorf("resume erasures: %w", err)
	}
	pending, err := c.cfg.Vault.PendingErasures(ctx)
	if err != nil || len(pending) == 0 {
		if err != nil {
			return fail(err)
		}
		return 0, 0, nil
	}
	orders, err := c.orders(ctx)
	if err != nil {
		return fail(err)
	}
	for _, p := range pending {
		o, ordered := orders[orderOf{p.Tenant, p.Completion}]
		switch {
		case ordered:
			if _, err := c.complete(ctx, p.Tenant, o.event, p.Completion, o.keys, o.ground, nil); err != nil {
				return fail(err)
			}
			completed++
		case p.Destroyed:
			return fail(fmt.Errorf("erasure %s destroyed keys without an order in the ledger", p.Completion))
		default:
			if err := c.cfg.Vault.Update(ctx, p.Tenant, func(tx *vault.Tx) error { return tx.CancelErasure(p.Completion) }); err != nil {
				return fail(err)
			}
			takenBack++
		}
	}
	return completed, takenBack, nil
}

type order struct {
	event  uuid.UUID
	keys   []uuid.UUID
	ground string
}

// orderOf names an order: whose it is, and the id of its completion event.
type orderOf struct{ tenant, completion uuid.UUID }

// maxLeftLogged bounds the events that one reading of the ledger names in the log.
const maxLeftLogged = 100

// orders reads every erasure order in the ledger. What says that it is one and is not genuine, or cannot be read, is left
// out: it must not keep the others from being carried out.
func (c *Custody) orders(ctx context.Context) (map[orderOf]order, error) {
	out := map[orderOf]order{}
	left := 0
	leave := func(r schemas.Recorded, v ledger.Verdict) {
		if left++; left <= maxLeftLogged {
			c.leftOut(ledger.LeftEvent{ID: r.ID, Stream: r.Stream, Revision: r.Revision, Verdict: v})
		}
	}
	for r, err := range c.cfg.Ledger.Events(ctx) {
		if err != nil {
			return nil, err
		}
		if r.Type != "request.erasure-ordered.v1" {
			continue
		}
		d, verdict, err := ledger.Examine(ctx, c.cfg.Ledger, c.cat, r)
		if err != nil {
			return nil, err
		}
		if verdict != ledger.Genuine {
			leave(r, verdict)
			continue
		}
		o, completion, err := readOrder(d)
		if err != nil {
			leave(r, ledger.Unfitting)
			continue
		}
		out[orderOf{d.Tenant, completion}] = o
	}
	if left > 0 {
		c.cfg.Logger.Warn("events that say they order an erasure were left out", "events", left)
	}
	return out, nil
}

func readOrder(d schemas.Draft) (o order, completion uuid.UUID, err error) {
	o.event = d.ID
	for _, v := range d.Values {
		switch v.Attr.ID {
		case "request.key":
			var k uuid.UUID
			k, err = schemas.ParseUUID(v.Text())
			o.keys = append(o.keys, k)
		case "request.ground":
			o.ground = v.Text()
		case "request.completion":
			completion, err = schemas.ParseUUID(v.Text())
		}
		if err != nil {
			return o, completion, err
		}
	}
	return o, completion, nil
}
