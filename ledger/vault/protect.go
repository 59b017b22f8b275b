package vault

import (
	"encoding/json"
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
	fail := func(what string, err error) error {
		return fmt.Errorf("seal %s: %s: %w", d.Type.Name, what, err)
	}
	switch {
	case d.Type == nil:
		return errors.New("seal: the draft has no type")
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
	var under sealing
	tokens, owners := make([]schemas.Token, len(d.Values)), make([]schemas.Owner, len(d.Values))
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
			tokens[i], owners[i] = v.Token, dk.Owner
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
		if !json.Valid(v.Plain) {
			return fail("attribute "+v.Attr.ID, errors.New("its value is not JSON"))
		}
		dk, s, err := under.sealer(tx.keys, owner, v.Attr.Class, month, d.ID)
		if err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
		h := schemas.TokenHeader{Alias: dk.Alias, Class: dk.Class, Month: dk.Month, Event: d.ID,
			Attr: v.Attr.ID, Path: v.Path}
		if err := h.Validate(); err != nil {
			return fail("attribute "+v.Attr.ID, err)
		}
		tokens[i], owners[i] = s.Seal(h, v.Plain), dk.Owner
	}
	subjects := make([]schemas.SubjectRef, 0, len(d.Subjects))
	for _, s := range d.Subjects {
		if s.Person == uuid.Nil && s.Alias != uuid.Nil {
			subjects = append(subjects, s)
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
			dk, err := tx.keys.Derive(schemas.Owner{Kind: schemas.OwnerPerson, ID: s.Person}, class, month)
			if err != nil {
				return fail("subject "+s.Role, err)
			}
			subjects = append(subjects, schemas.SubjectRef{Role: s.Role, Person: s.Person, Class: class,
				Alias: dk.Alias})
		}
	}
	for i, t := range tokens {
		if t != "" {
			d.Values[i].Token, d.Values[i].Plain, d.Values[i].Owner = t, nil, owners[i]
		}
	}
	d.Subjects = subjects
	return nil
}

// sealing is the keys of one event, of which most values share few.
type sealing []struct {
	owner   schemas.Owner
	class   string
	derived *keyring.Derived
	sealer  *keyring.Sealer
}

func (u *sealing) sealer(
	keys *keyring.Tx, owner schemas.Owner, class, month string, event uuid.UUID,
) (*keyring.Derived, *keyring.Sealer, error) {
	for i := range *u {
		if k := &(*u)[i]; k.owner == owner && k.class == class {
			return k.derived, k.sealer, nil
		}
	}
	d, err := keys.Derive(owner, class, month)
	if err != nil {
		return nil, nil, err
	}
	s, err := keys.Sealer(d, event)
	if err != nil {
		return nil, nil, err
	}
	*u = append(*u, struct {
		owner   schemas.Owner
		class   string
		derived *keyring.Derived
		sealer  *keyring.Sealer
	}{owner, class, &d, s})
	return &d, s, nil
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
