package custody

import (
	"cmp"
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

// NewRequest is what is known when a data subject's request comes in.
type NewRequest struct {
	Tenant     uuid.UUID
	Right      string // access, erasure, …
	Identifier string // e-mail address, UPN or directory object id, as the person gave it
	Person     int    // 1-based choice among several persons known under the identifier; 0 for none made
	Received   time.Time
	Method     string // identity method: sign-in, call-back, in-person, other
}

// Request is an open request as the ledger has it.
type Request struct {
	ID       uuid.UUID
	Tenant   uuid.UUID
	Right    string
	Person   uuid.UUID // uuid.Nil once erased, and while being erased
	Erasing  uuid.UUID // the person while an erasure is under way
	Received time.Time
	Due      time.Time
	Revision uint64 // of the stream's last event, whosever it is
	Ordered  bool   // an erasure has been ordered
}

// Stream returns the request's stream.
func (r Request) Stream() schemas.Stream { return schemas.NewStream("request", r.ID) }

// Due returns the last day on which a request received on that day must be answered: a month
// later, the month's last day where it has no such day, and the next working day where that is a
// Saturday or Sunday (Regulation 1182/71; public holidays are not known here).
func Due(received time.Time) time.Time {
	y, m, d := received.Date()
	last := time.Date(y, m+2, 0, 0, 0, 0, 0, received.Location()).Day()
	due := time.Date(y, m+1, min(d, last), 0, 0, 0, 0, received.Location())
	for due.Weekday() == time.Saturday || due.Weekday() == time.Sunday {
		due = due.AddDate(0, 0, 1)
	}
	return due
}

// OpenRequest records a request of the person known under the identifier.
func (c *Custody) OpenRequest(ctx context.Context, p access.Principal, n NewRequest) (Request, error) {
	fail := func(err error) (Request, error) { return Request{}, fmt.Errorf("open request: %w", err) }
	if err := p.Can(access.OpenRequest, n.Tenant); err != nil {
		return fail(err)
	}
	if err := c.checkNew(n); err != nil {
		return fail(err)
	}
	r := Request{ID: uuid.New(), Tenant: n.Tenant, Right: n.Right, Received: n.Received, Due: Due(n.Received)}
	var e schemas.Event
	err := c.cfg.Vault.Update(ctx, n.Tenant, func(tx *vault.Tx) error {
		matches, err := tx.FindPersons(n.Identifier)
		if err != nil {
			return err
		}
		persons := byPerson(matches)
		if len(persons) == 0 {
			return &Problem{Field: FieldSubject, Code: ErrNoSuchPerson}
		}
		if r.Person, err = chosen(FieldPerson, persons, n.Person); err != nil {
			return err
		}
		d := c.draft("request.opened.v1", n.Tenant, r.Stream())
		who, err := officer(tx, p, d.Occurred)
		if err != nil {
			return err
		}
		if own, err := isOf(tx, who, r.Person); err != nil || own {
			return cmp.Or[error](err, &Problem{Field: FieldSubject, Code: ErrOwnRequest})
		}
		c.set(&d, "request.right", n.Right, tenantOwner)
		c.set(&d, "request.subject", n.Identifier, personOwner(r.Person))
		c.set(&d, "request.received", n.Received.Format(time.DateOnly), tenantOwner)
		c.set(&d, "request.due", r.Due.Format(time.DateOnly), tenantOwner)
		if n.Method != "" {
			c.set(&d, "request.identity-method", n.Method, tenantOwner)
		}
		d.Subjects = []schemas.SubjectRef{{Role: "requester", Person: r.Person}, {Role: "officer", Person: who}}
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return fail(err)
	}
	if err := c.append(ctx, ledger.NoStream, e); err != nil {
		return fail(err)
	}
	return r, nil
}

// checkNew refuses words that the catalogue does not have.
func (c *Custody) checkNew(n NewRequest) error {
	words := func(attr string) []string { return c.cat.MustAttribute(attr).Shape.Values }
	err := oneOf(FieldRight, n.Right, words("request.right"))
	if n.Method != "" {
		err = errors.Join(err, oneOf(FieldMethod, n.Method, words("request.identity-method")))
	}
	return err
}

// chosen returns the one at that 1-based place of those whom an identifier finds; 0 is the only
// one.
func chosen(field string, of [][]vault.PersonMatch, n int) (uuid.UUID, error) {
	if n == 0 && len(of) > 1 {
		return uuid.Nil, several(field, of)
	}
	if n == 0 {
		n = 1
	}
	return at(field, of, n)
}

// at returns the one at that 1-based place.
func at(field string, of [][]vault.PersonMatch, n int) (uuid.UUID, error) {
	if n < 1 || n > len(of) {
		return uuid.Nil, &Problem{Field: field, Code: ErrUnknown, Given: fmt.Sprint(n), Most: len(of)}
	}
	return of[n-1][0].ID, nil
}

func several(field string, of [][]vault.PersonMatch) error {
	return &Problem{Field: field, Code: ErrSeveralPersons, Persons: of}
}

// byPerson groups matches by subject, in the order in which those come first.
func byPerson(matches []vault.PersonMatch) (out [][]vault.PersonMatch) {
	at := map[uuid.UUID]int{}
	for _, m := range matches {
		i, ok := at[m.One]
		if !ok {
			i = len(out)
			at[m.One] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], m)
	}
	return out
}

// FindRequest reads a request of the tenant from the ledger; ErrNoRequest where there is none.
// Only genuine events of the tenant's are looked at.
func (c *Custody) FindRequest(ctx context.Context, p access.Principal, tenant, id uuid.UUID) (Request, error) {
	r := Request{ID: id}
	fail := func(err error) (Request, error) { return Request{}, fmt.Errorf("request %s: %w", id, err) }
	if err := p.Can(access.ReadRequest, tenant); err != nil {
		return fail(err)
	}
	var requester uuid.UUID
	reading, err := c.read(ctx, r.Stream(), tenant, func(own ledger.Own) error {
		switch own.Type {
		case "request.opened.v1":
			opened := r
			alias, err := opened.open(own.Draft)
			if err != nil { // it has the form of its type, and no day
				c.leftOut(ledger.LeftEvent{ID: own.ID, Stream: own.Stream, Revision: own.Revision,
					Verdict: ledger.Unfitting})
			} else if r.Tenant == uuid.Nil {
				r, requester = opened, alias
				r.Tenant = tenant
			}
		case "request.erasure-ordered.v1":
			r.Ordered = true
		}
		return nil
	})
	if err != nil {
		return fail(err)
	}
	if r.Tenant == uuid.Nil {
		return fail(&Problem{Field: FieldRequest, Code: ErrNoRequest, Given: id.String()})
	}
	r.Revision = reading.Last
	err = c.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		owner, err := tx.AliasOwner(requester)
		switch {
		case errors.Is(err, vault.ErrErasing):
			r.Erasing = owner.ID
			return nil
		case errors.Is(err, vault.ErrErased), errors.Is(err, vault.ErrLost):
			return nil
		}
		r.Person = owner.ID
		return err
	})
	if err != nil {
		return fail(err)
	}
	return r, nil
}

// open takes what the request's first event says, and returns the requester's alias.
func (r *Request) open(d schemas.Draft) (requester uuid.UUID, err error) {
	for _, s := range d.Subjects {
		if s.Role == "requester" {
			requester = s.Alias
		}
	}
	for _, v := range d.Values {
		switch v.Attr.ID {
		case "request.right":
			r.Right = v.Text()
		case "request.received":
			r.Received, err = time.Parse(time.DateOnly, v.Text())
		case "request.due":
			r.Due, err = time.Parse(time.DateOnly, v.Text())
		}
		if err != nil {
			return requester, fmt.Errorf("%s: %w", v.Attr.ID, err)
		}
	}
	return requester, nil
}

// RecordPackage records that a package was made for the request: the SHA-256 of its manifest in
// hex, the sequence it was computed at and how many files it has.
func (c *Custody) RecordPackage(
	ctx context.Context, p access.Principal, r Request, manifest string, seq uint64, files int,
) error {
	if err := p.Can(access.MakePackage, r.Tenant); err != nil {
		return fmt.Errorf("record package: %w", err)
	}
	var e schemas.Event
	err := c.cfg.Vault.Update(ctx, r.Tenant, func(tx *vault.Tx) error {
		d := c.draft("request.access-packaged.v1", r.Tenant, r.Stream())
		who, err := officer(tx, p, d.Occurred)
		if err != nil {
			return err
		}
		c.set(&d, "request.package", manifest, tenantOwner)
		c.set(&d, "request.sequence", seq, tenantOwner)
		c.set(&d, "request.files", files, tenantOwner)
		d.Subjects = []schemas.SubjectRef{{Role: "requester", Person: r.Person}, {Role: "officer", Person: who}}
		if r.Person == uuid.Nil {
			d.Subjects = d.Subjects[1:]
		}
		e, err = c.sealAndEncode(tx, &d)
		return err
	})
	if err != nil {
		return fmt.Errorf("record package: %w", err)
	}
	if _, err := c.appendBehind(ctx, e.Stream, ledger.Exact(r.Revision), e); err != nil {
		return fmt.Errorf("record package: %w", err)
	}
	return nil
}
