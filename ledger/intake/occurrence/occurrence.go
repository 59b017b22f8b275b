package occurrence

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Declaration is what a kind of occurrences is. Attributes and the type are named by their ids.
type Declaration struct {
	// Recorded tells of one. It has one role at most, in which whoever is named stands.
	Recorded string
	Sources  []Source
	// Optional, unless it is nil, says by a tenant's policy whether any is taken: one that is not
	// is refused whole, as Category.
	Optional func(policy.Policy) bool
	Category string
}

// Source is how one type of event tells of one. Its Form needs no Fields: they follow.
type Source struct {
	source.Form
	Table []entity.Mapping
	Says  []Constant
	// Whose are the members that name whose it is. A kind whose Table does not name them keeps
	// nothing of them: whose it is only an alias says.
	Whose Whose
	// Needs are attributes without which an event tells of nothing.
	Needs []string
}

// Whose are the members that name somebody: by their object id in the directory, by UPN, by
// e-mail.
type Whose struct{ ID, UPN, Email string }

// Constant is what a type of event tells by being of that type.
type Constant struct{ Attr, Value string }

// kind is the plan.Kind of a declaration.
type kind struct {
	Declaration
	catalogue *schemas.Catalogue
	recorded  *schemas.Type
	role      string
}

var _ plan.Kind = (*kind)(nil)

// New returns the kind, in the terms of the catalogue. It panics where the declaration names what
// the catalogue has not, which a test of the kind shows.
func New(c *schemas.Catalogue, d Declaration) plan.Kind {
	k := &kind{Declaration: d, catalogue: c, recorded: c.MustType(d.Recorded)}
	for _, r := range k.recorded.Roles {
		k.role = r.Role
	}
	k.Sources = slices.Clone(d.Sources)
	return k
}

// Of returns what a kind was made of, false where it was not made here.
func Of(of plan.Kind) (Declaration, bool) {
	k, ok := of.(*kind)
	if !ok {
		return Declaration{}, false
	}
	return k.Declaration, true
}

// Stream implements plan.Kind.
func (k *kind) Stream() string { return k.recorded.Kind() }

// Facts implements plan.Kind.
func (k *kind) Facts() bool { return true }

// Forms implements plan.Kind.
func (k *kind) Forms() (out []plan.KindForm) {
	for i := range k.Sources {
		s := &k.Sources[i]
		names := entity.FieldNames(s.Table, s.Whose.ID, s.Whose.UPN, s.Whose.Email)
		known := record.NamesOf(names...)
		out = append(out, plan.KindForm{Form: s.Form,
			Parse: func(in plan.Parsing) (plan.Record, error) { return k.parse(s, known, in) }})
	}
	return out
}

// Fold implements plan.Kind. An event that is told says all that there is.
func (k *kind) Fold(*vault.Tx, plan.History) (plan.Content, error) { return struct{}{}, nil }

// fact is one event, before whoever it names is known to us.
type fact struct {
	kind    *kind
	source  string
	at      time.Time
	key     []byte // what tells the event apart
	who     vault.PersonHint
	values  map[*schemas.Attribute]json.RawMessage
	needs   []string // attributes of which it has to tell one
	refused []plan.Refusal
}

// maxText is the longest that a text is kept, in bytes.
const maxText = 4 << 10

// parse reads an event. One that tells no time is of the time of its file.
func (k *kind) parse(s *Source, known record.Names, in plan.Parsing) (plan.Record, error) {
	in.Seen.Use("", in.Event.Extensions, nil)
	in.Seen.Use(inData, in.Members, known)
	f := &fact{kind: k, source: s.Origin, key: cloudevents.Key(in.Event), refused: in.Never,
		needs:  s.Needs,
		values: map[*schemas.Attribute]json.RawMessage{}}
	var err error
	if f.at, err = dated(in); err != nil {
		return nil, err
	}
	for _, c := range s.Says {
		f.values[k.catalogue.MustAttribute(c.Attr)] = schemas.JSON(c.Value)
	}
	for _, m := range s.Table {
		if err := f.tell(in, m); err != nil {
			return nil, err
		}
	}
	for _, id := range s.Needs {
		if f.values[k.catalogue.MustAttribute(id)] == nil {
			return nil, &record.FieldError{Field: inData + fieldOf(s.Table, id), Reason: "is missing, or " +
				"says nothing that may be kept, so that the event tells of nothing"}
		}
	}
	return f, f.name(in, s.Whose)
}

// inData is where the members of an event's data stand.
const inData = cloudevents.Data + "."

func fieldOf(table []entity.Mapping, attr string) string {
	for _, m := range table {
		if m.Attr == attr {
			return m.Field
		}
	}
	return ""
}

// dated returns when the event happened.
func dated(in plan.Parsing) (time.Time, error) {
	at := in.File.At
	if in.Tally.Undated = in.Event.Time == ""; !in.Tally.Undated {
		var err error
		if at, err = record.FirstTime(record.NamedText{Field: "time", Value: in.Event.Time}); err != nil {
			return at, err
		}
		if at.IsZero() {
			return at, &record.FieldError{Field: "time", Reason: "is of a year that means unknown"}
		}
	}
	return at, entity.NotAhead("time", at, in.Now)
}

// name reads whose the event is.
func (f *fact) name(in plan.Parsing, w Whose) error {
	for _, n := range []struct {
		field string
		to    *string
	}{{w.ID, &f.who.ObjectID}, {w.UPN, &f.who.UPN}, {w.Email, &f.who.Email}} {
		text := in.Known(n.field)
		switch {
		case text == "":
		case n.field == w.ID:
			id, ok := record.AsGUID(text)
			if !ok {
				return &record.FieldError{Field: inData + n.field, Reason: "is no id of the directory's form"}
			}
			*n.to = id
		case record.IsAddress(text):
			*n.to = text
		default:
			return &record.FieldError{Field: inData + n.field, Reason: "is no address"}
		}
	}
	if f.who != (vault.PersonHint{}) && !in.Tally.Undated {
		f.who.At = f.at // else nothing proves an age
	}
	return nil
}

// tell takes in what a member says of an attribute.
func (f *fact) tell(in plan.Parsing, m entity.Mapping) error {
	a, raw := f.kind.catalogue.MustAttribute(m.Attr), in.Get(m.Field)
	text, ok := record.AsText(raw)
	if ok && (record.Secretive(m.Field, text) || record.Payment(text)) {
		in.Tally.Withheld++
		return nil
	}
	if ok && len(text) > maxText {
		raw = schemas.JSON(record.Clip(text, maxText))
		in.Tally.Cut++
	}
	value, found, err := record.Normalise(a, raw, m.Unit)
	if err != nil {
		return &record.FieldError{Field: inData + m.Field, Reason: err.Error()}
	}
	if found == record.Reported {
		f.values[a] = value
	}
	return nil
}

// Origin implements plan.Record.
func (f *fact) Origin() (string, time.Time) { return f.source, f.at }

func (f *fact) mapped() vault.Mapped {
	return vault.Mapped{Kind: f.kind.Stream(), Canonical: f.key}
}

// RefusalStream is told apart as the event is.
func (f *fact) RefusalStream(tx *vault.Tx, rule string) (schemas.Stream, bool, error) {
	return tx.MappedStream("refusal", append(schemas.LP([]byte("refused "+f.kind.Stream()), rule), f.key...))
}

// Look names the event's stream, and whom it names.
func (f *fact) Look(l *plan.Looking) {
	var rules []string
	for _, r := range f.refused {
		rules = append(rules, r.Key())
	}
	l.Mapped(f.mapped(), rules...)
	if f.who != (vault.PersonHint{}) {
		l.Meet(f.who)
	}
}

// Without takes out of the values.
func (f *fact) Without(refused func(*schemas.Attribute) bool) (plan.Record, int) {
	kept, n := *f, 0
	kept.values, n = plan.WithoutValues(f.values, refused)
	return &kept, n
}

// Plan finds whose the event is. One that is told already tells nothing more, and one of a person
// who was erased since is refused whole, as is one of which the policy leaves nothing to tell.
func (f *fact) Plan(p *plan.Planner) (plan.Act, plan.Outcome, error) {
	if f.kind.Optional != nil && !f.kind.Optional(p.Tenant.Policy) {
		return nil, 0, plan.Bar{Rule: plan.RulePolicy, Category: f.kind.Category}
	}
	if !f.tells() {
		return nil, 0, plan.Bar{Rule: plan.RulePolicy, Category: plan.RulePolicy}
	}
	stream, err := p.Mapped(f.mapped())
	if err != nil {
		return nil, 0, err
	}
	st, err := p.State(stream)
	if err != nil || st.Exists {
		return nil, plan.Unchanged, err
	}
	who := uuid.Nil
	if f.who != (vault.PersonHint{}) {
		if who, err = p.Person(f.who); err != nil {
			return nil, 0, err
		}
	}
	return func() ([]plan.Step, plan.Outcome, error) { return f.write(p, st, who) }, 0, nil
}

// tells reports whether the event has a value of what it is to tell of.
func (f *fact) tells() bool {
	for _, a := range f.kind.recorded.Attributes() {
		if f.values[a] != nil && (len(f.needs) == 0 || slices.Contains(f.needs, a.ID)) {
			return true
		}
	}
	return false
}

func (f *fact) write(
	p *plan.Planner, st *plan.StreamState, who uuid.UUID,
) ([]plan.Step, plan.Outcome, error) {
	d := p.Draft(f.kind.recorded, st.Stream, f.source, f.at)
	for _, a := range f.kind.recorded.Attributes() {
		value, owner := f.values[a], schemas.Owner{Kind: schemas.OwnerTenant}
		if value == nil {
			continue
		}
		if a.Key == schemas.KeyPerson {
			owner = schemas.PersonOrTenant(who)
		}
		d.Values = append(d.Values, schemas.Value{Attr: a, Plain: value, Owner: owner})
	}
	if who != uuid.Nil {
		d.Subjects = []schemas.SubjectRef{{Role: f.kind.role, Person: who}}
	}
	refusals, apply, err := p.Refusals(st.Stream, f.source, f.at, f.refused)
	if err != nil {
		return nil, 0, err
	}
	steps, err := p.Encode(st, []schemas.Draft{d})
	if err != nil {
		return nil, 0, err
	}
	apply()
	return append(refusals, steps...), plan.Recorded, nil
}
