package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/heading"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests see into testdata/golden")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -rewrite and look at the difference\n%s", name, got)
	}
}

func request(id, lang string) report.Request {
	return report.Request{Report: id, Tenant: idOf("tenant"), TenantName: "Voorbeeld B.V.",
		By: "officer@example.test", Lang: lang,
		Purpose: "security-incident", PurposeWords: "incident 7", Reveal: true, Now: at("2026-11-24T09:00:00Z")}
}

var idOf = id

// theReports are run for the golden files: every report, as a person would ask for it.
func theReports(lang string) map[string]report.Request {
	out := map[string]report.Request{}
	r := request("admin-actions", lang)
	r.From, r.To = at("2026-10-01T00:00:00+02:00"), at("2026-11-01T00:00:00+01:00")
	out["admin-actions"] = r
	r.Reveal, r.Filters = false, map[string]string{"category": "device", "result": "success"}
	out["admin-actions-masked"] = r
	r = request("admin-actions", lang)
	r.Filters = map[string]string{"operation": "WIPE", "ip": "192.0.2", "text": "train"}
	out["admin-actions-found"] = r
	r = request("remote-actions", lang)
	r.From, r.To = at("2026-10-01T00:00:00+02:00"), at("2026-12-01T00:00:00+01:00")
	out["remote-actions"] = r
	r.Reveal, r.Filters = false, map[string]string{"device": string(phone), "ownership": "personal"}
	out["remote-actions-masked"] = r
	r = request("device-exposure", lang)
	r.Filters = map[string]string{"device": string(phone)}
	out["device-exposure"] = r
	r.Filters, r.AsOf = map[string]string{"device": string(mac)}, at("2026-10-19T00:00:00Z")
	out["device-exposure-then"] = r
	out["device-inventory"] = request("device-inventory", lang)
	out["processing-record"] = request("processing-record", lang)
	r = request("device-inventory", lang)
	r.AsOf, r.Filters = at("2026-10-19T00:00:00Z"), map[string]string{"platform": "ios", "ownership": "byod"}
	out["device-inventory-then"] = r
	r = request("device-history", lang)
	r.Filters = map[string]string{"device": string(phone)}
	r.From, r.To = at("2026-10-10T00:00:00Z"), at("2026-11-01T00:00:00Z")
	out["device-history"] = r
	r = request("refused-collection", lang)
	out["refused-collection"] = r
	for _, id := range []string{"requests", "data-access", "compliance-status", "leavers"} {
		r = request(id, lang)
		r.Owners = owners
		out[id] = r
	}
	r.Reveal, r.Filters = false, map[string]string{"open": define.Set}
	out["leavers-masked"] = r
	r = request("person-overview", lang)
	r.Filters = map[string]string{"person": fatima.String() + "," + idOf("fatima's account").String()}
	out["person-overview"] = r
	return out
}

func TestGolden(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	for _, lang := range []string{"en", "nl"} {
		for name, req := range theReports(lang) {
			run := func() *report.Report {
				rep, err := report.Run(t.Context(), db, s, req)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return rep
			}
			var b bytes.Buffer
			write := func(ext string, f func() error) {
				b.Reset()
				if err := f(); err != nil {
					t.Fatalf("%s.%s: %v", name, ext, err)
				}
				golden(t, name+"."+lang+ext, b.Bytes())
			}
			write(".txt", func() error { return render.Table(&b, run().Document(), 120) })
			write(".html", func() error { return render.HTML(&b, run().Document()) })
			write(".people.csv", func() error { return render.PeopleCSV(&b, run().Document()) })
			if lang == "en" {
				write(".wide.txt", func() error { return render.Table(&b, run().Document(), 0) })
				write(".machine.csv", func() error { return render.MachineCSV(&b, run().Document()) })
				noJSON(t, name, b.Bytes())
				write(".json", func() error { return render.JSON(&b, run().Document()) })
				if !json.Valid(b.Bytes()) {
					t.Errorf("%s is no JSON", name)
				}
			}
		}
	}
}

// noJSON fails where a cell of CSV is an object or a list of JSON.
func noJSON(t *testing.T, name string, raw []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, cell := range slices.Concat(rows...) {
		if json.Valid([]byte(cell)) && strings.IndexAny(cell, "[{") == 0 {
			t.Errorf("%s: a cell of CSV is JSON: %s", name, cell)
		}
	}
}

// TestThePeriodIsHalfOpen: an action at the first instant of November in Amsterdam is November's,
// whatever the language.
func TestThePeriodIsHalfOpen(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	count := func(from, to string) (n uint64, late uint64) {
		r := request("admin-actions", "nl")
		var err error
		if r.From, err = report.ParseTime("from", from, amsterdam); err != nil {
			t.Fatal(err)
		}
		if r.To, err = report.ParseTime("to", to, amsterdam); err != nil {
			t.Fatal(err)
		}
		rep, err := report.Run(t.Context(), db, s, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range rep.Rows() {
			if err != nil {
				t.Fatal(err)
			}
		}
		tot, done := rep.Totals()
		if !done {
			t.Error("totals are not said to be complete")
		}
		return tot.Rows, *tot.Late
	}
	if n, late := count("2026-10-01", "2026-11-01"); n != 3 || late != 1 {
		t.Errorf("October has %d actions, %d of them late; want 3 and 1", n, late)
	}
	if n, _ := count("2026-11-01", "2026-12-01"); n != 3 {
		t.Errorf("November has %d actions, want 3", n)
	}
	if n, _ := count("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"); n != 1 {
		t.Errorf("the double hour's first half has %d actions, want 1", n)
	}
}

func TestMaskingWithoutAnOpener(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("admin-actions", "en")
	rep, err := report.Run(t.Context(), db, nil, r)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := render.JSON(&b, rep.Document()); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"anna@", "Fatima", "192.0.2.7", "lost on", "sealed:"} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("a masked report shows %q", secret)
		}
	}
	if tot, _ := rep.Totals(); tot.Masked == 0 || tot.Erased != 0 {
		t.Errorf("masked %d, erased %d: without an opener nobody knows what is erased", tot.Masked, tot.Erased)
	}
	if len(s.Calls) != 0 {
		t.Error("tokens were opened")
	}
	if err := render.JSON(&b, rep.Document()); !errors.Is(err, report.ErrRead) {
		t.Errorf("a second reading gave %v", err)
	}
}

// Whoever writes a forged event takes the cells of its values, and no report from anybody: every
// other value is shown, and the report says how many are not genuine.
func TestAValueThatIsNotGenuineTakesOneCell(t *testing.T) {
	whole, s := theStory(t), theStory(t)
	table := func(s *chtest.Story) (string, heading.Totals) {
		rep, err := report.Run(t.Context(), s.Load(), s, request("admin-actions", "en"))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := render.Table(&b, rep.Document(), 100); err != nil {
			t.Fatal(err)
		}
		totals, done := rep.Totals()
		if !done {
			t.Error("the totals are not said to be complete")
		}
		return b.String(), totals
	}
	before, none := table(whole)
	altered := uint64(0)
	for token, o := range s.Plain {
		if strings.Contains(string(token), "actor-ip") {
			o.Err, altered = fmt.Errorf("vault: %w", projections.ErrTampered), altered+1
			s.Plain[token] = o
		}
	}
	after, some := table(s)
	if none.NotGenuine != 0 || some.NotGenuine != altered || altered == 0 || some.Rows != none.Rows {
		t.Errorf("%d of %d values are not genuine, in %d rows of %d", some.NotGenuine, altered, some.Rows, none.Rows)
	}
	for _, text := range []string{"Values not genuine", "not genuine"} {
		if strings.Contains(before, text) || !strings.Contains(after, text) {
			t.Errorf("%q: before %t, after %t", text, strings.Contains(before, text), strings.Contains(after, text))
		}
	}
	if strings.Contains(after, "192.0.2.7") || !strings.Contains(after, "anna@") {
		t.Error("a value that is not genuine is shown, or a genuine one is not")
	}
}

// A token of another attribute or event is marked before any vault is asked.
func TestATokenOutOfPlaceIsNotOpened(t *testing.T) {
	s := theStory(t)
	var token schemas.Token
	var header schemas.TokenHeader
	for tk := range s.Plain {
		if h, _, _ := tk.Parse(); h.Attr == "action.actor-ip" {
			token, header = tk, h
		}
	}
	for name, c := range map[string]struct {
		attr  string
		token schemas.Token
		event uuid.UUID
		state document.State
	}{
		"in its place":         {"action.actor-ip", token, header.Event, document.Shown},
		"as another attribute": {"action.actor-upn", token, header.Event, document.NotGenuine},
		"in another event":     {"action.actor-ip", token, id("elsewhere"), document.NotGenuine},
		"cut short":            {"action.actor-ip", token[:len(token)-3], header.Event, document.NotGenuine},
	} {
		s.Calls = nil
		v := content.ValueOf(c.attr, projections.Text(c.token), c.event)
		var tokens content.Tokens
		if sealed, genuine := tokens.Parse(&v); genuine {
			tokens.Add(&v, sealed)
		}
		if err := tokens.Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if asked := len(s.Calls) > 0; v.State != c.state || asked != (c.state == document.Shown) {
			t.Errorf("%s: %s, the vault was asked: %t", name, v.State.Name(), asked)
		}
	}
}

// TestASampleCanBeRepeated, and opens only what it shows; tokens go to the opener in batches.
func TestASampleCanBeRepeated(t *testing.T) {
	s := chtest.NewStory(t)
	const n = 700
	for i := range n {
		s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id(fmt.Sprint("a", i))),
			"2026-10-01T08:00:00Z", "", actorAnna,
			val{Attr: "action.verb", V: "create"}, val{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna},
			val{Attr: "action.actor-ip", V: "192.0.2.7", Alias: anna},
			val{Attr: "action.reason", V: "because", Alias: fatima},
			val{Attr: "action.application-name", V: "portal", Alias: anna})
	}
	db := s.Load()
	run := func(sample int, seed uint64) (string, heading.Totals) {
		r := request("admin-actions", "en")
		r.Sample, r.Seed = sample, seed
		rep, err := report.Run(t.Context(), db, s, r)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for row, err := range rep.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, row.Key)
		}
		tot, _ := rep.Totals()
		return strings.Join(keys, " "), tot
	}
	all, tot := run(0, 0)
	if tot.Rows != n || tot.Population != n {
		t.Errorf("%d rows of %d, want %d", tot.Rows, tot.Population, n)
	}
	if len(s.Calls) != 2 || s.Calls[0]+s.Calls[1] != 4*n || s.Calls[0] > content.OpenBatch {
		t.Errorf("%d tokens were opened in calls of %v, want batches of at most %d", 4*n, s.Calls, content.OpenBatch)
	}
	s.Calls = nil
	a, tot := run(10, 7)
	if tot.Rows != 10 || tot.Population != n {
		t.Errorf("sample: %d rows of %d", tot.Rows, tot.Population)
	}
	if len(s.Calls) != 1 || s.Calls[0] != 40 {
		t.Errorf("a sample of 10 opened %v tokens, want 40", s.Calls)
	}
	if b, _ := run(10, 7); a != b {
		t.Error("the same seed drew other rows")
	}
	if b, _ := run(10, 8); a == b {
		t.Error("another seed drew the same rows")
	}
	rest := all
	for _, key := range strings.Fields(a) { // in the report's order
		_, after, found := strings.Cut(rest, key)
		if !found {
			t.Fatalf("row %s is out of order, or not of the population", key)
		}
		rest = after
	}
	if b, tot := run(n+5, 1); b != all || tot.Rows != n {
		t.Error("a sample larger than the population is not the population")
	}
}

func second[T any](_ T, err error) error { return err }

func TestAsOfASequenceTheViewsDoNotHave(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	r := request("device-inventory", "en")
	ahead := uint64(len(s.Events))
	r.AsOfSeq = &ahead
	for what, err := range map[string]error{"Run": second(report.Run(t.Context(), db, s, r)),
		"Check": r.Check(t.Context(), db)} {
		if all, only := problems(err); !only || len(all) != 1 || all[0].Code != define.Ahead ||
			all[0].Field != define.FieldAsOfSeq {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.AsOfSeq = nil
	for platform, code := range map[string]define.Code{"ios": "", "iOS,mac": "", "Symbian": define.NoValue} {
		r.Filters = map[string]string{"platform": platform}
		all, _ := problems(r.Check(t.Context(), db))
		if code == "" && len(all) > 0 || code != "" && (len(all) != 1 || all[0].Code != code ||
			len(all[0].Known) == 0) {
			t.Errorf("platform %s: %v", platform, all)
		}
	}
	r.Filters = nil
	before := uint64(1)
	r.AsOfSeq = &before
	rep, err := report.Run(t.Context(), db, s, r)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range rep.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 || rep.Header.Sequence != 1 {
		t.Errorf("%d devices as of sequence %d, want 1 as of 1", n, rep.Header.Sequence)
	}
}

func TestEmptyViews(t *testing.T) {
	s := chtest.NewStory(t)
	s.Events = nil
	db := s.Load()
	for _, d := range report.Definitions() {
		r := request(d.ID, "nl")
		switch d.ID {
		case "device-history", "device-exposure":
			r.Filters = map[string]string{"device": string(phone)}
		case "person-overview":
			r.Filters = map[string]string{"person": fatima.String()}
		}
		rep, err := report.Run(t.Context(), db, s, r)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := render.Table(&b, rep.Document(), 80); err != nil ||
			!strings.Contains(b.String(), "Er is niets gevonden") {
			t.Errorf("%s: %v\n%s", d.ID, err, b.String())
		}
	}
}

// TestMachineCSVIsExact: what a program reads is what the ledger holds, formulas, quotes and
// leading zeros included.
func TestMachineCSVIsExact(t *testing.T) {
	s := theStory(t)
	db := s.Load()
	rep, err := report.Run(t.Context(), db, s, request("device-inventory", "nl"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := render.MachineCSV(&b, rep.Document()); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range lines {
		found = found || l[0] == `=HYPERLINK("http://evil")`
	}
	if !found || lines[0][0] != "device" {
		t.Errorf("got %q", lines)
	}
}

// Whoever takes no more of a report had one portion more opened than they took, and a portion is
// bounded.
func TestLittleIsOpenedForNobody(t *testing.T) {
	s := chtest.NewStory(t)
	for i := range 5 * content.OpenBatch / 4 {
		s.Add("adminaction.recorded.v1", schemas.NewStream("adminaction", id(fmt.Sprint("action", i))),
			"2026-03-10T09:00:00Z", "", nil, val{Attr: "action.verb", V: "assign"},
			val{Attr: "action.actor-upn", V: "a@example.test", Alias: anna},
			val{Attr: "action.actor-ip", V: "192.0.2.1", Alias: anna},
			val{Attr: "action.reason", V: "because", Alias: fatima},
			val{Attr: "action.application-name", V: "portal", Alias: anna})
	}
	db := s.Load()
	rep, err := report.Run(t.Context(), db, s, request("admin-actions", "en"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range rep.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if n := len(s.Calls); n < 1 || n > 2 || slices.Max(s.Calls) > content.OpenBatch {
		t.Errorf("for one row, tokens were opened in calls of %v", s.Calls)
	}
}
