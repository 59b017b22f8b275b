package report_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		cell    string
		guarded bool
	}{
		{"", false}, {"iPhone", false}, {"31612345678", false}, {"a=b", false}, {"●●●", false}, {"  plain", false}, {"'already", false},
		{"=1+1", true}, {"+31612345678", true}, {"-5", true}, {"@SUM(A1)", true}, {"\tx", true}, {"\rx", true}, {"\nx", true},
		{"＝1", true}, {"＋31", true}, {"－1", true}, {"＠x", true}, {"﹢1", true}, {"﹣1", true}, {"−1", true},
		{" =1", true}, {"\u00a0=1", true}, {"\u200b=1", true}, {"\ufeff@x", true}, {"\u3000＝x", true},
	} {
		got := report.Guard(c.cell)
		if want := c.cell; got != want && !c.guarded || c.guarded && got != "'"+want {
			t.Errorf("Guard(%q) = %q, guarded should be %v", c.cell, got, c.guarded)
		}
	}
}

var formula = regexp.MustCompile("^[\\s\\p{Z}\\x{200b}-\\x{200f}\\x{2060}\\x{feff}\\x00]*[=+\\-@\t\r＝＋－＠]")

func FuzzGuard(f *testing.F) {
	for _, s := range []string{"=x", " +1", "\u200b@a", "plain", "\tx", "＝", "\x00=1", "\f+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := report.Guard(s)
		if formula.MatchString(g) {
			t.Errorf("%q is taken for a formula", g)
		}
		if g != s && g != "'"+s {
			t.Errorf("%q became %q", s, g)
		}
	})
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[2Jb")
	f.Add("\u202egnp.exe")
	f.Fuzz(func(t *testing.T, s string) {
		v := report.Visible(s)
		if !utf8.ValidString(v) || strings.ContainsAny(v, "\x1b\n\r\x00\u202e\u2066\x7f\u009b") {
			t.Errorf("%q still steers a terminal: %q", s, v)
		}
	})
}

func TestTheDoubleHour(t *testing.T) {
	ams := report.Location("nl")
	a, b := report.LocalTime(at("2026-10-25T00:30:00Z"), ams), report.LocalTime(at("2026-10-25T01:30:00Z"), ams)
	if a != "2026-10-25 02:30:00 +02:00" || b != "2026-10-25 02:30:00 +01:00" {
		t.Errorf("the double hour reads %s and %s", a, b)
	}
	for _, c := range []struct{ in, want, says string }{
		{"2026-10-25", "2026-10-24T22:00:00Z", ""}, {"2026-10-26", "2026-10-25T23:00:00Z", ""},
		{"2026-10-25T01:59", "2026-10-24T23:59:00Z", ""}, {"2026-10-25T03:00", "2026-10-25T02:00:00Z", ""},
		{"2026-10-25T02:30", "", "twice"}, {"2026-10-25 02:00:00", "", "twice"},
		{"2026-03-29T02:30", "", "skipped"}, {"2026-03-29T03:00", "2026-03-29T01:00:00Z", ""},
		{"2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z", ""}, {"yesterday", "", "no time"},
	} {
		got, err := report.ParseTime("from", c.in, ams)
		switch {
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), "from")):
			t.Errorf("%s: %v, want an error that says %q", c.in, err, c.says)
		case c.says == "" && (err != nil || got.UTC().Format(time.RFC3339) != c.want):
			t.Errorf("%s: %v, %v, want %s", c.in, got, err, c.want)
		}
	}
}

// TestDutchWords keeps apart what the law and the products keep apart.
func TestDutchWords(t *testing.T) {
	var dutch []string
	label := func(l schemas.Label) {
		if l.EN == "" || l.NL == "" {
			t.Errorf("%+v lacks a language", l)
		}
		dutch = append(dutch, l.NL)
	}
	for _, d := range report.Definitions() {
		label(d.Title)
		label(d.About)
		for _, c := range d.Columns {
			label(c.Title)
		}
		for _, f := range d.Filters {
			label(f.Title)
			label(f.Help)
		}
	}
	word := func(attr, value string) string { return report.Word("nl", attr, value) }
	for _, a := range schemas.Default().Attributes() {
		dutch = append(dutch, a.Label.NL)
		if a.Shape == nil || a.Shape.Kind == "words" { // parts of names, no values
			continue
		}
		for _, v := range a.Shape.Values {
			w := word(a.ID, v)
			dutch = append(dutch, w)
			if strings.HasPrefix(v, "wipe") && (!strings.Contains(w, "op afstand wissen") || strings.Contains(w, "gegevenswissing")) {
				t.Errorf("%s %s is %q in Dutch", a.ID, v, w)
			}
			if strings.HasPrefix(v, "retire") && !strings.Contains(w, "buiten gebruik stellen") {
				t.Errorf("%s %s is %q in Dutch", a.ID, v, w)
			}
		}
	}
	for attr, want := range map[[2]string]string{
		{"device.compliance-state", "compliant"}: "voldoet", {"device.compliance-state", "noncompliant"}: "voldoet niet",
		{"request.right", "erasure"}: "gegevenswissing", {"request.right", "restriction"}: "beperking",
		{"action.operation", "wipe ManagedDevice"}: "op afstand wissen", {"action.operation", "Retire ManagedDevice"}: "buiten gebruik stellen",
		{"action.operation", "Create DeviceCompliancePolicy"}: "aanmaken: nalevingsbeleid", {"action.operation", "assignDeviceHealthScript DeviceHealthScript"}: "toewijzen: herstelscript",
		{"action.operation", "Wipe Something"}: "Wipe Something", {"action.operation", "Created MobileApp"}: "Created MobileApp",
	} {
		if got := word(attr[0], attr[1]); got != want {
			t.Errorf("%v is %q in Dutch, want %q", attr, got, want)
		}
	}
	for _, s := range dutch {
		for _, never := range []string{"compatib", "compliant", "anoniem", "onomkeerbaar", "certificaat van"} {
			if strings.Contains(strings.ToLower(s), never) {
				t.Errorf("%q says %q", s, never)
			}
		}
	}
}

func TestChangesForPeople(t *testing.T) {
	v := report.Value{Attr: "action.changes", JSON: json.RawMessage(`[{"name":"a","old":null,"new":""},{"name":"b","withheld":true},{"name":"c","old":{"x":1},"new":[1]}]`)}
	if got, want := v.People("nl", time.UTC), `a: (geen) → (leeg); b: (niet bewaard); c: {"x":1} → [1]`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (report.Value{Attr: "device.storage-total", JSON: json.RawMessage("127870000000")}).People("nl", time.UTC); got != "127,9 GB" {
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
		"unknown report": {func(r *report.Request) { r.Report = "rankings" }, []string{"rankings", "device-inventory"}},
		"no tenant":      {func(r *report.Request) { r.Tenant = [16]byte{} }, []string{"tenant", "missing"}},
		"no purpose":     {func(r *report.Request) { r.Purpose = " " }, []string{"purpose", "missing"}},
		"backwards": {func(r *report.Request) { r.From, r.To = at("2026-02-01T00:00:00Z"), at("2026-02-01T00:00:00Z") },
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
			r.Report, r.Filters = "device-history",
				map[string]string{"device": "d9428888-122b-4af0-a6c1-0305e82c3301,d9428888-122b-4af0-a6c1-0305e82c3302"}
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
