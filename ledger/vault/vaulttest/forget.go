package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

func testSuppressionOfVault(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	erased := e.Clock.Now()
	e.erase(h.anna)
	before, after := erased.Add(-time.Minute), erased.Add(time.Minute)
	e.Update(func(tx *vault.Tx) {
		for what, hint := range map[string]vault.PersonHint{
			"her object id":                     {ObjectID: object1, At: before},
			"at the very time":                  {ObjectID: object1, At: erased},
			"her object id, at an unknown time": {ObjectID: object1},
			"her UPN":                           {UPN: "ANNA@voorbeeld.nl", At: before},
			"her UPN, at an unknown time":       {UPN: "anna@voorbeeld.nl"},
			"her e-mail":                        {Email: "a.devries@voorbeeld.nl", At: before},
			"her UPN with an unknown object id": {ObjectID: object3, UPN: "anna@voorbeeld.nl", At: before},
		} {
			if id, _, err := tx.Person(hint); !errors.Is(err, vault.ErrErasedSubject) || id != uuid.Nil {
				t.Errorf("%s: %v, %v", what, id, err)
			}
		}
		for what, hint := range map[string]vault.DeviceHint{
			"her phone":                       {IntuneID: "phone", At: before},
			"her phone by its directory id":   {DirectoryID: "directory-phone", At: before},
			"her phone at an unknown time":    {IntuneID: "PHONE"},
			"her phone under a new Intune id": {IntuneID: "phone-2", DirectoryID: "directory-phone", At: before},
		} {
			if d, _, err := tx.Device(hint); !errors.Is(err, vault.ErrErasedSubject) || d != (vault.Device{}) {
				t.Errorf("%s: %v, %v", what, d, err)
			}
		}
		if id, created, err := tx.Person(vault.PersonHint{ObjectID: object2, UPN: "anna@voorbeeld.nl",
			At: before}); err != nil || created || id != h.bob {
			t.Errorf("a living person under her UPN: %v, %v, %v", id, created, err)
		}
		anew, created, err := tx.Person(vault.PersonHint{ObjectID: object1, UPN: "anna@voorbeeld.nl", At: after})
		if err != nil || !created || anew == h.anna {
			t.Errorf("a newer record: %v, %v, %v", anew, created, err)
		}
		if _, _, err := tx.Person(vault.PersonHint{ObjectID: object1, At: before}); !errors.Is(err,
			vault.ErrErasedSubject) {
			t.Errorf("an older record, after the newer one: %v", err)
		}
		if d, created, err := tx.Device(vault.DeviceHint{IntuneID: "phone", At: after}); err != nil || !created ||
			d.ID == h.phone.ID {
			t.Errorf("a newer record of the phone: %v, %v, %v", d, created, err)
		}
		if d, created, err := tx.Device(vault.DeviceHint{IntuneID: "mac", At: before}); err != nil || created ||
			d.ID != h.mac.ID {
			t.Errorf("an older record of the company's Mac: %v, %v, %v", d, created, err)
		}
	})
}

func testHeld(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	for what, o := range map[string]schemas.Owner{
		"the person": {Kind: schemas.OwnerPerson, ID: h.anna}, "her phone": {Kind: schemas.OwnerDevice,
			ID: h.phone.ID}, "the tenant": {Kind: schemas.OwnerTenant},
	} {
		hold := uuid.New()
		rows := func(do func(store.Rows) error) {
			t.Helper()
			if err := e.Store.Update(context.Background(), e.Tenant.ID, do); err != nil {
				t.Fatal(err)
			}
		}
		rows(func(r store.Rows) error { return r.PutHold(hold, o, e.Clock.Now()) })
		e.Update(func(tx *vault.Tx) {
			if _, err := tx.BeginErasure(h.anna, uuid.New()); !errors.Is(err, vault.ErrHeld) {
				t.Errorf("erased under a hold on %s: %v", what, err)
			}
			if err := tx.ExpirePeriod("inventory", "202611"); !errors.Is(err, vault.ErrHeld) {
				t.Errorf("expired under a hold on %s: %v", what, err)
			}
		})
		rows(func(r store.Rows) error { return r.DeleteHold(hold) })
	}
	e.expect("what was held", h.ofAnna, nil)
	e.erase(h.anna)
	h.erased(e)
}

func testExpired(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	now := e.Clock.Now()
	var person uuid.UUID
	var asked [2][]vault.Sealed
	var aliases [2]uuid.UUID
	e.Update(func(tx *vault.Tx) {
		person = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: now})
		for i, at := range []time.Time{now, now.AddDate(0, -2, 0)} {
			d := e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), person, uuid.Nil, at)
			if err := tx.Seal(d); err != nil {
				t.Fatal(err)
			}
			asked[i], aliases[i] = tokens(d), d.Subjects[0].Alias
		}
	})
	e.Update(func(tx *vault.Tx) {
		if err := errors.Join(tx.ExpirePeriod("inventory", "202609"),
			tx.ExpirePeriod("inventory", "202508")); err != nil {
			t.Fatal(err)
		}
	})
	e.expect("the living month", asked[0], nil)
	e.expect("the expired month", asked[1], vault.ErrExpired)
	e.Update(func(tx *vault.Tx) {
		for _, at := range []time.Time{now.AddDate(0, -2, 0), time.Date(2025, 8, 3, 0, 0, 0, 0, time.UTC)} {
			err := tx.Seal(e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), person, uuid.Nil, at))
			if !errors.Is(err, vault.ErrExpired) {
				t.Errorf("sealed in an expired month: %v", err)
			}
		}
		if _, err := tx.AliasOwner(aliases[1]); !errors.Is(err, vault.ErrExpired) {
			t.Errorf("an expired alias: %v", err)
		}
		if a, err := tx.Aliases(person); err != nil || len(a) != 1 || a[0].ID != aliases[0] {
			t.Errorf("living aliases: %v, %v", a, err)
		}
	})
	e.erase(person)
	e.expect("the living month, erased", asked[0], vault.ErrErased)
	e.expect("the expired month stays expired", asked[1], vault.ErrExpired)
}

// testOtherProcess: what one process forgets, another with warm caches
// forgets at its next transaction.
func testOtherProcess(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	other := e.Again()
	expect(t, other, e.Tenant.ID, "warming the other's cache", slices.Concat(h.ofAnna, h.ofBob), nil)
	err := other.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		return tx.Seal(e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, h.mac.ID, e.Clock.Now()))
	})
	if err != nil {
		t.Fatal(err)
	}
	completion := uuid.New()
	var keys []uuid.UUID
	e.Update(func(tx *vault.Tx) {
		if keys, err = tx.BeginErasure(h.anna, completion); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, other, e.Tenant.ID, "in the other process, once begun", h.ofAnna, vault.ErrErased)
	e.Update(func(tx *vault.Tx) {
		if err := tx.Destroy(completion, keys); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, other, e.Tenant.ID, "in the other process, once destroyed", h.ofAnna, vault.ErrErased)
	expect(t, other, e.Tenant.ID, "Bob's, in the other process", h.ofBob, nil)
	err = other.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		return tx.Seal(e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, uuid.Nil, e.Clock.Now()))
	})
	if !errors.Is(err, vault.ErrErased) {
		t.Errorf("sealed in the other process: %v", err)
	}
	// Likewise a period: no owner tells of it, only the count of forgettings.
	e.Update(func(tx *vault.Tx) {
		if err := tx.ExpirePeriod("inventory", "202611"); err != nil {
			t.Fatal(err)
		}
	})
	expect(t, other, e.Tenant.ID, "an expired period, in the other process", h.ofBob, vault.ErrExpired)
	err = other.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		return tx.Seal(e.Enrolled(e.Tenant.ID, h.tablet.Stream, h.bob, uuid.Nil, e.Clock.Now()))
	})
	if !errors.Is(err, vault.ErrExpired) {
		t.Errorf("sealed in an expired period, in the other process: %v", err)
	}
}

// testStaleView: a view that began before an erasure shows its snapshot, but not for
// longer than keys may be cached.
func testStaleView(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	e.View(func(tx *vault.Tx) {
		if _, err := tx.Open(h.ofAnna); err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(29 * time.Second)
		if _, err := tx.Open(h.ofAnna); err != nil {
			t.Errorf("after 29 seconds: %v", err)
		}
		e.Clock.Advance(time.Second)
		if _, err := tx.Open(h.ofAnna); !errors.Is(err, vault.ErrStaleView) {
			t.Errorf("after 30 seconds: %v", err)
		}
	})
	e.expect("in a new view", h.ofAnna, nil)
}

// testForgettingModel seals for random persons and months, erases and expires some, and wants of
// every token ever made what the model says.
func testForgettingModel(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenant, err := e.V.AddTenant(context.Background(), vault.NewTenant{Name: fmt.Sprintf("model %d", run),
			AnySource: true})
		if err != nil {
			rt.Fatal(err)
		}
		type made struct {
			vault.Sealed
			plain  string
			person int
			month  int
		}
		const persons, months = 4, 3
		var ids [persons]uuid.UUID
		var gone [persons]bool
		var expired [months]bool
		var all []made
		update := func(do func(*vault.Tx) error) {
			if err := e.V.Update(context.Background(), tenant.ID, do); err != nil {
				rt.Fatal(err)
			}
		}
		update(func(tx *vault.Tx) (err error) {
			for i := range ids {
				if ids[i], _, err = tx.Person(vault.PersonHint{UPN: fmt.Sprintf("p%d@voorbeeld.nl", i),
					At: e.Clock.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		attr := schemas.Default().MustAttribute("device.user-name")
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			p, m := rapid.IntRange(0, persons-1).Draw(rt, "person"), rapid.IntRange(0, months-1).Draw(rt, "month")
			switch rapid.SampledFrom([]string{"seal", "seal", "seal", "seal", "erase", "expire", "cold"}).Draw(rt,
				"act") {
			case "seal":
				seal := e.V.Update
				if rapid.Bool().Draw(rt, "optimistic") {
					seal = e.V.UpdateOptimistic
				}
				err := seal(context.Background(), tenant.ID, func(tx *vault.Tx) error {
					text := rapid.StringN(0, 40, 80).Draw(rt, "text")
					d := e.Enrolled(tenant.ID, schemas.NewStream("device", uuid.New()), uuid.Nil, uuid.Nil,
						e.Clock.Now().AddDate(0, -m, 0))
					d.Values = []schemas.Value{{Attr: attr, Plain: schemas.JSON(text),
						Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: ids[p]}}}
					plain := string(d.Values[0].Plain)
					err := tx.Seal(d)
					switch {
					case gone[p] && errors.Is(err, vault.ErrErased), !gone[p] && expired[m] &&
						errors.Is(err, vault.ErrExpired):
						return nil
					case err != nil || gone[p] || expired[m]:
						return fmt.Errorf("person %d (gone %v), month %d (expired %v): %w", p, gone[p], m,
							expired[m], err)
					}
					all = append(all, made{tokens(d)[0], plain, p, m})
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
			case "erase":
				if gone[p] {
					continue
				}
				update(func(tx *vault.Tx) error {
					completion := uuid.New()
					keys, err := tx.BeginErasure(ids[p], completion)
					if err != nil {
						return err
					}
					return errors.Join(tx.Destroy(completion, keys), tx.CompleteErasure(completion))
				})
				gone[p] = true
				for i := range all { // what had expired before stays expired
					if all[i].person == p && !expired[all[i].month] {
						all[i].month = -1
					}
				}
			case "expire":
				month := schemas.Month(e.Clock.Now().AddDate(0, -m, 0), e.Clock.Now())
				update(func(tx *vault.Tx) error { return tx.ExpirePeriod(attr.Class, month) })
				expired[m] = true
			case "cold":
				e.Clock.Advance(30 * time.Second) // every cached key is too old now
			}
			err := e.V.View(context.Background(), tenant.ID, func(tx *vault.Tx) error {
				var asked []vault.Sealed
				for _, a := range all {
					asked = append(asked, a.Sealed)
				}
				got, err := tx.Open(asked)
				for i, o := range got {
					a := all[i]
					var want error
					if a.month < 0 {
						want = vault.ErrErased
					} else if expired[a.month] {
						want = vault.ErrExpired
					}
					if !errors.Is(o.Err, want) || want == nil && (o.Err != nil || string(o.Plain) != a.plain) {
						rt.Fatalf("person %d, month %d: opens to %q, %v; want %q, %v", a.person, a.month, o.Plain,
							o.Err, a.plain, want)
					}
				}
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
	})
}
