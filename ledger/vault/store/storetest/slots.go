package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

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
			err := s.View(context.Background(), e.tenants[0], EachOne(func(r One) error {
				got, err := r.Slot(n)
				if !errors.Is(err, wantErr) || wantErr == nil &&
					(got.Epoch != want.Epoch || !bytes.Equal(got.Bytes, want.Bytes)) {
					t.Errorf("%s: slot %d holds %v, %v; want %v", what, n, got, err, wantErr)
				}
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var n, m store.Slot
	fill := func(r One, w store.Wrapped) (store.Slot, error) {
		n, err := r.NewSlot()
		if err != nil || n == 0 {
			return 0, fmt.Errorf("slot %d: %w", n, err)
		}
		return n, r.PutSlot(n, w)
	}
	e.put(func(r One) (err error) {
		if n, err = fill(r, secret(1)); err != nil {
			return err
		}
		found(t, "within its transaction", secret(1))(get(r, n))
		return nil
	})
	holds("committed", n, secret(1), nil)
	err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) (err error) {
		if m, err = fill(r, secret(2)); err != nil {
			return err
		}
		return errors.Join(r.DestroySlot(n), r.RetireSlot(n), errTest)
	}))
	if !errors.Is(err, errTest) || m == n {
		t.Fatal(m, err)
	}
	if err := e.s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("after a failed transaction", n, secret(1), nil)
	holds("given by a failed transaction", m, store.Wrapped{}, store.ErrNotFound)
	e.put(func(r One) (err error) {
		m, err = fill(r, secret(3))
		if e1, e2 := r.PutSlot(n, secret(9)), r.PutSlot(m+1, secret(9)); e1 == nil || e2 == nil {
			t.Error("a slot was filled that the transaction was not given")
		}
		return err
	})
	holds("of the next transaction", m, secret(3), nil)
	e.put(func(r One) error { return r.RetireSlot(m) })
	holds("retired", m, secret(3), nil)
	if err := second.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("retired, and scrubbed by another", m, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r One) error {
		if err := r.DestroySlot(n); err != nil {
			return err
		}
		if _, err := r.Slot(n); !errors.Is(err, store.ErrSlotDestroyed) {
			t.Errorf("in the transaction that destroys it: %v", err)
		}
		return r.DestroySlot(n)
	})
	holds("destroyed", n, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r One) error { return errors.Join(r.DestroySlot(n), r.RetireSlot(n)) }) // again
	if err := e.s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds("destroyed again", n, store.Wrapped{}, store.ErrSlotDestroyed)
	e.put(func(r One) (err error) {
		if m, err = fill(r, secret(4)); err != nil {
			return err
		}
		return r.DestroySlot(m)
	})
	holds("filled and destroyed by one transaction", m, store.Wrapped{}, store.ErrSlotDestroyed)
	holds("never given", m+100, store.Wrapped{}, store.ErrNotFound)
	holds("none", 0, store.Wrapped{}, store.ErrNotFound)
	e.read(func(r One) error {
		_, err := r.NewSlot()
		for _, err := range []error{err, r.DestroySlot(n), r.RetireSlot(n)} {
			if !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("in a view: %v", err)
			}
		}
		return nil
	})
	for _, w := range []store.Wrapped{{}, {Epoch: 1, Bytes: make([]byte, store.MaxSlot+1)}} {
		if err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
			_, err := fill(r, w)
			return err
		})); err == nil {
			t.Errorf("a slot took %d bytes", len(w.Bytes))
		}
	}
	e.put(func(r One) (err error) {
		n, err = fill(r, store.Wrapped{Epoch: 9, Bytes: bytes.Repeat([]byte{7}, store.MaxSlot)})
		return err
	})
	holds("as full as can be", n, store.Wrapped{Epoch: 9, Bytes: bytes.Repeat([]byte{7}, store.MaxSlot)}, nil)
}

func get(r One, n store.Slot) (store.Wrapped, bool, error) {
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
				err := s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
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
				}))
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
	e.read(func(r One) error {
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
	e.put(func(r One) error {
		return errors.Join(r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerPerson), State: store.OwnerLive}),
			r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerPerson), State: store.OwnerErased}),
			r.PutOwner(store.OwnerRow{Owner: owner(schemas.OwnerDevice), State: store.OwnerLive}))
	})
	e.read(func(r One) error {
		c, err := r.Count()
		equal(t, "counts", c, store.Counts{Tenants: 2, Persons: 2, Devices: 1})
		return err
	})
}
