package source

import (
	"regexp"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// decode reads the text of a record, in the form of its source.
func (r *Recogniser) decode(raw []byte) (record.Record, error) {
	rec, err := record.ReadRecord(raw)
	if err == nil && rec.Members != nil {
		r.settle(&rec)
	}
	return rec, err
}

// isKindName reports whether a text has the form of a kind's name: up to six parts apart by
// slashes, each a letter and up to 63 letters, digits, underscores, dots and dashes.
func isKindName(s string) bool {
	parts, n := 1, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z',
			n > 0 && (c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-'):
			n++
		case c == '/' && n > 0 && parts < 6:
			parts, n = parts+1, 0
		default:
			return false
		}
		if n > 64 {
			return false
		}
	}
	return n > 0
}

// unnamed is the kind of a record that does not say what it is.
var unnamed = kind{Name: "unnamed"}

// byName returns the kind of what has a name and is not taken in, or may never be. A source
// decides the name, so it could be anything: one without the form of a name is none.
func byName(name string) kind {
	if isKindName(name) {
		return kind{Name: name, Named: true, Never: catalogue.NeverResource(name[strings.LastIndexAny(name, "/.")+1:])}
	}
	return unnamed
}

// kind tells what a record is by what it holds. context is that of the page it stands in; its own
// goes before.
func (r *Recogniser) kind(rec record.Record, context string) kind {
	if rec.Members == nil {
		return kind{Name: "no object"}
	}
	if rec.Event != nil {
		return r.eventKind(rec)
	}
	if k, is := r.monitorKind(rec); is {
		return k
	}
	context = contextOf(rec, context)
	odata := TypeName(rec.Text("@odata.type"))
	collection := contextPath(context)
	form := r.ofGraph(odata, collection)
	switch {
	case form != nil:
		return taken(form)
	case collection != "":
		return byName(collection)
	case odata != "":
		return byName(odata)
	}
	if form = r.whole(rec.Members); form != nil {
		return taken(form)
	}
	return unnamed
}

// eventKind tells the kind of a CloudEvent by its type. One of another's type may hold a record
// that says itself what it is, and then is no more than what is around it.
func (r *Recogniser) eventKind(rec record.Record) kind {
	form := r.events[rec.Event.Type]
	switch {
	case rec.Event.Never != "" || rec.Event.Fault != nil:
		return kind{Name: cloudevents.Name, Named: true, Never: rec.Event.Never}
	case form != nil:
		return taken(form)
	case r.holdsRecord(rec.Get(cloudevents.Data), 1, false):
		return unnamed
	}
	return byName(rec.Event.Type)
}

// TypeName returns the name of a type of Graph, as an @odata.type tells it.
func TypeName(odata string) string {
	return strings.TrimPrefix(strings.TrimPrefix(odata, "#"), "microsoft.graph.")
}

// monitorKind tells the kind of a record of Azure Monitor, which names a category and holds
// properties, or of a row of Log Analytics; is says whether it is one with a name. Categories are
// each service's own: Entra has an AuditLogs too, and Azure Monitor puts both into one hub.
func (r *Recogniser) monitorKind(rec record.Record) (k kind, is bool) {
	category := rec.Known("category")
	if category == "" || len(rec.Get("properties")) == 0 {
		if rec.Table == "" {
			return unnamed, false
		}
		k = byName(rec.Table)
		return k, k.Named
	}
	form := r.ofCategory(category)
	switch provider := r.provider(rec); {
	case provider != "":
		k = byName(provider + "/" + category)
	case form == nil:
		k = byName(category)
	case form.Overview.is(rec.Properties): // how many there are; none of them
		k = byName(form.Name + "/summary")
	default:
		k = taken(form)
	}
	return k, k.Named
}

var resourceProvider = regexp.MustCompile(`(?i)/providers/([a-z]+\.[a-z0-9.]+)`)

// provider returns the service that a record of Azure Monitor is of, "" for Intune: by its
// resource, or by what only the directory's audit logs hold.
func (r *Recogniser) provider(rec record.Record) string {
	if f := submatch(resourceProvider, rec.Text("resourceId")); f != nil {
		if strings.EqualFold(f[1], "microsoft.intune") {
			return ""
		}
		return strings.ToLower(f[1])
	}
	if p := rec.Properties; p.Has("activityDisplayName", "loggedByService") && !r.owns(p) {
		return "microsoft.aadiam"
	}
	return ""
}

// submatch finds what most records do not have.
func submatch(re *regexp.Regexp, in string) []string {
	if in == "" {
		return nil
	}
	return re.FindStringSubmatch(in)
}

// contextOf returns the @odata.context of a record: its own goes before that of its page.
func contextOf(rec record.Record, page string) string {
	if own := rec.Text("@odata.context"); own != "" {
		return own
	}
	return page
}

// parentID finds an id in the path of a collection, of what a part of it is of.
var parentID = regexp.MustCompile(`\('([^']{1,200})'\)/[A-Za-z]`)

// parentOf returns the id of that of which the records of a context are, "" for none: of
// "mobileApps('x')/assignments" it is x.
func parentOf(context string) string {
	if !strings.Contains(context, "')/") {
		return ""
	}
	all := parentID.FindAllStringSubmatch(context, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}

// contextPath returns the collection that an @odata.context names, without the ids in it:
// "deviceManagement/deviceConfigurations/deviceStatuses".
func contextPath(context string) string {
	_, path, ok := strings.Cut(context, "$metadata#")
	if !ok {
		return ""
	}
	trim := func(s string) string { return strings.Trim(strings.TrimSuffix(s, "/$entity"), "/") }
	if !strings.ContainsAny(path, "()") {
		return trim(path)
	}
	var b strings.Builder
	depth := 0
	for _, r := range path {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return trim(b.String())
}

// tenantOfResource finds the source tenant in the id of a resource.
var tenantOfResource = regexp.MustCompile(`(?i)^/tenants/([^/]+)/`)

// tenantInResource returns the source tenant in the id of a resource, "" for none.
func tenantInResource(id string) string {
	if f := submatch(tenantOfResource, id); f != nil {
		return f[1]
	}
	return ""
}

// SourceTenants returns the source tenants that the record names, lower-cased, and where.
func SourceTenants(rec record.Record) (out []record.NamedText) {
	for _, n := range []record.NamedText{{Field: "tenantId", Value: rec.Text("tenantId")},
		{Field: "properties.AADTenantId", Value: rec.Properties.Text("AADTenantId")},
		{Field: "resourceId", Value: tenantInResource(rec.Text("resourceId"))}} {
		if !schemas.Nothing(n.Value) {
			out = append(out, record.NamedText{Field: n.Field, Value: strings.ToLower(n.Value)})
		}
	}
	return out
}
