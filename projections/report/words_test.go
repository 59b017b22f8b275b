package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func TestTheDoubleHour(t *testing.T) {
	a, b := words.Instant(at("2026-10-25T00:30:00Z"), amsterdam), words.Instant(at("2026-10-25T01:30:00Z"), amsterdam)
	if a != "2026-10-25 02:30:00 +02:00" || b != "2026-10-25 02:30:00 +01:00" {
		t.Errorf("the double hour reads %s and %s", a, b)
	}
	for _, c := range []struct{ in, want, says string }{
		{"2026-10-25", "2026-10-24T22:00:00Z", ""}, {"2026-10-26", "2026-10-25T23:00:00Z", ""},
		{"2026-10-25T01:59", "2026-10-24T23:59:00Z", ""}, {"2026-10-25T03:00", "2026-10-25T02:00:00Z", ""},
		{"2026-10-25T02:30", "", "twice"}, {"2026-10-25 02:00:00", "", "twice"},
		{"2026-03-29T02:30", "", "skipped"}, {"2026-03-29T03:00", "2026-03-29T01:00:00Z", ""},
		{"2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z", ""},
		{"2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z", ""},
		{"2026-10-25 02:30:00 +02:00", "2026-10-25T00:30:00Z", ""},
		{"2026-10-25 02:30+01:00", "2026-10-25T01:30:00Z", ""},
		{"2026-10-25T01:30Z", "2026-10-25T01:30:00Z", ""},
		{"2026-10-25T01:30:00.123Z", "2026-10-25T01:30:00Z", ""},
		{"yesterday", "", "no time"},
	} {
		got, err := report.ParseTime("from", c.in, amsterdam)
		switch {
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), "from")):
			t.Errorf("%s: %v, want an error that says %q", c.in, err, c.says)
		case c.says == "" && (err != nil || got.UTC().Format(time.RFC3339) != c.want):
			t.Errorf("%s: %v, %v, want %s", c.in, got, err, c.want)
		}
	}
}

// The Dutch words keep apart what the law and the products keep apart: a wipe of a device is
// never "gegevenswissing", which is the erasure of Art. 17, nor is "voldoet" ever "compatibel".
func TestDutchWords(t *testing.T) {
	word := func(attr, value string) string { return content.Word(dutch, attr, value) }
	for _, a := range schemas.Default().Attributes() {
		if a.Shape == nil || a.Shape.Kind == "words" { // parts of names, no values
			continue
		}
		for _, v := range a.Shape.Values {
			w := word(a.ID, v)
			if strings.HasPrefix(v, "wipe") &&
				(!strings.Contains(w, "op afstand wissen") || strings.Contains(w, "gegevenswissing")) {
				t.Errorf("%s %s is %q in Dutch", a.ID, v, w)
			}
			if strings.HasPrefix(v, "retire") && !strings.Contains(w, "buiten gebruik stellen") {
				t.Errorf("%s %s is %q in Dutch", a.ID, v, w)
			}
		}
	}
	for attr, want := range map[[2]string]string{
		{"device.compliance-state", "compliant"}:                            "voldoet",
		{"device.compliance-state", "noncompliant"}:                         "voldoet niet",
		{"request.right", "erasure"}:                                        "gegevenswissing",
		{"request.right", "restriction"}:                                    "beperking",
		{"action.operation", "wipe ManagedDevice"}:                          "op afstand wissen",
		{"action.operation", "Retire ManagedDevice"}:                        "buiten gebruik stellen",
		{"action.operation", "Create DeviceCompliancePolicy"}:               "aanmaken: nalevingsbeleid",
		{"action.operation", "assignDeviceHealthScript DeviceHealthScript"}: "toewijzen: herstelscript",
		{"action.operation", "Wipe Something"}:                              "Wipe Something",
		{"action.operation", "Created MobileApp"}:                           "Created MobileApp",
		{"action.target-type", "MobileApp"}:                                 "app",
		{"action.target-type", "Unheard"}:                                   "Unheard",
		{"device.name", "compliant"}:                                        "compliant",
	} {
		if got := word(attr[0], attr[1]); got != want {
			t.Errorf("%v is %q in Dutch, want %q", attr, got, want)
		}
	}
	for _, key := range words.Default().Keys("") {
		if strings.HasPrefix(key, "dsar.") { // projections/dsar looks at its own
			continue
		}
		s := dutch.Text(key)
		for _, never := range []string{"compatib", "compliant", "anoniem", "onomkeerbaar", "certificaat van"} {
			if strings.Contains(strings.ToLower(s), never) {
				t.Errorf("%s: %q says %q", key, s, never)
			}
		}
	}
}

// The texts of reports are those of the reports that there are, and the words of values those of
// vocabularies.
func TestTextsOfReportsAreOfSomething(t *testing.T) {
	want := map[string]bool{"report.access-package.title": true, "filter.somebody": true}
	for _, d := range report.Definitions() {
		want["report."+d.ID+".title"], want["report."+d.ID+".about"] = true, true
		for _, c := range d.Columns {
			want["column."+c.ID] = true
		}
		for _, f := range d.Filters {
			want["filter."+f.ID], want["report."+d.ID+".filter."+f.ID] = true, true
		}
	}
	for _, s := range []document.State{document.Erased, document.Expired, document.Withheld, document.Lost,
		document.NotGenuine, document.Masked} {
		want["state."+s.Name()] = true
	}
	for _, prefix := range []string{"report.", "column.", "filter.", "state."} {
		for _, key := range words.Default().Keys(prefix) {
			if !want[key] {
				t.Errorf("%s is a text of nothing", key)
			}
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("%s has no text", key)
	}
	for _, key := range words.Default().Keys("enum.") {
		of := strings.TrimPrefix(key, "enum.")
		known := strings.HasPrefix(of, "source.")
		for _, a := range schemas.Default().Attributes() {
			value, found := strings.CutPrefix(of, a.ID+".")
			known = known || found && a.Shape != nil && a.MayStandOpen(schemas.JSON(value))
		}
		if !known {
			t.Errorf("%s is a word for a value of no vocabulary", key)
		}
	}
}

// A cell holds what its column says: a writer that has types, as for a spreadsheet's cells, may
// rely on it.
func TestCellsAreOfTheirColumnsType(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	for name, req := range theReports("en") {
		rep, err := report.Run(t.Context(), db, s, req)
		if err != nil {
			t.Fatal(err)
		}
		doc := rep.Document()
		for row, err := range doc.Rows {
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range doc.Columns {
				if len(row.Cells[i]) > 1 && !c.List {
					t.Errorf("%s: %s holds %d values", name, c.ID, len(row.Cells[i]))
				}
				for _, v := range row.Cells[i] {
					if v.Type != c.Type && c.Type != document.Mixed {
						t.Errorf("%s: %s holds type %d, its column is of type %d", name, c.ID, v.Type, c.Type)
					}
					if v.State != document.Shown && (v.JSON != nil || v.Word != "" || !v.Time.IsZero()) {
						t.Errorf("%s: %s holds what it does not show", name, c.ID)
					}
				}
			}
		}
	}
}

func TestChangesForPeople(t *testing.T) {
	v := content.ValueOf("action.changes", `[{"name":"a","old":null,"new":""},{"name":"b","withheld":true},`+
		`{"name":"c","old":{"x":1},"new":[1]}]`, uuid.Nil)
	if got, want := v.People(dutch, time.UTC), `a: (geen) → (leeg); b: (niet bewaard); c: {"x":1} → [1]`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	size := content.ValueOf("device.storage-total", "127870000000", uuid.Nil)
	if got := size.People(dutch, time.UTC); got != "127,9 GB" {
		t.Errorf("got %q", got)
	}
}

func TestValidate(t *testing.T) {
	ok := request("admin-actions", "en")
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*report.Request)
		says  []string
	}{
		"unknown report": {func(r *report.Request) { r.Report = "rankings" },
			[]string{"rankings", "device-inventory"}},
		"no tenant":  {func(r *report.Request) { r.Tenant = [16]byte{} }, []string{"tenant", "missing"}},
		"no purpose": {func(r *report.Request) { r.Purpose = " " }, []string{"purpose", "missing"}},
		"backwards": {func(r *report.Request) {
			r.From, r.To = at("2026-02-01T00:00:00Z"),
				at("2026-02-01T00:00:00Z")
		},
			[]string{"to", "backward"}},
		"as-of": {func(r *report.Request) {
			r.AsOf = at("2026-02-01T00:00:00Z")
		}, []string{"asOf", "not here", "from"}},
		"period": {func(r *report.Request) { r.Report, r.From = "device-inventory", at("2026-02-01T00:00:00Z") },
			[]string{"from", "not here", "asOf"}},
		"language": {func(r *report.Request) { r.Lang = "fr" }, []string{"lang", "nl"}},
		"unknown filter": {func(r *report.Request) {
			r.Filters = map[string]string{"colour": "red"}
		}, []string{"colour", "verb"}},
		"wrong value": {func(r *report.Request) {
			r.Filters = map[string]string{"verb": "erase"}
		}, []string{"verb", "unknown", "delete"}},
		"no person": {func(r *report.Request) {
			r.Filters = map[string]string{"actor": "bob"}
		}, []string{"actor", "nobody"}},
		"no device":  {func(r *report.Request) { r.Report = "device-history" }, []string{"device", "missing"}},
		"seed alone": {func(r *report.Request) { r.Seed = 4 }, []string{"seed", "alone", "sample"}},
		"unknown rule": {func(r *report.Request) {
			r.Report, r.Filters = "refused-collection", map[string]string{"rule": "horoscope"}
		},
			[]string{"rule", "unknown", "location"}},
		"two devices": {func(r *report.Request) {
			two := id("one").String() + "," + id("two").String()
			r.Report, r.Filters = "device-history", map[string]string{"device": two}
		}, []string{"device", "too many"}},
		"negative": {func(r *report.Request) { r.Sample = -1 }, []string{"sample", "negative"}},
		"nobody":   {func(r *report.Request) { r.By = "" }, []string{"by", "missing"}},
	} {
		r := ok
		c.spoil(&r)
		err := r.Validate()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if _, only := problems(err); !only || strings.Contains(err.Error(), "--") {
			t.Errorf("%s: %v is not problems alone, or speaks of flags", name, err)
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v does not say %q", name, err, s)
			}
		}
	}
}

// problems returns the problems in err, and whether it holds nothing else.
func problems(err error) (all []*report.Problem, only bool) {
	switch e := err.(type) {
	case nil:
		return nil, true
	case *report.Problem:
		return []*report.Problem{e}, true
	case interface{ Unwrap() []error }:
		only = true
		for _, sub := range e.Unwrap() {
			found, alone := problems(sub)
			all, only = append(all, found...), only && alone
		}
		return all, only
	case interface{ Unwrap() error }:
		if sub := e.Unwrap(); sub != nil {
			return problems(sub)
		}
	}
	return nil, false
}

// What a source writes for itself reads as people would say it, in every language.
func TestWhatSourcesWriteForThemselvesReadsAsWords(t *testing.T) {
	en, _ := words.Default().Language("en")
	nl, _ := words.Default().Language("nl")
	group := "36ca05af-f92e-48b6-8f7a-5bf3924a4926"
	twice := "Key = TargetGroupIDsValue = " + group + "\r\nKey = TargetGroupIDsValue = " + group + "\r\n"
	changes := `[{"name":"DeviceManagementAPIVersion","old":null,"new":"5026-01-14"},
		{"name":"ssid","old":"a","new":"b"},{"more":3}]`
	for _, c := range []struct{ attr, value, en, nl string }{
		{"action.details", string(schemas.JSON(twice)), "TargetGroupIDs: " + group, "TargetGroupIDs: " + group},
		{"action.details", `"free text\r\nof two lines\r\n"`, "free text\nof two lines", "free text\nof two lines"},
		{"action.reason", `"lost\r\non the train"`, "lost\non the train", "lost\non the train"},
		{"action.category", `"27"`, "other (Intune category 27)", "overig (Intune-categorie 27)"},
		{"action.category", `"device"`, "device", "apparaat"},
		{"action.changes", changes, "ssid: a → b; DeviceManagementAPIVersion: (none) → 5026-01-14; " +
			"(and 3 more, too many to be kept)", "ssid: a → b; DeviceManagementAPIVersion: (geen) → 5026-01-14; " +
			"(en nog 3, te veel om te bewaren)"},
	} {
		v := content.ValueOf(c.attr, "", uuid.Nil)
		v.JSON = json.RawMessage(c.value)
		for _, in := range []struct {
			l    *words.Language
			want string
		}{{en, c.en}, {nl, c.nl}} {
			if got := v.People(in.l, time.UTC); got != in.want {
				t.Errorf("%s %s reads %q in %s, want %q", c.attr, c.value, got, in.l.Code(), in.want)
			}
		}
		if got := string(v.In(en).Raw()); got != c.value {
			t.Errorf("%s: programs get %s, want it as it is", c.attr, got)
		}
	}
}
