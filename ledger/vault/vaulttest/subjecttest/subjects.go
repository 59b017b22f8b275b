// Package subjecttest owns what a vault must know of subjects, whatever store it is on: who is one
// by a merge, what that means for whoever is asked for, and that undoing it leaves no trace in
// anybody. It is for tests only.
package subjecttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/vaulttest"
	"github.com/ledgerline/ledgerline/schemas"
)

// Run runs the suite on stores of the factory.
func Run(t *testing.T, f vaulttest.Factory) {
	for name, test := range map[string]func(*testing.T, vaulttest.Factory){
		"Model": testModel, "Begun": testBegun, "Refused": testRefused, "Restored": testRestored,
		"Candidates": testCandidates, "IntuneID": testIntuneID, "Devices": testDevices,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

// merge begins a merge and settles it as told.
func merge(tx *vault.Tx, a, b uuid.UUID) (uuid.UUID, error) {
	id := uuid.New()
	if err := tx.BeginMerge(id, a, b); err != nil {
		return id, err
	}
	return id, tx.SettleMerge(id, vault.MergeHolds)
}

func undo(tx *vault.Tx, id uuid.UUID) error {
	if _, err := tx.BeginUnmerge(id); err != nil {
		return err
	}
	return tx.SettleMerge(id, vault.MergeUndone)
}

func erase(tx *vault.Tx, person uuid.UUID) error {
	completion := uuid.New()
	keys, err := tx.BeginErasure(person, completion)
	if err != nil {
		return err
	}
	return errors.Join(tx.Destroy(completion, keys), tx.CompleteErasure(completion))
}

// model is who is one with whom, said another way: the merges that hold, as edges.
type model struct {
	edges   map[uuid.UUID][2]int
	erased  map[int]bool
	persons []uuid.UUID
	aliases []map[uuid.UUID]bool // sealed under each, by whatever id was asked for
	sealed  []vault.Sealed       // one of each
}

func (m *model) of(i int) map[int]bool {
	out := map[int]bool{i: true}
	for grew := true; grew; {
		grew = false
		for _, e := range m.edges {
			if out[e[0]] != out[e[1]] {
				out[e[0]], out[e[1]], grew = true, true, true
			}
		}
	}
	return out
}

// testModel: after any merges, undoings, sealings and erasures, each person's subject, names,
// aliases and what opens are those of a model that knows persons and edges alone; and who was
// parted is as before.
func testModel(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		const n = 6
		m := &model{edges: map[uuid.UUID][2]int{}, erased: map[int]bool{}}
		upn := func(i int) string { return fmt.Sprintf("p%d-%d@voorbeeld.nl", i, run) }
		drafts := make([]*schemas.Draft, n)
		e.Locked(func(tx *vault.Tx) {
			for i := range n {
				m.persons = append(m.persons, e.Person(tx, vault.PersonHint{UPN: upn(i), At: e.Clock.Now()}))
				drafts[i] = e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), m.persons[i], uuid.Nil,
					e.Clock.Now())
				if err := tx.Seal(drafts[i]); err != nil {
					rt.Fatal(err)
				}
				m.aliases = append(m.aliases, map[uuid.UUID]bool{drafts[i].Subjects[0].Alias: true})
				v := drafts[i].Values[1]
				m.sealed = append(m.sealed, vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: drafts[i].ID})
			}
		})
		acts := []string{"merge", "merge", "merge", "undo", "began"}
		for range rapid.IntRange(1, 3).Draw(rt, "transactions") {
			steps := rapid.SliceOfN(rapid.SampledFrom(acts), 1, 8).Draw(rt, "steps")
			if rapid.Bool().Draw(rt, "erasing") {
				steps = append(steps, "erase")
			}
			e.Locked(func(tx *vault.Tx) {
				for _, what := range steps {
					m.step(rt, tx, what)
				}
			})
			m.check(rt, e, upn)
		}
	})
}

// step does one thing to the vault and to the model.
func (m *model) step(rt *rapid.T, tx *vault.Tx, what string) {
	a := rapid.IntRange(0, len(m.persons)-1).Draw(rt, "a")
	b := rapid.IntRange(0, len(m.persons)-1).Draw(rt, "b")
	switch what {
	case "merge":
		id, err := merge(tx, m.persons[a], m.persons[b])
		switch {
		case m.erased[a] || m.erased[b]:
			if !errors.Is(err, vault.ErrErased) {
				rt.Fatalf("a merge with somebody erased: %v", err)
			}
		case m.of(a)[b]:
			if !errors.Is(err, vault.ErrExists) {
				rt.Fatalf("a merge of who is one: %v", err)
			}
		case err != nil:
			rt.Fatal(err)
		default:
			m.edges[id] = [2]int{a, b}
		}
	case "began": // and never told
		id := uuid.New()
		if tx.BeginMerge(id, m.persons[a], m.persons[b]) == nil {
			if err := tx.SettleMerge(id, vault.MergeUntold); err != nil {
				rt.Fatal(err)
			}
		}
	case "undo":
		ids := slices.SortedFunc(maps.Keys(m.edges), func(x, y uuid.UUID) int {
			return slices.Compare(x[:], y[:])
		})
		if len(ids) == 0 {
			return
		}
		id := ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "which")]
		if err := undo(tx, id); err != nil {
			rt.Fatal(err)
		}
		delete(m.edges, id)
	case "erase":
		err := erase(tx, m.persons[a])
		if gone := errors.Is(err, vault.ErrErased); gone != m.erased[a] || !gone && err != nil {
			rt.Fatalf("erasing: %v", err)
		}
		if !m.erased[a] {
			for i := range m.of(a) {
				m.erased[i] = true
			}
		}
		for id, edge := range m.edges {
			if m.erased[edge[0]] {
				delete(m.edges, id)
			}
		}
	}
}

func (m *model) check(rt *rapid.T, e *vaulttest.Env, upn func(int) string) {
	e.View(func(tx *vault.Tx) {
		opened, err := tx.Open(m.sealed)
		if err != nil {
			rt.Fatal(err)
		}
		for i, p := range m.persons {
			err := opened[i].Err
			if gone := errors.Is(err, vault.ErrErased); gone != m.erased[i] || !gone && err != nil {
				rt.Fatalf("person %d, erased %t: %v", i, m.erased[i], err)
			}
			if m.erased[i] {
				if found, err := tx.FindPersons(upn(i)); err != nil || len(found) > 0 {
					rt.Fatalf("an erased person is found: %v, %v", found, err)
				}
				continue
			}
			of := m.of(i)
			subject, err := tx.Subject(p)
			if err != nil || len(subject) != len(of) || subject[0] != p {
				rt.Fatalf("person %d is one with %v, %v, want %v", i, subject, err, of)
			}
			names, err := tx.Identity(p)
			if err != nil || len(names) != len(of) {
				rt.Fatalf("person %d has %d names, %v, want %d", i, len(names), err, len(of))
			}
			aliases, err := tx.Aliases(p)
			if err != nil {
				rt.Fatal(err)
			}
			have := map[uuid.UUID]bool{}
			for _, a := range aliases {
				have[a.ID] = true
			}
			one, err := tx.One(p)
			if err != nil {
				rt.Fatal(err)
			}
			for j := range m.persons {
				if m.erased[j] {
					continue
				}
				for a := range m.aliases[j] {
					if have[a] != of[j] {
						rt.Fatalf("person %d finds what is sealed under %d: %t, want %t", i, j, have[a], of[j])
					}
				}
				other, err := tx.One(m.persons[j])
				if err != nil || (other == one) != of[j] {
					rt.Fatalf("persons %d and %d are one: %t, %v, want %t", i, j, other == one, err, of[j])
				}
			}
		}
	})
}

// testBegun: what is begun counts for nothing until it is settled, is listed until then, and can
// be settled again.
func testBegun(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	var a, b uuid.UUID
	id := uuid.New()
	e.Locked(func(tx *vault.Tx) {
		a = e.Person(tx, vault.PersonHint{UPN: "a@voorbeeld.nl"})
		b = e.Person(tx, vault.PersonHint{UPN: "b@voorbeeld.nl"})
		if err := tx.BeginMerge(id, a, b); err != nil {
			t.Fatal(err)
		}
	})
	is := func(persons, pending int, state vault.MergeState) {
		t.Helper()
		e.View(func(tx *vault.Tx) {
			all, err := tx.Subject(b)
			waiting, pendErr := tx.PendingMerges()
			if errors.Join(err, pendErr) != nil || len(all) != persons || len(waiting) != pending {
				t.Errorf("%d persons, %d pending, %v, %v", len(all), len(waiting), err, pendErr)
			}
			m, err := tx.MergeOf(id)
			if err != nil || m.State != state || !slices.Contains(m.Persons, a) || !slices.Contains(m.Persons, b) {
				t.Errorf("the merge is %+v, %v", m, err)
			}
		})
	}
	settle := func(told vault.MergeState) {
		t.Helper()
		for range 2 {
			e.Locked(func(tx *vault.Tx) {
				if err := tx.SettleMerge(id, told); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	is(1, 1, vault.MergeUntold)
	settle(vault.MergeHolds)
	is(2, 0, vault.MergeHolds)
	e.Locked(func(tx *vault.Tx) {
		if _, err := tx.BeginUnmerge(id); err != nil {
			t.Fatal(err)
		}
	})
	is(2, 1, vault.MergeHolds)
	settle(vault.MergeHolds) // its undoing was never told
	is(2, 0, vault.MergeHolds)
	settle(vault.MergeUndone)
	is(1, 0, vault.MergeUndone)
	e.Locked(func(tx *vault.Tx) {
		if _, err := tx.BeginUnmerge(id); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("undone twice: %v", err)
		}
		again := uuid.New()
		if err := errors.Join(tx.BeginMerge(again, a, b), tx.SettleMerge(again, vault.MergeUntold)); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.MergeOf(again); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("something is left of what was never told: %v", err)
		}
	})
}

// testRefused: a merge with somebody who is erased or being erased, of more persons than a subject
// may be, and an undoing while all are being erased.
func testRefused(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	person := func(tx *vault.Tx, i int) uuid.UUID {
		return e.Person(tx, vault.PersonHint{UPN: fmt.Sprintf("p%d@voorbeeld.nl", i), At: e.Clock.Now()})
	}
	e.Locked(func(tx *vault.Tx) {
		first := person(tx, 0)
		for i := 1; i < vault.MaxSubject; i++ {
			if _, err := merge(tx, first, person(tx, i)); err != nil {
				t.Fatal(i, err)
			}
		}
		if _, err := merge(tx, first, person(tx, 99)); !errors.Is(err, vault.ErrTooMany) {
			t.Errorf("one more person than a subject may be: %v", err)
		}
		if _, err := merge(tx, first, first); !errors.Is(err, vault.ErrExists) {
			t.Errorf("a merge with oneself: %v", err)
		}
		if _, err := merge(tx, first, uuid.New()); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("a merge with nobody: %v", err)
		}
	})
	e.Locked(func(tx *vault.Tx) {
		a, b, c := person(tx, 101), person(tx, 102), person(tx, 103)
		id, err := merge(tx, a, b)
		if err != nil {
			t.Fatal(err)
		}
		completion := uuid.New()
		if _, err := tx.BeginErasure(a, completion); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.BeginErasure(b, uuid.New()); !errors.Is(err, vault.ErrErasing) {
			t.Errorf("an erasure of the other meanwhile: %v", err)
		}
		if _, found, err := tx.ErasureOf(b); err != nil || !found {
			t.Errorf("the erasure is not found by the other: %v", err)
		}
		if _, err := merge(tx, c, b); !errors.Is(err, vault.ErrErased) {
			t.Errorf("a merge with somebody who is being erased: %v", err)
		}
		if _, err := tx.BeginUnmerge(id); !errors.Is(err, vault.ErrErasing) {
			t.Errorf("an undoing meanwhile: %v", err)
		}
		if err := tx.CancelErasure(completion); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(tx.Living(a), tx.Living(b)); err != nil {
			t.Errorf("taken back: %v", err)
		}
	})
}

// testRestored: what the ledger says of a merge that a vault does not know counts.
func testRestored(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	e.Locked(func(tx *vault.Tx) {
		a := e.Person(tx, vault.PersonHint{UPN: "a@voorbeeld.nl"})
		b := e.Person(tx, vault.PersonHint{UPN: "b@voorbeeld.nl"})
		id := uuid.New()
		for told, want := range map[vault.MergeState]int{vault.MergeHolds: 2, vault.MergeUndone: 1} {
			if err := tx.RestoreMerge(id, []uuid.UUID{a, b}, told); err != nil {
				t.Fatal(err)
			}
			if all, err := tx.Subject(a); err != nil || len(all) != want {
				t.Errorf("%d are one, %v, want %d", len(all), err, want)
			}
		}
	})
}

const (
	objectA = "33333333-2222-4333-8444-000000000001"
	objectB = "33333333-2222-4333-8444-000000000002"
	intune  = "44444444-2222-4333-8444-000000000001"
)

// testCandidates: who is known by a name alone and shares it with somebody may be them; two whom
// the directory knows are not, but by an id of the service's own; who is one is none.
func testCandidates(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	at := e.Clock.Now()
	var named, known, other uuid.UUID
	e.Update(func(tx *vault.Tx) {
		named = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: at})
		known = e.Person(tx, vault.PersonHint{ObjectID: objectA, UPN: "anna@voorbeeld.nl", At: at.Add(time.Hour)})
		other = e.Person(tx, vault.PersonHint{ObjectID: objectB, UPN: "anna@voorbeeld.nl", At: at.Add(2 * time.Hour)})
		e.Person(tx, vault.PersonHint{UPN: "bob@voorbeeld.nl", At: at})
	})
	all := func() map[[2]uuid.UUID]vault.Candidate {
		t.Helper()
		out := map[[2]uuid.UUID]vault.Candidate{}
		e.View(func(tx *vault.Tx) {
			for after := uuid.Nil; ; {
				some, next, err := tx.Candidates(after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range some {
					if _, twice := out[c.Persons]; twice {
						t.Error("a pair is listed twice")
					}
					out[c.Persons] = c
				}
				if after = next; next == uuid.Nil {
					return
				}
			}
		})
		return out
	}
	pair := func(a, b uuid.UUID) [2]uuid.UUID {
		if slices.Compare(a[:], b[:]) > 0 {
			a, b = b, a
		}
		return [2]uuid.UUID{a, b}
	}
	got := all()
	if len(got) != 2 || got[pair(named, known)].Likeness == nil || got[pair(named, other)].Likeness == nil {
		t.Errorf("candidates are %v", got)
	}
	var id uuid.UUID
	e.Locked(func(tx *vault.Tx) {
		var err error
		if id, err = merge(tx, named, known); err != nil {
			t.Fatal(err)
		}
	})
	if got := all(); len(got) != 1 || got[pair(named, other)].Undone {
		t.Errorf("after a merge: %v", got)
	}
	e.Locked(func(tx *vault.Tx) {
		if err := undo(tx, id); err != nil {
			t.Fatal(err)
		}
		for _, object := range []string{objectA, objectB} {
			e.Person(tx, vault.PersonHint{ObjectID: object, IntuneID: intune, At: at})
		}
	})
	got = all()
	if len(got) != 3 || !got[pair(named, known)].Undone ||
		got[pair(known, other)].Likeness[0].Kind != "intune-user-id" {
		t.Errorf("after its undoing, and with an id of the service's own: %v", got)
	}
}

// testIntuneID: the service's own id finds whom a record linked it to, from then on and before; it
// makes nobody known, and tells nobody who held another name apart.
func testIntuneID(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	at := e.Clock.Now()
	only := vault.PersonHint{IntuneID: intune, At: at.Add(time.Hour)}
	find := func(h vault.PersonHint) (id uuid.UUID) {
		t.Helper()
		e.View(func(tx *vault.Tx) {
			var err error
			if id, _, err = tx.FindPerson(h); err != nil {
				t.Fatal(err)
			}
		})
		return id
	}
	e.Update(func(tx *vault.Tx) {
		if id, created, err := tx.Person(only); err != nil || created || id != uuid.Nil {
			t.Errorf("an id that nobody linked makes %v known: %v", id, err)
		}
	})
	var anna, twin uuid.UUID
	e.Update(func(tx *vault.Tx) {
		anna = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", IntuneID: intune, At: at})
	})
	if find(only) != anna {
		t.Error("a linked id finds somebody else")
	}
	renamed := vault.PersonHint{UPN: "anna.new@voorbeeld.nl", IntuneID: intune, At: at.Add(2 * time.Hour)}
	e.Update(func(tx *vault.Tx) {
		if got := e.Person(tx, renamed); got != anna {
			t.Error("a new name with a linked id is somebody else's")
		}
	})
	e.View(func(tx *vault.Tx) {
		m, err := tx.FindPersons(intune)
		if err != nil || len(m) != 1 || m[0].ID != anna || m[0].Kind != "intune-user-id" {
			t.Errorf("found by it: %v, %v", m, err)
		}
	})
	e.Update(func(tx *vault.Tx) { // of another whom the directory knows: he is not Anna
		twin = e.Person(tx, vault.PersonHint{ObjectID: objectA, IntuneID: intune, At: at.Add(3 * time.Hour)})
	})
	later := vault.PersonHint{IntuneID: intune, At: at.Add(4 * time.Hour)}
	if twin == anna || find(only) != anna || find(later) != twin {
		t.Error("an id of two persons does not find who had it then")
	}
	e.Clock.Advance(24 * time.Hour)
	e.Locked(func(tx *vault.Tx) {
		if err := erase(tx, anna); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tx.Person(renamed); !errors.Is(err, vault.ErrErasedSubject) {
			t.Errorf("a record of an erased person: %v", err)
		}
	})
}

// testDevices: a subject's devices are those of all of its persons; an erasure of any takes the
// personal ones of all.
func testDevices(t *testing.T, f vaulttest.Factory) {
	e := vaulttest.NewEnv(t, f)
	at := e.Clock.Now()
	e.Locked(func(tx *vault.Tx) {
		a, b := e.Person(tx, vault.PersonHint{UPN: "a@voorbeeld.nl", At: at}),
			e.Person(tx, vault.PersonHint{UPN: "b@voorbeeld.nl", At: at})
		for i, p := range []uuid.UUID{a, b} {
			d, _, err := tx.Device(vault.DeviceHint{At: at,
				IntuneID: fmt.Sprintf("22222222-2222-4333-8444-%012d", i+1)})
			if err == nil {
				_, err = tx.SetHolder(d.ID, "personal", p, at)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := merge(tx, a, b); err != nil {
			t.Fatal(err)
		}
		for _, p := range []uuid.UUID{a, b} {
			if held, err := tx.DevicesOf(p); err != nil || len(held) != 2 {
				t.Errorf("%d devices, %v", len(held), err)
			}
		}
		if err := erase(tx, b); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			_, _, err := tx.FindDevice(vault.DeviceHint{
				IntuneID: fmt.Sprintf("22222222-2222-4333-8444-%012d", i+1), At: at})
			if !errors.Is(err, vault.ErrErasedSubject) {
				t.Errorf("device %d stays: %v", i, err)
			}
		}
	})
}
