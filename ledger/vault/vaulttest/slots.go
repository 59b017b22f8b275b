package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/schemas"
)

// destroySlots overwrites the slots of owners behind the vault's back, as a crash leaves it that
// came after the slots and before the rows.
func (e *Env) destroySlots(owners ...schemas.Owner) {
	e.T.Helper()
	err := e.Store.Update(context.Background(), e.Tenant.ID, storetest.EachOne(func(r storetest.One) error {
		for _, o := range owners {
			row, ok, err := r.Owner(o)
			if err != nil || !ok || row.Slot == 0 {
				return fmt.Errorf("owner %v has slot %d: %w", o, row.Slot, err)
			}
			if err := r.DestroySlot(row.Slot); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		e.T.Fatal(err)
	}
}

// testSlotFirst: owners whose slots are destroyed and whose rows stand read as erased, whatever
// the rows say; nothing takes that back, and the order repeated completes it.
func testSlotFirst(t *testing.T, f Factory) {
	for _, begun := range []bool{false, true} { // the order replayed on a restored vault, and on this one
		e := NewEnv(t, f)
		h := newHousehold(e)
		completion := uuid.New()
		var keys []uuid.UUID
		e.Update(func(tx *vault.Tx) {
			var err error
			if begun {
				keys, err = tx.BeginErasure(h.anna, completion)
			} else {
				keys, err = tx.SubjectKeys(h.anna)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		e.destroySlots(schemas.Owner{Kind: schemas.OwnerPerson, ID: h.anna},
			schemas.Owner{Kind: schemas.OwnerDevice, ID: h.phone.ID})
		e.Clock.Advance(vaultCacheAge)
		e.expect("Anna's values", h.ofAnna, vault.ErrErased)
		e.expect("Bob's values", h.ofBob, nil)
		e.Update(func(tx *vault.Tx) {
			_, _, err := tx.Person(vault.PersonHint{ObjectID: object1, At: e.Clock.Now()})
			if !errors.Is(err, vault.ErrErasedSubject) {
				t.Errorf("Anna is taken up again: %v", err)
			}
			_, _, err = tx.Device(vault.DeviceHint{IntuneID: "phone", At: e.Clock.Now()})
			if !errors.Is(err, vault.ErrErasedSubject) {
				t.Errorf("the phone is taken up again: %v", err)
			}
			if m, err := tx.FindPersons(object1); err != nil || len(m) != 0 {
				t.Errorf("Anna is found: %v, %v", m, err)
			}
			err = tx.Seal(e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, uuid.Nil, e.Clock.Now()))
			if !errors.Is(err, vault.ErrErased) {
				t.Errorf("sealed for Anna: %v", err)
			}
			for _, a := range h.aliases {
				if _, err := tx.AliasOwner(a); !errors.Is(err, vault.ErrErased) {
					t.Errorf("an alias of Anna: %v", err)
				}
			}
			if begun {
				if err := tx.CancelErasure(completion); !errors.Is(err, vault.ErrErased) {
					t.Errorf("taken back though the slots are destroyed: %v", err)
				}
			} else if _, err := tx.BeginErasure(h.anna, uuid.New()); !errors.Is(err, vault.ErrErased) {
				t.Errorf("begun again: %v", err)
			}
		})
		for range 2 {
			e.Update(func(tx *vault.Tx) {
				if err := tx.ReplayErasure(completion, keys, e.Clock.Now()); err != nil {
					t.Fatal(err)
				}
			})
		}
		h.erased(e)
	}
}

func testSlotOfPeriod(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	err := e.Store.Update(context.Background(), e.Tenant.ID, storetest.EachOne(func(r storetest.One) error {
		k, ok, err := r.PeriodKey("inventory", "202611")
		if err != nil || !ok || k.Slot == 0 {
			return fmt.Errorf("period key: %+v, %v, %w", k, ok, err)
		}
		return r.DestroySlot(k.Slot)
	}))
	if err != nil {
		t.Fatal(err)
	}
	e.Clock.Advance(vaultCacheAge)
	for range 2 {
		e.expect("values of the period", slices.Concat(h.ofAnna, h.ofBob, h.ofMac), vault.ErrExpired)
		e.Update(func(tx *vault.Tx) {
			draft := e.Enrolled(e.Tenant.ID, h.mac.Stream, h.bob, uuid.Nil, e.Clock.Now())
			if err := tx.Seal(draft); !errors.Is(err, vault.ErrExpired) {
				t.Errorf("sealed in the period: %v", err)
			}
			if err := tx.ExpirePeriod("inventory", "202611"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// testSlotOfRest: where some of an owner's keys are destroyed and the owner stays, the rest moves
// to another slot and the one that both lay under is destroyed.
func testSlotOfRest(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	slot := func() (row store.OwnerRow) {
		t.Helper()
		err := e.Store.View(context.Background(), e.Tenant.ID, storetest.EachOne(func(r storetest.One) (err error) {
			row, _, err = r.Owner(schemas.Owner{Kind: schemas.OwnerDevice, ID: h.phone.ID})
			return err
		}))
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	old := slot().Slot
	var element uuid.UUID
	e.Update(func(tx *vault.Tx) {
		var err error
		if element, err = tx.Element(h.phone.Stream, "apps", "com.example"); err != nil {
			t.Fatal(err)
		}
	})
	e.erase(h.bob) // who held the phone before
	if now := slot().Slot; now == old || now == 0 {
		t.Errorf("the phone keeps slot %d", now)
	}
	err := e.Store.View(context.Background(), e.Tenant.ID, storetest.EachOne(func(r storetest.One) error {
		if _, err := r.Slot(old); !errors.Is(err, store.ErrSlotDestroyed) {
			t.Errorf("the slot that Bob's keys of the phone lay under: %v", err)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e.expect("Anna's values, the phone's among them", h.ofAnna, nil)
		e.expect("the phone's values of Bob's time", h.bobsPhone, vault.ErrErased)
		e.Update(func(tx *vault.Tx) {
			d, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: "phone", At: e.Clock.Now()})
			if err != nil || !found || d.ID != h.phone.ID {
				t.Errorf("the phone: %+v, %v, %v", d, found, err)
			}
			if again, err := tx.Element(h.phone.Stream, "apps", "com.example"); err != nil || again != element {
				t.Errorf("an element of the phone: %v, %v", again, err)
			}
			if err := tx.Seal(e.Enrolled(e.Tenant.ID, h.phone.Stream, h.anna, h.phone.ID, e.Clock.Now())); err != nil {
				t.Errorf("sealing for the phone: %v", err)
			}
		})
		e.Clock.Advance(vaultCacheAge)
	}
	e.erase(h.anna)
	h2 := *h
	e.expect("Anna's values", h2.ofAnna, vault.ErrErased)
}
