package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/schemas"
)

// Seal seals every value of the draft that may not stand open, and gives each subject the aliases
// of its person for the role's classes. Each token's value then says whose key sealed it. The
// aliases' index rows are part of this transaction: append the event after Update returned.
// Removed and open values are left alone, and so are values sealed in an earlier transaction that
// was committed; on those of one that was not it errs with ErrTampered: build such a draft anew.
// On error the draft is as it was.
//
// ErrErased: an owner or subject is erased or being erased. ErrExpired: the event's month is past
// the retention of a class it needs. ErrNotFound: an owner the vault does not know. Errors name
// the attribute, never its value.
func (tx *Tx) Seal(d *schemas.Draft) error {
	s, err := tx.Prepare(d)
	if err != nil {
		return err
	}
	return s.Seal()
}

// Sealing is a draft with the keys that sealing it takes. It needs no transaction, and may be used
// beside one, from one goroutine. It holds keys: seal at once, and drop it.
type Sealing struct {
	draft *schemas.Draft
	keys  []keyring.Derived // of which most values share few
	// under is for each value the number of its key, from 1; 0: it stays as it is. One that was
	// sealed before has minus the number of its owner in sealed: its key may be of another time.
	under    []int
	sealed   []schemas.Owner
	subjects []schemas.SubjectRef
}

func sealError(d *schemas.Draft, what string, err error) error {
	return fmt.Errorf("seal %s: %s: %w", d.Type.Name, what, err)
}

// Prepare is the part of Seal that needs the transaction: it finds or mints the keys, and errs
// where Seal would for those. The draft must not be changed between the two, and stays as it was.
func (tx *Tx) Prepare(d *schemas.Draft) (*Sealing, error) {
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
	if err := tx.keys.Fresh(); err != nil {
		return fail("transaction", err)
	}
	month := schemas.Month(d.Occurred, d.Recorded)
	for _, s := range d.Subjects {
		if s.Person != uuid.Nil {
			tx.set.Ahead(schemas.Owner{Kind: schemas.OwnerPerson, ID: s.Person})
		}
	}
	out := &Sealing{draft: d, under: make([]int, len(d.Values))}
	for i := range d.Values {
		v := &d.Values[i]
		if v.Attr == nil {
			return fail("value", errors.New("has no attribute"))
		}
		if v.Token != "" {
			// Sealed in an earlier transaction: had that one failed, the
			// alias would have no index row.
			h, _, err := v.Token.Parse()
			var dk keyring.Derived
			if err == nil {
				dk, err = tx.derivedOf(h)
			}
			if err != nil {
				return fail("attribute "+v.Attr.ID+", sealed before", err)
			}
			out.sealed = append(out.sealed, dk.Owner)
			out.under[i] = -len(out.sealed)
			continue
		}
		if v.Removed || v.MayStandOpen() {
			continue
		}
		owner := keyring.TenantOwner(v.Owner)
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
		var err error
		if out.under[i], err = out.key(tx.keys, owner, v.Attr.Class, month); err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
	}
	out.subjects = make([]schemas.SubjectRef, 0, len(d.Subjects))
	for _, s := range d.Subjects {
		if s.Person == uuid.Nil && s.Alias != uuid.Nil {
			out.subjects = append(out.subjects, s)
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
			n, err := out.key(tx.keys, schemas.Owner{Kind: schemas.OwnerPerson, ID: s.Person}, class, month)
			if err != nil {
				return fail("subject "+s.Role, err)
			}
			out.subjects = append(out.subjects, schemas.SubjectRef{Role: s.Role, Person: s.Person, Class: class,
				Alias: out.keys[n-1].Alias})
		}
	}
	return out, nil
}

// key returns the number of the owner's key of class and month.
func (s *Sealing) key(keys *keyring.Tx, owner schemas.Owner, class, month string) (int, error) {
	for i := range s.keys {
		if k := &s.keys[i]; k.Owner == owner && k.Class == class {
			return i + 1, nil
		}
	}
	d, err := keys.Derive(owner, class, month)
	if err != nil {
		return 0, err
	}
	s.keys = append(s.keys, d)
	return len(s.keys), nil
}

// scratches are what sealing has used: no plaintext stays in one.
var scratches = sync.Pool{New: func() any { return new(keyring.Scratch) }}

// Seal seals the draft, once. On error the draft is as it was.
func (s *Sealing) Seal() error {
	d := s.draft
	tokens := make([]schemas.Token, len(d.Values))
	sealers := make([]*keyring.Sealer, len(s.keys))
	buf := scratches.Get().(*keyring.Scratch)
	defer scratches.Put(buf)
	for i, n := range s.under {
		v := &d.Values[i]
		if n <= 0 {
			continue
		}
		if !json.Valid(v.Plain) {
			return sealError(d, "attribute "+v.Attr.ID, errors.New("its value is not JSON"))
		}
		k := &s.keys[n-1]
		h := schemas.TokenHeader{Alias: k.Alias, Class: k.Class, Month: k.Month, Event: d.ID,
			Attr: v.Attr.ID, Path: v.Path}
		err := h.Validate()
		if err == nil && sealers[n-1] == nil {
			sealers[n-1], err = keyring.NewSealer(*k, d.Tenant, d.ID, buf)
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
