package vaulttest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// vaultCacheAge is how long the vault may use a key without asking its store again.
const vaultCacheAge = 30 * time.Second

// testLedger: a vault is bound to one ledger, keeps an anchor in it that only moves on, and knows
// what it knows.
func testLedger(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	ctx := context.Background()
	mine, other := uuid.New(), uuid.New()
	if _, bound, err := e.V.Ledger(ctx); err != nil || bound {
		t.Errorf("a new vault is bound: %v, %v", bound, err)
	}
	at := func(ledger uuid.UUID, seq uint64) schemas.Anchor {
		return schemas.Anchor{LedgerID: ledger, Seq: seq, EventID: uuid.UUID{1, byte(seq)},
			Leaf: [32]byte{2, byte(seq)}, Position: schemas.Position{Commit: 100 * seq, Prepare: 100*seq - 1}}
	}
	if err := e.V.SaveAnchor(ctx, at(mine, 1)); !errors.Is(err, vault.ErrOtherLedger) {
		t.Errorf("an anchor before it is bound: %v", err)
	}
	if err := e.V.Bind(ctx, uuid.Nil); err == nil {
		t.Error("bound to no ledger")
	}
	for range 2 {
		if err := e.V.Bind(ctx, mine); err != nil {
			t.Error(err)
		}
	}
	for _, v := range []*vault.Vault{e.V, e.Again()} {
		if err := v.Bind(ctx, other); !errors.Is(err, vault.ErrOtherLedger) {
			t.Errorf("bound to another: %v", err)
		}
		if err := v.Bind(ctx, mine); err != nil {
			t.Error(err)
		}
		if id, bound, err := v.Ledger(ctx); err != nil || !bound || id != mine {
			t.Errorf("bound to %v, %v, %v", id, bound, err)
		}
		if v.ID() != e.V.ID() || v.ID() == uuid.Nil {
			t.Errorf("the vault's id is %v, and %v", v.ID(), e.V.ID())
		}
	}
	if _, found, err := e.V.LoadAnchor(ctx); err != nil || found {
		t.Errorf("an anchor before any was saved: %v, %v", found, err)
	}
	for _, step := range []struct {
		save, want uint64
	}{{5, 5}, {5, 5}, {4, 5}, {900, 900}, {899, 900}} {
		if err := e.V.SaveAnchor(ctx, at(mine, step.save)); err != nil {
			t.Error(err)
		}
		if a, found, err := e.Again().LoadAnchor(ctx); err != nil || !found || a != at(mine, step.want) {
			t.Errorf("after saving %d the anchor is %+v, %v, %v", step.save, a, found, err)
		}
	}
	if err := e.V.SaveAnchor(ctx, at(other, 901)); !errors.Is(err, vault.ErrOtherLedger) {
		t.Errorf("another ledger's anchor: %v", err)
	}
	diverged := at(mine, 900)
	diverged.Leaf[7]++
	if err := e.V.SaveAnchor(ctx, diverged); err == nil || !strings.Contains(err.Error(), "diverged") {
		t.Errorf("another event at the anchor: %v", err)
	}

	h := newHousehold(e)
	second := e.AddTenant("Een ander")
	strange := uuid.New()
	ask := []uuid.UUID{h.aliases[0], strange}
	if out, err := e.V.Unknown(ctx, e.Tenant.ID, ask); err != nil || !reflect.DeepEqual(out, []uuid.UUID{strange}) {
		t.Errorf("unknown: %v, %v", out, err)
	}
	if out, err := e.V.Unknown(ctx, second.ID, ask); err != nil || !reflect.DeepEqual(out, ask) {
		t.Errorf("unknown to another tenant: %v, %v", out, err)
	}
	if out, err := e.V.Unknown(ctx, uuid.New(), ask); err != nil || !reflect.DeepEqual(out, ask) {
		t.Errorf("unknown to no tenant: %v, %v", out, err)
	}
	e.erase(h.anna)
	if out, err := e.V.Unknown(ctx, e.Tenant.ID, ask); err != nil || !reflect.DeepEqual(out, []uuid.UUID{strange}) {
		t.Errorf("unknown, after an erasure: %v, %v", out, err)
	}
	if out, err := e.V.Unknown(ctx, e.Tenant.ID, nil); err != nil || len(out) != 0 {
		t.Errorf("unknown of none: %v, %v", out, err)
	}
	for id, want := range map[uuid.UUID]bool{e.Tenant.ID: true, second.ID: true, uuid.New(): false, uuid.Nil: false} {
		if got, err := e.V.HasTenant(ctx, id); err != nil || got != want {
			t.Errorf("has tenant %s: %v, %v", id, got, err)
		}
	}
	if c, err := e.V.Counts(ctx); err != nil || c.Tenants != 2 || c.Persons != 2 || c.Devices != 3 {
		t.Errorf("counts: %+v, %v", c, err)
	}
}

// testLost: an unknown alias is tampering until a loss was declared, and lost from then on if its
// month is not later. Whatever else is wrong with a token stays tampering.
func testLost(t *testing.T, f Factory) {
	e, elsewhere := NewEnv(t, f), NewEnv(t, f)
	ctx := context.Background()
	mine := uuid.New()
	h := newHousehold(e)
	strange := newHousehold(elsewhere).ofAnna // sealed by a vault of which this one knows nothing
	e.expect("before", strange, vault.ErrTampered)
	until := e.Clock.Now()
	if err := e.V.AcceptLoss(ctx, vault.Loss{Ledger: mine, Through: 10, Until: until}); !errors.Is(err,
		vault.ErrOtherLedger) {
		t.Errorf("a loss of a vault that is bound to no ledger: %v", err)
	}
	if err := e.V.Bind(ctx, mine); err != nil {
		t.Fatal(err)
	}
	if err := e.V.AcceptLoss(ctx, vault.Loss{Ledger: uuid.New(), Through: 10, Until: until}); !errors.Is(err,
		vault.ErrOtherLedger) {
		t.Errorf("a loss of another ledger: %v", err)
	}
	if err := e.V.AcceptLoss(ctx, vault.Loss{Ledger: mine, Through: 10}); err == nil {
		t.Error("a loss without a time")
	}
	if _, found, err := e.V.AcceptedLoss(ctx); err != nil || found {
		t.Errorf("accepted: %v, %v", found, err)
	}
	// Declared in a month before the tokens': they are not lost.
	if err := e.V.AcceptLoss(ctx, vault.Loss{Ledger: mine, Through: 10, Until: until.AddDate(0, -2, 0)}); err != nil {
		t.Fatal(err)
	}
	e.expect("of a later month", strange, vault.ErrTampered)
	for _, through := range []uint64{30, 20} {
		if err := e.V.AcceptLoss(ctx, vault.Loss{Ledger: mine, Through: through, Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	e.expect("declared", strange, vault.ErrLost)
	if l, found, err := e.Again().AcceptedLoss(ctx); err != nil || !found ||
		l != (vault.Loss{Ledger: mine, Through: 30, Until: until}) {
		t.Errorf("accepted: %+v, %v, %v", l, found, err)
	}
	e.expect("what is known", h.ofAnna, nil)
	var altered []vault.Sealed
	for _, s := range h.ofAnna {
		altered = append(altered, vault.Sealed{Token: s.Token[:len(s.Token)-2] + "AA", Attr: s.Attr},
			vault.Sealed{Token: s.Token, Attr: "device.imei", Event: uuid.New()})
	}
	e.expect("what is altered", altered, vault.ErrTampered)
	e.View(func(tx *vault.Tx) {
		if _, err := tx.AliasOwner(uuid.New()); !errors.Is(err, vault.ErrLost) || !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("an unknown alias: %v", err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		// A draft with a lost value cannot be passed on as if it had just been sealed.
		d := e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, uuid.Nil, e.Clock.Now())
		d.Values = append(d.Values[:1], schemas.Value{Attr: schemas.Default().MustAttribute("device.user-upn"),
			Token: strange[0].Token})
		if err := tx.Seal(d); !errors.Is(err, vault.ErrLost) {
			t.Errorf("sealed with a lost value: %v", err)
		}
	})
	e.erase(h.anna)
	e.expect("what is erased", h.ofAnna, vault.ErrErased)
}

// testClaims: an erasure under way says so, to whoever begins another and to whoever comes with an
// alias.
func testClaims(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	completion := uuid.New()
	until := e.Clock.Now().Add(time.Minute)
	e.Update(func(tx *vault.Tx) {
		if _, found, err := tx.ErasureOf(h.anna); err != nil || found {
			t.Errorf("before it has begun: %v, %v", found, err)
		}
		if err := tx.ClaimErasure(completion, until); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("claimed before it has begun: %v", err)
		}
		if _, err := tx.BeginErasure(h.anna, completion); err != nil {
			t.Fatal(err)
		}
		if err := tx.ClaimErasure(completion, until); err != nil {
			t.Fatal(err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		p, found, err := tx.ErasureOf(h.anna)
		if err != nil || !found || p.Completion != completion || !p.Claimed.Equal(until) ||
			p.Destroyed || len(p.Keys) == 0 {
			t.Errorf("under way: %+v, %v, %v", p, found, err)
		}
		if q, found, err := tx.Erasure(completion); err != nil || !found || !reflect.DeepEqual(p, q) {
			t.Errorf("by its completion: %+v, %v, %v", q, found, err)
		}
		if _, err := tx.BeginErasure(h.anna, uuid.New()); !errors.Is(err, vault.ErrErasing) {
			t.Errorf("another one: %v", err)
		}
		o, err := tx.AliasOwner(h.aliases[0])
		if !errors.Is(err, vault.ErrErasing) || !errors.Is(err, vault.ErrErased) || o.ID != h.anna {
			t.Errorf("an alias: %v, %v", o, err)
		}
		if err := errors.Join(tx.ClaimErasure(completion, time.Time{}), tx.Destroy(completion, p.Keys)); err != nil {
			t.Fatal(err)
		}
		if p, found, err = tx.Erasure(completion); err != nil || !found || !p.Destroyed || !p.Claimed.IsZero() {
			t.Errorf("destroyed: %+v, %v, %v", p, found, err)
		}
		if _, found, err := tx.ErasureOf(h.anna); err != nil || found {
			t.Errorf("of the person, once destroyed: %v, %v", found, err)
		}
		if err := tx.CompleteErasure(completion); err != nil {
			t.Fatal(err)
		}
		if _, found, err := tx.Erasure(completion); err != nil || found {
			t.Errorf("complete: %v, %v", found, err)
		}
		if err := tx.ClaimErasure(completion, until); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("claimed once complete: %v", err)
		}
	})
}
