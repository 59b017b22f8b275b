package vault

import (
	"errors"
	"fmt"
	"slices"

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
// beside one.
type Sealing = keyring.Sealing

// Prepare is the part of Seal that needs the transaction: it finds or mints the keys, and errs
// where Seal would for those. The draft must not be changed between the two, and stays as it was.
func (tx *Tx) Prepare(d *schemas.Draft) (*Sealing, error) {
	fail := func(what string, err error) (*Sealing, error) { return nil, keyring.SealError(d, what, err) }
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
	out := keyring.NewSealing(d)
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
			out.Before(i, dk.Owner)
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
		if err := out.Under(tx.keys, i, owner, month); err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
	}
	for _, s := range d.Subjects {
		if s.Person == uuid.Nil && s.Alias != uuid.Nil {
			out.Keep(s)
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
			if err := out.Name(tx.keys, s, class, month); err != nil {
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
