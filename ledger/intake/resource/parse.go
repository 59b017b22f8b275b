package resource

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// snapshot is what one record tells of a thing.
type snapshot struct {
	*entity.Snapshot
	whole   *entity.Snapshot // with all that may not be kept of it
	kind    *kind
	form    *form
	id      string           // what tells the thing apart, as it is looked for
	appsOn  string           // the device whose apps it tells of, if it does
	who     vault.PersonHint // whose it is, if it is a person's, whatever may be kept of that
	refused []plan.Refusal
}

// reading is the reading of one record.
type reading struct {
	*snapshot
	in     plan.Parsing
	shapes record.Shapes
	prefix string // of names, as they are told
}

const odataType = "@odata.type"

// parse reads a record. One that tells no time of its own is dated by its file.
func (k *kind) parse(f *form, in plan.Parsing) (plan.Record, error) {
	whole := entity.NewSnapshot(f.Origin)
	r := &reading{in: in, shapes: record.Shapes{Seen: in.Seen},
		snapshot: &snapshot{Snapshot: whole, whole: whole, kind: k, form: f, refused: in.Never}}
	if in.Around != nil {
		r.prefix = f.Inside.Member + "."
	}
	m, told, at, err := r.envelope()
	if err == nil {
		err = r.read(m)
	}
	if err == nil {
		err = r.identify(m)
	}
	if err == nil {
		err = r.Settle(told, at, in.File, record.NamedText{Field: r.prefix + "lastModifiedDateTime"}, in.Now)
	}
	if err != nil {
		return nil, err
	}
	if f.appsOn != nil {
		r.appsOn, _ = record.AsGUID(r.text(f.appsOn))
	}
	r.who = r.hint()
	in.Tally.Undated = !r.Proven
	return r.snapshot, nil
}

// envelope returns the members that tell of the thing, and when that was so, as far as the record
// says it.
func (r *reading) envelope() (m *record.Members, told record.NamedText, at time.Time, err error) {
	if e := r.in.Event; e != nil {
		r.prefix = "data."
		r.in.Members.Delete("tenantId") // whose it is was judged before
		r.in.Seen.Use("", e.Extensions, nil)
		told = record.NamedText{Field: "time", Value: e.Time}
		if e.Time != "" {
			at, err = record.FirstTime(told)
		}
		return r.in.Members, told, at, err
	}
	if r.form.Category == "" {
		return r.in.Members, told, at, nil
	}
	r.prefix = "properties."
	r.in.Seen.Use("", r.in.Members, monitorNames)
	told = record.NamedText{Field: "time", Value: r.in.Text("time")}
	if at, err = record.FirstTime(told); err == nil && at.IsZero() {
		err = &record.FieldError{Field: "time", Reason: "is of a year that means unknown"}
	}
	return r.in.Properties, told, at, err
}

var monitorNames = record.NamesOf("category", "properties", "time", "tenantId", "operationName", "resultType",
	"resourceId")

// read takes in all that the form's tables know.
func (r *reading) read(m *record.Members) error {
	f := r.form
	if t := m.Text(odataType); t != "" {
		m.Set(odataType, schemas.JSON(source.TypeName(t)))
	}
	if f.Adapt != nil {
		f.Adapt(m, &r.shapes)
	}
	if f.parent != nil && r.in.Parent != "" {
		value, found, err := record.Normalise(f.parent, schemas.JSON(r.in.Parent), 1)
		if err != nil {
			return &record.FieldError{Field: r.prefix + "@odata.context", Reason: err.Error()}
		}
		r.Tell(f.parent, value, found)
	}
	for _, c := range f.Says {
		r.Values[r.kind.catalogue.MustAttribute(c.Attr)] = schemas.JSON(c.Value)
	}
	for _, w := range f.Withheld {
		if !record.IsEmpty(m.Get(w.Field)) {
			r.in.Tally.Withheld++
			if w.Attr != "" {
				r.Values[r.kind.catalogue.MustAttribute(w.Attr)] = schemas.JSON(true)
			}
		}
	}
	if err := r.take(m, f.Table); err != nil {
		return record.Within(r.prefix, err)
	}
	r.in.Seen.Use(r.prefix, m, withNames(f.known, r.settings(m)))
	for i, o := range f.Objects {
		path := r.prefix + o.Field
		inner := r.shapes.Object(m.Get(o.Field), path)
		for _, in := range o.Table {
			if o.Whole && inner != nil && record.IsEmpty(inner.Get(in.Field)) {
				r.None[r.kind.catalogue.MustAttribute(in.Attr)] = true
			}
		}
		if err := r.take(inner, o.Table); err != nil {
			return record.Within(path+".", err)
		}
		r.in.Seen.Use(path+".", inner, f.objects[i])
	}
	for i := range f.lists {
		if err := r.list(m, &f.lists[i]); err != nil {
			return err
		}
	}
	return r.shapes.Err
}

// take reads the fields of a table. What would be kept and betrays a secret by itself is left out.
func (r *reading) take(m *record.Members, table []entity.Mapping) error {
	r.withoutPayments(m, table)
	err := r.Read(r.kind.catalogue, m, table,
		func(a *schemas.Attribute, value json.RawMessage, found record.Finding) record.Finding {
			text, ok := record.AsText(value)
			if found == record.Reported && ok && !isWord(a, value) && record.SecretText(text) {
				r.in.Tally.Withheld++
				return record.Unreported
			}
			return found
		})
	if d := r.kind.deletedAt; d != nil && r.Values[d] == nil {
		for _, f := range table {
			if f.Attr == d.ID && m.Has(f.Field) {
				r.None[d] = true // it was restored, if it ever was deleted
			}
		}
	}
	return err
}

// payment reports whether a number of a card or account stands in a text. What an event tells may
// be anybody's writing; serials and numbers of SIM cards, which other sources tell, look alike.
func (r *reading) payment(text string) bool { return r.in.Event != nil && record.Payment(text) }

// withoutPayments leaves out the fields of an event in which a number of a card or account stands,
// as it is written, but for what tells the thing apart: numbers of cases may look like one.
func (r *reading) withoutPayments(m *record.Members, table []entity.Mapping) {
	if r.in.Event == nil {
		return
	}
	for _, f := range table {
		text, ok := record.AsText(m.Get(f.Field))
		if ok && f.Attr != r.kind.Identity && r.payment(text) {
			r.in.Tally.Withheld++
			m.Delete(f.Field)
		}
	}
}

// isWord reports whether a value is one of a closed vocabulary, a number or the like, which can
// hold nothing else.
func isWord(a *schemas.Attribute, value json.RawMessage) bool {
	return (a.Type != "text" || a.Shape != nil && a.Shape.Kind == "enum") && a.MayStandOpen(value)
}

// identify finds what tells the thing apart.
func (r *reading) identify(m *record.Members) error {
	k := r.kind
	text, _ := record.AsText(r.Values[k.identity])
	if r.id = strings.ToLower(text); k.whose.id != nil {
		r.id, _ = record.AsGUID(text)
	}
	if r.id != "" {
		return nil
	}
	reason := "is missing or no id of the source's form, so that the record cannot be told from another"
	if k.whose.id != nil {
		reason = "is missing or no id of the directory's form, so that the account cannot be told from another"
	}
	return &record.FieldError{Field: r.prefix + r.identityField(), Reason: reason}
}

// identityField is the field that tells the thing apart.
func (r *reading) identityField() string {
	for _, f := range r.form.Table {
		if f.Attr == r.kind.Identity {
			return f.Field
		}
	}
	return "@odata.context"
}

// hint is how the record names the person whose the thing is.
func (s *snapshot) hint() vault.PersonHint {
	return vault.PersonHint{ObjectID: s.id, UPN: s.text(s.kind.whose.upn), Email: s.text(s.kind.whose.email),
		At: s.Age()}
}
