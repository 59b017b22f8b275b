package vaulttest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

func testSealRefuses(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	c := schemas.Default()
	other := e.AddTenant("Een ander")
	var person uuid.UUID
	e.Update(func(tx *vault.Tx) {
		person = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: e.Clock.Now()})
	})
	good := func() *schemas.Draft {
		return e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), person, uuid.Nil, e.Clock.Now())
	}
	for name, spoil := range map[string]func(*schemas.Draft){
		"no type":              func(d *schemas.Draft) { d.Type = nil },
		"another tenant":       func(d *schemas.Draft) { d.Tenant = other.ID },
		"no event id":          func(d *schemas.Draft) { d.ID = uuid.Nil },
		"no recording time":    func(d *schemas.Draft) { d.Recorded = time.Time{} },
		"a value without attr": func(d *schemas.Draft) { d.Values[1].Attr = nil },
		"a value without key":  func(d *schemas.Draft) { d.Values[2].Owner = schemas.Owner{} },
		"an owner without id":  func(d *schemas.Draft) { d.Values[2].Owner.ID = uuid.Nil },
		"an unknown owner":     func(d *schemas.Draft) { d.Values[2].Owner.ID = uuid.New() },
		"a person's key where the catalogue has the device's alone": func(d *schemas.Draft) {
			d.Values = append(d.Values, schemas.Value{Attr: c.MustAttribute("device.app"), Plain: schemas.JSON("x"),
				Owner: d.Values[2].Owner})
		},
		"a person's key where the catalogue has the tenant's": func(d *schemas.Draft) {
			d.Values = append(d.Values, schemas.Value{Attr: c.MustAttribute("tenant.name"), Plain: schemas.JSON("x"),
				Owner: d.Values[2].Owner})
		},
		"no JSON":            func(d *schemas.Draft) { d.Values[2].Plain = json.RawMessage("anna") },
		"no value":           func(d *schemas.Draft) { d.Values[2].Plain = nil },
		"a bad index":        func(d *schemas.Draft) { d.Values[2].Path = []string{"01"} },
		"an undeclared role": func(d *schemas.Draft) { d.Subjects[0].Role = "officer" },
		"an unknown subject": func(d *schemas.Draft) { d.Subjects[0].Person = uuid.New() },
		"a nameless subject": func(d *schemas.Draft) { d.Subjects[0].Person = uuid.Nil },
	} {
		d := good()
		spoil(d)
		before := *d
		before.Values, before.Subjects = slices.Clone(d.Values), slices.Clone(d.Subjects)
		e.Update(func(tx *vault.Tx) {
			err := tx.Seal(d)
			if err == nil {
				t.Errorf("%s: sealed", name)
			} else if strings.Contains(err.Error(), "anna") {
				t.Errorf("%s: the error shows the value: %v", name, err)
			}
		})
		if !reflect.DeepEqual(*d, before) {
			t.Errorf("%s: the draft was changed", name)
		}
	}
	e.Update(func(tx *vault.Tx) {
		d := good()
		d.Values = append(d.Values,
			// the tenant's by its attribute
			schemas.Value{Attr: c.MustAttribute("device.category"), Plain: schemas.JSON("Leerlingen van groep 8")},
			schemas.Value{Attr: c.MustAttribute("device.imei"), Removed: true},
			schemas.Value{Attr: c.MustAttribute("device.os-version"), Plain: schemas.JSON("14.4 (anna's)"),
				Owner: schemas.Owner{Kind: schemas.OwnerTenant}})
		if c.MustAttribute("device.category").Key != schemas.KeyTenant {
			// whatever id: there is one tenant
			d.Values[len(d.Values)-3].Owner = schemas.Owner{Kind: schemas.OwnerTenant, ID: uuid.New()}
		}
		if err := tx.Seal(d); err != nil {
			t.Fatal(err)
		}
		n := len(d.Values)
		if d.Values[0].Token != "" || d.Values[n-3].Token == "" || d.Values[n-2].Token != "" ||
			d.Values[n-1].Token == "" {
			t.Error("an open value, one that misses its shape, or a removed one is not as it should be")
		}
		first := slices.Clone(d.Values)
		if err := tx.Seal(d); err != nil || !reflect.DeepEqual(first, d.Values) {
			t.Errorf("sealing again changes what is sealed: %v", err)
		}
	})
	// What a failed transaction sealed must not be taken for sealed: its
	// aliases are not in the index.
	lost := good()
	lost.Occurred = e.Clock.Now().AddDate(0, -7, 0)
	err := e.V.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		return errors.Join(tx.Seal(lost), errTest)
	})
	if !errors.Is(err, errTest) || len(tokens(lost)) == 0 {
		t.Fatal(err)
	}
	e.Update(func(tx *vault.Tx) {
		if err := tx.Seal(lost); !errors.Is(err, vault.ErrTampered) {
			t.Errorf("values of a failed transaction pass for sealed: %v", err)
		}
	})
	// A view seals what needs nothing new, and mints nothing.
	e.View(func(tx *vault.Tx) {
		if err := tx.Seal(good()); err != nil {
			t.Errorf("sealing under known keys in a view: %v", err)
		}
		d := good()
		d.Occurred = e.Clock.Now().AddDate(-1, 0, 0)
		if err := tx.Seal(d); !errors.Is(err, vault.ErrReadOnly) {
			t.Errorf("a key minted in a view: %v", err)
		}
	})
	var kept *vault.Tx
	e.Update(func(tx *vault.Tx) { kept = tx })
	if err := kept.Seal(good()); err == nil {
		t.Error("sealed after the transaction")
	}
	if _, err := kept.Open([]vault.Sealed{{}}); err == nil {
		t.Error("opened after the transaction")
	}
}

// testSealNames: who has a role of several classes is named by an alias of each, and each token's
// value says whose key sealed it.
func testSealNames(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	c, err := schemas.Load(fstest.MapFS{
		"attributes/x.yaml": {Data: []byte(`
- {id: x.name, identifiability: identified, key: person, role: user, class: inventory, type: text, form: text}
- {id: x.taste, identifiability: identified, key: person, role: user, class: apps, type: text, form: text}
- {id: x.serial, identifiability: pseudonymous, key: device-owner, class: inventory, type: text, form: text}
`)},
		"types/thing.seen.v1.yaml": {Data: []byte(`
type: thing.seen.v1
form: state
roles: [{role: user, class: inventory}, {role: user, class: apps}]
fields: {/set/name: x.name, /set/taste: x.taste, /set/serial: x.serial}
`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := e.Clock.Now()
	e.Update(func(tx *vault.Tx) {
		anna := e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: at})
		bram := e.Person(tx, vault.PersonHint{UPN: "bram@voorbeeld.nl", At: at})
		whose := func(p uuid.UUID) schemas.Owner { return schemas.Owner{Kind: schemas.OwnerPerson, ID: p} }
		d := &schemas.Draft{Type: c.MustType("thing.seen.v1"), Tenant: e.Tenant.ID,
			Stream: schemas.NewStream("thing", uuid.New()), ID: schemas.NewID(),
			Occurred: at, Recorded: at, Source: "test", Subjects: []schemas.SubjectRef{{Role: "user", Person: anna},
				{Role: "user", Person: bram}},
			Values: []schemas.Value{
				{Attr: c.MustAttribute("x.name"), Plain: schemas.JSON("Anna"), Owner: whose(anna)},
				{Attr: c.MustAttribute("x.taste"), Plain: schemas.JSON("Jazz"), Owner: whose(bram)},
				{Attr: c.MustAttribute("x.serial"), Plain: schemas.JSON("C02"),
					Owner: schemas.Owner{Kind: schemas.OwnerTenant, ID: uuid.New()}}}}
		for range 2 { // sealed again it stays as it is
			if err := tx.Seal(d); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Encode(*d); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range d.Subjects {
				owner, err := tx.AliasOwner(s.Alias)
				if err != nil || owner != whose(s.Person) {
					t.Errorf("an alias is of %v, %v", owner, err)
				}
				got = append(got, s.Class)
			}
			if want := []string{"inventory", "apps", "inventory", "apps"}; !slices.Equal(got, want) {
				t.Errorf("subjects in the classes %v, want %v", got, want)
			}
			if d.Values[0].Owner != whose(anna) || d.Values[1].Owner != whose(bram) ||
				d.Values[2].Owner != (schemas.Owner{Kind: schemas.OwnerTenant}) {
				t.Errorf("sealed under %v, %v, %v", d.Values[0].Owner, d.Values[1].Owner, d.Values[2].Owner)
			}
		}
		opened, err := tx.Open(tokens(d))
		if err != nil || opened[0].Owner != whose(anna) || opened[1].Owner != whose(bram) ||
			opened[2].Owner.Kind != schemas.OwnerTenant {
			t.Errorf("opened as %v, %v", opened, err)
		}
		// Who is not named in the class of a value cannot be found by it.
		d.Subjects = d.Subjects[:2]
		if _, err := c.Encode(*d); !errors.Is(err, schemas.ErrNotNamed) {
			t.Errorf("encoded though it does not name whose value it holds: %v", err)
		}
	})
}

// testTampered changes every byte of a token, and moves tokens to another
// tenant, attribute and event.
func testTampered(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	other := e.AddTenant("Een ander")
	at := e.Clock.Now()
	var d, twin *schemas.Draft
	e.Update(func(tx *vault.Tx) {
		p := e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: at})
		d = e.Enrolled(e.Tenant.ID, schemas.NewStream("device", uuid.New()), p, uuid.Nil, at)
		twin = e.Enrolled(e.Tenant.ID, d.Stream, p, uuid.Nil, at)
		old := e.Enrolled(e.Tenant.ID, d.Stream, p, uuid.Nil, at.AddDate(0, -1, 0))
		for _, d := range []*schemas.Draft{d, twin, old} {
			if err := tx.Seal(d); err != nil {
				t.Fatal(err)
			}
		}
	})
	// The other tenant has a person of the same name and the same period.
	err := e.V.Update(context.Background(), other.ID, func(tx *vault.Tx) error {
		p := e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: at})
		return tx.Seal(e.Enrolled(other.ID, d.Stream, p, uuid.Nil, at))
	})
	if err != nil {
		t.Fatal(err)
	}
	asked := tokens(d)[0]
	var tampered []vault.Sealed
	add := func(token string) {
		// The attribute asked for follows the token, so that it is not what gives the change away.
		attr := asked.Attr
		if parts := strings.Split(token, ":"); len(parts) == 6 || len(parts) == 7 {
			attr, _, _ = strings.Cut(parts[len(parts)-2], "~")
		}
		tampered = append(tampered, vault.Sealed{Token: schemas.Token(token), Attr: attr},
			vault.Sealed{Token: schemas.Token(token), Attr: asked.Attr, Event: asked.Event})
	}
	token := string(asked.Token)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:.~= \n\x00\xff"
	for i := range token {
		for _, to := range []byte{alphabet[i%len(alphabet)], alphabet[(i*7+3)%len(alphabet)], token[i] ^ 1,
			token[i] ^ 0x20, token[i] + 1, '1'} {
			if to != token[i] {
				add(token[:i] + string([]byte{to}) + token[i+1:])
			}
		}
		add(token[:i] + token[i+1:])
		add(token[:i])
		add(token[:i] + token[i:i+1] + token[i:])
	}
	add(token + "A")
	add(token + "=")
	add(token + "\n")
	add(strings.Replace(token, "202611", "202610", 1)) // a month that has a key
	add(strings.Replace(token, "202611", "202609", 1)) // one that has none
	add(strings.Replace(token, ".202611:", ".202611:"+strings.Split(string(tokens(twin)[0].Token), ":")[4]+":", 1))
	// Body and header of two tokens of one owner.
	a, b := strings.LastIndexByte(token, ':'), strings.LastIndexByte(string(tokens(twin)[0].Token), ':')
	add(token[:a] + string(tokens(twin)[0].Token)[b:])
	e.View(func(tx *vault.Tx) {
		got, err := tx.Open(tampered)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range got {
			if !errors.Is(o.Err, vault.ErrTampered) || o.Plain != nil {
				t.Errorf("%q opens to %s, %v", tampered[i].Token, o.Plain, o.Err)
			}
		}
		moved := []vault.Sealed{{Token: asked.Token, Attr: "device.name"},
			{Token: asked.Token, Attr: asked.Attr, Event: twin.ID}, {Token: asked.Token}}
		if asked.Attr == "device.name" {
			t.Fatal("the test asks for the attribute the token has")
		}
		if got, err = tx.Open(moved); err != nil {
			t.Fatal(err)
		}
		for i, o := range got {
			if !errors.Is(o.Err, vault.ErrTampered) {
				t.Errorf("moved %d: %v", i, o.Err)
			}
		}
		if got, err = tx.Open([]vault.Sealed{asked, {Token: asked.Token, Attr: asked.Attr}}); err != nil ||
			got[0].Err != nil || got[1].Err != nil {
			t.Errorf("the token itself: %+v, %v", got, err)
		}
	})
	err = e.V.View(context.Background(), other.ID, func(tx *vault.Tx) error {
		got, err := tx.Open([]vault.Sealed{asked})
		if err == nil && !errors.Is(got[0].Err, vault.ErrTampered) {
			t.Errorf("moved to another tenant: %v", got[0].Err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testPersonStream: what one kind of record tells of a person has one stream, which does not wait
// for an id, and is forgotten with the person together with the key of its elements.
func testPersonStream(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	at := e.Clock.Now()
	var anna, bob uuid.UUID
	var stream schemas.Stream
	var element uuid.UUID
	find := func(tx *vault.Tx, p uuid.UUID, created bool) schemas.Stream {
		t.Helper()
		s, made, err := tx.PersonStream("account", p)
		if err != nil || made != created || s.Kind() != "account" {
			t.Fatalf("the stream of a person: %q, created %v, %v", s, made, err)
		}
		return s
	}
	e.Update(func(tx *vault.Tx) {
		anna = e.Person(tx, vault.PersonHint{UPN: "anna@voorbeeld.nl", At: at})
		bob = e.Person(tx, vault.PersonHint{UPN: "bob@voorbeeld.nl", At: at})
		if stream = find(tx, anna, true); stream == find(tx, bob, true) {
			t.Error("two persons share a stream")
		}
		var err error
		if element, err = tx.Element(stream, "licences", "sku"); err != nil {
			t.Fatal(err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		if again := find(tx, anna, false); again != stream {
			t.Errorf("the stream was %s and is %s", stream, again)
		}
		if waiting, err := tx.Awaiting(anna, []string{"adminaction"}, guidOfNobody); err != nil || len(waiting) > 0 {
			t.Errorf("waiting: %v, %v", waiting, err)
		}
	})
	e.erase(anna)
	e.Update(func(tx *vault.Tx) {
		if again := find(tx, anna, true); again == stream {
			t.Error("the stream of an erased person is still found")
		}
		find(tx, bob, false)
		if again, err := tx.Element(stream, "licences", "sku"); err == nil && again == element {
			t.Error("the key of the erased person's elements is still there")
		}
	})
}

// testAwaitedIDs: a stream waits for an id, found by who has the id alone; it is adopted by whom
// the id names, and forgotten by itself, or with them.
func testAwaitedIDs(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	const id, other = "5A14A52F-0F3B-4D12-9FAC-2D2B1C1A8E33", "0d6ac2b1-0000-4000-8000-7f5b3a0c9d11"
	a, b, c := schemas.NewStream("adminaction", uuid.New()), schemas.NewStream("adminaction", uuid.New()),
		schemas.NewStream("adminaction", uuid.New())
	var person uuid.UUID
	waits := func(tx *vault.Tx, owner uuid.UUID, ids []string, want ...schemas.Stream) {
		t.Helper()
		slices.Sort(want)
		if got, err := tx.Awaiting(owner, []string{"adminaction"}, ids...); err != nil || !slices.Equal(got, want) {
			t.Errorf("waiting: %v, %v, want %v", got, err, want)
		}
	}
	e.Update(func(tx *vault.Tx) {
		for _, s := range []schemas.Stream{a, b, a} {
			if err := tx.Await(id, s); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Await(other, c); err != nil {
			t.Fatal(err)
		}
		if p, found, err := tx.FindPerson(vault.PersonHint{ObjectID: id, At: e.Clock.Now()}); found ||
			err != nil || p != uuid.Nil {
			t.Errorf("a person whom nobody knows: %v, %v, %v", p, found, err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		var err error
		if person, _, err = tx.Person(vault.PersonHint{ObjectID: id, At: e.Clock.Now()}); err != nil {
			t.Fatal(err)
		}
		if p, found, err := tx.FindPerson(vault.PersonHint{ObjectID: id, At: e.Clock.Now()}); !found ||
			err != nil || p != person {
			t.Errorf("the person found: %v, %v, %v", p, found, err)
		}
		waits(tx, uuid.New(), []string{"", "0", guidOfNobody})
		waits(tx, person, []string{strings.ToLower(id)}, a, b)
		waits(tx, uuid.New(), []string{id}) // they are the person's now
		if err := tx.Forget(person, a); err != nil {
			t.Fatal(err)
		}
		waits(tx, person, nil, b)
	})
	e.View(func(tx *vault.Tx) {
		if err := tx.Await(id, a); !errors.Is(err, vault.ErrReadOnly) {
			t.Errorf("waiting begun in a view: %v", err)
		}
	})
	order := uuid.New()
	e.Locked(func(tx *vault.Tx) {
		keys, err := tx.BeginErasure(person, order)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Destroy(order, keys); err != nil {
			t.Fatal(err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		waits(tx, person, []string{id})
		waits(tx, uuid.New(), []string{other}, c)
		if _, _, err := tx.FindPerson(vault.PersonHint{ObjectID: id,
			At: e.Clock.Now().Add(-time.Hour)}); !errors.Is(err, vault.ErrErasedSubject) {
			t.Errorf("the erased person: %v", err)
		}
	})
}

const guidOfNobody = "11111111-0000-4000-8000-000000000009"

func testStreamsOfVault(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	other := e.AddTenant("Een ander")
	type seen struct {
		fact, mapped, refusal schemas.Stream
		correlation, element  uuid.UUID
	}
	look := func(tx *vault.Tx, s schemas.Stream, created bool) (got seen) {
		t.Helper()
		var err error
		got.fact = tx.FactStream("adminaction", "intune/auditEvent", "5A14A52F-0F3B-4D12-9FAC-2D2B1C1A8E33")
		got.correlation = tx.Correlation("0D6AC2B1-0000-4000-8000-7F5B3A0C9D11")
		var c1, c2 bool
		if got.mapped, c1, err = tx.MappedStream("alert", []byte("canonical")); err != nil {
			t.Fatal(err)
		}
		if got.refusal, c2, err = tx.RefusalStream(s, "personal-apps"); err != nil {
			t.Fatal(err)
		}
		if got.element, err = tx.Element(s, "apps", "com.example.app"); err != nil {
			t.Fatal(err)
		}
		if c1 != created || c2 != created {
			t.Errorf("created %v and %v, want %v", c1, c2, created)
		}
		return got
	}
	s := schemas.NewStream("device", uuid.New())
	var first seen
	e.View(func(tx *vault.Tx) {
		if _, _, err := tx.MappedStream("alert", []byte("canonical")); !errors.Is(err, vault.ErrReadOnly) {
			t.Errorf("a mapping made in a view: %v", err)
		}
		if _, err := tx.Element(s, "apps", "x"); !errors.Is(err, vault.ErrReadOnly) {
			t.Errorf("a stream key made in a view: %v", err)
		}
	})
	e.Update(func(tx *vault.Tx) {
		first = look(tx, s, true)
		if first.fact.Kind() != "adminaction" || first.mapped.Kind() != "alert" || first.refusal.Kind() != "refusal" ||
			first.element.Version() != 8 {
			t.Errorf("kinds: %+v", first)
		}
		if again := look(tx, s, false); again != first {
			t.Errorf("again: %+v, want %+v", again, first)
		}
		if m, _, err := tx.MappedStream("remoteaction", []byte("canonical")); err != nil ||
			m.UUID() == first.mapped.UUID() {
			t.Errorf("another kind: %v, %v", m, err)
		}
		if r, _, err := tx.RefusalStream(s, "another"); err != nil || r == first.refusal {
			t.Errorf("another rule: %v, %v", r, err)
		}
		if all, err := tx.RefusalsOf(s); err != nil || len(all) != 2 || !slices.Contains(all, first.refusal) {
			t.Errorf("refusals of the stream: %v, %v", all, err)
		}
		if none, err := tx.RefusalsOf(first.mapped); err != nil || len(none) != 0 {
			t.Errorf("refusals of another stream: %v, %v", none, err)
		}
		el, err := tx.Element(schemas.NewStream("device", uuid.New()), "apps", "com.example.app")
		if err != nil || el == first.element {
			t.Errorf("an element of another stream: %v, %v", el, err)
		}
		if _, _, err := tx.MappedStream("Not a kind", []byte("x")); err == nil {
			t.Error("a stream of no kind")
		}
		if _, err := tx.Element("nothing", "apps", "x"); err == nil {
			t.Error("an element of no stream")
		}
	})
	e.V = e.Again()
	e.View(func(tx *vault.Tx) {
		if again := look(tx, s, false); again != first {
			t.Errorf("in another process: %+v, want %+v", again, first)
		}
	})
	err := e.V.Update(context.Background(), other.ID, func(tx *vault.Tx) error {
		theirs := look(tx, s, true)
		if theirs.fact == first.fact || theirs.mapped == first.mapped || theirs.correlation == first.correlation ||
			theirs.element == first.element {
			t.Errorf("two tenants share a stream or id: %+v", theirs)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
