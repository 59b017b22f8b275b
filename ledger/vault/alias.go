package vault

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Alias is one name under which a person stands in events of a class and month.
type Alias struct {
	ID    uuid.UUID
	Class string
	Month string // yyyymm
}

// Aliases lists the living aliases of the subject that a person is, of the given classes or of
// all: of each of its persons by class and month. What was appended about the person names one of
// them. ErrErased, ErrNotFound: of the person.
func (tx *Tx) Aliases(person uuid.UUID, classes ...string) (out []Alias, err error) {
	all, err := tx.Subject(person)
	for _, p := range all {
		if err == nil {
			out, err = tx.aliasesOf(out, p, classes)
		}
	}
	return out, err
}

func (tx *Tx) aliasesOf(out []Alias, person uuid.UUID, classes []string) ([]Alias, error) {
	o := schemas.Owner{Kind: schemas.OwnerPerson, ID: person}
	if _, err := tx.keys.Living(o); err != nil {
		return nil, fmt.Errorf("aliases: %w", err)
	}
	keys, err := tx.set.SubjectKeys(o)
	if err != nil {
		return nil, fmt.Errorf("aliases: %w", err)
	}
	for _, k := range keys {
		if len(classes) > 0 && !slices.Contains(classes, k.Class) {
			continue
		}
		rows, err := tx.set.AliasesOf(k.ID)
		if err != nil {
			return nil, fmt.Errorf("aliases: %w", err)
		}
		for _, r := range rows {
			if r.State == store.AliasLive {
				out = append(out, Alias{ID: r.ID, Class: r.Class, Month: r.Month})
			}
		}
	}
	return out, nil
}

// Living errs with ErrErased where the person is erased or being erased, and with ErrNotFound
// where there is none.
func (tx *Tx) Living(person uuid.UUID) error {
	_, err := tx.keys.Living(schemas.Owner{Kind: schemas.OwnerPerson, ID: person})
	return err
}

// AliasOwner returns whom an alias names. ErrErased or ErrExpired where it no longer names
// anybody, ErrNotFound where it never did in this tenant, and ErrLost with that where the vault
// was declared to have lost such. While the owner is being erased it errs with ErrErased and
// ErrErasing, and returns the owner all the same.
func (tx *Tx) AliasOwner(alias uuid.UUID) (schemas.Owner, error) {
	fail := func(err error) (schemas.Owner, error) {
		return schemas.Owner{}, fmt.Errorf("owner of alias %s: %w", alias, err)
	}
	if err := tx.keys.Fresh(); err != nil {
		return fail(err)
	}
	row, err := tx.set.Alias(alias)
	switch {
	case err != nil:
		return fail(err)
	case row == nil:
		if lost, err := tx.lost(""); err != nil || !lost {
			return fail(errors.Join(err, ErrNotFound))
		}
		return fail(fmt.Errorf("%w: %w", ErrLost, ErrNotFound))
	case row.State == store.AliasErased:
		return fail(ErrErased)
	case row.State == store.AliasExpired:
		return fail(ErrExpired)
	}
	k, err := tx.set.SubjectKeyByID(row.SubjectKey)
	switch {
	case err != nil:
		return fail(err)
	case k == nil:
		return fail(fmt.Errorf("its subject key: %w", ErrNotFound))
	case k.State == store.KeyErasing:
		_, err := fail(fmt.Errorf("%w: %w", ErrErasing, ErrErased))
		return k.Owner, err
	case k.State != store.KeyLive:
		return fail(ErrErased)
	}
	if gone, err := tx.keys.SlotGone(k.Owner); err != nil {
		return fail(err)
	} else if gone {
		return fail(ErrErased)
	}
	return k.Owner, nil
}

// Destroyed returns how many of the keys are tombstones.
func (tx *Tx) Destroyed(keys []uuid.UUID) (int, error) {
	if err := tx.set.Fetch(store.Keys{SubjectKeyIDs: keys}); err != nil {
		return 0, fmt.Errorf("destroyed keys: %w", err)
	}
	n := 0
	for _, id := range keys {
		row, err := tx.set.SubjectKeyByID(id)
		if err != nil {
			return 0, fmt.Errorf("destroyed keys: %w", err)
		}
		if row != nil && row.State == store.KeyDestroyed {
			n++
		}
	}
	return n, nil
}

// SubjectKeys lists the uuids of the keys that an erasure of the person destroys, of all persons
// of their subject: the person's own; every key of the devices the person holds that are personal
// or of unknown ownership; and of such devices held before, the keys of that time. The key that
// stands for an owner's mapping is among them.
func (tx *Tx) SubjectKeys(person uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.subjectKeys(person)
	if err != nil {
		return nil, fmt.Errorf("subject keys: %w", err)
	}
	out := make([]uuid.UUID, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return out, nil
}

func (tx *Tx) subjectKeys(person uuid.UUID) ([]store.SubjectKeyRow, error) {
	all, err := tx.Subject(person)
	if err != nil {
		return nil, err
	}
	var out []store.SubjectKeyRow
	for _, p := range all {
		own, err := tx.set.SubjectKeys(schemas.Owner{Kind: schemas.OwnerPerson, ID: p})
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	holdings, err := tx.holdings(all)
	if err != nil {
		return nil, err
	}
	have := map[uuid.UUID]bool{}
	for _, h := range holdings {
		if Own(h.Ownership) {
			continue
		}
		keys, err := tx.set.SubjectKeys(schemas.Owner{Kind: schemas.OwnerDevice, ID: h.Device})
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if (h.To.IsZero() || k.Generation == h.Generation && k.Class != classIdentity) && !have[k.ID] {
				have[k.ID] = true
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// holdings returns the periods in which any of the persons held a device.
func (tx *Tx) holdings(persons []uuid.UUID) (out []store.HoldingRow, err error) {
	for _, p := range persons {
		rows, err := tx.set.Holdings(p)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, nil
}

// personalDevices returns the devices that go with the persons.
func (tx *Tx) personalDevices(persons []uuid.UUID) ([]schemas.Owner, error) {
	holdings, err := tx.holdings(persons)
	if err != nil {
		return nil, err
	}
	var out []schemas.Owner
	for _, h := range holdings {
		if h.To.IsZero() && !Own(h.Ownership) {
			out = append(out, schemas.Owner{Kind: schemas.OwnerDevice, ID: h.Device})
		}
	}
	return out, nil
}
