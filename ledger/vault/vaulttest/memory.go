package vaulttest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// memorise remembers of the stream what rests on those persons' keys.
func (e *Env) memorise(s schemas.Stream, persons ...uuid.UUID) (ok bool) {
	e.T.Helper()
	var m vault.Memory
	e.View(func(tx *vault.Tx) {
		var err error
		if m, ok, err = tx.Memorise(s, []byte("of "+s), persons); err != nil {
			e.T.Fatal(err)
		}
	})
	if ok {
		e.Update(func(tx *vault.Tx) {
			if err := tx.Remember([]vault.Memory{m}); err != nil {
				e.T.Fatal(err)
			}
		})
	}
	return ok
}

func (e *Env) recalls(s schemas.Stream) bool {
	e.T.Helper()
	found := false
	e.View(func(tx *vault.Tx) {
		got, err := tx.Recall([]schemas.Stream{s, schemas.NewStream("device", uuid.New())})
		text, ok := got[s]
		if err != nil || ok && string(text) != "of "+string(s) || len(got) > 1 {
			e.T.Errorf("recalled %q: %v", got, err)
		}
		found = ok
	})
	return found
}

// What is remembered of a stream goes with every key from which something in it was read: with the
// erasure of whoever holds the device or held it, from its first step on, and with a month.
func testMemoriesOfVault(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	streams := map[string]schemas.Stream{"her phone": h.phone.Stream, "the Mac": h.mac.Stream}
	all := func(what string, want bool) {
		t.Helper()
		for name, s := range streams {
			if e.recalls(s) != want {
				t.Errorf("%s: %s is remembered: %v", what, name, !want)
			}
		}
	}
	remember := func() {
		t.Helper()
		for name, s := range streams {
			if !e.memorise(s, h.anna) {
				t.Errorf("%s is not remembered", name)
			}
		}
	}
	if e.memorise(h.phone.Stream, uuid.New()) {
		t.Error("what rests on the key of somebody who never held it is remembered")
	}
	remember()
	all("remembered", true)
	e.Update(func(tx *vault.Tx) {
		if err := tx.ExpirePeriod("security", "202001"); err != nil {
			t.Error(err)
		}
	})
	all("once a month has expired", false)
	remember()
	order := uuid.New()
	var keys []uuid.UUID
	e.Update(func(tx *vault.Tx) {
		var err error
		if keys, err = tx.BeginErasure(h.anna, order); err != nil {
			t.Fatal(err)
		}
	})
	all("once her erasure has begun", false)
	var before vault.Memory
	e.View(func(tx *vault.Tx) { before, _, _ = tx.Memorise(h.mac.Stream, []byte("before"), nil) })
	remember()
	e.Update(func(tx *vault.Tx) {
		if err := tx.Destroy(order, keys); err != nil {
			t.Fatal(err)
		}
	})
	all("once she is erased", false)
	e.Update(func(tx *vault.Tx) {
		if err := tx.Remember([]vault.Memory{before}); err != nil {
			t.Error(err)
		}
	})
	all("what was read before", false)
	// Her phone has no key any more, the Mac is remembered without her.
	e.memorise(h.phone.Stream)
	e.memorise(h.mac.Stream)
	if e.recalls(h.phone.Stream) || !e.recalls(h.mac.Stream) {
		t.Error("an erased device is remembered, or one that stays is not")
	}
	// What is not the vault's own is not believed.
	err := e.Store.Update(context.Background(), e.Tenant.ID, func(r store.Rows) error {
		rows, err := r.Memories([]uuid.UUID{h.mac.ID})
		if err != nil || len(rows) != 1 {
			t.Fatal(len(rows), err)
		}
		rows[0].Sealed[0]++
		return r.PutMemories(rows)
	})
	if err != nil || e.recalls(h.mac.Stream) {
		t.Error("an altered memory is recalled", err)
	}
}
