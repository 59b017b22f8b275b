package intake

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/schemas"
)

// everyThing are the things that all forms tell of, and of each source of a declared kind a record
// of all that it tells: a kind that joins them is among these by what it declares.
func everyThing(t testing.TB) map[string]thing {
	all := things(t)
	for _, d := range resources(t) {
		for i := range d.Sources {
			r := recorder{t, d, &d.Sources[i]}
			all[r.s.Name] = thing{stream: r.kind(), forms: map[string]string{"Graph": asLine(written(r.record(1, 0)))},
				before: asLine(object{"@odata.type": "#microsoft.graph.managedDevice", "id": companyDevice(0),
					"managedDeviceOwnerType": "company"})}
		}
	}
	return all
}

// planter writes a text anew, by the name of the member that holds it.
type planter func(name, text string) string

// in writes the contents of a file anew.
func (p planter) in(content string) string {
	text := strings.TrimPrefix(content, "\xef\xbb\xbf")
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		var v any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			panic(err)
		}
		return asLine(p.value("", v))
	}
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(first, "#") {
		return first + "\n" + p.in(rest)
	}
	header, _, _ := strings.Cut(text, "\n")
	most := ','
	for _, separator := range ";\t" {
		if strings.Count(header, string(separator)) > strings.Count(header, string(most)) {
			most = separator
		}
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = most
	rows, err := r.ReadAll()
	if err != nil {
		panic(err)
	}
	for _, row := range rows[1:] {
		for i := range row {
			row[i] = p.text(rows[0][i], row[i])
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = most
	if err := w.WriteAll(rows); err != nil {
		panic(err)
	}
	return b.String()
}

// secretMember is a member that no source has, of a name that says it is a secret.
const secretMember = "localAdminPassword"

func (p planter) value(name string, v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for name, inner := range v {
			out[name] = p.value(name, inner)
		}
		if len(v) > 0 {
			out[secretMember] = p(secretMember, "")
		}
		return out
	case []any:
		out := make([]any, len(v))
		texts := len(v) > 0
		for i := range v {
			out[i] = p.value(name, v[i])
			_, text := v[i].(string)
			texts = texts && text
		}
		if texts {
			out = append(out, secretWord)
		}
		return out
	case string:
		return p.text(name, v)
	}
	return v
}

// text writes a text anew, unless it says of what form its record is, tells something apart, or is
// no text but a time, a number or a switch.
func (p planter) text(name, text string) string {
	_, isTime := record.ParseTime(text)
	_, isID := record.AsGUID(text)
	_, notNumber := strconv.ParseFloat(strings.Fields(text + " 0")[0], 64)
	switch strings.ToLower(name) {
	case "category", "type", "tablename", "url", "operationname", "tenantid", "sourcesystem", "id", "specversion",
		"datacontenttype":
		return text
	case "data_base64":
		data, _ := base64.StdEncoding.DecodeString(text)
		return base64.StdEncoding.EncodeToString([]byte(p.in(string(data))))
	case "source": // of an event: it is a URI
		return strings.ReplaceAll(p(name, text), " ", "/")
	}
	switch {
	case strings.HasPrefix(text, "{"):
		return p.in(text)
	case text == "", strings.HasPrefix(name, "@"), isTime, isID, notNumber == nil:
		return text
	case slices.Contains([]string{"true", "false", "yes", "no", "waar", "onwaar", "ja", "nee"}, strings.ToLower(text)):
		return text
	}
	if local, domain, is := strings.Cut(text, "@"); is { // it stays an address
		return strings.ReplaceAll(p(name, local), " ", ".") + "@" + domain
	}
	return p(name, text)
}

var anyGUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// Whatever stands in a text of a record, of any kind and in any form, stands open nowhere: in no
// name of a stream, no id, no metadata, no open value; nor does an id of the source's own, but
// where its attribute may stand open. What its name calls a secret is not kept, not even sealed.
func TestNothingThatIsPlantedInAnyFormStandsOpen(t *testing.T) {
	told := map[string]bool{}
	for name, thing := range everyThing(t) {
		w := newWorld(t, true)
		w.takeDiagnostics(policy.Kept)
		w.importPlanted(name, thing)
		for _, e := range w.own() {
			told[e.Stream.Kind()] = true
		}
		w.close()
	}
	for _, k := range kinds.All(schemas.Default()) {
		if !told[k.Stream()] {
			t.Errorf("no thing is of the kind %s: add one to things", k.Stream())
		}
	}
}

// importPlanted imports a thing in all its forms, with a mark in each of their texts, and looks
// for the marks.
func (w *world) importPlanted(name string, of thing) {
	planted, ids, recorded, hours := map[string]string{}, map[string]bool{}, 0, 0
	if of.before != "" {
		w.importToldAt(of.before)
	}
	for _, form := range slices.Sorted(maps.Keys(of.forms)) {
		for _, ownership := range []bool{false, true} { // planted there too, it says nothing
			hours++
			mark := word(name+form, hours)
			planted[mark] = name + ", " + form
			content := planter(func(member, text string) string {
				switch {
				case member == secretMember:
					return secretMark + mark
				case !ownership && strings.Contains(strings.ToLower(member), "owner"):
					return text
				}
				return text + " " + mark
			}).in(of.forms[form])
			for _, id := range anyGUID.FindAllString(content, -1) {
				ids[id] = true
			}
			s := w.importWith(map[string]string{"x": content}, Source{TakeNameless: true,
				Observed: toldAt.Add(time.Duration(hours) * time.Hour)})
			if recorded += s.Recorded; s.Read == 0 || !s.Balanced() {
				w.t.Errorf("%s, %s: %s", name, form, asJSON(w.t, s))
			}
		}
	}
	if recorded == 0 {
		w.t.Errorf("%s: nothing of it is recorded", name)
	}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		data := string(e.Data)
		for _, v := range d.Values {
			switch open := v.Token == "" && !v.Removed; {
			case open && !v.Attr.MayStandOpen(v.Plain):
				w.t.Errorf("a value of %s stands open in %s", v.Attr.ID, e.Type)
			case open && v.Attr.Key != schemas.KeyPerson && v.Attr.Shape.Kind == "product":
				// The name of a product, beside which nobody is told.
				data = strings.ReplaceAll(data, string(v.Plain), "")
			}
		}
		names := string(e.Stream) + " " + e.ID.String() + " " + string(e.Metadata)
		for id := range ids {
			if strings.Contains(names, id) {
				w.t.Errorf("%s: an id of the source's stands in the names of %s", name, e.Type)
			}
		}
		for _, mark := range anyMark.FindAllString(names+data, -1) {
			if form, is := planted[mark]; is {
				w.t.Errorf("what was planted in %s stands open in %s", form, e.Type)
			}
		}
	}
	if dump := w.dump(newLabels()); strings.Contains(dump, secretMark) || strings.Contains(dump, secretWord) {
		w.t.Errorf("%s: a secret is kept", name)
	}
}

// secretMark begins what is planted as a secret, secretWord is one by its shape, in each list of
// texts; anyMark is what word makes.
const (
	secretMark = "Hk7-"
	secretWord = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
)

var anyMark = regexp.MustCompile(`cny[bcdfghjkmnprstvw]{9}`)
