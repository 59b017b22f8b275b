package dsar_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests see into testdata/golden")

var amsterdam = func() *time.Location { l, _ := words.Default().Language("nl"); return l.Location() }()

func config(reader dsar.Reader, opener projections.Opener, lang string) dsar.Config {
	return dsar.Config{Reader: reader, Opener: opener, Catalogue: schemas.Default(),
		Clock: func() time.Time { return at("2026-11-24T09:00:00Z") },
		Lang:  lang, Location: amsterdam}
}

// fatima is the person as the vault would describe her.
func fatima(s *chtest.Story) dsar.Person {
	alias := func(u uuid.UUID, class string) dsar.Alias { return dsar.Alias{ID: u, Class: class, Month: "202610"} }
	return dsar.Person{
		Request: aRequest, Tenant: id("tenant"), TenantName: "Voorbeeld B.V.", Seq: uint64(len(s.Events) - 1),
		Aliases: []dsar.Alias{alias(fatimaInv, "inventory"), alias(fatimaApps, "apps"),
			alias(fatimaTarget, "audit-target"), alias(fatimaActor, "audit-actor"),
			alias(fatimaRequest, "request"), alias(fatimaAccess, "access")},
		Devices: []dsar.Device{
			{Stream: phone, From: at("2026-09-14T07:30:00Z"), Ownership: "personal",
				Refusals: []schemas.Stream{schemas.NewStream("refusal", id("apps of the phone"))}},
			{Stream: mac, From: at("2026-10-01T08:00:00Z"), Ownership: "company"},
		},
		Identity: []dsar.Identity{{Kind: "name", Value: "Fatima el Amrani", From: at("2026-09-14T07:30:00Z")},
			{Kind: "upn", Value: "fatima@example.test", From: at("2026-09-14T07:30:00Z")},
			{Kind: "upn", Value: "f.elamrani@example.test", From: at("2025-01-06T00:00:00Z"),
				To: at("2026-09-14T07:30:00Z")}},
	}
}

// owners is what the vault would answer: Anna is one person under all her aliases.
func owners(_ context.Context, _ uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
	all := map[uuid.UUID]schemas.Owner{bob: {Kind: schemas.OwnerPerson, ID: id("bob")},
		id("bob target"):            {Kind: schemas.OwnerPerson, ID: id("bob")},
		macKey:                      {Kind: schemas.OwnerDevice, ID: mac.UUID()},
		id("mac key of bob's time"): {Kind: schemas.OwnerDevice, ID: mac.UUID()},
		tenantKey:                   {Kind: schemas.OwnerTenant}}
	for _, a := range []uuid.UUID{anna, annaNext, annaRequest, annaAccess} {
		all[a] = schemas.Owner{Kind: schemas.OwnerPerson, ID: id("anna")}
	}
	maps.DeleteFunc(all, func(k uuid.UUID, _ schemas.Owner) bool { return !slices.Contains(aliases, k) })
	return all, nil
}

// build makes a package and returns its files.
func build(t *testing.T, c dsar.Config, p dsar.Person) (dsar.Manifest, map[string][]byte, []byte) {
	t.Helper()
	var b bytes.Buffer
	m, err := dsar.Build(t.Context(), c, p, &b)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return m, files, b.Bytes()
}

// secrets are what belongs to others, or waits for a review: none of it may be anywhere in the
// package.
var secrets = []string{"anna@", "192.0.2.7", "Bob Jansen", "bob@", "BOBS-MAC", "C02SECRETBOB", "u-2-bob",
	"incident with Bob", "Bob saw", "is Bob right", "Phones of Bob", "UDID-OF-BOB", "Bob dropped", "MEID-OF",
	"sealed:"}

func TestGolden(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	c := config(db, s, "en")
	c.Owners = owners
	_, files, _ := build(t, c, fatima(s))
	for name, got := range files {
		path := filepath.Join("testdata", "golden", filepath.FromSlash(name))
		if *rewrite {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs; run with -rewrite and look at the difference", name)
		}
	}
	for name, content := range files {
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has %q", name, secret)
			}
		}
	}
}

// TestWithoutOwnersItWithholdsMore, and still nothing of others: the decision does not hang on
// the vault's help.
func TestWithoutOwnersItWithholdsMore(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	c := config(db, s, "nl")
	m, files, _ := build(t, c, fatima(s))
	for name, content := range files {
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has %q", name, secret)
			}
		}
	}
	c.Owners = owners
	with, _, _ := build(t, c, fatima(s))
	if m.Values.Withheld < with.Values.Withheld || m.Values.Shown > with.Values.Shown {
		t.Errorf("without owners %+v, with %+v", m.Values, with.Values)
	}
	if !bytes.Contains(files["02-uw-gegevens.html"], []byte("C02FAKE")) {
		t.Error("the company device's own serial number is missing")
	}
}

func TestTheManifestTellsTheTruth(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	c := config(db, s, "nl")
	m, files, raw := build(t, c, fatima(s))
	if len(m.Files) != len(files)-1 {
		t.Errorf("the manifest has %d files, the package %d beside it", len(m.Files), len(files)-1)
	}
	for _, f := range m.Files {
		sum := sha256.Sum256(files[f.Path])
		if hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(files[f.Path])) != f.Size {
			t.Errorf("%s is not as the manifest says", f.Path)
		}
	}
	sum := sha256.Sum256(files["manifest.json"])
	if m.Hash != hex.EncodeToString(sum[:]) {
		t.Error("Hash is not the manifest's")
	}
	var read dsar.Manifest
	if err := json.Unmarshal(files["manifest.json"], &read); err != nil || read.Sequence != fatima(s).Seq ||
		read.Format != dsar.Format {
		t.Errorf("%v, %+v", err, read)
	}
	for c, n := range read.Events {
		var events []json.RawMessage
		if err := json.Unmarshal(files["data/"+string(c)+".json"], &events); err != nil || len(events) != n {
			t.Errorf("%s: %d events in data/, %d in the manifest (%v)", c, len(events), n, err)
		}
	}
	if _, _, again := build(t, c, fatima(s)); !bytes.Equal(raw, again) {
		t.Error("the same input gave another package")
	}
}

// TestAfterErasure: with the keys gone nothing of the person is in the package, whether or not
// the vault still listed the aliases; with the person gone, it says that there is nothing.
func TestAfterErasure(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	hers := []string{"Fatima", "fatima@", "F4K3SERIAL1", "350000000000006", "+31611111111", "02:00:00:aa",
		"198.51.100.4", "el Amrani", "elamrani"}
	for token := range s.Plain {
		h, _, err := token.Parse()
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(fatima(s).Aliases, func(a dsar.Alias) bool { return a.ID == h.Alias }) {
			s.Plain[token] = projections.Opened{Err: fmt.Errorf("open: %w", projections.ErrErased)}
		}
	}
	p := fatima(s)
	p.Identity = nil
	m, files, _ := build(t, config(db, s, "nl"), p)
	check := func(files map[string][]byte) {
		t.Helper()
		for name, content := range files {
			for _, h := range hers {
				if bytes.Contains(content, []byte(h)) {
					t.Errorf("%s still has %q", name, h)
				}
			}
		}
	}
	check(files)
	if m.Values.Erased == 0 || !bytes.Contains(files["02-uw-gegevens.html"], []byte(">gewist<")) ||
		!bytes.Contains(files["02-your-data.html"], []byte(">erased<")) {
		t.Errorf("erased values are not said to be: %+v", m.Values)
	}
	p.Aliases, p.Devices = nil, nil
	m, files, _ = build(t, config(db, s, "nl"), p)
	check(files)
	for c, n := range m.Events {
		if n != 0 {
			t.Errorf("%d events of %s", n, c)
		}
	}
	if !bytes.Contains(files["02-uw-gegevens.html"], []byte("niets dat wij aan u kunnen koppelen")) {
		t.Error("the page does not say that there is nothing")
	}
}

// What is wrong with what was asked is a code and a field, and no package is begun.
func TestWhatIsWrongWithAPersonIsACodeAndAField(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for name, tc := range map[string]struct {
		spoil func(*dsar.Config, *dsar.Person)
		want  report.Problem
	}{
		"a language that is none": {func(c *dsar.Config, _ *dsar.Person) { c.Lang = "fr" },
			report.Problem{Field: define.FieldLang, Code: define.Unknown, Given: "fr"}},
		"no request": {func(_ *dsar.Config, p *dsar.Person) { p.Request = uuid.Nil },
			report.Problem{Field: dsar.FieldRequest, Code: define.Missing}},
		"no tenant": {func(_ *dsar.Config, p *dsar.Person) { p.Tenant = uuid.Nil },
			report.Problem{Field: define.FieldTenant, Code: define.Missing}},
		"a stream that is no device's": {
			func(_ *dsar.Config, p *dsar.Person) { p.Devices = []dsar.Device{{Stream: "tenant-1"}} },
			report.Problem{Field: dsar.FieldDevices, Code: define.Unfit, Given: "tenant-1"}},
		"ahead of the views": {func(_ *dsar.Config, p *dsar.Person) { p.Seq += 1000 },
			report.Problem{Field: dsar.FieldSequence, Code: define.Ahead}},
	} {
		c, p := config(db, s, "en"), fatima(s)
		tc.spoil(&c, &p)
		if tc.want.Code == define.Ahead {
			tc.want.Given = fmt.Sprint(p.Seq)
		}
		var out bytes.Buffer
		_, err := dsar.Build(t.Context(), c, p, &out)
		var got *report.Problem
		if !errors.As(err, &got) || got.Field != tc.want.Field || got.Code != tc.want.Code ||
			got.Given != tc.want.Given {
			t.Errorf("%s: %v, want %v", name, err, &tc.want)
			continue
		}
		if out.Len() > 0 || strings.Contains(err.Error(), "--") {
			t.Errorf("%s: %d bytes were written, %v", name, out.Len(), err)
		}
		if got.Code == define.Ahead && (got.Through == nil || *got.Through >= p.Seq) {
			t.Errorf("%s: how far the views are is not said", name)
		}
	}
}

// Whoever writes a forged event keeps no person from the package: its values are left out, and
// said to be.
func TestAValueThatIsNotGenuineIsLeftOutOfThePackage(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	altered := 0
	for token := range s.Plain {
		if strings.Contains(string(token), "device.imei") {
			s.Plain[token], altered = projections.Opened{Err: projections.ErrTampered}, altered+1
		}
	}
	m, files, _ := build(t, config(db, s, "en"), fatima(s))
	if m.Values.NotGenuine == 0 || m.Values.NotGenuine > altered {
		t.Errorf("%+v, of %d altered", m.Values, altered)
	}
	if page := files["02-your-data.html"]; !bytes.Contains(page, []byte("was not sealed for it")) {
		t.Error("the page does not say what is not genuine")
	}
	p := fatima(s)
	p.Seq++
	if _, err := dsar.Build(t.Context(), config(db, s, "en"), p, io.Discard); err == nil {
		t.Error("a package was made ahead of the views")
	}
}

// TestOthersAreNeverOpened: opening is an act upon a person, so nobody else's tokens reach the
// opener.
func TestOthersAreNeverOpened(t *testing.T) {
	s := fatimasStory(t)
	db := s.Load()
	for token := range s.Plain {
		h, _, err := token.Parse()
		if err != nil {
			t.Fatal(err)
		}
		switch h.Alias {
		case anna, annaNext, annaRequest, annaAccess, bob, id("bob target"), tenantKey, id("mac key of bob's time"):
			delete(s.Plain, token) // asking for it fails
		}
	}
	c := config(db, s, "en")
	build(t, c, fatima(s))
	c.Owners = owners
	build(t, c, fatima(s))
}

// TestEveryEventOfThePersonIsAccountedFor: of a random ledger and a random person, each event
// that names one of their aliases is in data/ exactly once, with each of its values shown,
// removed or withheld, and no other event is, but those of their devices in their time, and the
// first event of an action that another of its events names them in.
func TestEveryEventOfThePersonIsAccountedFor(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	l := chtest.NewLedger(seed, 2, 4)
	events := l.Events(600)
	rows := chtest.Rows(events...)
	db := chtest.Start(t)
	chtest.Load(t, db, chtest.Envelopes(events)...)
	for range 3 {
		tenant := l.Tenants[r.IntN(2)]
		p := dsar.Person{Request: uuid.New(), Tenant: tenant, Seq: uint64(r.IntN(len(rows)))}
		mine := map[uuid.UUID]bool{}
		for len(mine) < 3 {
			row := rows[r.IntN(len(rows))]
			if len(row.Subjects) > 0 {
				a := row.Subjects[0].Alias
				if !mine[a] {
					mine[a] = true
					p.Aliases = append(p.Aliases, dsar.Alias{ID: a})
				}
			}
		}
		d := dsar.Device{Stream: l.Devices[tenant][0], From: rows[len(rows)/4].Occurred,
			To: rows[len(rows)/2].Recorded, Ownership: "company"}
		p.Devices = []dsar.Device{d}
		want := map[string]int{} // event → values
		for _, row := range rows {
			if row.Tenant != tenant || row.Seq > p.Seq {
				continue
			}
			named := slices.ContainsFunc(row.Subjects, func(s projections.Subject) bool { return mine[s.Alias] })
			held := row.Stream == d.Stream && !row.Occurred.Before(d.From) && row.Occurred.Before(d.To)
			if named || held {
				want[row.EventID.String()] = len(row.Values)
			}
		}
		// What an action was stands in its first event, whichever of them names the person.
		begun := map[schemas.Stream]bool{}
		wanted := func(row projections.Row) bool { // also where it has no values
			_, is := want[row.EventID.String()]
			return is
		}
		for _, row := range rows {
			if strings.HasPrefix(row.Type, "adminaction.recorded.") && wanted(row) {
				begun[row.Stream] = true
			}
		}
		// What became of one on a device stands in any event of its stream.
		remote := map[schemas.Stream]bool{}
		for _, row := range rows {
			remote[row.Stream] = remote[row.Stream] || wanted(row) && row.Stream.Kind() == "remoteaction"
		}
		for _, row := range rows {
			if remote[row.Stream] && row.Tenant == tenant && row.Seq <= p.Seq {
				want[row.EventID.String()] = len(row.Values)
			}
			if !wanted(row) || row.Stream.Kind() != "adminaction" || begun[row.Stream] {
				continue
			}
			for _, first := range rows {
				if first.Stream == row.Stream && strings.HasPrefix(first.Type, "adminaction.recorded.") {
					want[first.EventID.String()] = len(first.Values)
				}
			}
		}
		_, files, _ := build(t, config(db, everything{}, "en"), p)
		got := map[string]int{}
		withheld := 0
		for name, content := range files {
			if !strings.HasPrefix(name, "data/") || !strings.HasSuffix(name, ".json") ||
				slices.Contains([]string{"data/dictionary.json", "data/schema.json", "data/identity.json"}, name) {
				continue
			}
			var events []struct {
				Event    string
				Readable bool
				Values   []struct{ State string }
			}
			if err := json.Unmarshal(content, &events); err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if _, twice := got[e.Event]; twice {
					t.Errorf("event %s is in data/ twice", e.Event)
				}
				got[e.Event] = len(e.Values)
				if !e.Readable {
					withheld++
				}
				for _, v := range e.Values {
					if v.State == "withheld" {
						withheld++
					}
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("data/ has %d events, the ledger %d of the person", len(got), len(want))
		}
		lines, err := csv.NewReader(bytes.NewReader(files["05-withheld.csv"])).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		counted := 0
		for _, line := range lines[1:] {
			var n int
			if _, err := fmt.Sscan(line[1], &n); err != nil {
				t.Fatal(err)
			}
			counted += n
		}
		if counted != withheld {
			t.Errorf("05-withheld.csv counts %d, data/ has %d", counted, withheld)
		}
	}
}

// everything opens any token.
type everything struct{}

func (everything) Open(_ context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	out := make([]projections.Opened, len(tokens))
	for i := range out {
		out[i].Plain = []byte(`"plain"`)
	}
	return out, nil
}

// TestALongTableSaysWhereTheRestIs: the page shows the newest, by time, and data/ has all.
func TestALongTableSaysWhereTheRestIs(t *testing.T) {
	s := chtest.NewStory(t)
	const n = 503
	for i := range n {
		occurred := at("2026-11-01T00:00:00Z").Add(-time.Duration(i) * time.Hour) // recorded newest first
		s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id(fmt.Sprint("act", i))),
			occurred.Format(time.RFC3339), "2026-11-02T00:00:00Z",
			subjects(as("actor", fatimaActor)), val{Attr: "action.verb", V: "create"},
			val{Attr: "action.reason", V: fmt.Sprintf("number %d.", i), Alias: fatimaActor})
	}
	p := dsar.Person{Request: aRequest, Tenant: id("tenant"), Seq: n, Aliases: []dsar.Alias{{ID: fatimaActor}}}
	m, files, _ := build(t, config(s.Load(), s, "en"), p)
	page := string(files["02-your-data.html"])
	if m.Events[dsar.ActionsBy] != n || !strings.Contains(page,
		"The latest 500 of 503 are shown here. All of them are in the file data/actions-by.csv.") {
		t.Error("the page does not say that it is not all")
	}
	newest, oldest := strings.Index(page, "1 Nov 2026, 01:00"), strings.Index(page, "31 Oct 2026, 23:00")
	if newest < 0 || oldest < 0 || oldest > newest {
		t.Errorf("the table is not in order of time: %d, %d", oldest, newest)
	}
	if got := strings.Count(string(files["data/actions-by.csv"]), "action.verb"); got != n {
		t.Errorf("data/ has %d of %d actions", got, n)
	}
}

// TestDataIsAsItsSchemaSays, member by member.
func TestDataIsAsItsSchemaSays(t *testing.T) {
	s := fatimasStory(t)
	_, files, _ := build(t, config(s.Load(), s, "en"), fatima(s))
	type object struct {
		Required   []string
		Properties map[string]struct {
			Enum  []string
			Items *struct {
				Required   []string
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	var schema struct{ Items object }
	if err := json.Unmarshal(files["data/schema.json"], &schema); err != nil {
		t.Fatal(err)
	}
	var dictionary struct{ Attributes, Types map[string]any }
	if err := json.Unmarshal(files["data/dictionary.json"], &dictionary); err != nil {
		t.Fatal(err)
	}
	value := schema.Items.Properties["values"].Items
	for _, c := range dsar.Categories {
		var events []map[string]json.RawMessage
		if err := json.Unmarshal(files["data/"+string(c)+".json"], &events); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			for _, r := range schema.Items.Required {
				if _, ok := e[r]; !ok {
					t.Errorf("%s: an event lacks %s", c, r)
				}
			}
			for member := range e {
				if _, ok := schema.Items.Properties[member]; !ok {
					t.Errorf("%s: the schema does not know %s", c, member)
				}
			}
			var typ string
			var values []map[string]any
			if err := errors.Join(json.Unmarshal(e["type"], &typ), json.Unmarshal(e["values"], &values)); err != nil {
				t.Fatal(err)
			}
			if dictionary.Types[typ] == nil {
				t.Errorf("the dictionary does not know %s", typ)
			}
			for _, v := range values {
				for member := range v {
					if _, ok := value.Properties[member]; !ok {
						t.Errorf("%s: the schema does not know a value's %s", c, member)
					}
				}
				if state, _ := v["state"].(string); !slices.Contains(value.Properties["state"].Enum, state) {
					t.Errorf("%s: state %q", c, state)
				}
				if dictionary.Attributes[fmt.Sprint(v["attribute"])] == nil {
					t.Errorf("the dictionary does not know %s", v["attribute"])
				}
			}
		}
	}
}
