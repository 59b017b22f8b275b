package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var rewrite = flag.Bool("rewrite", false,
	"write golden fixtures of types that have none; a published fixture is never rewritten")

// sample is one event of the type that carries every attribute it can, with fixed ids.
func sample(t *testing.T, typ *Type) Draft {
	t.Helper()
	alias := UUIDv8([]byte("0123456789abcdef"))
	d := Draft{Type: typ, Tenant: uuid.MustParse("7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051"),
		ID:       uuid.MustParse("3c2b1a09-8f7e-4d6c-9b5a-493827160504"),
		Stream:   NewStream(typ.Kind(), uuid.MustParse("11111111-2222-4333-8444-555555555555")),
		Occurred: time.Date(2026, 3, 2, 6, 10, 11, 0, time.UTC),
		Recorded: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC), Source: "test", Policy: 1}
	if typ.Name == "ledger.created.v1" || typ.Name == "ledger.keys-lost.v1" {
		d.Stream, d.Tenant = LedgerStream, uuid.Nil
	}
	if typ.Form == FormState && typ.Kind() == "device" {
		d.Silent = []string{"iccid", "notes"}
	}
	for _, r := range typ.Roles {
		d.Subjects = append(d.Subjects, SubjectRef{Role: r.Role, Alias: alias})
	}
	for _, a := range typ.Attributes() {
		v := Value{Attr: a}
		name, list := typ.Member(a)
		switch {
		case typ.Form == FormState && list:
			v.Path = []string{"0aaaaaaa-1111-4222-8333-444444444444"}
		case strings.Contains(name, "*"):
			v.Path = []string{"0"}
		}
		if a.Shape != nil {
			v.Plain = openSample(t, a)
		} else {
			v.Token = TokenHeader{Alias: alias, Class: a.Class, Month: "202603", Event: d.ID, Attr: a.ID,
				Path: v.Path}.Token(make([]byte, minTokenBody))
		}
		d.Values = append(d.Values, v)
	}
	return d
}

func openSample(t *testing.T, a *Attribute) json.RawMessage {
	t.Helper()
	candidates := []json.RawMessage{JSON("14.4.1"), JSON("2026-03-02"), JSON("2026-03-02T06:10:11Z"),
		JSON("11111111-2222-4333-8444-555555555555"),
		JSON("Europe/Amsterdam"), JSON(strings.Repeat("ab", 32)), JSON("sample"), JSON(7), JSON(true), JSON("none")}
	if a.Shape.Kind == "product" {
		candidates = []json.RawMessage{JSON("sample")}
	}
	if len(a.Shape.Values) > 0 {
		candidates = []json.RawMessage{JSON(a.Shape.Values[0])}
	}
	for _, c := range candidates {
		if a.MayStandOpen(c) {
			return c
		}
	}
	t.Fatalf("attribute %s: no sample fits its shape %s", a.ID, a.Shape.Kind)
	return nil
}

// openText declares an attribute whose values may stand open.
func openText(id string) string {
	return "- {id: " + id + ", identifiability: non-personal, key: tenant, class: account, type: text, " +
		"shape: {kind: own}}\n"
}

// factOf declares a fact that has one attribute.
func factOf(typ, pointer, attr string) string {
	return "type: " + typ + "\nform: fact\nroles: []\n" +
		"fields:\n  " + pointer + ": " + attr + "\n"
}

// enveloped reads an event that belongs to the ledger.
func enveloped(t *testing.T, r RecordedEvent) Envelope {
	t.Helper()
	e, err := NewEnvelope(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type fixture struct {
	Type     string          `json:"type"`
	Stream   Stream          `json:"stream"`
	ID       uuid.UUID       `json:"id"`
	Data     json.RawMessage `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
	Leaf     string          `json:"leaf"`
}

// Every version of every type has a fixture in stored form; it is read, and written again to the
// same bytes, for ever.
func TestGoldenFixtureOfEachEventVersionIsReadAndWrittenToTheSameBytes(t *testing.T) {
	c := Default()
	for _, typ := range c.Types() {
		t.Run(typ.Name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", typ.Name+".json")
			raw, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) && *rewrite {
				e, err := c.Encode(sample(t, typ))
				if err != nil {
					t.Fatal(err)
				}
				e = Sign(e, 0, OriginKey{})
				leaf := enveloped(t, RecordedEvent{Event: e}).Leaf()
				raw = JSON(fixture{typ.Name, e.Stream, e.ID, e.Data, e.Metadata, fmt.Sprintf("%x", leaf)})
				if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatalf("%v (a new type gets its fixture with: go test ./schemas -rewrite)", err)
			}
			var f fixture
			if err := json.Unmarshal(raw, &f); err != nil {
				t.Fatal(err)
			}
			stored := enveloped(t, RecordedEvent{Event: Event{
				ID: f.ID, Stream: f.Stream, Type: f.Type, Data: f.Data, Metadata: f.Metadata}})
			if leaf := fmt.Sprintf("%x", stored.Leaf()); leaf != f.Leaf {
				t.Errorf("leaf %s, fixture has %s", leaf, f.Leaf)
			}
			d, err := c.Decode(stored)
			if err != nil {
				t.Fatal(err)
			}
			if d.Type == typ { // not upcast
				e, err := c.Encode(d)
				if err != nil {
					t.Fatal(err)
				}
				e = Sign(e, 0, OriginKey{})
				if !sameMembers(t, e.Data, f.Data) || !bytes.Equal(e.Metadata, f.Metadata) {
					t.Errorf("written again it became\n%s\n%s\nfixture\n%s\n%s", e.Data, e.Metadata, f.Data,
						f.Metadata)
				}
			}
			if len(d.Values) == 0 {
				t.Error("no values were read")
			}
		})
	}
}

// sameMembers compares JSON but for the order of members, which follows the draft's order of
// values.
func sameMembers(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		t.Fatal("not JSON")
	}
	return bytes.Equal(JSON(x), JSON(y)) && len(a) == len(b)
}

func TestEncodeRefusesWhatWouldLetPlaintextOrForeignTokensIn(t *testing.T) {
	c := Default()
	base := func() Draft { return sample(t, c.MustType("device.inventory-changed.v1")) }
	index := func(d Draft, id string) int {
		for i, v := range d.Values {
			if v.Attr.ID == id {
				return i
			}
		}
		t.Fatalf("sample has no %s", id)
		return -1
	}
	for _, tc := range []struct {
		name   string
		change func(*Draft)
		names  string // what the error must name
		is     error
	}{
		{"a protected value in plain", func(d *Draft) {
			i := index(*d, "device.serial-number")
			d.Values[i].Token, d.Values[i].Plain = "", JSON("C02XL0GTJGH5")
		}, "device.serial-number", ErrNotSealed},
		{"an open attribute's value that misses its shape", func(d *Draft) {
			d.Values[index(*d, "device.model")].Plain = JSON("iPhone of <Fatima>")
		}, "device.model", ErrNotSealed},
		{"an open string that looks sealed", func(d *Draft) {
			d.Values[index(*d, "device.model")].Plain = JSON("sealed:v1:x")
		}, "device.model", ErrNotSealed},
		{"both plain and sealed", func(d *Draft) { d.Values[index(*d, "device.imei")].Plain = JSON("1") },
			"device.imei", nil},
		{"a token of another event", func(d *Draft) { d.ID = uuid.New() }, "device.", nil},
		{"a token of another attribute", func(d *Draft) {
			d.Values[index(*d, "device.imei")].Token = d.Values[index(*d, "device.meid")].Token
		}, "device.imei", nil},
		{"no value", func(d *Draft) { d.Values[index(*d, "device.imei")].Token = "" }, "device.imei", nil},
		{"an attribute twice", func(d *Draft) { d.Values = append(d.Values, d.Values[0]) }, d0(base()), nil},
		{"an attribute the type does not carry", func(d *Draft) {
			d.Values = append(d.Values, Value{Attr: c.MustAttribute("action.verb"), Plain: JSON("create")})
		}, "action.verb", nil},
		{"a subject without alias", func(d *Draft) { d.Subjects[0].Alias = uuid.Nil }, "user", ErrNotSealed},
		{"a subject in a role the type does not declare", func(d *Draft) { d.Subjects[0].Role = "officer" }, "role",
			nil},
		{"a stream of another kind", func(d *Draft) { d.Stream = NewStream("tenant", uuid.New()) }, "tenant", nil},
		{"no tenant", func(d *Draft) { d.Tenant = uuid.Nil }, "tenant", nil},
		{"no source", func(d *Draft) { d.Source = "" }, "source", nil},
		{"an event id that is not random", func(d *Draft) { d.ID = UUIDv8([]byte("0123456789abcdef")) }, "event id",
			nil},
		{"65 subjects", func(d *Draft) {
			for range 65 {
				d.Subjects = append(d.Subjects, d.Subjects[0])
			}
		}, "subjects", nil},
	} {
		d := base()
		tc.change(&d)
		_, err := c.Encode(d)
		if err == nil {
			t.Errorf("%s: accepted", tc.name)
			continue
		}
		if !strings.Contains(err.Error(), tc.names) || (tc.is != nil && !errors.Is(err, tc.is)) {
			t.Errorf("%s: %v, want it to name %q", tc.name, err, tc.names)
		}
		if strings.Contains(err.Error(), "C02XL0GTJGH5") || strings.Contains(err.Error(), "Fatima") {
			t.Errorf("%s: the error shows the value: %v", tc.name, err)
		}
	}
}

func d0(d Draft) string { return d.Values[0].Attr.ID }

func TestAnUpcasterIsAppliedWhereEventsAreDecodedAndNowhereElse(t *testing.T) {
	files := map[string]string{
		"attributes/x.yaml":              openText("x.old") + openText("x.new"),
		"types/alert.raised.v1.yaml":     factOf("alert.raised.v1", "/old", "x.old"),
		"types/alert.raised.v2.yaml":     factOf("alert.raised.v2", "/new", "x.new"),
		"types/unrelated.raised.v1.yaml": factOf("unrelated.raised.v1", "/old", "x.old"),
	}
	c, err := Load(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	up := Upcaster{To: "alert.raised.v2", Apply: func(d Draft) (Draft, error) {
		for i := range d.Values {
			d.Values[i].Attr = c.MustAttribute("x.new")
		}
		return d, nil
	}}
	if err := c.RegisterUpcaster("alert.raised.v1", up); err != nil {
		t.Fatal(err)
	}
	if err := c.RegisterUpcaster("alert.raised.v1", up); err == nil {
		t.Error("a second upcaster of one version was accepted")
	}
	e, err := c.Encode(Draft{Type: c.MustType("alert.raised.v1"), Tenant: uuid.New(),
		Stream: NewStream("alert", uuid.New()), ID: uuid.New(), Recorded: time.Now(), Source: "test",
		Values: []Value{{Attr: c.MustAttribute("x.old"), Plain: JSON("abc")}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Decode(enveloped(t, RecordedEvent{Event: Sign(e, 0, OriginKey{})}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Type.Name != "alert.raised.v2" || len(d.Values) != 1 || d.Values[0].Attr.ID != "x.new" ||
		d.Values[0].Text() != "abc" {
		t.Errorf("decoded as %s with %+v", d.Type.Name, d.Values)
	}
}

func TestACatalogueFaultNamesFileAndEntry(t *testing.T) {
	good := map[string]string{
		"attributes/x.yaml":          openText("x.a"),
		"types/alert.raised.v1.yaml": factOf("alert.raised.v1", "/a", "x.a"),
	}
	if _, err := Load(mapFS(good)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ file, old, new, want string }{
		{"attributes/x.yaml", "non-personal", "identified", "x.a"},
		{"attributes/x.yaml", "class: account", "class: ACCOUNT", "class"},
		{"attributes/x.yaml", "kind: own", "kind: anything", "anything"},
		{"attributes/x.yaml", "type: text", "colour: red, type: text", "colour"},
		{"types/alert.raised.v1.yaml", "x.a", "x.b", "x.b"},
		{"types/alert.raised.v1.yaml", "form: fact", "form: poem", "poem"},
		{"types/alert.raised.v1.yaml", "alert.raised.v1", "alert.raised.v2", "alert.raised.v2"},
		{"types/alert.raised.v1.yaml", "roles: []", "roles: [{role: king, class: account}]", "king"},
	} {
		files := map[string]string{}
		for k, v := range good {
			files[k] = v
		}
		files[tc.file] = strings.Replace(files[tc.file], tc.old, tc.new, 1)
		_, err := Load(mapFS(files))
		if err == nil || !strings.Contains(err.Error(), tc.file) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %q: error %v, want it to name %q", tc.file, tc.new, err, tc.want)
		}
	}
}
