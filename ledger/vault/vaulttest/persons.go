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
	"github.com/ledgerline/ledgerline/schemas"
)

const (
	object1 = "11111111-2222-4333-8444-000000000001"
	object2 = "11111111-2222-4333-8444-000000000002"
	object3 = "11111111-2222-4333-8444-000000000003"
)

func testTenantsOfVault(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	ctx := context.Background()
	got, err := e.V.AddTenant(ctx, vault.NewTenant{Name: " Waterschap Zuid ",
		Sources:  []string{"ABCDEF01-0000-4000-8000-000000000000", "abcdef01-0000-4000-8000-000000000000"},
		TimeZone: "Europe/Amsterdam", Language: "nl"})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID.Version() != 4 || got.Name != "Waterschap Zuid" || got.Policy.Number != 1 ||
		!slices.Equal(got.Sources, []string{"abcdef01-0000-4000-8000-000000000000"}) {
		t.Errorf("added %+v", got)
	}
	if !got.Takes("ABCDEF01-0000-4000-8000-000000000000") || got.Takes("00000000-0000-4000-8000-000000000001") ||
		!e.Tenant.Takes("anything") {
		t.Error("a tenant takes records of its sources, and only with any of others")
	}
	if _, err := e.V.AddTenant(ctx, vault.NewTenant{Name: "waterschap zuid", AnySource: true}); !errors.Is(err,
		vault.ErrExists) {
		t.Errorf("the name again: %v", err)
	}
	for _, n := range []vault.NewTenant{{}, {Name: "x"}, {Name: "x", AnySource: true, Sources: []string{"a"}},
		{Name: "x", Sources: []string{"unknown"}},
		{Name: "x", AnySource: true, TimeZone: "Mars/Base"}, {Name: "x", AnySource: true, Language: "fr"}} {
		if _, err := e.V.AddTenant(ctx, n); err == nil {
			t.Errorf("added %+v", n)
		}
	}
	other := e.Again()
	byName, err := other.Tenant(ctx, "WATERSCHAP ZUID")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "by name", byName, got)
	byID, err := other.TenantByID(ctx, got.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "by id", byID, got)
	for _, sources := range [][]string{{}, {"x"}, {"contoso.example"}, {uuid.Nil.String()},
		{"abcdef0100004000800000000000000a"},
		{"{abcdef01-0000-4000-8000-000000000000}"}, {"abcdef01-0000-4000-8000-000000000000", ""}} {
		if _, err := e.V.SetTenantSources(ctx, got.ID, false, sources); err == nil {
			t.Errorf("set source tenants %q", sources)
		}
	}
	if _, err := e.V.SetTenantSources(ctx, uuid.New(), true, nil); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("set source tenants of nobody: %v", err)
	}
	want := got
	want.Sources = []string{"abcdef01-0000-4000-8000-000000000002"}
	set, err := e.V.SetTenantSources(ctx, got.ID, false, []string{" ABCDEF01-0000-4000-8000-000000000002 "})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "set", set, want)
	if byID, err = other.TenantByID(ctx, got.ID); err != nil {
		t.Fatal(err)
	}
	equal(t, "set, as another process reads it", byID, want)
	e.Clock.Advance(time.Second)
	third := e.AddTenant("Een derde")
	all, err := other.Tenants(ctx)
	if err != nil || len(all) != 3 || all[2].ID != third.ID {
		t.Errorf("all: %+v, %v", all, err)
	}
	if _, err := e.V.Tenant(ctx, "nobody"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("no such name: %v", err)
	}
	if err := e.V.View(ctx, uuid.New(), func(*vault.Tx) error { return nil }); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("no such tenant: %v", err)
	}
	if _, err := vault.Create(ctx, vault.Config{Store: e.Store, KEK: e.KEK}); !errors.Is(err, vault.ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := vault.Open(ctx, vault.Config{Store: e.Store, KEK: KEK(t)}); !errors.Is(err, vault.ErrKEK) {
		t.Errorf("opened with another key-encryption key: %v", err)
	}
	if _, err := vault.Open(ctx, vault.Config{}); err == nil {
		t.Error("opened with nothing")
	}
	empty, _ := f(t)
	if _, err := vault.Open(ctx, vault.Config{Store: empty, KEK: e.KEK}); !errors.Is(err, vault.ErrUninitialised) {
		t.Errorf("opened where there is no vault: %v", err)
	}
	if err := empty.Close(); err != nil {
		t.Error(err)
	}
}

func testPersonRules(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	now := e.Clock.Now()
	at := func(day int) time.Time { return now.AddDate(0, 0, day) }
	var person func(object, upn, email string, day int) uuid.UUID
	e.Update(func(tx *vault.Tx) {
		person = func(object, upn, email string, day int) uuid.UUID {
			id, _, err := tx.Person(vault.PersonHint{ObjectID: object, UPN: upn, Email: email, At: at(day)})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		for _, junk := range []string{"", "0", "unknown", "<null>", "[REDACTED]", "redacted@email.com",
			"00000000-0000-0000-0000-000000000000"} {
			if id := person(junk, junk, junk, 0); id != uuid.Nil {
				t.Errorf("%q identifies %v", junk, id)
			}
		}
		anna := person(object1, "anna@voorbeeld.nl", "a.devries@voorbeeld.nl", 0)
		same := func(what string, got, want uuid.UUID) {
			t.Helper()
			if got != want {
				t.Errorf("%s is another person", what)
			}
		}
		differ := func(what string, got uuid.UUID, others ...uuid.UUID) {
			t.Helper()
			if got == uuid.Nil || slices.Contains(others, got) {
				t.Errorf("%s is no new person", what)
			}
		}
		same("the object id in another case, under a new name",
			person("11111111-2222-4333-8444-000000000001", "anna.new@voorbeeld.nl", "", 1), anna)
		same("her UPN alone, in another case", person("", "ANNA@voorbeeld.nl", "", 2), anna)
		same("her e-mail alone", person("unknown", "", "A.deVries@voorbeeld.nl", 2), anna)
		same("junk beside her object id", person(object1, "[REDACTED]", "0", 2), anna)

		early := person("", "anna@voorbeeld.nl", "", -30)
		differ("her UPN before she was seen with it", early, anna)
		same("that person, found again", person("", "anna@voorbeeld.nl", "", -20), early)

		// Another Anna gets the UPN on day 10: the first's period ends
		// there, and neither is merged.
		second := person(object2, "anna@voorbeeld.nl", "", 10)
		differ("another object id with the UPN", second, anna, early)
		same("the UPN before", person("", "anna@voorbeeld.nl", "", 9), anna)
		same("the UPN after", person("", "anna@voorbeeld.nl", "", 11), second)

		matches, err := tx.FindPersons("Anna@Voorbeeld.NL")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		names := map[uuid.UUID]string{anna: "anna", second: "second", early: "early"}
		for _, m := range matches {
			until := "now"
			if !m.Current {
				until = fmt.Sprint(m.To.Sub(now).Hours() / 24)
			}
			got = append(got, fmt.Sprintf("%s %s %v %s", names[m.ID], m.Kind, m.From.Sub(now).Hours()/24, until))
		}
		equal(t, "holders of the UPN, latest first", got, []string{"second upn 10 now", "anna upn 0 10",
			"early upn -30 0"})

		// Two were seen with one UPN at the same time: a record without an object id is neither's.
		third := person(object3, "shared@voorbeeld.nl", "", 0)
		person(object3, "shared@voorbeeld.nl", "", 10)
		person(object2, "shared@voorbeeld.nl", "", 5)
		same("the UPN while one held it", person("", "shared@voorbeeld.nl", "", 4), third)
		unclear := person("", "shared@voorbeeld.nl", "", 6)
		differ("the UPN while two hold it", unclear, second, third)
		same("that person, found again", person("", "shared@voorbeeld.nl", "", 7), unclear)

		bob := person("", "bob@voorbeeld.nl", "", 0)
		differ("a person known by UPN only", bob, anna, second, early)
		same("a UPN-only person, earlier and later", person("", "bob@voorbeeld.nl", "", -5), bob)
		known := person(object3, "bob@voorbeeld.nl", "", 3)
		differ("an object id with that UPN", known, bob)
		same("that UPN from then on", person("", "bob@voorbeeld.nl", "", 4), known)
		same("that UPN before", person("", "bob@voorbeeld.nl", "", 2), bob)
		mail := person("", "", "carol@voorbeeld.nl", 0)
		differ("a person known by e-mail only", mail, anna, bob)
		same("a record without a time", person("", "bob@voorbeeld.nl", "", 4), known)

		ids, err := tx.Identity(anna)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, n := range ids {
			values = append(values, n.Kind+" "+n.Value)
		}
		equal(t, "what Anna is called", values, []string{"email a.devries@voorbeeld.nl", "object-id " + object1,
			"upn anna@voorbeeld.nl", "upn anna.new@voorbeeld.nl"})
		if m, err := tx.FindPersons(anna.String()); err != nil || len(m) != 0 {
			t.Errorf("the vault's own uuid finds %v, %v", m, err)
		}
		if m, err := tx.FindPersons("unknown"); err != nil || len(m) != 0 {
			t.Errorf("junk finds %v, %v", m, err)
		}
	})
	e.View(func(tx *vault.Tx) {
		if _, _, err := tx.Person(vault.PersonHint{ObjectID: object1}); !errors.Is(err, vault.ErrReadOnly) {
			t.Errorf("a person looked up in a view, which would record it: %v", err)
		}
		if m, err := tx.FindPersons(object1); err != nil || len(m) != 1 || m[0].Kind != "object-id" || !m[0].Current {
			t.Errorf("found by object id: %v, %v", m, err)
		}
	})
}

// testPersonModel compares Person, fed in the order of time, with the rules written down
// another way: the last object id seen with a UPN holds it; before any was, or without one,
// the UPN's own person does.
func testPersonModel(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		at := e.Clock.Now()
		byObject := map[string]uuid.UUID{}
		byUPN := map[string]uuid.UUID{}
		holder := map[string]uuid.UUID{}
		everyone := map[uuid.UUID]bool{}
		steps := rapid.IntRange(1, 30).Draw(rt, "steps")
		err := e.Try(func(tx *vault.Tx) error {
			for range steps {
				at = at.Add(time.Duration(rapid.IntRange(1, 100_000).Draw(rt, "later")) * time.Millisecond)
				object := rapid.SampledFrom([]string{"", "unknown", "a", "b", "c"}).Draw(rt, "object")
				upn := rapid.SampledFrom([]string{"", "[REDACTED]", "x", "y"}).Draw(rt, "upn")
				real := func(s string) string {
					if schemas.Junk(s) {
						return s
					}
					return fmt.Sprintf("%s-%d@voorbeeld.nl", s, run)
				}
				got, created, err := tx.Person(vault.PersonHint{ObjectID: real(object), UPN: real(upn), At: at})
				if err != nil {
					return err
				}
				known := func(s string) bool { return !schemas.Junk(s) }
				var want uuid.UUID
				var found bool
				switch {
				case known(object):
					want, found = byObject[object]
				case known(upn):
					if want, found = holder[upn]; !found {
						want, found = byUPN[upn]
					}
				default:
					if got != uuid.Nil || created {
						rt.Fatalf("nothing identifies %v", got)
					}
					continue
				}
				if found && (got != want || created) || !found && (!created || everyone[got]) {
					rt.Fatalf("object %q, upn %q: got %v (created %v), want %v (known %v)", object, upn, got,
						created, want, found)
				}
				everyone[got] = true
				if known(object) {
					byObject[object] = got
					if known(upn) {
						holder[upn] = got
					}
				} else if !found {
					byUPN[upn] = got
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func testDevices(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	now := e.Clock.Now()
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	e.Update(func(tx *vault.Tx) {
		device := func(intune, directory string) vault.Device {
			t.Helper()
			d, _, err := tx.Device(vault.DeviceHint{IntuneID: intune, DirectoryID: directory, At: now})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := device("0", "00000000-0000-0000-0000-000000000000"); d != (vault.Device{}) {
			t.Errorf("junk names %+v", d)
		}
		if _, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: "i1", At: now}); found || err != nil {
			t.Errorf("found before it was minted: %v", err)
		}
		d1 := device("i1", "d1")
		if d1.Generation != 0 || d1.Stream.Kind() != "device" || d1.Stream.UUID() != d1.ID {
			t.Errorf("a new device: %+v", d1)
		}
		byDirectory := device("", "d2")
		for what, c := range map[string]struct{ got, want vault.Device }{
			"by Intune id, in another case":                           {device("I1", ""), d1},
			"by directory id":                                         {device("unknown", "D1"), d1},
			"a directory device enrolled: it gets its Intune id":      {device("i2", "d2"), byDirectory},
			"and is found by it":                                      {device("i2", ""), byDirectory},
			"its directory id with an Intune id known for another":    {device("i1", "d2"), d1},
			"the directory id, of two enrolments the last seen first": {device("", "d9"), device("", "d9")},
		} {
			if c.got.ID != c.want.ID {
				t.Errorf("%s: another device", what)
			}
		}
		if again := device("i3", "d1"); again.ID == d1.ID {
			t.Error("a directory device enrolled anew is the old device")
		}
		if got, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: "i1"}); err != nil || !found ||
			got.ID != d1.ID {
			t.Errorf("found %+v, %v, %v", got, found, err)
		}

		p1, p2 := e.Person(tx, vault.PersonHint{UPN: "p1@voorbeeld.nl", At: now}),
			e.Person(tx, vault.PersonHint{UPN: "p2@voorbeeld.nl", At: now})
		hold := func(ownership string, user uuid.UUID, d int) vault.Device {
			t.Helper()
			got, err := tx.SetHolder(d1.ID, ownership, user, day(d))
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, c := range []struct {
			ownership  string
			user       uuid.UUID
			day        int
			generation int
			holds      uuid.UUID
		}{
			{"company", p1, 1, 1, p1}, {"company", p1, 2, 1, p1}, {"company", p1, 0, 1, p1}, // nothing changes
			{"company", p2, 3, 2, p2}, {"personal", p1, 2, 2, p2}, // an older observation changes nothing
			{"personal", p2, 4, 3, p2}, {"personal", uuid.Nil, 5, 4, uuid.Nil}, {"personal", p1, 5, 5, p1},
		} {
			if got := hold(c.ownership, c.user, c.day); got.Generation != c.generation || got.User != c.holds {
				t.Errorf("held as %+v: generation %d by %v", c, got.Generation, got.User)
			}
		}
		got, err := tx.DevicesOf(p1)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "devices of the first", got, []vault.Holding{
			{Device: d1.ID, Stream: d1.Stream, Ownership: "company", Generation: 1, From: day(1), To: day(3)},
			{Device: d1.ID, Stream: d1.Stream, Ownership: "personal", Generation: 5, From: day(5)}})
		if _, err := tx.SetHolder(uuid.New(), "company", p1, now); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("an unknown device: %v", err)
		}
		if _, err := tx.SetHolder(d1.ID, "company", uuid.New(), now); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("an unknown user: %v", err)
		}
	})
}

// testLooksAgain: who looks again for what an earlier transaction has looked for is answered as
// whoever looks for the first time, whoever came between, and however long ago that was.
func testLooksAgain(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	here, elsewhere := e.V, e.Again()
	other := e.AddTenant("Gemeente Anders")
	for i, between := range []struct {
		name  string
		known bool // after it
		do    func(vault.PersonHint)
	}{
		{"nobody", false, func(vault.PersonHint) {}},
		{"here", true, func(h vault.PersonHint) { e.Update(func(tx *vault.Tx) { e.Person(tx, h) }) }},
		{"elsewhere", true, func(h vault.PersonHint) {
			e.V = elsewhere
			e.Update(func(tx *vault.Tx) { e.Person(tx, h) })
			e.V = here
		}},
		{"half a minute, and elsewhere", true, func(h vault.PersonHint) {
			e.Clock.Advance(31 * time.Second)
			e.V = elsewhere
			e.Update(func(tx *vault.Tx) { e.Person(tx, h) })
			e.V = here
		}},
		{"half a minute", false, func(vault.PersonHint) { e.Clock.Advance(31 * time.Second) }},
	} {
		h := vault.PersonHint{ObjectID: fmt.Sprintf("11111111-2222-4333-8444-%012d", i+1),
			UPN: fmt.Sprintf("anna%d@voorbeeld.nl", i), At: e.Clock.Now()}
		var looked *vault.Looked
		e.View(func(tx *vault.Tx) {
			var err error
			a := vault.Ahead{Persons: []vault.PersonHint{h}, IDs: []string{h.ObjectID}}
			if looked, err = tx.Look(a); err != nil {
				t.Fatal(err)
			}
		})
		between.do(h)
		for _, known := range []bool{between.known, true} {
			e.Update(func(tx *vault.Tx) {
				if err := tx.LookAgain(looked); err != nil {
					t.Fatal(err)
				}
				_, created, err := tx.Person(h)
				if err != nil || created == known {
					t.Errorf("%s came between: made %v, known before %v: %v", between.name, created, known, err)
				}
			})
		}
		err := e.V.View(context.Background(), other.ID, func(tx *vault.Tx) error { return tx.LookAgain(looked) })
		if err == nil {
			t.Error("one tenant's look serves another")
		}
	}
}
