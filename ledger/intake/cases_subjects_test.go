package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// aliasOwners tells whose aliases are, as commands ask the vault.
func (w *world) aliasOwners(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner,
	error) {
	out := map[uuid.UUID]schemas.Owner{}
	err := w.vault.View(ctx, tenant, func(tx *vault.Tx) error {
		for _, a := range aliases {
			if o, err := tx.AliasOwner(a); err == nil {
				out[a] = o
			}
		}
		return nil
	})
	return out, err
}

// unnamed returns what the checker finds: of each event of which somebody is not named, the
// attributes.
func (w *world) unnamed() (out map[uuid.UUID][]string, untold int) {
	w.t.Helper()
	out = map[uuid.UUID][]string{}
	err := w.ledger.Check(context.Background(), []uuid.UUID{w.tenant.ID}, w.aliasOwners, func(f ledger.Found) error {
		if len(f.Naming.Missing) > 0 {
			out[f.ID] = f.Naming.Missing
		}
		untold += f.Naming.Untold
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out, untold
}

// tokenHead finds a token in stored bytes: its alias.
var tokenHead = regexp.MustCompile(`sealed:v1:([A-Za-z0-9_-]{22}):`)

func aliasIn(text string) (out uuid.UUID, found bool) {
	m := tokenHead.FindStringSubmatch(text)
	if m == nil {
		return out, false
	}
	raw, err := schemas.Base64.DecodeString(m[1])
	return uuid.UUID(raw), err == nil
}

// touchedAliases reads from stored bytes alone, without the catalogue, under which aliases each
// event holds values and which of its stream it removes. before is the stream's state, which it
// brings forward.
func touchedAliases(data json.RawMessage, before map[string]uuid.UUID) (out []uuid.UUID, err error) {
	type change struct {
		Set   map[string]json.RawMessage `json:"set"`
		Unset []string                   `json:"unset"`
	}
	var state struct {
		change
		Lists map[string]change `json:"lists"`
	}
	for _, m := range tokenHead.FindAllString(string(data), -1) {
		alias, _ := aliasIn(m)
		out = append(out, alias)
	}
	if json.Unmarshal(data, &state) != nil {
		return out, nil // no state's form
	}
	apply := func(list string, c change) {
		for name, raw := range c.Set {
			alias, _ := aliasIn(string(raw))
			before[list+"/"+name] = alias
		}
		for _, name := range c.Unset {
			if was := before[list+"/"+name]; was != uuid.Nil {
				out = append(out, was)
			}
			delete(before, list+"/"+name)
		}
	}
	apply("", state.change)
	for _, list := range sortedKeys(state.Lists) {
		apply(list, state.Lists[list])
	}
	return out, nil
}

// aliasesOf enumerates the aliases of everybody whom the vault knows under the identifiers, as a
// package does.
func (w *world) aliasesOf(identifiers ...string) map[uuid.UUID]map[uuid.UUID]bool {
	w.t.Helper()
	out := map[uuid.UUID]map[uuid.UUID]bool{}
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		for _, id := range identifiers {
			matches, err := tx.FindPersons(id)
			if err != nil {
				return err
			}
			for _, m := range matches {
				if out[m.ID] != nil {
					continue
				}
				out[m.ID] = map[uuid.UUID]bool{}
				aliases, err := tx.Aliases(m.ID)
				if err != nil {
					return err
				}
				for _, a := range aliases {
					out[m.ID][a.ID] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// namesEverybody checks that every event which holds a token under a person's key, or removes what
// stood under one, names one of that person's aliases in its subjects: that enumerating the
// aliases finds it. It returns how many such events there are.
func (w *world) namesEverybody(fatal func(string, ...any), persons map[uuid.UUID]map[uuid.UUID]bool) (n int) {
	whose := map[uuid.UUID]uuid.UUID{}
	for p, aliases := range persons {
		for a := range aliases {
			whose[a] = p
		}
	}
	states := map[schemas.Stream]map[string]uuid.UUID{}
	for _, r := range w.events() {
		if states[r.Stream] == nil {
			states[r.Stream] = map[string]uuid.UUID{}
		}
		aliases, err := touchedAliases(r.Data, states[r.Stream])
		if err != nil {
			fatal("%s: %v", r.Type, err)
		}
		var meta struct {
			Subjects []struct{ ID uuid.UUID }
		}
		if err := json.Unmarshal(r.Metadata, &meta); err != nil {
			fatal("%s: %v", r.Type, err)
		}
		for _, a := range aliases {
			person, is := whose[a]
			if !is {
				continue // the tenant's or a device's
			}
			n++
			found := false
			for _, s := range meta.Subjects {
				found = found || persons[person][s.ID]
			}
			if !found {
				fatal("a %s at revision %d of %s holds or removes a value of a person whom it does not name",
					r.Type, r.Revision, r.Stream)
			}
		}
	}
	return n
}

// TestEnumeratingAPersonsAliasesFindsEveryEventOfTheirs: for any history of devices (users and
// ownership change, users log on, a user goes,
// everything is restated), in any order and portions.
func TestEnumeratingAPersonsAliasesFindsEveryEventOfTheirs(t *testing.T) {
	var identifiers []string
	for i := range 4 {
		identifiers = append(identifiers, guid(10, i), fmt.Sprintf("user%d@contoso.example", i))
	}
	found := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, false)
		w.config.BatchSize = rapid.IntRange(1, 6).Draw(rt, "batch")
		for range rapid.IntRange(1, 3).Draw(rt, "imports") {
			if _, err := run(rt, w, files(rt, anyRecords(rt))); err != nil {
				rt.Fatal(err)
			}
		}
		persons := w.aliasesOf(identifiers...)
		for _, r := range w.events() { // nobody else may be concerned
			for _, m := range tokenHead.FindAllString(string(r.Data), -1) {
				alias, _ := aliasIn(m)
				owners, err := w.aliasOwners(context.Background(), w.tenant.ID, []uuid.UUID{alias})
				if o := owners[alias]; err != nil || o.Kind == schemas.OwnerPerson && !persons[o.ID][alias] {
					rt.Fatalf("a value is under the key of somebody whom no identifier finds: %v", err)
				}
			}
		}
		found += w.namesEverybody(rt.Fatalf, persons)
		if missing, untold := w.unnamed(); len(missing)+untold > 0 {
			rt.Fatalf("the checker finds %v, and %d untold", missing, untold)
		}
	})
	if found == 0 {
		t.Error("no event held anything of anybody")
	}
	t.Logf("%d values of persons, each in an event that names them", found)
}

// subjectsDevice is a device's snapshot in Graph's form.
func subjectsDevice(device int, at time.Time, more map[string]any) string {
	m := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, device),
		"lastSyncDateTime": at.Format(time.RFC3339)}
	for k, v := range more {
		m[k] = v
	}
	return asLine(m)
}

func subjectsUser(n int) map[string]any {
	return map[string]any{"userId": guid(10, n), "userPrincipalName": fmt.Sprintf("user%d@contoso.example", n),
		"userDisplayName": fmt.Sprintf("User %d", n),
		"emailAddress":    fmt.Sprintf("user%d@mail.example", n), "phoneNumber": fmt.Sprintf("+3160000000%d", n)}
}

// TestWhoseValuesAreRemovedIsNamed: at a change of user, when the user goes, and when an entry of
// a list goes.
func TestWhoseValuesAreRemovedIsNamed(t *testing.T) {
	for name, step := range map[string]struct {
		then map[string]any
		of   []int // whose values are removed
	}{
		"another user of whom less is told": {map[string]any{"userId": guid(10, 2)}, []int{1}},
		"no user":                           {map[string]any{"userId": "", "userPrincipalName": ""}, []int{1}},
		"who was logged on no longer is": {map[string]any{"usersLoggedOn": []any{map[string]any{"userId": guid(10,
			4)}}}, []int{3}},
	} {
		for _, ownership := range []string{"company", "personal", "unknown"} {
			w := newWorld(t, false)
			first := subjectsUser(1)
			first["managedDeviceOwnerType"] = ownership
			first["usersLoggedOn"] = []any{map[string]any{"userId": guid(10, 3)}, map[string]any{"userId": guid(10,
				4)}}
			w.importFiles(map[string]string{"1": subjectsDevice(1, propertyStart, first)})
			before := len(w.events())
			step.then["managedDeviceOwnerType"] = ownership
			// Another import, of another month: what it knows of whose values are is folded from
			// the ledger.
			w.importFiles(map[string]string{"2": subjectsDevice(1, propertyStart.AddDate(0, 2, 0), step.then)})
			removed := 0
			for _, n := range step.of {
				aliases := w.aliasesOf(guid(10, n))
				for _, r := range w.events()[before:] {
					if !strings.Contains(string(r.Data), `"unset"`) {
						continue
					}
					d, err := schemas.Default().Decode(schemastest.Envelope(r))
					if err != nil {
						t.Fatal(err)
					}
					removed++
					if !slices.ContainsFunc(d.Subjects, func(s schemas.SubjectRef) bool {
						for _, mine := range aliases {
							return mine[s.Alias]
						}
						return false
					}) {
						t.Errorf("%s, %s: a %s does not name whose values it removes", name, ownership, r.Type)
					}
				}
			}
			if removed == 0 {
				t.Errorf("%s, %s: nothing is removed", name, ownership)
			}
			if missing, _ := w.unnamed(); len(missing) > 0 {
				t.Errorf("%s, %s: the checker finds %v", name, ownership, missing)
			}
		}
	}
}

// TestManyPersonsOfOneDeviceAreNamedInSeveralEvents: no event names more than the limit, and each
// names all that it holds or removes.
func TestManyPersonsOfOneDeviceAreNamedInSeveralEvents(t *testing.T) {
	w := newWorld(t, false)
	const many = 150
	var all []any
	var identifiers []string
	for i := range many {
		all = append(all, map[string]any{"userId": guid(11, i)})
		identifiers = append(identifiers, guid(11, i))
	}
	logged := func(at time.Time, users []any) string {
		m := subjectsUser(1)
		m["managedDeviceOwnerType"], m["usersLoggedOn"] = "personal", users
		return subjectsDevice(1, at, m)
	}
	w.importFiles(map[string]string{"1": logged(propertyStart, all)})
	w.importFiles(map[string]string{"2": logged(propertyStart.AddDate(0, 0, 2), all[:1])})
	removing := 0
	for _, r := range w.events() {
		m, err := schemas.ParseMetadata(r.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Subjects) > schemas.MaxSubjects {
			t.Errorf("a %s names %d", r.Type, len(m.Subjects))
		}
		if strings.Contains(string(r.Data), `"lists":{"usersLoggedOn":{"unset"`) {
			removing++
		}
	}
	if removing < 3 {
		t.Errorf("%d events remove entries of %d persons", removing, many-1)
	}
	if n := w.namesEverybody(t.Fatalf, w.aliasesOf(identifiers...)); n != 2*many-1 {
		t.Errorf("%d values of %d persons are held or removed, want %d", n, many, 2*many-1)
	}
	if missing, _ := w.unnamed(); len(missing) > 0 {
		t.Errorf("the checker finds %v", missing)
	}
}

// TestTheCheckerFindsWhoIsNotNamed: an event that was written with the vault, and names not
// everybody.
func TestTheCheckerFindsWhoIsNotNamed(t *testing.T) {
	w := newWorld(t, false)
	ctx, c := context.Background(), schemas.Default()
	first := subjectsUser(1)
	first["managedDeviceOwnerType"] = "personal"
	w.importFiles(map[string]string{"1": subjectsDevice(1, propertyStart, first)})
	stream := w.events()[0].Stream
	next := func() uint64 { return uint64(len(w.events())) }
	put := func(values func(person schemas.Owner) []schemas.Value, occurred time.Time) uuid.UUID {
		t.Helper()
		d := schemas.Draft{Type: c.MustType("device.inventory-changed.v1"), Tenant: w.tenant.ID, Stream: stream,
			ID: schemas.NewID(), Occurred: occurred,
			Recorded: w.clock.Now(), Source: "graph", Policy: 1}
		err := w.vault.Update(ctx, w.tenant.ID, func(tx *vault.Tx) error {
			person, _, err := tx.Person(vault.PersonHint{ObjectID: guid(10, 1), At: occurred})
			if err != nil {
				return err
			}
			d.Values = values(schemas.Owner{Kind: schemas.OwnerPerson, ID: person})
			return tx.Seal(&d)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Encode(d); len(d.Values) > 0 && err == nil {
			t.Fatal("it is encoded though it names nobody")
		}
		for i := range d.Values { // as somebody would who says nothing of whose they are
			d.Values[i].Owner = schemas.Owner{}
		}
		e, err := c.Encode(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Append(ctx, stream, ledger.Exact(next()-1), []schemas.Event{e}); err != nil {
			t.Fatal(err)
		}
		return d.ID
	}
	if missing, untold := w.unnamed(); len(missing)+untold > 0 {
		t.Fatalf("before anything is wrong: %v, %d", missing, untold)
	}
	at := propertyStart.AddDate(0, 1, 3)
	held := put(func(p schemas.Owner) []schemas.Value {
		return []schemas.Value{{Attr: c.MustAttribute("device.serial-number"), Plain: schemas.JSON("PF1"), Owner: p},
			{Attr: c.MustAttribute("device.name"), Plain: schemas.JSON("PC"), Owner: p}}
	}, at)
	removed := put(func(p schemas.Owner) []schemas.Value {
		return []schemas.Value{{Attr: c.MustAttribute("device.phone-number"), Removed: true, Owner: p}}
	}, at)
	want := map[uuid.UUID][]string{held: {"device.name", "device.serial-number"}, removed: {"device.phone-number"}}
	if missing, _ := w.unnamed(); fmt.Sprint(missing) != fmt.Sprint(want) {
		t.Errorf("the checker finds %v, want %v", missing, want)
	}
	// Whose the values were, nothing tells once the person is erased.
	err := w.vault.Update(ctx, w.tenant.ID, func(tx *vault.Tx) error {
		person, _, err := tx.Person(vault.PersonHint{ObjectID: guid(10, 1), At: at})
		if err != nil {
			return err
		}
		order := schemas.NewID()
		keys, err := tx.BeginErasure(person, order)
		if err != nil {
			return err
		}
		return tx.Destroy(order, keys)
	})
	if err != nil {
		t.Fatal(err)
	}
	if missing, untold := w.unnamed(); len(missing) > 0 || untold != 3 {
		t.Errorf("after the erasure the checker finds %v, and %d untold", missing, untold)
	}
}
