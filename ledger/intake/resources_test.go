package intake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/schemas"
)

// What holds of every kind that package resource makes: a kind that joins the list of kinds is
// tested here by what it declares.

// spreads are examples of what lists hold that are spread by the kind's own code, by attribute.
var spreads = map[string]func(v int) any{
	"role.permission": func(v int) any {
		return []any{object{"resourceActions": []any{object{
			"allowedResourceActions":    []any{word("allowed", v), word("allowed", v+10)},
			"notAllowedResourceActions": []any{word("not allowed", v)}}}}}
	},
	"role.member": someIDs, "role.scope-member": someIDs, "role.resource-scope": someIDs, "role.scope-tag": someIDs,
	"connector.target-group": someIDs,
	"configuration.scheduled-action": func(v int) any {
		return []any{object{"ruleName": word("rule", v), "scheduledActionConfigurations": []any{object{
			"id": guid(73, 2*v), "actionType": word("action", v), "gracePeriodHours": 20 + v}}}}
	},
}

func someIDs(v int) any { return []any{guid(73, 2*v), guid(73, 2*v+1)} }

// resources returns what each kind made by package resource was made of.
func resources(t testing.TB) (out []resource.Declaration) {
	t.Helper()
	for _, k := range kinds.All(schemas.Default()) {
		if d, ok := resource.Of(k); ok {
			out = append(out, d)
		}
	}
	if len(out) == 0 {
		t.Fatal("there are none")
	}
	return out
}

// eachSource runs a test for each source of each kind.
func eachSource(t *testing.T, f func(t *testing.T, r recorder)) {
	for _, d := range resources(t) {
		for i := range d.Sources {
			t.Run(d.Sources[i].Name, func(t *testing.T) { f(t, recorder{t, d, &d.Sources[i]}) })
		}
	}
}

// recorder writes records as a source of a kind does, by what the kind declares.
type recorder struct {
	t interface{ Fatalf(string, ...any) }
	d resource.Declaration
	s *resource.Source
}

type object = map[string]any

// word is a text that stands for nothing else, differs by what it is of, and is no secret.
func word(of string, v int) string {
	h := uint64(14695981039346656037)
	for _, c := range fmt.Sprint(of, v) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	b := []byte("cny")
	for range 9 {
		b, h = append(b, "bcdfghjkmnprstvw"[h%16]), h/16
	}
	return string(b)
}

// value returns a value of the attribute, as Graph would write it; another for each v, where it
// has so many.
func (r recorder) value(a *schemas.Attribute, v int) any {
	switch {
	case a.Type == "bool":
		return v%2 == 0
	case a.Type == "number", a.Type == "bytes":
		return 10 + v
	case a.Type == "time":
		return propertyStart.AddDate(0, -6, v).Format(time.RFC3339)
	case a.Shape != nil:
		switch a.Shape.Kind {
		case "enum":
			return a.Shape.Values[v%len(a.Shape.Values)]
		case "product":
			return "Sample " + word(a.ID, v)
		case "version":
			return fmt.Sprintf("3.%d.1", v)
		}
	}
	switch a.Form {
	case "address":
		return word(a.ID, v) + "@contoso.example"
	case "guid":
		return guid(71, v+1)
	case "phone":
		return fmt.Sprintf("+3161234%04d", v)
	case "text", "name", "code", "product":
		return word(a.ID, v)
	}
	r.t.Fatalf("%s: no value of %s %s is known here", a.ID, a.Type, a.Form)
	return nil
}

// types are the types of Graph that its records may be of.
func (r recorder) types() []string { return r.s.ODataTypes }

// thing is the id of thing n.
func (r recorder) thing(n int) string { return guid(70, n) }

// record writes all that the source tells of thing n, in values that differ by v.
func (r recorder) record(n, v int) object {
	c := schemas.Default()
	out := object{ofEvent: r.s.Event}
	if r.s.Event == "" {
		out = object{"@odata.type": "#microsoft.graph." + r.types()[0]}
	}
	told := map[string]bool{r.s.Parent: true}
	table := func(to object, of []entity.Mapping) {
		for _, m := range of {
			switch {
			case m.Attr == r.s.Parent && m.Field == "id":
				to["id"] = guid(79, n)
			case told[m.Attr], m.Attr == r.d.DeletedAt:
			case m.Attr == r.d.Identity:
				to[m.Field] = r.thing(n)
			case m.Attr == r.s.AppsOn:
				to[m.Field] = companyDevice(v)
			case m.Field == "@odata.type":
				to[m.Field] = "#microsoft.graph." + r.types()[v%len(r.types())]
			default:
				to[m.Field] = r.value(c.MustAttribute(m.Attr), v)
			}
			told[m.Attr] = true
		}
	}
	table(out, r.s.Table)
	for _, o := range r.s.Objects {
		inner := object{}
		table(inner, o.Table)
		out[o.Field] = inner
	}
	for i := range r.s.Lists {
		r.list(out, &r.s.Lists[i], v)
	}
	if rest := r.s.Rest(); rest != nil {
		out["settingA"] = word("setting", v)
		if rest.Entry != "" {
			out["settingDefinitionId"] = "device_vendor_msft_b"
		}
		for _, name := range append(rest.Whole, "settingB") {
			if out[name] == nil {
				out[name] = []any{object{"settingDefinitionId": "device_vendor_msft_a", "on": v%2 == 0,
					"value": word(name+"value", v)}}
			}
		}
		for _, name := range slices.Concat(r.s.Members...) { // of settings
			if out[name] == nil {
				out[name] = v%2 == 0
			}
		}
	}
	if r.s.Parent != "" {
		collection, parent := r.s.Collection, r.thing(n)
		if r.s.Parent != r.d.Identity {
			parent = guid(78, v+1)
			if len(r.s.Collections) > 0 {
				collection = r.s.Collections[0]
			}
		}
		of, in, _ := strings.Cut(collection, "/")
		out["@odata.context"] = graphBase + "deviceManagement/" + of + "('" + parent + "')/" + in + "/$entity"
	}
	return out
}

const graphBase = "https://graph.microsoft.com/beta/$metadata#"

// list writes a list of two entries.
func (r recorder) list(out object, l *resource.List, v int) {
	switch {
	case l.Rest != nil:
	case l.Spread != nil && spreads[l.Attr] == nil:
		r.t.Fatalf("spreads has no example of %s", l.Attr)
	case l.Spread != nil:
		out[l.Field] = spreads[l.Attr](v)
	case l.Members == nil:
		a := schemas.Default().MustAttribute(l.Attr)
		out[l.Field] = []any{r.value(a, 2*v), r.value(a, 2*v+1)}
	case l.Field == "":
		r.entry(out, l, v)
	default:
		first, second := object{}, object{}
		r.entry(first, l, 2*v)
		r.entry(second, l, 2*v+1)
		out[l.Field] = []any{first, second}
	}
}

// entry writes an entry's members.
func (r recorder) entry(to object, l *resource.List, v int) {
	for _, m := range l.Members {
		in, path := to, strings.Split(strings.Replace(m.Field, "@odata.type", "@odata-type", 1), ".")
		for _, p := range path[:len(path)-1] {
			inner, ok := in[p].(object)
			if !ok {
				inner = object{}
				in[p] = inner
			}
			in = inner
		}
		name := strings.Replace(path[len(path)-1], "@odata-type", "@odata.type", 1)
		of := l.Attr + m.Name
		if l.Field == "" && slices.Contains(l.Key, m.Name) { // always of one entry
			in[name] = guid(72, 1)
			continue
		}
		switch m.As {
		case resource.ID, resource.GUID:
			in[name] = guid(72+len(of)%7, v+1)
		case resource.Type:
			in[name] = "#microsoft.graph." + word(of, v)
		case resource.Time:
			in[name] = propertyStart.AddDate(0, -6, v).Format(time.RFC3339)
		case resource.Number:
			in[name] = 20 + v
		case resource.Switch:
			in[name] = v%2 == 0
		case resource.Words:
			in[name] = []any{word(of, v), word(of+"2", v)}
		default:
			in[name] = word(of, v)
		}
	}
}

// companyDevice is the id of a device that take makes known where a record tells of its apps.
func companyDevice(v int) string { return guid(77, v) }

var isCompanyDevice = regexp.MustCompile(`"00000077-[0-9-]{27}"`)

// ofEvent is how a record here says of which type of event it is the data.
const ofEvent = "@event"

// written is the record as its source writes it: in an event, where it is the data of one.
func written(rec object) object {
	typ, is := rec[ofEvent].(string)
	if !is {
		return rec
	}
	data := maps.Clone(rec)
	delete(data, ofEvent)
	return object{"specversion": "1.0", "id": "1", "source": "/tests", "type": cloudevents.Prefix + typ, "data": data}
}

// take imports records as one export of that many days after the tests begin.
func (w *world) take(day int, records ...object) Summary {
	w.t.Helper()
	var b strings.Builder
	for _, id := range isCompanyDevice.FindAllString(asLine(records), -1) {
		w.importObserved(0, `{"@odata.type":"#microsoft.graph.managedDevice","managedDeviceOwnerType":"company","id":`+
			id+"}")
	}
	for _, r := range records {
		b.WriteString(asLine(written(r)) + "\n")
	}
	return w.importObserved(day, b.String())
}

// toldOf returns the types of a kind's events, behind the first so many, and the attributes that
// they set and remove, the entries of a list once.
func (w *world) toldOf(kind string, behind int) (types []string, set, unset []string) {
	w.t.Helper()
	for _, e := range w.own() {
		if e.Stream.Kind() != kind {
			continue
		}
		if behind--; behind >= 0 {
			continue
		}
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		types = append(types, d.Type.Name)
		for _, v := range d.Values {
			if v.Removed {
				unset = append(unset, v.Attr.ID)
			} else {
				set = append(set, v.Attr.ID)
			}
		}
	}
	slices.Sort(set)
	slices.Sort(unset)
	return types, slices.Compact(set), slices.Compact(unset)
}

func (w *world) countOf(kind string) int {
	types, _, _ := w.toldOf(kind, 0)
	return len(types)
}

// attributes are all that a full record of the source tells.
func (r recorder) attributes() (out []string) {
	if r.s.Parent != "" {
		out = append(out, r.s.Parent)
	}
	tables := [][]entity.Mapping{r.s.Table}
	for _, o := range r.s.Objects {
		tables = append(tables, o.Table)
	}
	for _, t := range tables {
		for _, m := range t {
			out = append(out, m.Attr)
		}
	}
	for _, l := range r.s.Lists {
		out = append(out, l.Attr)
	}
	for _, c := range r.s.Says {
		out = append(out, c.Attr)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(a string) bool { return a == r.d.DeletedAt })
}

func (r recorder) kind() string { return schemas.Default().MustType(r.d.Observed).Kind() }

// A thing is followed: seen, seen again, changed field by field; what a record leaves out stays,
// what it says is empty goes, and an older record changes nothing.
func TestAResourceIsFollowed(t *testing.T) {
	eachSource(t, func(t *testing.T, r recorder) {
		w, kind := newWorld(t, false), r.kind()
		s := w.take(0, r.record(1, 0))
		types, set, _ := w.toldOf(kind, 0)
		if s.Recorded != 1 || !slices.Equal(types, []string{r.d.Observed}) || !slices.Equal(set, r.attributes()) {
			t.Fatalf("first sight told %v, %v; want %v: %s", types, set, r.attributes(), asJSON(t, s))
		}
		if len(s.UnknownFields) > 0 {
			t.Errorf("fields that it should know: %v", s.UnknownFields)
		}
		if s = w.take(0, r.record(1, 0)); s.Unchanged != 1 || s.EventsAppended != 0 {
			t.Errorf("the same again: %s", asJSON(t, s))
		}
		day, now := 0, r.record(1, 0)
		step := func(what string, wantSet, wantUnset []string) {
			t.Helper()
			day++
			before := w.countOf(kind)
			s := w.take(day, now)
			types, set, unset := w.toldOf(kind, before)
			if s.FailedCount > 0 || !slices.Equal(set, wantSet) || !slices.Equal(unset, wantUnset) ||
				len(wantSet)+len(wantUnset) > 0 && !slices.Equal(types, []string{r.d.Changed}) {
				t.Errorf("%s: %v set %v and unset %v, want %v and %v: %s", what, types, set, unset, wantSet, wantUnset,
					asJSON(t, s))
			}
		}
		other := r.record(1, 1)
		for _, m := range r.s.Table {
			_, told := now[m.Field]
			if !told || m.Attr == r.d.Identity || asLine(now[m.Field]) == asLine(other[m.Field]) {
				continue
			}
			now[m.Field] = other[m.Field]
			if with := r.movesWith(m.Attr); len(with) > 1 {
				day++
				before := w.countOf(kind)
				s := w.take(day, now)
				types, set, unset := w.toldOf(kind, before)
				if s.FailedCount > 0 || !slices.Equal(set, with) || len(unset) > 0 ||
					!slices.Equal(types, []string{r.d.Restated, r.d.Changed}) {
					t.Errorf("%s, of somebody else now: %v set %v and unset %v, want %v", m.Field, types, set, unset,
						with)
				}
				continue
			}
			step(m.Field+" changed", []string{m.Attr}, nil)
		}
		for _, l := range r.s.Lists {
			if l.Field == "" {
				continue
			}
			had := now[l.Field]
			delete(now, l.Field)
			step(l.Field+" left out", nil, nil)
			now[l.Field] = []any{}
			step(l.Field+" emptied", nil, []string{l.Attr})
			now[l.Field] = had
			step(l.Field+" back", []string{l.Attr}, nil)
		}
		for _, m := range r.s.Table {
			if m.Attr != r.d.Identity && m.Field != "@odata.type" {
				delete(now, m.Field)
			}
		}
		step("all left out", nil, nil)
		before := w.countOf(kind)
		if s = w.take(0, r.record(1, 2)); s.Superseded != 1 || w.countOf(kind) != before {
			t.Errorf("an older record: %s", asJSON(t, s))
		}
		if s = w.take(day, r.record(2, 0)); s.Recorded != 1 || len(w.streams(kind)) != 2 {
			t.Errorf("another thing: %d streams, %s", len(w.streams(kind)), asJSON(t, s))
		}
	})
}

// movesWith returns the attributes that a record tells of the person whom that attribute names, as
// those are sealed under their key: itself alone where it names nobody.
func (r recorder) movesWith(attr string) []string {
	at := slices.IndexFunc(r.d.Persons, func(p resource.Person) bool { return p.Attr == attr && p.By != 0 })
	if at < 0 {
		return []string{attr}
	}
	of := r.d.Persons[at]
	told := map[string]bool{}
	for _, table := range append([][]entity.Mapping{r.s.Table}, r.objectTables()...) {
		for _, m := range table {
			told[m.Attr] = true
		}
	}
	var out []string
	for _, p := range r.d.Persons {
		if p.Of == of.Of && told[p.Attr] {
			if p.By == resource.ByID && of.By != resource.ByID {
				return []string{attr} // another name of the same person
			}
			out = append(out, p.Attr)
		}
	}
	slices.Sort(out)
	return out
}

func (r recorder) objectTables() (out [][]entity.Mapping) {
	for _, o := range r.s.Objects {
		out = append(out, o.Table)
	}
	return out
}

// without leaves fields out of a record by chance, but for one setting: a list that is told whole
// and empty where none is held leaves no trace, so that an older record behind it brings its
// entries.
func (r recorder) without(t *rapid.T, rec object) object {
	for _, name := range slices.Sorted(maps.Keys(rec)) {
		if name == "settingA" {
			continue
		}
		identity := slices.ContainsFunc(r.s.Table, func(m entity.Mapping) bool {
			return m.Field == name && m.Attr == r.d.Identity
		})
		if !identity && !strings.HasPrefix(name, "@") && rapid.IntRange(0, 3).Draw(t, name) == 0 {
			delete(rec, name)
		}
	}
	return rec
}

// stateOf is what the ledger says of a kind's things, without random ids.
func (w *world) stateOf(kind string) string {
	w.t.Helper()
	var out []string
	for s := range w.streams(kind) {
		u, err := w.intake().foldFrom(w.tenant.ID, newLeftOut(w.config.Logger), s, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		st := u.state.Content.(*entity.State)
		var lines []string
		for a, h := range st.Values() {
			lines = append(lines, fmt.Sprintf("%s = %s none=%v", a.ID, h.Plain, h.None))
		}
		for a, e := range st.Entries() {
			lines = append(lines, fmt.Sprintf("%s[] = %s", a.ID, e.Plain))
		}
		slices.Sort(lines)
		out = append(out, strings.Join(lines, "\n"))
	}
	slices.Sort(out)
	return strings.Join(out, "\n\n")
}

// isPart reports whether records of the source are entries of a list of the thing's.
func isPart(s *resource.Source) bool {
	return slices.ContainsFunc(s.Lists, func(l resource.List) bool {
		return l.Field == "" && (l.Rest == nil || l.Rest.Entry != "")
	})
}

// In whatever order the records of one thing come in, by all its sources, the newest decides; and
// told again in any order they tell nothing.
func TestResourcesEndAlikeInAnyOrder(t *testing.T) {
	for _, d := range resources(t) {
		kind := schemas.Default().MustType(d.Observed).Kind()
		// A list has one moment: behind a newer part of it, an older whole is late.
		whole := slices.DeleteFunc(slices.Clone(d.Sources), func(s resource.Source) bool { return isPart(&s) })
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				type export struct {
					day int
					rec object
				}
				var all []export
				for day := range rapid.IntRange(2, 5).Draw(rt, "exports") {
					r := recorder{rt, d, &whole[rapid.IntRange(0, len(whole)-1).Draw(rt, "source")]}
					rec := r.record(rapid.IntRange(1, 2).Draw(rt, "thing"), rapid.IntRange(0, 3).Draw(rt, "values"))
					all = append(all, export{day, r.without(rt, rec)})
				}
				come := func(w *world, in []export) (events int) {
					for _, e := range in {
						s := w.take(e.day, e.rec)
						if s.FailedCount > 0 {
							rt.Fatalf("failed: %s", asJSON(t, s))
						}
						events += s.EventsAppended
					}
					return events
				}
				sorted, mixed := newWorld(t, false), newWorld(t, false)
				defer sorted.close()
				defer mixed.close()
				sorted.unlimited, mixed.unlimited = true, true
				come(sorted, all)
				come(mixed, rapid.Permutation(all).Draw(rt, "order"))
				if a, b := sorted.stateOf(kind), mixed.stateOf(kind); a != b {
					rt.Fatalf("in order:\n%s\nmixed:\n%s", a, b)
				}
				for _, w := range []*world{sorted, mixed} {
					if n := come(w, rapid.Permutation(all).Draw(rt, "again")); n != 0 {
						rt.Fatalf("told again: %d events\n%s", n, w.dump(newLabels()))
					}
				}
			})
		})
	}
}

// Nothing of a record but values of a declared shape stands open, anywhere; of what is withheld
// and of what is left out nothing stands anywhere, not even sealed.
func TestAResourceHidesWhatItHolds(t *testing.T) {
	const secret = "Hk7-canary-of-a-secret"
	eachSource(t, func(t *testing.T, r recorder) {
		w := newWorld(t, false)
		rec := r.record(1, 0)
		for i, s := range r.s.Withheld {
			rec[s.Field] = []any{secret, object{"value": secret}, []any{secret}}[i%3]
		}
		for _, f := range r.s.Left {
			rec[f] = object{"type": "image/png", "value": secret}
		}
		unknown := 0
		if r.s.Rest() == nil { // else it is a setting
			rec["aNewField"] = secret
			unknown = 1
		}
		s := w.take(0, rec)
		name := "aNewField"
		if r.s.Event != "" {
			name = "data." + name
		}
		if s.Recorded != 1 || s.ValuesWithheld != len(r.s.Withheld) || s.UnknownFields[name] != unknown ||
			len(s.UnknownFields) != unknown {
			t.Fatalf("%d withheld, want %d: %s", s.ValuesWithheld, len(r.s.Withheld), asJSON(t, s))
		}
		if dump := w.dump(newLabels()); strings.Contains(dump, secret) {
			t.Errorf("a secret is kept:\n%s", dump)
		}
		open := map[string]bool{}
		for _, e := range w.own() {
			d, err := schemas.Default().Decode(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range d.Values {
				if v.Token == "" && !v.Removed {
					open[strings.Trim(string(v.Plain), `"`)] = true
					if !v.Attr.MayStandOpen(v.Plain) {
						t.Errorf("%s stands open as %s", v.Attr.ID, v.Plain)
					}
				}
			}
			for text := range texts(rec) {
				place := string(e.Stream) + string(e.Metadata) + string(e.Data)
				if !open[text] && strings.Contains(place, text) {
					t.Errorf("%q stands open in %s", text, place)
				}
			}
		}
	})
}

// texts yields the texts in a record that could be of somebody or something.
func texts(v any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		switch v := v.(type) {
		case object:
			for _, x := range v {
				for s := range texts(x) {
					if !yield(s) {
						return
					}
				}
			}
		case []any:
			for _, x := range v {
				for s := range texts(x) {
					if !yield(s) {
						return
					}
				}
			}
		case string:
			if v = strings.TrimPrefix(v, "#microsoft.graph."); len(v) > 6 {
				yield(v)
			}
		}
	}
}

// odd are values that no source should write.
var odd = []any{nil, "", "  ", 0, -1, 1e300, 12345678901234567, true, []any{}, object{}, []any{nil}, []any{[]any{1}},
	object{"a": object{"b": 1}}, strings.Repeat("long ", 9000), "@{id=1; name=2}", "System.Object[]",
	"unknownFutureValue",
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl", "-----BEGIN PRIVATE KEY-----", "\u0000\u202e", "[1,2]",
	`{"id":"x"}`, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1/13/2026"}

// Whatever stands in a field, alone or in a list, the record goes in or fails by that field; what
// betrays a secret is not kept; and told again it tells nothing.
func TestOddValuesOfAResourceAreToldByField(t *testing.T) {
	eachSource(t, func(t *testing.T, r recorder) {
		full := r.record(1, 0)
		var names []string
		for name := range full {
			if !strings.HasPrefix(name, "@") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		rapid.Check(t, func(rt *rapid.T) {
			w := newWorld(t, false)
			defer w.close()
			rec := r.record(1, 0)
			name := rapid.SampledFrom(names).Draw(rt, "field")
			value := rapid.SampledFrom(odd).Draw(rt, "value")
			switch entries, is := rec[name].([]any); {
			case is && rapid.Bool().Draw(rt, "inside"):
				entries[0] = value
				if e, ok := entries[len(entries)-1].(object); ok && len(e) > 0 {
					of := rapid.SampledFrom(slices.Sorted(maps.Keys(e))).Draw(rt, "member")
					entries[0] = maps.Clone(e)
					entries[0].(object)[of] = value
				}
			default:
				rec[name] = value
			}
			s := w.take(0, rec)
			if s.Recorded+s.FailedCount+s.Refused[plan.RulePersonalApps] != 1 {
				rt.Fatalf("%s", asJSON(t, s))
			}
			if s.FailedCount == 1 && !strings.HasPrefix(strings.TrimPrefix(s.Failed[0].Field, "data."), name) {
				rt.Fatalf("%s = %v failed as %+v", name, value, s.Failed[0])
			}
			if dump := w.dump(newLabels()); strings.Contains(dump, "eyJ") || strings.Contains(dump, "PRIVATE KEY") {
				rt.Fatalf("%s = %v: a secret is kept:\n%s", name, value, dump)
			}
			if s = w.take(0, rec); s.EventsAppended != 0 {
				rt.Fatalf("%s = %v told again: %s", name, value, asJSON(t, s))
			}
		})
	})
}

// sdkForm writes a record as PowerShell's SDK does: names with a capital, and what it has no
// member for beside them.
func sdkForm(v any) any {
	switch v := v.(type) {
	case object:
		out, more := object{}, object{}
		for name, x := range v {
			switch {
			case strings.HasPrefix(name, "@odata.type"):
				more[name] = x
			case !strings.HasPrefix(name, "@"):
				out[string(unicode.ToUpper(rune(name[0])))+name[1:]] = sdkForm(x)
			}
		}
		if len(more) > 0 {
			out["AdditionalProperties"] = more
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = sdkForm(v[i])
		}
		return out
	}
	return v
}

// One record as Graph answers it, on a page and by itself, and as PowerShell's SDK writes it, is
// one.
func TestAResourceIsOneInEachForm(t *testing.T) {
	eachSource(t, func(t *testing.T, r recorder) {
		w := newWorld(t, false)
		rec := r.record(1, 0)
		context, own := rec["@odata.context"].(string)
		if !own {
			context = graphBase + "deviceManagement/" + r.s.Collection
		}
		forms := map[string]any{"by itself": written(rec), "in a list": []any{written(rec)}}
		if r.s.Collection != "" {
			forms["on a page"] = object{"@odata.context": strings.TrimSuffix(context, "/$entity"), "value": []any{rec}}
			forms["documented"] = object{"@odata.context": strings.TrimSuffix(context, "/$entity"), "value": rec}
		}
		if len(r.s.SDK) > 0 && !own {
			forms["SDK"] = sdkForm(rec)
		}
		if r.s.Event != "" {
			encoded := written(rec)
			encoded["data_base64"] = base64.StdEncoding.EncodeToString([]byte(asLine(encoded["data"])))
			delete(encoded, "data")
			forms["in base64"] = encoded
		}
		if s := w.take(0, rec); s.Recorded != 1 {
			t.Fatalf("first sight: %s", asJSON(t, s))
		}
		for what, form := range forms {
			if s := w.importObserved(0, asLine(form)+"\n"); s.Unchanged != 1 || s.Read != 1 {
				t.Errorf("%s: %s", what, asJSON(t, s))
			}
		}
		whole := maps.Clone(rec)
		delete(whole, "@odata.type")
		delete(whole, "@odata.context")
		for _, set := range r.s.Members {
			if s := w.take(0, whole); s.Unchanged != 1 && !own || len(set) == 0 {
				t.Errorf("by its members: %s", asJSON(t, s))
			}
		}
	})
}

// What cannot be told from another fails by field.
func TestAResourceWithoutIdentityFails(t *testing.T) {
	eachSource(t, func(t *testing.T, r recorder) {
		rec := r.record(1, 0)
		for _, m := range r.s.Table {
			if m.Attr == r.d.Identity {
				delete(rec, m.Field)
			}
		}
		delete(rec, "@odata.context")
		s := newWorld(t, false).take(0, rec)
		if s.FailedCount != 1 || s.Failed[0].Field == "" {
			t.Errorf("%s", asJSON(t, s))
		}
	})
}

// A declaration holds together: what it names is in its types, and each entry can be told apart.
func TestDeclarationsHoldTogether(t *testing.T) {
	c := schemas.Default()
	for _, d := range resources(t) {
		whole := c.MustType(d.Restated)
		roles := map[string]bool{}
		for _, r := range whole.Roles {
			roles[r.Role] = true
		}
		if len(roles) > 1 {
			t.Errorf("%s names persons in %d roles: one is for all of them", d.Restated, len(roles))
		}
		for _, name := range []string{d.Observed, d.Changed} {
			if got, want := c.MustType(name).Attributes(), whole.Attributes(); !slices.Equal(got, want) {
				t.Errorf("%s has not the attributes of %s", name, d.Restated)
			}
		}
		told := map[string]bool{}
		for i := range d.Sources {
			r := recorder{t, d, &d.Sources[i]}
			for _, a := range r.attributes() {
				told[a] = true
			}
			for _, s := range r.s.Withheld {
				told[s.Attr] = true
			}
			for _, l := range r.s.Lists {
				for _, k := range l.Key {
					if !slices.ContainsFunc(l.Members, func(m resource.Member) bool { return m.Name == k }) {
						t.Errorf("%s: %s has no member %s", r.s.Name, l.Attr, k)
					}
				}
				if len(l.Members) > 0 && len(l.Key) == 0 {
					t.Errorf("%s: nothing tells entries of %s apart", r.s.Name, l.Attr)
				}
			}
		}
		for _, a := range whole.Attributes() {
			if !told[a.ID] && a.ID != d.DeletedAt {
				t.Errorf("no source of %s tells %s", d.Observed, a.ID)
			}
		}
		for a := range told {
			if a != "" && !whole.Has(c.MustAttribute(a)) {
				t.Errorf("%s cannot hold %s", d.Restated, a)
			}
		}
	}
}
