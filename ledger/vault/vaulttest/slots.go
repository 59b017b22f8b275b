package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

func secret(b byte) store.Wrapped {
	return store.Wrapped{Epoch: uint32(b) + 1, Bytes: bytes.Repeat([]byte{b, 0x5a}, 30)}
}

// testSlots: a slot is there from the commit on, stays as a failed transaction found it, and once
// destroyed never reads again.
func testSlots(t *testing.T, e *storeEnv) {
	second := e.again(t)
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	holds := func(what string, n store.Slot, want store.Wrapped, wantErr error) {
		t.Helper()
		for _, s := range []store.Store{e.s, second} {
			err := s.View(context.Background(), e.tenants[0], func(r store.Rows) error {
				got, err := r.Slot(n)
				if !errors.Is(err, wantErr) || wantErr == nil &&
					(got.Epoch != want.Epoch || !bytes.Equal(got.Bytes, want.Bytes)) {
					t.Errorf("%s: slot %d holds %v, %v; want %v", what, n, got, err, wantErr)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var n, m store.Slot
	fill := func(r store.Rows, w store.Wrapped) (store.Slot, error) {
		n, err := r.NewSlot()
		if err != nil || n == 0 {
			return 0, fmt.Errorf("slot %d: %w", n, err)
		}
		return n, r.PutSlot(n, w)
	}
	e.put(func(r store.Rows) (err error) {
		if n, err = fill(r, secret(1)); err != nil {
			return err
		}
		found(t, "within its transaction", secret(1))(get(r, n))
		return nil
	})
	holds("committed", n, secret(1), nil)
	err := e.s.Update(context.Background(), e.tenants[0], func(r store.Rows) (err error) {
		if m, err = fill(r, secret(2)); err != nil {
			return err
		}
		return errors.Join(r.DestroySlot(n), r.RetireSlot(n), errTest)
	})
	if !errors.Is(err, errTest) || m == n {
		t.Fatal(m, err)
	}
	if err := e.s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("after a failed transaction", n, secret(1), nil)
	holds("given by a failed transaction", m, store.Wrapped{}, vault.ErrNotFound)
	e.put(func(r store.Rows) (err error) {
		m, err = fill(r, secret(3))
		if e1, e2 := r.PutSlot(n, secret(9)), r.PutSlot(m+1, secret(9)); e1 == nil || e2 == nil {
			t.Error("a slot was filled that the transaction was not given")
		}
		return err
	})
	holds("of the next transaction", m, secret(3), nil)
	e.put(func(r store.Rows) error { return r.RetireSlot(m) })
	holds("retired", m, secret(3), nil)
	if err := second.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("retired, and scrubbed by another", m, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r store.Rows) error {
		if err := r.DestroySlot(n); err != nil {
			return err
		}
		if _, err := r.Slot(n); !errors.Is(err, store.ErrSlotDestroyed) {
			t.Errorf("in the transaction that destroys it: %v", err)
		}
		return r.DestroySlot(n)
	})
	holds("destroyed", n, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r store.Rows) error { return errors.Join(r.DestroySlot(n), r.RetireSlot(n)) }) // again
	if err := e.s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("destroyed again", n, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r store.Rows) (err error) {
		if m, err = fill(r, secret(4)); err != nil {
			return err
		}
		return r.DestroySlot(m)
	})
	holds("filled and destroyed by one transaction", m, store.Wrapped{}, store.ErrSlotDestroyed)
	holds("never given", m+100, store.Wrapped{}, vault.ErrNotFound)
	holds("none", 0, store.Wrapped{}, vault.ErrNotFound)
	e.read(func(r store.Rows) error {
		_, err := r.NewSlot()
		for _, err := range []error{err, r.DestroySlot(n), r.RetireSlot(n)} {
			if !errors.Is(err, vault.ErrReadOnly) {
				t.Errorf("in a view: %v", err)
			}
		}
		return nil
	})
	for _, w := range []store.Wrapped{{}, {Epoch: 1, Bytes: make([]byte, store.MaxSlot+1)}} {
		if err := e.s.Update(context.Background(), e.tenants[0], func(r store.Rows) error {
			_, err := fill(r, w)
			return err
		}); err == nil {
			t.Errorf("a slot took %d bytes", len(w.Bytes))
		}
	}
	e.put(func(r store.Rows) (err error) {
		n, err = fill(r, store.Wrapped{Epoch: 9, Bytes: bytes.Repeat([]byte{7}, store.MaxSlot)})
		return err
	})
	holds("as full as can be", n, store.Wrapped{Epoch: 9, Bytes: bytes.Repeat([]byte{7}, store.MaxSlot)}, nil)
}

func get(r store.Rows, n store.Slot) (store.Wrapped, bool, error) {
	w, err := r.Slot(n)
	return w, err == nil, err
}

// testSlotsOfMany: two handles fill slots at once, some transactions fail; no two owners ever get
// one slot.
func testSlotsOfMany(t *testing.T, e *storeEnv) {
	second := e.again(t)
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	var mu sync.Mutex
	mine := map[store.Slot]byte{}
	var wg sync.WaitGroup
	for w := range 4 {
		s := []store.Store{e.s, second}[w%2]
		wg.Go(func() {
			for round := range 12 {
				var got []store.Slot
				err := s.Update(context.Background(), e.tenants[0], func(r store.Rows) error {
					for range 5 {
						n, err := r.NewSlot()
						if err != nil {
							return err
						}
						if err := r.PutSlot(n, secret(byte(w))); err != nil {
							return err
						}
						got = append(got, n)
					}
					if round%3 == 0 {
						return errTest
					}
					return nil
				})
				if round%3 == 0 && errors.Is(err, errTest) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, n := range got {
					if _, twice := mine[n]; twice {
						t.Errorf("slot %d was given twice", n)
					}
					mine[n] = byte(w)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	e.read(func(r store.Rows) error {
		for n, w := range mine {
			found(t, "a slot", secret(w))(get(r, n))
		}
		return nil
	})
	if len(mine) != 4*8*5 {
		t.Errorf("%d slots were given", len(mine))
	}
}

func testCount(t *testing.T, e *storeEnv) {
	e.put(func(r store.Rows) error {
		return errors.Join(r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerPerson), State: store.OwnerLive}),
			r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerPerson), State: store.OwnerErased}),
			r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerDevice), State: store.OwnerLive}))
	})
	e.read(func(r store.Rows) error {
		c, err := r.Count()
		equal(t, "counts", c, store.Counts{Tenants: 2, Persons: 2, Devices: 1})
		return err
	})
}

// destroySlots overwrites the slots of owners behind the vault's back, as a crash leaves it that
// came after the slots and before the rows.
func (e *Env) destroySlots(owners ...schemas.Owner) {
	e.T.Helper()
	err := e.Store.Update(context.Background(), e.Tenant.ID, func(r store.Rows) error {
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
	})
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
	err := e.Store.Update(context.Background(), e.Tenant.ID, func(r store.Rows) error {
		k, ok, err := r.PeriodKey("inventory", "202611")
		if err != nil || !ok || k.Slot == 0 {
			return fmt.Errorf("period key: %+v, %v, %w", k, ok, err)
		}
		return r.DestroySlot(k.Slot)
	})
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
		err := e.Store.View(context.Background(), e.Tenant.ID, func(r store.Rows) (err error) {
			row, _, err = r.Owner(schemas.Owner{Kind: schemas.OwnerDevice, ID: h.phone.ID})
			return err
		})
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
	err := e.Store.View(context.Background(), e.Tenant.ID, func(r store.Rows) error {
		if _, err := r.Slot(old); !errors.Is(err, store.ErrSlotDestroyed) {
			t.Errorf("the slot that Bob's keys of the phone lay under: %v", err)
		}
		return nil
	})
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
