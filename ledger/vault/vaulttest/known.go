package vaulttest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
)

// testTaken: what is kept of records that were taken goes with each forgetting, and what was made
// before one is not kept after it.
func testTaken(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	basis := taken.Basis{Stream: h.mac.Stream, Revision: 3, Event: uuid.New()}
	page := func(asOf uint64) taken.Page {
		return taken.Page{First: taken.Mark{1}, AsOf: asOf, Text: []byte("a page")}
	}
	var count uint64
	keep := func() {
		t.Helper()
		e.Update(func(tx *vault.Tx) {
			count, _ = tx.Known().Count()
			if err := tx.Known().Remember([]taken.Page{page(count)}, basis); err != nil {
				t.Fatal(err)
			}
		})
	}
	is := func(when string, want bool) {
		t.Helper()
		e.View(func(tx *vault.Tx) {
			got, err := tx.Known().Pages([]taken.Mark{{1}, {2}})
			if err != nil || (len(got) == 1) != want || want && string(got[0].Text) != "a page" {
				t.Errorf("%s: %+v, %v", when, got, err)
			}
			if (tx.Known().Basis() == basis) != want {
				t.Errorf("%s it rests on %+v", when, tx.Known().Basis())
			}
		})
	}
	is("at first", false)
	keep()
	is("kept", true)
	tag := taken.TagOf(h.mac.Stream)
	e.Update(func(tx *vault.Tx) { tx.Known().Unsettle(tag) })
	e.View(func(tx *vault.Tx) {
		got := map[taken.Tag]uint64{}
		err := tx.Known().Unsettled(count, func(t taken.Tag, at uint64) { got[t] = at })
		if now, _ := tx.Known().Count(); err != nil || now != count+1 || got[tag] != now || len(got) != 1 {
			t.Errorf("unsettled: %v as of %d, %v", got, now, err)
		}
	})
	is("unsettled", true)
	order := uuid.New()
	var keys []uuid.UUID
	for _, act := range []struct {
		what string
		do   func(tx *vault.Tx) error
	}{
		{"expired", func(tx *vault.Tx) error { return tx.ExpirePeriod("security", "202001") }},
		{"begun", func(tx *vault.Tx) (err error) { keys, err = tx.BeginErasure(h.anna, order); return err }},
		{"destroyed", func(tx *vault.Tx) error { return tx.Destroy(order, keys) }},
	} {
		keep()
		before := count
		e.Update(func(tx *vault.Tx) {
			if err := act.do(tx); err != nil {
				t.Fatal(err)
			}
		})
		is(act.what, false)
		e.Update(func(tx *vault.Tx) {
			if err := tx.Known().Remember([]taken.Page{page(before)}, basis); err != nil {
				t.Fatal(err)
			}
		})
		is(act.what+", and what was made before", false)
	}
}
