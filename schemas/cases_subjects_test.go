package schemas

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// ownedCatalogue has a state type whose attributes lie in two classes, one of them a person's.
func ownedCatalogue(t *testing.T, roles string, attributes ...string) (*Catalogue, error) {
	t.Helper()
	files := map[string]string{
		"attributes/x.yaml": `
- {id: x.name, identifiability: identified, key: person, role: user, class: inventory,
   type: text, form: text}
- {id: x.serial, identifiability: pseudonymous, key: device-owner, class: inventory,
   type: text, form: text}
- {id: x.taste, identifiability: identified, key: person, role: user, class: apps,
   type: text, form: text}
- {id: x.app, identifiability: pseudonymous, key: device, class: apps,
   type: text, form: text}
- {id: x.note, identifiability: pseudonymous, key: tenant, class: account,
   type: text, form: text}
`,
		"types/thing.seen.v1.yaml": "type: thing.seen.v1\nform: state\nroles: " + roles +
			"\nfields:\n",
	}
	for _, a := range attributes {
		files["types/thing.seen.v1.yaml"] += "  /set/" + strings.TrimPrefix(a, "x.") + ": " + a + "\n"
	}
	return Load(mapFS(files))
}

func TestATypeNamesEveryPersonWhoseKeyMaySealAnAttribute(t *testing.T) {
	for _, tc := range []struct {
		name, roles string
		attributes  []string
		names       []string // what the error must name; none: it loads
	}{
		{"no person may seal", "[]", []string{"x.app", "x.note"}, nil},
		{"its role in its class", "[{role: user, class: inventory}]", []string{"x.name", "x.serial"}, nil},
		{"a device's owner in another role", "[{role: owner, class: inventory}]", []string{"x.serial"}, nil},
		{"two classes", "[{role: user, class: inventory}, {role: user, class: apps}]", []string{"x.name",
			"x.taste"}, nil},
		{"no roles", "[]", []string{"x.name"}, []string{"thing.seen.v1", "x.name", "inventory", "there are none"}},
		{"another class", "[{role: user, class: apps}]", []string{"x.serial"}, []string{"thing.seen.v1", "x.serial",
			`"inventory"`, "user of class apps"}},
		{"another role", "[{role: owner, class: inventory}]", []string{"x.name"}, []string{"thing.seen.v1",
			"x.name", `"user"`, "owner of class inventory"}},
		{"one of two classes", "[{role: user, class: inventory}]", []string{"x.name", "x.taste"},
			[]string{"x.taste", `"apps"`, "user of class inventory"}},
		{"a class twice", "[{role: user, class: apps}, {role: user, class: apps}]", nil, []string{"user", "twice"}},
		{"a role apart", "[{role: user, class: apps}, {role: owner, class: apps}, {role: user, class: inventory}]",
			nil, []string{"user", "apart"}},
	} {
		_, err := ownedCatalogue(t, tc.roles, tc.attributes...)
		if (err == nil) != (tc.names == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		for _, n := range tc.names {
			if err == nil || !strings.Contains(err.Error(), n) {
				t.Errorf("%s: %v does not name %q", tc.name, err, n)
			}
		}
	}
}

func TestEncodeRefusesAPersonsValueWhosePersonIsNotNamed(t *testing.T) {
	c, err := ownedCatalogue(t,
		"[{role: user, class: inventory}, {role: user, class: apps}, {role: owner, class: inventory}]",
		"x.name", "x.taste", "x.serial", "x.app", "x.note")
	if err != nil {
		t.Fatal(err)
	}
	anna, bram := uuid.New(), uuid.New()
	aliases := map[string]uuid.UUID{}
	alias := func(person uuid.UUID, class string) uuid.UUID {
		key := person.String() + class
		if aliases[key] == uuid.Nil {
			aliases[key] = UUIDv8([]byte(uuid.NewString()))
		}
		return aliases[key]
	}
	event := uuid.New()
	value := func(id string, owner Owner) Value {
		a := c.MustAttribute(id)
		h := TokenHeader{Alias: alias(owner.ID, a.Class), Class: a.Class, Month: "202603", Event: event, Attr: a.ID}
		return Value{Attr: a, Owner: owner, Token: h.Token(make([]byte, minTokenBody))}
	}
	person := func(p uuid.UUID) Owner { return Owner{OwnerPerson, p} }
	named := func(p uuid.UUID, role, class string) SubjectRef { return SubjectRef{role, p, class, alias(p, class)} }
	removed := func(id string, owner Owner) Value {
		return Value{Attr: c.MustAttribute(id), Removed: true, Owner: owner}
	}
	for _, tc := range []struct {
		name     string
		subjects []SubjectRef
		values   []Value
		refused  string // the attribute
	}{
		{"nobody's", nil, []Value{value("x.app", Owner{OwnerDevice, bram}), value("x.note",
			Owner{Kind: OwnerTenant})}, ""},
		{"its person's", []SubjectRef{named(anna, "user", "inventory")}, []Value{value("x.name", person(anna)),
			value("x.serial", person(anna))}, ""},
		{"in another role of the class", []SubjectRef{named(anna, "owner", "inventory")}, []Value{value("x.name",
			person(anna))}, ""},
		{"nobody is named", nil, []Value{value("x.serial", person(anna))}, "x.serial"},
		{"another is named", []SubjectRef{named(bram, "user", "inventory")}, []Value{value("x.name", person(anna))},
			"x.name"},
		{"in another class", []SubjectRef{named(anna, "user", "inventory")}, []Value{value("x.taste",
			person(anna))}, "x.taste"},
		{"removed, and named", []SubjectRef{named(anna, "user", "inventory")}, []Value{removed("x.name",
			person(anna))}, ""},
		{"removed, nobody's", nil, []Value{removed("x.name", Owner{})}, ""},
		{"removed, the former person not named", []SubjectRef{named(bram, "user", "inventory")},
			[]Value{removed("x.name", person(anna))}, "x.name"},
		{"removed, in another class", []SubjectRef{named(anna, "user", "inventory")}, []Value{removed("x.taste",
			person(anna))}, "x.taste"},
		// What it cannot see: nothing here says whose these are. The checker with the vault does.
		{"a token that was decoded", nil, []Value{value("x.name", Owner{})}, ""},
	} {
		d := Draft{Type: c.MustType("thing.seen.v1"), Tenant: uuid.New(), Stream: NewStream("thing", uuid.New()),
			ID:       event,
			Recorded: time.Now(), Source: "test", Subjects: tc.subjects, Values: tc.values}
		for i := range d.Values {
			if v := &d.Values[i]; v.Token != "" && v.Owner == (Owner{}) {
				v.Token = value(v.Attr.ID, person(anna)).Token
			}
		}
		_, err := c.Encode(d)
		if tc.refused == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if !errors.Is(err, ErrNotNamed) || !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %v, want a refusal of %s", tc.name, err, tc.refused)
		}
	}

	// Subjects come in the type's order, and decoding and encoding keep it.
	d := Draft{Type: c.MustType("thing.seen.v1"), Tenant: uuid.New(), Stream: NewStream("thing", uuid.New()),
		ID: event, Recorded: time.Now(), Source: "test",
		Subjects: []SubjectRef{named(anna, "owner", "inventory"), named(anna, "user", "apps"), named(bram, "user",
			"apps"), named(anna, "user", "inventory")},
		Values: []Value{value("x.name", person(anna)), value("x.taste", person(bram))}}
	e, err := c.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.Decode(enveloped(t, RecordedEvent{Event: Sign(e, 0, OriginKey{})}))
	if err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	for _, s := range back.Subjects {
		got = append(got, s.Alias)
	}
	want := []uuid.UUID{alias(anna, "inventory"), alias(anna, "apps"), alias(bram, "apps"), alias(anna, "inventory")}
	if !slices.Equal(got, want) {
		t.Errorf("subjects are %v, want %v", got, want)
	}
	if again, err := c.Encode(back); err != nil || string(again.Metadata) != string(e.Metadata) {
		t.Errorf("encoded again: %s, %v", again.Metadata, err)
	}
	d.Subjects[0].Class = "account"
	if _, err := c.Encode(d); err == nil || !strings.Contains(err.Error(), "class") {
		t.Errorf("a subject in a class that the role does not have: %v", err)
	}
}
