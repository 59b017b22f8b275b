package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
)

// takeDiagnostics sets whether the tenant's policy takes optional diagnostics.
func (w *world) takeDiagnostics(choice string) {
	w.t.Helper()
	p, err := w.vault.Policy(context.Background(), w.tenant.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Number, p.Diagnostics = p.Number+1, choice
	if _, err := w.vault.SetTenantPolicy(context.Background(), w.tenant.ID, p); err != nil {
		w.t.Fatal(err)
	}
}

var fenced = regexp.MustCompile("(?s)```json\n(.*?)```")

// examples are the events of docs/SOURCES.md, by type.
func examples(t testing.TB) map[string]object {
	t.Helper()
	page, err := os.ReadFile("../../docs/SOURCES.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]object{}
	for _, m := range fenced.FindAllStringSubmatch(string(page), -1) {
		var e object
		if err := json.Unmarshal([]byte(m[1]), &e); err != nil {
			t.Fatalf("%v: %s", err, m[1])
		}
		out[e["type"].(string)] = e
	}
	return out
}

// eventForms are the forms of all kinds that are of events.
func eventForms() (out []source.Form) {
	for _, f := range plan.NewKinds(schemas.Default(), kinds.All(schemas.Default())).Forms() {
		if f.Event != "" {
			out = append(out, f)
		}
	}
	return out
}

// asFile writes events as JSON lines.
func asFile(events ...object) map[string]string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString(asLine(e) + "\n")
	}
	return map[string]string{"events.json": b.String()}
}

// with sets members of an event's data.
func withData(e object, members object) object {
	out, data := object{}, object{}
	for k, v := range e {
		out[k] = v
	}
	for k, v := range e["data"].(object) {
		data[k] = v
	}
	for k, v := range members {
		data[k] = v
	}
	out["data"] = data
	return out
}

// Each example of the page is taken in as it is written there, whole, and there is one for each
// type.
func TestTheExamplesOfThePageAreTakenIn(t *testing.T) {
	all := examples(t)
	w := newWorld(t, true)
	w.takeDiagnostics(policy.Kept)
	for _, f := range eventForms() {
		e, ok := all[cloudevents.Prefix+f.Event]
		if !ok {
			t.Errorf("docs/SOURCES.md has no example of %s", f.Event)
			continue
		}
		s := w.importFiles(asFile(e))
		if s.Recorded != 1 || len(s.UnknownFields) > 0 || s.Kinds[f.Name].Recorded != 1 || s.ValuesWithheld > 0 {
			t.Errorf("%s: %s", f.Event, asJSON(t, s))
		}
	}
	if len(all) != len(eventForms()) {
		t.Errorf("%d examples of %d types", len(all), len(eventForms()))
	}
	var whole []object
	for _, e := range all {
		whole = append(whole, e)
	}
	n := len(w.events())
	for what, text := range map[string]string{"lines": asFile(whole...)["events.json"], "a list": asLine(whole)} {
		if s := w.importFiles(map[string]string{"x.json": text}); s.Unchanged != len(all) || len(w.events()) != n {
			t.Errorf("told again in %s: %s", what, asJSON(t, s))
		}
	}
}

// An event is told apart by its source and id: told again with other content it tells nothing, and
// one of another source with the same id is another.
func TestAnEventIsTakenOnce(t *testing.T) {
	e := examples(t)[cloudevents.Prefix+"support.message.v1"]
	w := newWorld(t, true)
	w.importFiles(asFile(e))
	n := len(w.events())
	other := withData(e, object{"team": "Windows Support"})
	if s := w.importFiles(asFile(other)); s.Unchanged != 1 || len(w.events()) != n {
		t.Errorf("the same event with other content: %s", asJSON(t, s))
	}
	other["source"] = "https://other.example"
	if s := w.importFiles(asFile(other)); s.Recorded != 1 {
		t.Errorf("the same id of another source: %s", asJSON(t, s))
	}
}

// An event that the specification calls none fails, by the name of what is wrong; one of another
// type is counted by it.
func TestAnEventThatIsNoneFailsByName(t *testing.T) {
	e := examples(t)[cloudevents.Prefix+"support.case.v1"]
	const base64Type = "data_base64"
	for _, c := range []struct {
		member string
		value  any // nil: left out
		field  string
		says   string
	}{
		{"specversion", "0.3", "specversion", "0.3"},
		{"specversion", "2.0", "specversion", "2.0"},
		{"specversion", 1, "specversion", "no version"},
		{"specversion", "anna@contoso.example", "specversion", "no version"},
		{"id", nil, "id", "missing"},
		{"id", 7, "id", "no text"},
		{"id", strings.Repeat("x", 2000), "id", "1024"},
		{"source", nil, "source", "missing"},
		{"source", "%zz", "source", "URI"},
		{"type", nil, "type", "missing"},
		{"time", "yesterday", "time", "RFC 3339"},
		{"time", "2999-01-01T00:00:00Z", "time", "future"},
		{"data", nil, "data", "missing"},
		{"data", []any{1}, "data", "no JSON object"},
		{"datacontenttype", "text/plain", "datacontenttype", "not JSON"},
		{base64Type, "e30=", base64Type, "beside data"},
	} {
		rec := withData(e, nil)
		if rec[c.member] = c.value; c.value == nil {
			delete(rec, c.member)
		}
		s := newWorld(t, true).importFiles(asFile(rec))
		if s.FailedCount != 1 || s.Failed[0].Field != c.field || !strings.Contains(s.Failed[0].Reason, c.says) ||
			strings.Contains(s.Failed[0].Reason, "anna") {
			t.Errorf("%s = %v: %+v", c.member, c.value, s.Failed)
		}
	}
	other := withData(e, nil)
	other["type"] = "com.example.ticket.created"
	s := newWorld(t, true).importFiles(asFile(other))
	if s.Unrecognised["com.example.ticket.created"] != 1 || !s.OK() {
		t.Errorf("an event of another type: %s", asJSON(t, s))
	}
	graph, _, _ := aDeviceInEveryForm()
	other["data"] = graph
	if s = newWorld(t, true).importFiles(asFile(other)); s.Kinds["managedDevices"].Recorded != 1 {
		t.Errorf("an event around a record that says what it is: %s", asJSON(t, s))
	}
}

// Optional diagnostics are refused whole, and counted, unless the policy of the tenant takes them;
// from then on they are taken, and none is refused twice.
func TestDiagnosticsAreTakenOnlyWhereThePolicyTakesThem(t *testing.T) {
	w := newWorld(t, true)
	var all []object
	for typ, e := range examples(t) {
		if strings.HasPrefix(typ, cloudevents.Prefix+"diagnostic.") {
			all = append(all, e)
		}
	}
	s := w.importFiles(asFile(all...))
	if s.Refused[plan.RulePolicy] != len(all) || w.countOf("diagnostic") != 0 || len(w.refusedOf()) != len(all) ||
		w.refusedOf()[0] != "diagnostic" || !s.OK() {
		t.Fatalf("refused %v, told %v: %s", s.Refused, w.refusedOf(), asJSON(t, s))
	}
	n := len(w.events())
	if w.importFiles(asFile(all...)); len(w.events()) != n {
		t.Errorf("told again, %d further events", len(w.events())-n)
	}
	w.takeDiagnostics(policy.Kept)
	if s = w.importFiles(asFile(all...)); s.Recorded != len(all) {
		t.Errorf("taken by the policy: %s", asJSON(t, s))
	}
	w.takeDiagnostics(policy.Refused)
	later := withData(all[0], nil)
	later["id"] = "later"
	if s = w.importFiles(asFile(later)); s.Refused[plan.RulePolicy] != 1 {
		t.Errorf("refused by the policy again: %s", asJSON(t, s))
	}
}

// Of whom diagnostics and the use of a console are, an alias says, one a person and month, and
// nothing else: no name, no address, and no stream that another event leads to.
func TestDiagnosticsNameNobody(t *testing.T) {
	w := newWorld(t, true)
	w.takeDiagnostics(policy.Kept)
	const usage = cloudevents.Prefix + "diagnostic.usage.v1"
	var all []object
	for i, who := range []string{"anna@contoso.example", "bram@contoso.example"} {
		for j, at := range []string{"2026-01-10T08:00:00Z", "2026-01-20T08:00:00Z", "2026-02-10T08:00:00Z"} {
			e := withData(examples(t)[usage], object{"userPrincipalName": who})
			e["id"], e["time"] = fmt.Sprint(i, j), at
			all = append(all, e)
		}
	}
	all = append(all, examples(t)[cloudevents.Prefix+"adminusage.control.v1"])
	if s := w.importFiles(asFile(all...)); s.Recorded != len(all) {
		t.Fatalf("%s", asJSON(t, s))
	}
	aliases, streams := map[uuid.UUID]int{}, map[schemas.Stream]bool{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		if k := e.Stream.Kind(); k != "diagnostic" && k != "adminusage" {
			continue
		}
		streams[e.Stream] = true
		for _, v := range d.Values {
			if v.Attr.Form == "address" || strings.Contains(v.Attr.ID, "user") && v.Attr.ID[:4] != "admi" {
				t.Errorf("%s tells of whom it is by %s", e.Type, v.Attr.ID)
			}
			if v.Token == "" && !v.Attr.MayStandOpen(v.Plain) {
				t.Errorf("%s stands open", v.Attr.ID)
			}
		}
		if e.Stream.Kind() == "diagnostic" {
			for _, s := range d.Subjects {
				aliases[s.Alias]++
			}
		}
	}
	if len(aliases) != 4 || len(streams) != len(all) {
		t.Errorf("two persons in two months have %d aliases, in %d streams", len(aliases), len(streams))
	}
	for attr, values := range w.values() {
		for _, v := range values {
			if strings.Contains(v, "@contoso.example") || strings.Contains(v, "Anna") {
				t.Errorf("%s holds a name", attr)
			}
		}
	}
}

// What a message says and what is attached to it is refused in the kinds of support, whatever the
// member is called and however deep it stands, and costs the event nothing else.
func TestWhatAMessageSaysIsRefused(t *testing.T) {
	for _, typ := range []string{"support.case.v1", "support.message.v1"} {
		for name, category := range map[string]string{"body": "email", "bodyPreview": "email", "Text": "email",
			"html_body": "", "subject": "email", "attachments": "files", "fileName": "files",
			"transcript": "messages"} {
			w := newWorld(t, true)
			planted := withData(examples(t)[cloudevents.Prefix+typ], object{name: "PLANTED",
				"more": []any{object{"deep": object{name: "PLANTED"}}}})
			s := w.importFiles(asFile(planted))
			if s.Recorded != 1 {
				t.Fatalf("%s: %s", name, asJSON(t, s))
			}
			if got := w.refusedOf(); category != "" && !slices.Equal(got, []string{category}) {
				t.Errorf("%s, %s: refused %v", typ, name, got)
			}
			for _, e := range w.events() {
				if raw, _ := json.Marshal(e); strings.Contains(string(raw), "PLANTED") {
					t.Errorf("%s, %s: stands in an event", typ, name)
				}
			}
			for _, v := range w.values() {
				if strings.Contains(strings.Join(v, " "), "PLANTED") {
					t.Errorf("%s, %s: is sealed in an event", typ, name)
				}
			}
		}
	}
}

// A number of a card or an account is withheld in whatever member of an event it stands, and an
// account that is told apart by one fails.
func TestNumbersOfPaymentsAreWithheld(t *testing.T) {
	for _, number := range []string{"4111 1111 1111 1111", "NL91 ABNA 0417 1643 00"} {
		held := func(w *world) bool {
			for _, v := range w.values() {
				if strings.Contains(strings.Join(v, " "), number[:4]) {
					return true
				}
			}
			return false
		}
		const account, message = cloudevents.Prefix + "billing.account.v1", cloudevents.Prefix + "support.message.v1"
		for _, e := range []object{
			withData(examples(t)[account], object{"paymentReference": "paid by " + number}),
			withData(examples(t)[account], object{"contact": object{"name": number, "email": "a@contoso.example"}}),
			withData(examples(t)[account], object{"iban": number}),
			withData(examples(t)[account], object{"cardNumber": object{"value": number}}),
			withData(examples(t)[message], object{"team": number}),
		} {
			w := newWorld(t, true)
			if s := w.importFiles(asFile(e)); s.Recorded != 1 || s.ValuesWithheld != 1 || held(w) {
				t.Errorf("%s in %v: %s", number, e["data"], asJSON(t, s))
			}
		}
		w := newWorld(t, true)
		s := w.importFiles(asFile(withData(examples(t)[account], object{"accountId": number})))
		if s.FailedCount != 1 || s.Failed[0].Field != "data.accountId" {
			t.Errorf("%s tells an account apart: %s", number, asJSON(t, s))
		}
	}
}
