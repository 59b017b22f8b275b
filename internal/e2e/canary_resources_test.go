//go:build canary

package e2e

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/intake/occurrence"
	"github.com/ledgerline/ledgerline/ledger/intake/resource"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/schemas"
)

// declared are the kinds that are declared as data: what they declare says what records to write.
// Those whose things are a person's have records of their own.
func declared() (out []resource.Declaration) {
	for _, k := range kinds.All(schemas.Default()) {
		if d, ok := resource.Of(k); ok && d.Whose == (resource.Whose{}) {
			out = append(out, d)
		}
	}
	return out
}

// happened are the kinds of what happened once that are declared as data.
func happened() (out []occurrence.Declaration) {
	for _, k := range kinds.All(schemas.Default()) {
		if d, ok := occurrence.Of(k); ok {
			out = append(out, d)
		}
	}
	return out
}

// event is a CloudEvent of that type.
func (w *canaryWorld) event(typ string, data object) object {
	return object{"specversion": "1.0", "id": w.word(native, typ+" id").text,
		"source": "https://" + w.word(native, typ+" source").text + ".example", "type": cloudevents.Prefix + typ,
		"subject": w.word(never, typ+" subject").text, "time": "2026-01-02T03:04:05Z",
		"extension": w.word(never, typ+" extension").text, "data": data}
}

// occurrence writes an event with a canary in every member. Of a kind that the tenant's policy
// keeps out none may be stored.
func (w *canaryWorld) occurrence(d occurrence.Declaration, s *occurrence.Source) object {
	data := object{"aNewField": w.word(never, s.Name+" unknown field").text}
	for name := range s.Never {
		data[name] = w.word(never, s.Name+" "+name).text
	}
	for _, m := range s.Table {
		if d.Optional != nil {
			data[m.Field] = w.word(never, s.Name+" "+m.Field).text
		} else {
			data[m.Field] = w.word(tenants, s.Name+" "+m.Field).of(m.Attr)
		}
	}
	if d.Optional == nil {
		data[s.Whose.UPN] = w.admin.upn.text + canaryDomain
	}
	return w.event(s.Event, data)
}

// excused are the attributes of declared kinds that no field reaches with a value of the source's
// own choice, and why.
func excused() map[string]string {
	out := map[string]string{}
	for _, d := range declared() {
		for _, a := range schemas.Default().MustType(d.Restated).Attributes() {
			if a.Type == "time" && a.Shape != nil {
				out[a.ID] = "a time, which stands open"
			}
		}
		for _, s := range d.Sources {
			for _, w := range s.Withheld {
				out[w.Attr] = "our own note that a secret was there"
			}
			for _, c := range s.Says {
				out[c.Attr] = "our own word"
			}
		}
	}
	for _, d := range happened() {
		for _, a := range schemas.Default().MustType(d.Recorded).Attributes() {
			if d.Optional != nil {
				out[a.ID] = "the policy keeps them out here; what is let in is a test of intake's"
			}
		}
	}
	for _, d := range declared() {
		for _, s := range d.Sources {
			if s.Subtypes {
				for _, m := range s.Table {
					if m.Field == "@odata.type" {
						delete(out, m.Attr) // a type that nobody lists is one of the source's choice
					}
				}
			}
		}
	}
	delete(out, "")
	return out
}

// spread are what lists hold that a kind's own code spreads; any other holds ids.
var spread = map[string]func(c string) any{
	"role.permission": func(c string) any {
		return []any{object{"resourceActions": []any{object{"allowedResourceActions": []any{c}}}}}
	},
	"configuration.scheduled-action": func(c string) any {
		return []any{object{"ruleName": c, "scheduledActionConfigurations": []any{object{"id": "one"}}}}
	},
}

// resources writes, for each source of each declared kind, a record with a canary in every field.
func (w *canaryWorld) resources(write func(name string, page object)) {
	for _, d := range declared() {
		for i := range d.Sources {
			s := &d.Sources[i]
			rec := w.resource(d, s)
			page := object{"value": []any{rec}}
			if s.Event != "" {
				page = w.event(s.Event, rec)
			}
			if s.Subtypes || s.Parent != "" {
				page["@odata.context"] = w.contextOf(s)
			}
			write(fmt.Sprintf("resource-%s.json", strings.ReplaceAll(s.Name, "/", "-")), page)
		}
	}
}

// occurrences writes, for each type of event that tells of what happened once, one.
func (w *canaryWorld) occurrences(write func(name string, event object)) {
	for _, d := range happened() {
		for i := range d.Sources {
			write("event-"+d.Sources[i].Name+".json", w.occurrence(d, &d.Sources[i]))
		}
	}
}

// declaredTaken returns how many records resources writes, and how many secrets are in them.
func declaredTaken() (records, secrets int) {
	for _, d := range declared() {
		for _, s := range d.Sources {
			records, secrets = records+1, secrets+len(s.Withheld)
		}
	}
	for _, d := range happened() {
		if d.Optional == nil {
			records += len(d.Sources)
		}
	}
	return records, secrets
}

// contextOf is that of a page of the source's records.
func (w *canaryWorld) contextOf(s *resource.Source) string {
	const base = "https://graph.microsoft.com/beta/$metadata#deviceManagement/"
	if s.Parent == "" {
		return base + s.Collection
	}
	for _, c := range append([]string{s.Collection}, s.Collections...) {
		if of, in, nested := strings.Cut(c, "/"); nested && of != "deviceManagement" {
			return base + of + "('" + w.guid(tenants, "").of(s.Parent) + "')/" + in
		}
	}
	return base + s.Collection
}

func (w *canaryWorld) resource(d resource.Declaration, s *resource.Source) object {
	out := object{}
	if s.Event == "" {
		out["@odata.type"] = "#microsoft.graph." + s.ODataTypes[0]
	}
	for name := range s.Never {
		out[name] = w.word(never, s.Name+" "+name).text
	}
	told := map[string]bool{}
	take := func(to object, table []entity.Mapping) {
		for _, m := range table {
			if m.Attr == s.Parent { // its page tells it
				to[m.Field] = w.guid(never, s.Name+" "+m.Field).text
			} else if !told[m.Attr] {
				to[m.Field] = w.field(d, s, m)
				told[m.Attr] = true
			}
		}
	}
	take(out, s.Table)
	for _, o := range s.Objects {
		inner := object{"aNewField": w.word(never, s.Name+" unknown field of an object").text}
		take(inner, o.Table)
		out[o.Field] = inner
	}
	for i := range s.Lists {
		if s.Lists[i].Rest == nil {
			w.entries(out, &s.Lists[i])
		}
	}
	for _, f := range s.Withheld {
		out[f.Field] = object{"value": w.word(never, s.Name+" secret "+f.Field).text}
	}
	for _, f := range s.Left {
		out[f] = object{"value": w.word(never, s.Name+" left "+f).text}
	}
	out["aNewField"] = w.unknown(out, s)
	return out
}

// unknown is what a member says that nobody knows: a setting, where the record tells all it has,
// and else nothing that may be kept.
func (w *canaryWorld) unknown(out object, s *resource.Source) any {
	for i := range s.Lists {
		rest := s.Lists[i].Rest
		if rest != nil && !slices.ContainsFunc(rest.Whole, func(m string) bool { return out[m] == nil }) {
			return w.word(tenants, s.Name+" setting").of(s.Lists[i].Attr)
		}
	}
	return w.word(never, s.Name+" unknown field").text
}

// field is a value of the attribute: what has a shape misses it, and so has to be sealed.
func (w *canaryWorld) field(d resource.Declaration, s *resource.Source, m entity.Mapping) any {
	a := schemas.Default().MustAttribute(m.Attr)
	for _, p := range d.Persons {
		if p.Attr == m.Attr {
			switch p.By {
			case resource.ByID:
				return w.admin.id.of(a.ID)
			default:
				return w.admin.upn.of(a.ID) + canaryDomain
			}
		}
	}
	missed := func() string { return w.word(tenants, s.Name+" "+m.Field).of(a.ID) }
	switch {
	case m.Field == "@odata.type" && !s.Subtypes:
		return "#microsoft.graph." + s.ODataTypes[0]
	case m.Field == "@odata.type":
		return "#microsoft.graph." + missed()
	case a.Type == "time" && a.Shape != nil:
		return "2026-01-02T03:04:05Z"
	case a.Type == "time":
		return w.moment(tenants, "").of(a.ID) + "Z"
	case a.Shape != nil && a.Shape.Kind == "product":
		return missed() + " of “home” & co"
	case a.Form == "guid" || a.ID == d.Identity:
		return w.guid(tenants, s.Name+" "+m.Field).of(a.ID)
	}
	return missed()
}

// entries writes a list of one entry, its members all canaries.
func (w *canaryWorld) entries(out object, l *resource.List) {
	word := func() string { return w.word(tenants, "").of(l.Attr) }
	switch {
	case l.Spread != nil && spread[l.Attr] != nil:
		out[l.Field] = spread[l.Attr](word())
		return
	case l.Spread != nil:
		out[l.Field] = []any{w.guid(tenants, "").of(l.Attr)}
		return
	case l.Members == nil:
		out[l.Field] = []any{word()}
		return
	}
	entry := out
	if l.Field != "" {
		entry = object{"aNewField": w.word(never, l.Attr+" unknown field of an entry").text}
		out[l.Field] = []any{entry}
	}
	for _, m := range l.Members {
		in, path := entry, strings.Split(strings.Replace(m.Field, "@odata.", "@odata-", 1), ".")
		for _, p := range path[:len(path)-1] {
			inner, ok := in[p].(object)
			if !ok {
				inner = object{}
				in[p] = inner
			}
			in = inner
		}
		name := strings.Replace(path[len(path)-1], "@odata-", "@odata.", 1)
		switch m.As {
		case resource.ID, resource.GUID:
			in[name] = w.guid(tenants, "").of(l.Attr)
		case resource.Type:
			in[name] = "#microsoft.graph." + word()
		case resource.Time:
			in[name] = w.moment(tenants, "").of(l.Attr) + "Z"
		case resource.Words:
			in[name] = []any{word()}
		case resource.Switch:
			in[name] = true
		case resource.Number:
			in[name] = 7
		default:
			in[name] = word()
		}
	}
}
