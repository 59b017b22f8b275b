package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// neverPlants are members that bring what is never collected, by category: by name, as an
// attachment, by MIME type, by content.
var neverPlants = map[string][]string{
	"calls":    {`"callHistory":[{"with":"PLANTED"}]`},
	"browsing": {`"browsing_history":{"at":"PLANTED"}`},
	"email": {`"note":"From: a@example.com\nTo: b@example.com\nSubject: PLANTED"`,
		`"x":{"contentType":"message/rfc822","body":"PLANTED"}`},
	"messages": {`"smsMessages":["PLANTED"]`},
	"contacts": {`"contacts":[{"name":"PLANTED"}]`, `"x":"BEGIN:VCARD\nFN:PLANTED"`,
		`"x":"{\"AddressBook\":\"PLANTED\"}"`},
	"passwords": {`"savedPasswords":{"PLANTED":"PLANTED"}`},
	"calendar":  {`"calendarEvents":["PLANTED"]`, `"x":{"mimeType":"text/calendar","value":"PLANTED"}`},
	"photos": {`"photo":"PLANTED"`, `"x":{"type":"image/jpeg","value":"PLANTED"}`,
		`"x":"data:image/png;base64,PLANTED"`},
	"files":    {`"attachments":[{"name":"PLANTED","contentBytes":"UExBTlRFRA"}]`},
	"location": {`"deviceLocation":{"latitude":"PLANTED"}`, `"x":"PLANTED at 52.370216, 4.895168"`},
}

// neverBearers are records of each kind and form, with a place for members.
func neverBearers(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"user": strings.Replace(user(1, nil), "{", "{%s,", 1)}
	for _, doc := range fleetForms(t, 5) {
		text, name := string(doc), ""
		switch {
		case strings.Contains(text, `"category":"Devices"`):
			name, text = "device row", strings.Replace(text, `"properties":{`, `"properties":{%s,`, 1)
		case strings.Contains(text, `"category":"AuditLogs"`):
			name, text = "audit row", strings.Replace(text, `"properties":{`, `"properties":{%s,`, 1)
		case strings.Contains(text, "#deviceManagement/managedDevices/$entity"):
			name, text = "device", strings.Replace(text, "{", "{%s,", 1)
		case strings.Contains(text, "#deviceManagement/managedDevices"):
			name, text = "device page", strings.Replace(text, `"value":[{`, `"value":[{%s,`, 1)
		case strings.Contains(text, "activityDateTime"):
			name, text = "audit page", strings.Replace(text, `"value":[{`, `"value":[{%s,`, 1)
		}
		if name != "" && strings.Contains(text, "%s") {
			out[name] = text
		}
	}
	for typ, e := range examples(t) {
		out[typ] = strings.Replace(asLine(e), `"data":{`, `"data":{%s,`, 1)
	}
	if len(out) < 5 {
		t.Fatalf("bearers are %v", slices.Sorted(maps.Keys(out)))
	}
	return out
}

// refusedOf returns the categories of the tenant's refusals by rule.
func (w *world) refusedOf() (out []string) {
	w.t.Helper()
	for _, e := range w.own() {
		if e.Stream.Kind() != "refusal" {
			continue
		}
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			if v.Attr.ID == "refusal.category" {
				out = append(out, strings.Trim(string(v.Plain), `"`))
			}
		}
	}
	return out
}

// Whatever kind and form a record is of, what is never collected in it is refused and counted, is
// in no event, and costs the record nothing else.
func TestWhatIsNeverCollectedIsRefusedInEveryForm(t *testing.T) {
	for name, bearer := range neverBearers(t) {
		t.Run(name, func(t *testing.T) {
			clean := newWorld(t, true)
			clean.takeDiagnostics(policy.Kept)
			before := clean.importFiles(map[string]string{"a.json": strings.Replace(bearer, "%s,", "", 1)})
			for category, plants := range neverPlants {
				for _, plant := range plants {
					w := newWorld(t, true)
					w.takeDiagnostics(policy.Kept)
					file := map[string]string{"a.json": strings.Replace(bearer, "%s", plant, 1)}
					s := w.importFiles(file)
					if s.FailedCount > 0 || s.Recorded != before.Recorded {
						t.Errorf("%s: %d recorded instead of %d, failed %v", plant, s.Recorded, before.Recorded,
							s.Failed)
					}
					if got := w.refusedOf(); !slices.Equal(got, []string{category}) {
						t.Errorf("%s: refused %v", plant, got)
					}
					for _, v := range w.values() {
						if strings.Contains(strings.Join(v, " "), "PLANTED") {
							t.Errorf("%s: stands in an event: %v", plant, v)
						}
					}
					for _, e := range w.events() {
						if raw, _ := json.Marshal(e); strings.Contains(string(raw), "PLANTED") {
							t.Errorf("%s: stands in an event", plant)
						}
					}
					n := len(w.events())
					if w.importFiles(file); len(w.events()) != n {
						t.Errorf("%s: told again, %d further events", plant, len(w.events())-n)
					}
				}
			}
		})
	}
}

// A record that is such a thing as a whole is refused whole, once, and nothing of it is read.
func TestARecordOfWhatIsNeverCollectedIsRefusedWhole(t *testing.T) {
	for resource, category := range map[string]string{"contacts": "contacts", "messages": "email",
		"callRecords": "calls", "events": "calendar", "photos": "photos", "driveItem": "files"} {
		w := newWorld(t, true)
		file := map[string]string{"a.json": fmt.Sprintf(
			`{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users('x')/%s",`+
				`"value":[{"id":"1","a":"PLANTED"}]}`, resource)}
		s := w.importFiles(file)
		if len(s.Refused) != 1 || s.Read != 1 || !slices.Equal(w.refusedOf(), []string{category}) {
			t.Errorf("%s: %+v, refused %v", resource, s.Refused, w.refusedOf())
		}
		n := len(w.events())
		if s = w.importFiles(file); len(w.events()) != n || len(s.Refused) != 1 {
			t.Errorf("%s: told again, %d further events, %v", resource, len(w.events())-n, s.Refused)
		}
	}
	for category := range neverPlants {
		if !slices.ContainsFunc(catalogue.Default().Items(), func(i *catalogue.Item) bool {
			return slices.Contains(i.Categories, category)
		}) {
			t.Errorf("%s is of no item", category)
		}
	}
}
