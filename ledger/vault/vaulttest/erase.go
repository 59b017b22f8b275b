package vaulttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// household is two persons and their devices: Anna holds a company Mac and a personal phone, Bob
// held the phone before her and holds a tablet of unknown ownership.
type household struct {
	anna, bob          uuid.UUID
	mac, phone, tablet vault.Device
	ofAnna, ofBob      []vault.Sealed // sealed under each person's keys, or keys that go with the person
	ofMac              []vault.Sealed
	bobsPhone          []vault.Sealed // sealed under the phone's key while Bob held it
	aliases            []uuid.UUID    // Anna's
	refusal            schemas.Stream // about the phone
}

func newHousehold(e *Env) *household {
	e.T.Helper()
	h := &household{}
	at := e.Clock.Now()
	e.Update(func(tx *vault.Tx) {
		h.anna = e.Person(tx, vault.PersonHint{ObjectID: object1, UPN: "anna@voorbeeld.nl",
			Email: "a.devries@voorbeeld.nl", At: at})
		h.bob = e.Person(tx, vault.PersonHint{ObjectID: object2, UPN: "bob@voorbeeld.nl", At: at})
		device := func(id string) vault.Device {
			d, _, err := tx.Device(vault.DeviceHint{IntuneID: id, DirectoryID: "directory-" + id, At: at})
			if err != nil {
				e.T.Fatal(err)
			}
			return d
		}
		hold := func(d vault.Device, ownership string, user uuid.UUID, at time.Time) vault.Device {
			d, err := tx.SetHolder(d.ID, ownership, user, at)
			if err != nil {
				e.T.Fatal(err)
			}
			return d
		}
		seal := func(d vault.Device, person uuid.UUID) (ofPerson, ofDevice []vault.Sealed, alias uuid.UUID) {
			draft := e.Enrolled(e.Tenant.ID, d.Stream, person, d.ID, at)
			if err := tx.Seal(draft); err != nil {
				e.T.Fatal(err)
			}
			for _, s := range tokens(draft) {
				if s.Attr == "device.user-upn" || s.Attr == "device.name" {
					ofPerson = append(ofPerson, s)
				} else {
					ofDevice = append(ofDevice, s)
				}
			}
			return ofPerson, ofDevice, draft.Subjects[0].Alias
		}
		var ofDevice []vault.Sealed
		var alias uuid.UUID
		h.mac = hold(device("mac"), "company", h.anna, at)
		h.ofAnna, h.ofMac, alias = seal(h.mac, h.anna)
		h.aliases = append(h.aliases, alias)
		h.phone = hold(device("phone"), "personal", h.bob, at)
		h.ofBob, h.bobsPhone, _ = seal(h.phone, h.bob)
		h.phone = hold(h.phone, "personal", h.anna, at.Add(time.Hour))
		more, ofDevice, _ := seal(h.phone, h.anna)
		h.ofAnna = append(append(h.ofAnna, more...), ofDevice...)
		h.tablet = hold(device("tablet"), "", h.bob, at)
		more, ofDevice, _ = seal(h.tablet, h.bob)
		h.ofBob = append(append(h.ofBob, more...), ofDevice...)
		var err error
		if h.refusal, _, err = tx.RefusalStream(h.phone.Stream, "personal-apps"); err != nil {
			e.T.Fatal(err)
		}
		if _, err := tx.Element(h.phone.Stream, "apps", "com.example"); err != nil {
			e.T.Fatal(err)
		}
	})
	e.Clock.Advance(2 * time.Hour)
	return h
}

// expect opens tokens, and wants each to open (nil) or to fail with that error.
func expect(t testing.TB, v *vault.Vault, tenant uuid.UUID, what string, asked []vault.Sealed, want error) {
	t.Helper()
	if len(asked) == 0 {
		t.Fatalf("%s: nothing to open", what)
	}
	err := v.View(context.Background(), tenant, func(tx *vault.Tx) error {
		got, err := tx.Open(asked)
		for i, o := range got {
			if !errors.Is(o.Err, want) || (want == nil) != (o.Err == nil) || (o.Err == nil) != (o.Plain != nil) {
				t.Errorf("%s: %s opens to %s, %v; want %v", what, asked[i].Attr, o.Plain, o.Err, want)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (e *Env) expect(what string, asked []vault.Sealed, want error) {
	e.T.Helper()
	expect(e.T, e.V, e.Tenant.ID, what, asked, want)
}

func (h *household) erased(e *Env) {
	t := e.T
	t.Helper()
	e.expect("Anna's values", h.ofAnna, vault.ErrErased)
	// A tombstone vouches for its own class and month only.
	var altered []vault.Sealed
	for _, s := range h.ofAnna {
		altered = append(altered, vault.Sealed{Token: schemas.Token(strings.Replace(string(s.Token), ".202611:",
			".202610:", 1)), Attr: s.Attr})
		altered = append(altered, vault.Sealed{Token: schemas.Token(strings.Replace(string(s.Token), ":inventory.",
			":apps.", 1)), Attr: s.Attr})
	}
	e.expect("Anna's values, altered", altered, vault.ErrTampered)
	e.expect("Bob's values", h.ofBob, nil)
	e.expect("the Mac's own values", h.ofMac, nil)
	e.expect("the phone's values of Bob's time, whose mapping went", h.bobsPhone, vault.ErrErased)
	e.View(func(tx *vault.Tx) {
		for _, a := range h.aliases {
			if _, err := tx.AliasOwner(a); !errors.Is(err, vault.ErrErased) {
				t.Errorf("an alias of Anna: %v", err)
			}
		}
		for _, name := range []string{object1, "anna@voorbeeld.nl", "a.devries@voorbeeld.nl"} {
			if m, err := tx.FindPersons(name); err != nil || len(m) != 0 {
				t.Errorf("%s still finds %v, %v", name, m, err)
			}
		}
		if m, err := tx.FindPersons("bob@voorbeeld.nl"); err != nil || len(m) != 1 {
			t.Errorf("Bob: %v, %v", m, err)
		}
		if _, err := tx.Aliases(h.anna); !errors.Is(err, vault.ErrErased) {
			t.Errorf("Anna's aliases: %v", err)
		}
		if _, err := tx.Identity(h.anna); !errors.Is(err, vault.ErrErased) {
			t.Errorf("what Anna is called: %v", err)
		}
		if k, err := tx.SubjectKeys(h.anna); err != nil || len(k) != 0 {
			t.Errorf("Anna's keys: %v, %v", k, err)
		}
		if d, err := tx.DevicesOf(h.anna); err != nil || len(d) != 0 {
			t.Errorf("Anna's devices: %v, %v", d, err)
		}
		mac, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: "mac", At: e.Clock.Now()})
		if err != nil || !found || mac.User != uuid.Nil || mac.Generation != h.mac.Generation+1 {
			t.Errorf("the Mac, held by nobody, under new keys: %+v, %v, %v", mac, found, err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		if err := tx.Seal(e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, uuid.Nil, e.Clock.Now())); !errors.Is(err,
			vault.ErrErased) {
			t.Errorf("sealed for Anna: %v", err)
		}
		if err := tx.Seal(e.Enrolled(e.Tenant.ID, h.phone.Stream, uuid.Nil, h.phone.ID,
			e.Clock.Now())); !errors.Is(err, vault.ErrErased) {
			t.Errorf("sealed for the phone: %v", err)
		}
		if _, err := tx.Element(h.phone.Stream, "apps", "com.example"); !errors.Is(err, vault.ErrErased) {
			t.Errorf("an element of the phone: %v", err)
		}
		if s, _, err := tx.RefusalStream(h.phone.Stream, "personal-apps"); err != nil || s == h.refusal {
			t.Errorf("the phone's refusals are still known: %v, %v", s, err)
		}
	})
}

func testErasePerson(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	e.expect("before", slices.Concat(h.ofAnna, h.ofBob, h.ofMac, h.bobsPhone), nil)
	completion := uuid.New()
	var keys []uuid.UUID
	e.Update(func(tx *vault.Tx) {
		var err error
		want, err := tx.SubjectKeys(h.anna)
		if err != nil {
			t.Fatal(err)
		}
		if keys, err = tx.BeginErasure(h.anna, completion); err != nil {
			t.Fatal(err)
		}
		equal(t, "keys to destroy", keys, want)
		if again, err := tx.BeginErasure(h.anna, completion); err != nil || !slices.Equal(again, keys) {
			t.Errorf("begun again: %v, %v", again, err)
		}
		if _, err := tx.BeginErasure(h.anna, uuid.New()); !errors.Is(err, vault.ErrExists) {
			t.Errorf("begun with another completion: %v", err)
		}
		if _, err := tx.BeginErasure(uuid.New(), uuid.New()); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("begun for nobody: %v", err)
		}
		if err := tx.CompleteErasure(completion); err == nil {
			t.Error("complete before its keys are destroyed")
		}
	})
	e.expect("Anna's values once it has begun", h.ofAnna, vault.ErrErased)
	e.expect("Bob's values once it has begun", h.ofBob, nil)
	e.Update(func(tx *vault.Tx) {
		if _, _, err := tx.Person(vault.PersonHint{ObjectID: object1, At: e.Clock.Now()}); !errors.Is(err,
			vault.ErrErasedSubject) {
			t.Errorf("a record of Anna while she is being erased: %v", err)
		}
		if err := tx.Seal(e.Enrolled(e.Tenant.ID, h.mac.Stream, h.anna, uuid.Nil, e.Clock.Now())); !errors.Is(err,
			vault.ErrErased) {
			t.Errorf("sealed for Anna while she is being erased: %v", err)
		}
	})
	for range 2 { // Destroy can be repeated
		e.Update(func(tx *vault.Tx) {
			if err := tx.Destroy(completion, keys); err != nil {
				t.Fatal(err)
			}
		})
	}
	h.erased(e)
	e.Update(func(tx *vault.Tx) {
		if _, err := tx.BeginErasure(h.anna, completion); !errors.Is(err, vault.ErrErased) {
			t.Errorf("begun once destroyed: %v", err)
		}
	})
	for range 2 {
		e.Update(func(tx *vault.Tx) {
			if err := tx.CompleteErasure(completion); err != nil {
				t.Fatal(err)
			}
		})
	}
	if p, err := e.V.PendingErasures(context.Background()); err != nil || len(p) != 0 {
		t.Errorf("pending: %v, %v", p, err)
	}
	h.erased(&Env{T: t, V: e.Again(), Clock: e.Clock, Tenant: e.Tenant})
}

// testEraseResumes carries an erasure on in other processes, from what PendingErasures says.
func testEraseResumes(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	completion := uuid.New()
	begun := e.Clock.Now()
	var keys []uuid.UUID
	e.Update(func(tx *vault.Tx) {
		var err error
		if keys, err = tx.BeginErasure(h.anna, completion); err != nil {
			t.Fatal(err)
		}
	})
	want := vault.PendingErasure{Tenant: e.Tenant.ID, Person: h.anna, Completion: completion, Keys: keys, Begun: begun}
	for _, step := range []struct {
		name string
		do   func(*vault.Tx, vault.PendingErasure) error
		next func()
	}{
		{"destroy", func(tx *vault.Tx, p vault.PendingErasure) error { return tx.Destroy(p.Completion, p.Keys) },
			func() { want.Person, want.Destroyed = uuid.Nil, true }},
		{"complete", func(tx *vault.Tx, p vault.PendingErasure) error {
			return errors.Join(tx.Destroy(p.Completion, p.Keys), tx.CompleteErasure(p.Completion))
		}, nil},
	} {
		e.V = e.Again()
		p, err := e.V.PendingErasures(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "pending before "+step.name, p, []vault.PendingErasure{want})
		// An Update that fails leaves it pending as it was.
		if err := e.V.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
			return errors.Join(step.do(tx, p[0]), errTest)
		}); !errors.Is(err, errTest) {
			t.Fatal(err)
		}
		if again, err := e.V.PendingErasures(context.Background()); err != nil || len(again) != 1 ||
			again[0].Destroyed != want.Destroyed {
			t.Errorf("after a failed %s: %v, %v", step.name, again, err)
		}
		e.Update(func(tx *vault.Tx) {
			if err := step.do(tx, p[0]); err != nil {
				t.Fatal(err)
			}
		})
		if step.next != nil {
			step.next()
		}
	}
	if p, err := e.V.PendingErasures(context.Background()); err != nil || len(p) != 0 {
		t.Errorf("pending at the end: %v, %v", p, err)
	}
	h.erased(e)
}

// testEraseReplays carries out an order the vault never heard of, as after
// a restore from before it.
func testEraseReplays(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	ordered := e.Clock.Now()
	var keys []uuid.UUID
	e.View(func(tx *vault.Tx) {
		var err error
		if keys, err = tx.SubjectKeys(h.anna); err != nil {
			t.Fatal(err)
		}
	})
	keys = append(keys, uuid.New()) // minted after the backup
	e.Clock.Advance(24 * time.Hour)
	completion := uuid.New()
	for range 2 {
		e.Update(func(tx *vault.Tx) {
			if err := tx.ReplayErasure(completion, keys, ordered); err != nil {
				t.Fatal(err)
			}
		})
	}
	h.erased(e)
	e.Update(func(tx *vault.Tx) {
		if _, _, err := tx.Person(vault.PersonHint{ObjectID: object1, At: ordered}); !errors.Is(err,
			vault.ErrErasedSubject) {
			t.Errorf("a record of the time of the order: %v", err)
		}
		if id, created, err := tx.Person(vault.PersonHint{ObjectID: object1,
			At: ordered.Add(time.Second)}); err != nil || !created || id == h.anna {
			t.Errorf("a record newer than the order: %v, %v, %v", id, created, err)
		}
		if err := tx.CompleteErasure(completion); err != nil {
			t.Error(err)
		}
	})
}

func testEraseCancelled(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	completion := uuid.New()
	all := slices.Concat(h.ofAnna, h.ofBob, h.ofMac, h.bobsPhone)
	e.Update(func(tx *vault.Tx) {
		if _, err := tx.BeginErasure(h.anna, completion); err != nil {
			t.Fatal(err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		if err := tx.CancelErasure(completion); err != nil {
			t.Fatal(err)
		}
		if err := tx.CancelErasure(uuid.New()); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("cancelled what was not begun: %v", err)
		}
	})
	e.expect("after the cancellation", all, nil)
	e.Update(func(tx *vault.Tx) {
		next := uuid.New()
		keys, err := tx.BeginErasure(h.anna, next)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Destroy(next, keys); err != nil {
			t.Fatal(err)
		}
		if err := tx.CancelErasure(next); !errors.Is(err, vault.ErrErased) {
			t.Errorf("cancelled what is destroyed: %v", err)
		}
	})
	h.erased(e)
}

// erase runs all vault steps of an erasure.
func (e *Env) erase(person uuid.UUID) {
	e.T.Helper()
	completion := uuid.New()
	e.Locked(func(tx *vault.Tx) {
		keys, err := tx.BeginErasure(person, completion)
		if err != nil {
			e.T.Fatal(err)
		}
		if err := errors.Join(tx.Destroy(completion, keys), tx.CompleteErasure(completion)); err != nil {
			e.T.Fatal(err)
		}
	})
}
