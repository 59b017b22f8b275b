package source

import (
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
)

// The closed vocabulary of an event's source: the issuing interface, never the transport.
const (
	Graph        = "graph"
	AzureMonitor = "azure-monitor"
	CloudEvents  = "cloud-events" // whoever sends them: nobody else tells of these things
)

// Form is how one source writes the records of one kind. All that is known of kinds here is what
// their forms say: who adds a form has its records recognised however they are held.
type Form struct {
	// Name is how its records are counted and named: "managedDevices". It is the source's own, and
	// may be the name of one form alone.
	Name string
	// Origin is the source of its events: Graph or AzureMonitor.
	Origin string

	// Of Microsoft Graph: the types of a record, without "#microsoft.graph."; the last parts of an
	// @odata.context, as "users" or "mobileApps/deviceStatuses", of which the longest counts, and
	// of further ones; and sets of members by any of which a whole record is known that has
	// neither. Of several forms that fit, the one whose set is larger is meant. Subtypes says that
	// records of the collection are of further types, which nobody lists.
	ODataTypes  []string
	Collection  string
	Collections []string
	Subtypes    bool
	Members     [][]string
	// Of what PowerShell's SDK writes, which are Graph's names with a capital: sets of members,
	// spelled as Graph does, any of which shows beside an id that a record is the SDK's; and all
	// names that are read of one, in it and in what it holds.
	SDK    [][]string
	Fields []string

	// Of Azure Monitor: the category; members of properties that no other service's records of
	// that category have; and how a record is told that is about all the others and no record
	// itself.
	Category string
	Own      []string
	Overview Overview
	// Of Log Analytics: the table that holds the category, the columns that tell a row of it where
	// a query left the table's name out, and whether the columns are those of properties. Else
	// they are the record's own, and one of them is Category. Unshared are columns that not every
	// record has: in a row, which has them all, an empty one is absent.
	Table    string
	Columns  []string
	Flat     bool
	Unshared []string

	// Tables are how its records stand in tables of separated values.
	Tables []Table

	// Event is the type of a CloudEvent whose data is such a record, behind cloudevents.Prefix.
	Event string
	// Never are names of members, in plain letters, that hold in these records what is never
	// collected, and its category.
	Never map[string]string
}

// OfEvent returns the form of records that are the data of CloudEvents of that type. never is as
// in Form.
func OfEvent(typ string, never map[string]string) Form {
	return Form{Name: typ, Origin: CloudEvents, Event: typ, Never: never}
}

// Bodies are how members are named that hold what a message says, or what is attached to one.
var Bodies = map[string]string{"body": "email", "bodypreview": "email", "uniquebody": "email", "message": "email",
	"messages": "email", "text": "email", "html": "email", "content": "email", "snippet": "email", "subject": "email",
	"attachment": "files", "file": "files", "filename": "files", "transcript": "messages", "recording": "files"}

// Overview tells by its properties a record of a category that is about all others: it has the one
// member and lacks the other.
type Overview struct{ Has, Lacks string }

func (s Overview) is(properties *record.Members) bool {
	return s.Has != "" && properties.Has(s.Has) && !properties.Has(s.Lacks)
}

// kind is what a record is: of a form that is taken in, of a kind that has a name and is only
// counted, or of none that is known.
type kind struct {
	Name  string // as it may be shown
	Form  *Form  // nil where it is not taken in
	Named bool
	Never string // as what it is never collected; "" for what may be
}

// taken returns the kind of what is taken in.
func taken(f *Form) kind { return kind{Name: f.Name, Form: f, Named: true} }

// Recogniser knows the forms that are taken in. It does not change, and is safe for concurrent
// use.
type Recogniser struct {
	forms       []*Form
	types       map[string]*Form // by type of Graph
	collections map[string]*Form
	tables      map[string]string // of Log Analytics, lower-cased, and the category that each holds
	names       map[string]string // of Graph, by their lower-case form
	events      map[string]*Form  // by type of CloudEvent
	sheets      []*sheet
}

// NewRecogniser returns the recogniser of those forms. What one leaves empty it is not known by.
func NewRecogniser(forms []Form) *Recogniser {
	r := &Recogniser{types: map[string]*Form{}, collections: map[string]*Form{}, tables: map[string]string{},
		names: map[string]string{}, events: map[string]*Form{}}
	for i := range forms {
		f := forms[i]
		r.forms = append(r.forms, &f)
		for _, t := range f.ODataTypes {
			r.types[t] = &f
		}
		for _, c := range append(f.Collections, f.Collection) {
			r.collections[c] = &f // none has an empty path
		}
		if f.Table != "" {
			r.tables[strings.ToLower(f.Table)] = f.Category
		}
		for _, n := range f.Fields {
			r.names[strings.ToLower(n)] = n
		}
		if f.Event != "" {
			r.events[cloudevents.Prefix+f.Event] = &f
		}
		for i := range f.Tables {
			r.sheets = append(r.sheets, newSheet(&f, &f.Tables[i]))
		}
	}
	return r
}

// ofCollection returns the form of a collection's path, or nil: that of most of its last parts.
func (r *Recogniser) ofCollection(path string) *Form {
	for path != "" {
		if f := r.collections[path]; f != nil {
			return f
		}
		_, path, _ = strings.Cut(path, "/")
	}
	return nil
}

// ofGraph returns the form of a record of that type, "" for one that names none, in that
// collection, whose last part may be the type of those in it.
func (r *Recogniser) ofGraph(odata, collection string) *Form {
	in := collection
	if i := strings.LastIndex("/"+in, "/microsoft.graph."); i >= 0 {
		if typ := in[i:][len("microsoft.graph."):]; odata == "" && !strings.Contains(typ, "/") {
			odata = typ
		}
		in = strings.TrimSuffix(in[:i], "/")
	}
	if odata == "" {
		return r.ofCollection(collection)
	}
	if f := r.types[odata]; f != nil {
		return f
	}
	if f := r.ofCollection(in); f != nil && f.Subtypes {
		return f
	}
	return nil
}

// ofCategory returns the form of a category of Azure Monitor, in any case, or nil.
func (r *Recogniser) ofCategory(category string) *Form {
	for _, f := range r.forms {
		if f.Category != "" && strings.EqualFold(category, f.Category) {
			return f
		}
	}
	return nil
}

// whole returns the form by whose members a record without a name is known, or nil.
func (r *Recogniser) whole(m *record.Members) (found *Form) {
	most := 0
	for _, f := range r.forms {
		for _, set := range f.Members {
			if len(set) > most && m.Has(set...) {
				found, most = f, len(set)
			}
		}
	}
	return found
}

// ofRow returns the form of a row of Log Analytics that names no table, or nil. One that names its
// category goes first: a union of tables has the columns of all of them.
func (r *Recogniser) ofRow(m *record.Members) *Form {
	category := m.Text("Category")
	for _, flat := range []bool{false, true} {
		for _, f := range r.forms {
			if f.Columns != nil && f.Flat == flat && m.Has(f.Columns...) &&
				(flat || strings.EqualFold(category, f.Category)) {
				return f
			}
		}
	}
	return nil
}

// isSDK reports whether the record is one that PowerShell's SDK wrote: Graph's names with a
// capital.
func (r *Recogniser) isSDK(m *record.Members) bool {
	if !m.Has("Id") || m.Has("id") {
		return false
	}
	for _, f := range r.forms {
		for _, set := range f.SDK {
			if !slices.ContainsFunc(set, func(name string) bool { return !m.Has(upperFirst(name)) }) {
				return true
			}
		}
	}
	return false
}

// owns reports whether properties have a member that only a form of ours has.
func (r *Recogniser) owns(properties *record.Members) bool {
	for _, f := range r.forms {
		if slices.ContainsFunc(f.Own, func(name string) bool { return properties.Has(name) }) {
			return true
		}
	}
	return false
}

// examples returns the types of which a whole record is known without a name.
func (r *Recogniser) examples() (out []string) {
	for _, f := range r.forms {
		if len(f.Members) > 0 && len(f.ODataTypes) > 0 {
			out = append(out, f.ODataTypes[0])
		}
	}
	return out
}
