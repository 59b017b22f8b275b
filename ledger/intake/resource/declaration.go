package resource

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Declaration is what a kind of resources is. Attributes and types are named by their ids.
type Declaration struct {
	// Observed tells of a thing on first sight, Changed of what changes, and Restated, which has
	// all attributes, of everything under new keys. Where a source tells that a thing was deleted,
	// Deleted does, by the attribute DeletedAt.
	Observed, Changed, Restated string
	Deleted, DeletedAt          string
	// Identity is the attribute by which things are told apart: native ids, which only the vault
	// has, as an HMAC to find a stream by.
	Identity string
	// Whose, unless it is zero, says that each thing is a person's: the attributes that name
	// them. Its stream is theirs, and so is all that is told of it.
	Whose Whose
	// Persons are the single attributes of the key rule person that name somebody else: each is
	// sealed under the person whom it names, with the others that name the same; under the tenant
	// where they name nobody.
	Persons []Person
	// ConfirmDays is after how many days an event of its own confirms what stays as it is; 0: one.
	// Of many things it is more: what is late by less is then told as a change of its own time.
	ConfirmDays int
	Sources     []Source
}

// Whose are the attributes that name the person whose a thing is.
type Whose struct{ ID, UPN, Email string }

// By says what an attribute names a person by.
type By int

// What a person may be named by.
const (
	ByID    By = iota + 1 // their object id in the directory
	ByUPN                 // their UPN
	ByEmail               // their e-mail address
)

// Person is an attribute that names somebody, or, without By, that tells of whom the others of one
// Of name. Those of one Of are of the same person.
type Person struct {
	Attr string
	By   By
	Of   string
}

// Same returns attributes that are of the same person, each behind the prefix.
func Same(prefix, of string, all ...Person) []Person {
	for i := range all {
		all[i].Attr, all[i].Of = prefix+all[i].Attr, of
	}
	return all
}

// Source is how one source writes records of the kind. Its Form needs no Fields: they follow.
type Source struct {
	source.Form
	// Thing is what its records tell of. Those of one thing and one identity tell of the same,
	// whatever source they are from; things of one kind may have the same id.
	Thing string
	// Parent is the attribute that the id of that is told as in whose collection the record
	// stands, as its page tells: "mobileApps('x')/installSummary".
	Parent string
	// Table are the fields that hold one value each. One whose Field is "@odata.type" is told the
	// last part of its name.
	Table   []entity.Mapping
	Objects []Object
	Lists   []List
	Says    []Constant
	// Withheld are fields that hold a secret. Attr, unless it is empty, says that one was there.
	Withheld []Secret
	// Left are fields that are known and of which nothing is kept, by decision.
	Left []string
	// Inside, unless it is nil, says in which records of other forms its own stand too.
	Inside *Inside
	// AppsOn, unless it is empty, is the attribute that holds the id in Intune of the device whose
	// apps a record tells of: of one that is not known to be the company's it is kept out.
	AppsOn string
	// Adapt, unless it is nil, brings a record into the form that the tables know. It reads by
	// reader, and reports what is wrong there.
	Adapt func(m *record.Members, reader *record.Shapes)
}

// Inside says that records of forms of another kind hold records of a source, in a member that is
// a list of them. What such a one is a part of is then its parent.
type Inside struct {
	Of     []string // names of forms
	Member string
}

// Object is an object in a record whose members are read as the record's own. What the record
// itself tells goes first.
type Object struct {
	Field string
	Table []entity.Mapping
}

// Secret is a field that holds one.
type Secret struct{ Field, Attr string }

// Constant is what a source tells of each thing by what it is.
type Constant struct {
	Attr  string
	Value string
}

// List is a list of a thing's. Each entry is one value: an object with the members in the order in
// which they stand here, which is frozen; without members, a text.
type List struct {
	Attr string
	// Field holds it. A record that is itself an entry of it, and tells nothing of the others, has
	// an empty one; which thing it is of its page tells.
	Field   string
	Members []Member
	// Key are the names of the members that tell an entry apart, and without which it is left out
	// and counted.
	Key []string
	// Person is the member that holds an id in the directory. Where it is known to be a person's,
	// the entry is sealed under their key and the event names them.
	Person string
	// Rest, unless it is nil, says that its entries are the members of the record that nothing
	// else names: its settings, which differ by what it is. They have SettingMembers.
	Rest *Rest
	// Spread, unless it is nil, makes entries of what stands in the field of that path.
	Spread func(raw json.RawMessage, path string, reader *record.Shapes) []*record.Members
}

// Rest says when a record tells its settings, and which members are none.
type Rest struct {
	// Entry, unless it is empty, is the member of the thing's that is a list of settings, of which
	// the record itself is an entry: a page of those tells nothing of the others.
	Entry string
	// Whole are members that a record has which tells all of them. Of any other none is taken, and
	// they are counted as unknown: what is left out of it may be set all the same.
	Whole []string
	// Except are members that are no settings.
	Except []string
}

// Rest returns how records tell their settings, nil where they have none.
func (s *Source) Rest() *Rest {
	for i := range s.Lists {
		if s.Lists[i].Rest != nil {
			return s.Lists[i].Rest
		}
	}
	return nil
}

// Member is one of an entry's.
type Member struct {
	Name  string // in the ledger
	Field string // in the source; dots lead into objects
	As    As
}

// As says how what a member holds is brought into one form.
type As int

// Forms of members.
const (
	Text   As = iota // blanks are cut
	Name             // each run of blanks is one
	ID               // a GUID in its one form, else small letters
	GUID             // a GUID in its one form; anything else says nothing
	Type             // the last part of an @odata.type
	Time             // in whole seconds
	Number           // a whole number
	Switch           // true or false
	Words            // a list of texts, sorted
	told             // as this package has made it
)

// kind is the plan.Kind of a declaration, in the terms of the catalogue.
type kind struct {
	Declaration
	entity.Definition
	catalogue                            *schemas.Catalogue
	observed, changed, restated, deleted *schemas.Type

	identity, deletedAt *schemas.Attribute // deletedAt: nil where nothing tells
	whose               whose
	persons             [][]named // those that name the same person together
	role                string    // in which its events name persons
	forms               []form
}

// whose are the attributes that name the person whose a thing is; nil where it names none by that.
type whose struct{ id, upn, email *schemas.Attribute }

// named is an attribute that names somebody.
type named struct {
	attr *schemas.Attribute
	by   By
}

// form is a source's, with what follows from it.
type form struct {
	*Source
	parent  *schemas.Attribute
	appsOn  *schemas.Attribute
	known   record.Names
	objects []record.Names
	lists   []list
}

// list is a list, with what follows from it.
type list struct {
	*List
	attr  *schemas.Attribute
	known record.Names
}

var (
	_ plan.Remembering = (*kind)(nil)
	_ plan.Reader      = (*kind)(nil)
)

// New returns the kind, in the terms of the catalogue. It panics where the declaration names what
// the catalogue has not, which a test of the kind shows.
func New(c *schemas.Catalogue, d Declaration) plan.Kind {
	attribute := func(id string) *schemas.Attribute {
		if id == "" {
			return nil
		}
		return c.MustAttribute(id)
	}
	k := &kind{Declaration: d, catalogue: c, observed: c.MustType(d.Observed), changed: c.MustType(d.Changed),
		restated: c.MustType(d.Restated), identity: attribute(d.Identity), deletedAt: attribute(d.DeletedAt),
		whose: whose{attribute(d.Whose.ID), attribute(d.Whose.UPN), attribute(d.Whose.Email)}}
	if d.Deleted != "" {
		k.deleted = c.MustType(d.Deleted)
	}
	for i, p := range d.Persons {
		n := named{attribute(p.Attr), p.By}
		if i > 0 && d.Persons[i-1].Of == p.Of {
			last := &k.persons[len(k.persons)-1]
			*last = append(*last, n)
		} else {
			k.persons = append(k.persons, []named{n})
		}
	}
	if roles := k.restated.Roles; len(roles) > 0 {
		k.role = roles[0].Role
	}
	k.Definition = entity.Define(k.restated, nil)
	k.Sources = slices.Clone(d.Sources)
	for i := range k.Sources {
		k.forms = append(k.forms, formOf(c, &k.Sources[i]))
	}
	return k
}

// formOf says what follows from a source.
func formOf(c *schemas.Catalogue, s *Source) form {
	f := form{Source: s}
	if s.Parent != "" {
		f.parent = c.MustAttribute(s.Parent)
	}
	if s.AppsOn != "" {
		f.appsOn = c.MustAttribute(s.AppsOn)
	}
	names := entity.FieldNames(s.Table, s.Left...)
	for _, w := range s.Withheld {
		names = append(names, w.Field)
	}
	all := slices.Clone(names)
	for _, o := range s.Objects {
		names = append(names, o.Field)
		fields := entity.FieldNames(o.Table)
		f.objects = append(f.objects, record.NamesOf(fields...))
		all = append(all, fields...)
	}
	for i := range s.Lists {
		if s.Lists[i].Rest != nil {
			all = append(all, s.Lists[i].Rest.Whole...)
		}
		l := list{List: &s.Lists[i], attr: c.MustAttribute(s.Lists[i].Attr), known: record.Names{}}
		for _, m := range l.Members {
			first, _, _ := strings.Cut(m.Field, ".")
			l.known[first] = true
			if l.Field == "" && l.Rest == nil {
				names = append(names, first)
			}
			all = append(all, strings.Split(m.Field, ".")...)
		}
		if l.Field != "" {
			names = append(names, l.Field)
		}
		f.lists = append(f.lists, l)
	}
	f.known = record.NamesOf(names...)
	s.Fields = append(all, names...)
	return f
}

// Forms implements plan.Kind.
func (k *kind) Forms() (out []plan.KindForm) {
	for i := range k.forms {
		f := &k.forms[i]
		out = append(out, plan.KindForm{Form: f.Form, OwnTime: f.Category != "",
			Behind: f.AppsOn != "",
			Parse:  func(in plan.Parsing) (plan.Record, error) { return k.parse(f, in) }})
	}
	return out
}

// Readings implements plan.Reader: of the sources whose records stand in others too.
func (k *kind) Readings() (out []plan.Reading) {
	for i := range k.forms {
		f := &k.forms[i]
		if f.Inside == nil {
			continue
		}
		out = append(out, plan.Reading{Name: f.Name, Of: f.Inside.Of, Member: f.Inside.Member,
			Behind: f.AppsOn != "",
			Parse: func(in plan.Parsing) ([]plan.Record, error) {
				in.Parent = in.Around.Text("id")
				r, err := k.parse(f, in)
				if err != nil {
					return nil, err
				}
				return []plan.Record{r}, nil
			}})
	}
	return out
}

// Stream implements plan.Kind.
func (k *kind) Stream() string { return k.observed.Kind() }

// Facts implements plan.Kind.
func (k *kind) Facts() bool { return false }

// Fold implements plan.Kind.
func (k *kind) Fold(tx *vault.Tx, h plan.History) (plan.Content, error) {
	return entity.Fold(k.Definition, tx, entity.Past(h), nil)
}

// IDs makes entries of a list of texts, each an object with the member id.
func IDs(raw json.RawMessage, path string, reader *record.Shapes) (out []*record.Members) {
	for _, text := range reader.Texts(raw, path, true) {
		m := record.NewMembers(1)
		m.Set("id", schemas.JSON(text))
		out = append(out, m)
	}
	return out
}

// Ahead implements plan.Remembering.
func (k *kind) Ahead(known []byte, a *vault.Ahead) { entity.Ahead(known, a) }

// Of returns what a kind was made of, false where it was not made here.
func Of(of plan.Kind) (Declaration, bool) {
	k, ok := of.(*kind)
	if !ok {
		return Declaration{}, false
	}
	return k.Declaration, true
}
