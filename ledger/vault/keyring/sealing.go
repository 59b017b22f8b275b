package keyring

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Sealing is a draft with the keys that sealing it takes. They are found in a transaction; sealing
// needs none, and may be done beside one, from one goroutine. It holds keys: seal at once, and
// drop it.
type Sealing struct {
	draft *schemas.Draft
	keys  []Derived // of which most values share few
	// under is for each value the number of its key, from 1; 0: it stays as it is. One that was
	// sealed before has minus the number of its owner in sealed: its key may be of another time.
	under    []int
	sealed   []schemas.Owner
	subjects []schemas.SubjectRef
}

// newSealing returns one of the draft that seals nothing yet.
func newSealing(d *schemas.Draft) *Sealing {
	return &Sealing{draft: d, under: make([]int, len(d.Values)),
		subjects: make([]schemas.SubjectRef, 0, len(d.Subjects))}
}

// before says whose key sealed a value earlier.
func (s *Sealing) before(value int, owner schemas.Owner) {
	s.sealed = append(s.sealed, owner)
	s.under[value] = -len(s.sealed)
}

// sealUnder has a value sealed under the owner's present key. Its errors are those of Tx.Derive.
func (s *Sealing) sealUnder(tx *Tx, value int, owner schemas.Owner, month string) (err error) {
	s.under[value], err = s.key(tx, owner, s.draft.Values[value].Attr.Class, month)
	return err
}

// keep leaves a subject as it is.
func (s *Sealing) keep(subject schemas.SubjectRef) { s.subjects = append(s.subjects, subject) }

// name gives a subject the alias of its person for the class. Its errors are those of Tx.Derive.
func (s *Sealing) name(tx *Tx, subject schemas.SubjectRef, class, month string) error {
	n, err := s.key(tx, schemas.Owner{Kind: schemas.OwnerPerson, ID: subject.Person}, class, month)
	if err == nil {
		subject.Class, subject.Alias = class, s.keys[n-1].Alias
		s.keep(subject)
	}
	return err
}

// key returns the number of the owner's key of the class.
func (s *Sealing) key(tx *Tx, owner schemas.Owner, class, month string) (int, error) {
	for i := range s.keys {
		if k := &s.keys[i]; k.Owner == owner && k.Class == class {
			return i + 1, nil
		}
	}
	d, err := tx.Derive(owner, class, month)
	if err != nil {
		return 0, err
	}
	s.keys = append(s.keys, d)
	return len(s.keys), nil
}

// sealError is why a part of a draft cannot be sealed; it names no value.
func sealError(d *schemas.Draft, what string, err error) error {
	return fmt.Errorf("seal %s: %s: %w", d.Type.Name, what, err)
}

// Prepare finds or mints the keys that sealing the draft takes, and finds those of values that
// were sealed before. The draft must not be changed before it is sealed, and stays as it was.
// Errors are those of Derive and DerivedOf, and name the attribute.
func (tx *Tx) Prepare(d *schemas.Draft, lost Lost) (*Sealing, error) {
	fail := func(what string, err error) (*Sealing, error) { return nil, sealError(d, what, err) }
	switch {
	case d.Type == nil:
		return nil, errors.New("seal: the draft has no type")
	case d.Tenant != tx.tenant:
		return fail("tenant", errors.New("the draft is of another tenant"))
	case d.ID == uuid.Nil:
		return fail("id", errors.New("the draft has no event id"))
	case d.Recorded.IsZero():
		return fail("recordedAt", errors.New("the draft has no recording time"))
	}
	if err := tx.Fresh(); err != nil {
		return fail("transaction", err)
	}
	month := schemas.Month(d.Occurred, d.Recorded)
	for _, s := range d.Subjects {
		if s.Person != uuid.Nil {
			tx.rows.Ahead(schemas.Owner{Kind: schemas.OwnerPerson, ID: s.Person})
		}
	}
	out := newSealing(d)
	for i := range d.Values {
		v := &d.Values[i]
		if v.Attr == nil {
			return fail("value", errors.New("has no attribute"))
		}
		if v.Token != "" {
			// Sealed in an earlier transaction: had that one failed, the
			// alias would have no index row.
			h, _, err := v.Token.Parse()
			var dk Derived
			if err == nil {
				dk, err = tx.DerivedOf(h, lost)
			}
			if err != nil {
				return fail("attribute "+v.Attr.ID+", sealed before", err)
			}
			out.before(i, dk.Owner)
			continue
		}
		if v.Removed || v.MayStandOpen() {
			continue
		}
		owner := TenantOwner(v.Owner)
		if owner.Kind == "" && v.Attr.Key == schemas.KeyTenant {
			owner.Kind = schemas.OwnerTenant
		}
		if err := validOwner(owner); err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
		if !v.Attr.SealedBy(owner.Kind) {
			return fail("attribute "+v.Attr.ID, fmt.Errorf("the catalogue seals it by the rule %q, not under a "+
				"key of kind %q",
				v.Attr.Key, owner.Kind))
		}
		if err := out.sealUnder(tx, i, owner, month); err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
	}
	for _, s := range d.Subjects {
		if s.Person == uuid.Nil && s.Alias != uuid.Nil {
			out.keep(s)
			continue
		}
		classes := d.Type.RoleClasses(s.Role)
		if s.Class != "" && slices.Contains(classes, s.Class) { // sealed before
			classes = []string{s.Class}
		}
		if len(classes) == 0 {
			return fail("subject "+s.Role, errors.New("the type has no such role"))
		}
		for _, class := range classes {
			if err := out.name(tx, s, class, month); err != nil {
				return fail("subject "+s.Role, err)
			}
		}
	}
	return out, nil
}

func validOwner(o schemas.Owner) error {
	switch o.Kind {
	case schemas.OwnerTenant:
		return nil
	case schemas.OwnerPerson, schemas.OwnerDevice:
		if o.ID != uuid.Nil {
			return nil
		}
	}
	return errors.New("no owner says whose key seals it")
}

// scratches are what sealing has used: no plaintext stays in one.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Seal seals the draft, once. On error the draft is as it was.
func (s *Sealing) Seal() error {
	d := s.draft
	tokens := make([]schemas.Token, len(d.Values))
	sealers := make([]*Sealer, len(s.keys))
	buf := scratches.Get().(*scratch)
	defer scratches.Put(buf)
	for i, n := range s.under {
		if n <= 0 {
			continue
		}
		v, k := &d.Values[i], &s.keys[n-1]
		if !json.Valid(v.Plain) {
			return sealError(d, "attribute "+v.Attr.ID, errors.New("its value is not JSON"))
		}
		h := schemas.TokenHeader{Alias: k.Alias, Class: k.Class, Month: k.Month, Event: d.ID,
			Attr: v.Attr.ID, Path: v.Path}
		err := h.Validate()
		if err == nil && sealers[n-1] == nil {
			sealers[n-1], err = sealerOf(*k, d.Tenant, d.ID, buf)
		}
		if err != nil {
			return sealError(d, "attribute "+v.Attr.ID, err)
		}
		tokens[i] = sealers[n-1].Seal(h, v.Plain)
	}
	for i, n := range s.under {
		switch v := &d.Values[i]; {
		case n > 0:
			v.Token, v.Plain, v.Owner = tokens[i], nil, s.keys[n-1].Owner
		case n < 0:
			v.Plain, v.Owner = nil, s.sealed[-n-1]
		}
	}
	d.Subjects = s.subjects
	return nil
}
