package adminaction

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxEventPersons leaves room in an action's event for its actor.
const maxEventPersons = 60

// maxID bounds an id that is no GUID, in bytes.
const maxID = 1 << 10

// tell puts an action into the ledger's terms. yours reports whether an id is a person's or
// device's, so that it may not stand open, and whether it is the actor's own.
func (f *fact) tell(
	actor uuid.UUID, targets []resolvedTarget, yours func(id string) (whose, own bool),
) (telling, error) {
	c := f.kind.catalogue
	t := telling{form: f.form, occurred: f.occurred, actor: actor}
	cut := f.cut
	add := func(to *[]schemas.Value, id string, raw json.RawMessage, owner schemas.Owner) error {
		a := c.MustAttribute(id)
		if a.Type == "object" {
			if !record.IsEmpty(raw) {
				*to = append(*to, schemas.Value{Attr: a, Plain: record.Compact(raw), Owner: owner})
			}
			return nil
		}
		if text, ok := record.AsText(raw); ok && len(text) > maxFactText {
			raw = schemas.JSON(record.Clip(text, maxFactText))
			cut++
		}
		v, found, err := record.Normalise(a, raw, 1)
		if err != nil {
			return &record.FieldError{Field: id, Reason: err.Error()}
		}
		if found != record.Reported {
			return nil
		}
		value := schemas.Value{Attr: a, Plain: v, Owner: owner}
		text, _ := record.AsText(v)
		if guid, ok := record.AsGUID(text); ok && (a.Shape != nil || a.Key != schemas.KeyPerson) {
			whose, own := yours(guid)
			if whose && !(own && a.Key == schemas.KeyPerson) {
				cut++ // under no key that goes with whose it is
				return nil
			}
			value.Protect = whose
		}
		*to = append(*to, value)
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(f.open)) {
		if err := add(&t.what, id, f.open[id], schemas.Owner{Kind: schemas.OwnerTenant}); err != nil {
			return t, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.actor.values)) {
		owner := schemas.Owner{Kind: schemas.OwnerTenant}
		if c.MustAttribute(id).Key == schemas.KeyPerson {
			owner = schemas.PersonOrTenant(actor)
		}
		if err := add(&t.who, id, f.actor.values[id], owner); err != nil {
			return t, err
		}
	}
	var first uuid.UUID
	for _, r := range targets {
		first = cmp.Or(first, r.person)
		anew := toldAnew{resolvedTarget: r, idAttr: c.MustAttribute(attrTargetID)}
		var n int
		anew.values, n = r.values(c)
		cut += n
		if r.erased {
			anew.changes = nil
		}
		t.targets = append(t.targets, anew)
	}
	if f.withheld > 0 {
		t.once = append(t.once, schemas.Value{Attr: c.MustAttribute(attrWithheld), Plain: schemas.JSON(f.withheld)})
	}
	if t.cut = cut; cut > 0 {
		t.once = append(t.once, schemas.Value{Attr: c.MustAttribute(attrCut), Plain: schemas.JSON(cut)})
	}
	for _, text := range []struct{ attr, is string }{{"action.details", f.details}, {"action.reason", f.reason}} {
		if text.is != "" {
			t.once = append(t.once, schemas.Value{Attr: c.MustAttribute(text.attr), Plain: schemas.JSON(text.is),
				Owner: schemas.PersonOrTenant(first)})
		}
	}
	return t, nil
}

// resolvedTarget is a target whose person and device are known to us.
type resolvedTarget struct {
	target
	as     targetKind
	device uuid.UUID
	person uuid.UUID
	erased bool // its person is erased: nothing of it is kept but its kind
}

// values returns what is kept of the target beside its changes, and how many texts were cut.
func (t resolvedTarget) values(c *schemas.Catalogue) (out []schemas.Value, cut int) {
	owner := schemas.PersonOrTenant(t.person)
	add := func(id, text string, most int) {
		kept := record.Clip(text, most)
		if kept != text {
			cut++
		}
		out = append(out, schemas.Value{Attr: c.MustAttribute(id), Plain: schemas.JSON(kept), Owner: owner})
	}
	if t.kind != "" {
		add("action.target-type", t.kind, maxChangeName)
	}
	if t.erased {
		return out, cut
	}
	id, isID := record.AsGUID(t.id)
	switch {
	case t.device != uuid.Nil:
		add(attrTargetDevice, t.device.String(), maxID)
	case t.as == targetResource && isID:
		add(attrTargetResource, id, maxID)
	case isID:
		add(attrTargetID, id, maxID)
	case t.id != "":
		add(attrTargetID, t.id, maxID)
	}
	if t.name != "" {
		add(attrTargetName, t.name, maxFactText)
	}
	return out, cut
}

// packer fills the events of one action: as many as the limits require.
type packer struct {
	new            func(*schemas.Type) schemas.Draft
	first, further *schemas.Type
	once           []schemas.Value // in the first event
	each           []schemas.Value // in each
	correlation    uuid.UUID
	causation      uuid.UUID
	actor          uuid.UUID // a subject of each

	out         []schemas.Draft
	size, index int
}

func (p *packer) next() {
	t := p.first
	if len(p.out) > 0 {
		t = p.further
	}
	draft := p.new(t)
	draft.Correlation, draft.Causation = p.correlation, p.causation
	draft.Values = slices.Clone(p.each)
	if len(p.out) == 0 {
		draft.Values = append(draft.Values, p.once...)
	}
	if p.actor != uuid.Nil {
		draft.Subjects = []schemas.SubjectRef{{Role: "actor", Person: p.actor}}
	}
	p.size, p.index = 2048, 0
	for _, v := range draft.Values {
		p.size += schemas.EstimateSize(v.Attr, v.Plain, "")
	}
	p.out = append(p.out, draft)
}

// entry adds what belongs together: a target, or a dispute. person is named in the role of a
// target.
func (p *packer) entry(values []schemas.Value, person uuid.UUID) {
	n := 0
	for _, v := range values {
		n += schemas.EstimateSize(v.Attr, v.Plain, "0000")
	}
	if len(p.out) == 0 {
		p.next()
	}
	last := &p.out[len(p.out)-1]
	if p.index > 0 && (p.size+n > schemas.FullEventBytes || len(last.Subjects) > maxEventPersons) {
		p.next()
		last = &p.out[len(p.out)-1]
	}
	p.size += n
	for _, v := range values {
		v.Path = []string{strconv.Itoa(p.index)}
		last.Values = append(last.Values, v)
	}
	if len(values) > 0 {
		p.index++
	}
	named := slices.ContainsFunc(last.Subjects, func(s schemas.SubjectRef) bool {
		return s.Role == "target" && s.Person == person
	})
	if person != uuid.Nil && !named {
		last.Subjects = append(last.Subjects, schemas.SubjectRef{Role: "target", Person: person})
	}
}

func (k *kind) changesValue(changes []KeptChange, person uuid.UUID) schemas.Value {
	return schemas.Value{Attr: k.catalogue.MustAttribute(attrChanges), Plain: schemas.JSON(changes),
		Owner: schemas.PersonOrTenant(person)}
}

// recordedDrafts turns an action into its event, and into those that continue it where it has
// more targets than one may name.
func (k *kind) recordedDrafts(
	draft func(*schemas.Type) schemas.Draft, t telling, correlation uuid.UUID,
) []schemas.Draft {
	p := packer{new: draft, first: k.recorded, further: k.continued,
		each: slices.Concat(t.what, t.who), once: t.once, correlation: correlation, actor: t.actor}
	p.next()
	// Whose key seals details and reason is a target, wherever its own place is.
	for _, v := range t.once {
		if v.Owner.Kind == schemas.OwnerPerson {
			p.entry(nil, v.Owner.ID)
		}
	}
	for _, target := range t.targets {
		values := target.values
		if len(target.changes) > 0 && !target.erased {
			values = append(slices.Clone(values), k.changesValue(target.changes, target.person))
		}
		p.entry(values, target.person)
	}
	return p.out
}

// newsDrafts turns what a telling adds into what supplements the action, and what it says
// otherwise into what disputes it.
func (k *kind) newsDrafts(
	draft func(*schemas.Type) schemas.Draft, a *toldAction, form string, actor uuid.UUID, n news,
) []schemas.Draft {
	c := k.catalogue
	s := packer{new: draft, first: k.supplemented, further: k.supplemented, once: n.values,
		causation: a.recorded}
	if slices.ContainsFunc(n.values, func(v schemas.Value) bool { return v.Owner.ID == actor }) {
		s.actor = actor
	}
	if len(n.values) > 0 {
		s.next()
	}
	for _, v := range n.values {
		if v.Attr.Role == "target" && v.Owner.Kind == schemas.OwnerPerson {
			s.entry(nil, v.Owner.ID)
		}
	}
	for _, f := range n.targets {
		values := append([]schemas.Value{{Attr: c.MustAttribute(attrTargetIndex), Plain: schemas.JSON(f.index)}},
			f.values...)
		if len(f.changes) > 0 {
			values = append(values, k.changesValue(f.changes, f.person))
		}
		s.entry(values, f.person)
	}
	dis := packer{new: draft, first: k.disputed, further: k.disputed, causation: a.recorded,
		actor: actor, each: []schemas.Value{{Attr: c.MustAttribute("action.form"), Plain: schemas.JSON(form)}}}
	for _, q := range n.disputes {
		values := []schemas.Value{{Attr: c.MustAttribute("action.disputed-attribute"), Plain: schemas.JSON(q.attr)}}
		value := "action.disputed-value"
		if q.target >= 0 {
			value = "action.disputed-target-value"
			values = append(values, schemas.Value{Attr: c.MustAttribute("action.disputed-index"),
				Plain: schemas.JSON(q.target)})
		}
		if q.owner.Kind != schemas.OwnerPerson {
			q.owner = schemas.Owner{Kind: schemas.OwnerTenant}
		}
		if a := c.Attribute(q.attr); q.target < 0 && a != nil && a.Role == "target" {
			value, q.person = "action.disputed-target-value", q.owner.ID // details, reason
		}
		told := schemas.Value{Attr: c.MustAttribute(value), Plain: q.plain, Owner: q.owner}
		dis.entry(append(values, told), q.person)
	}
	return append(s.out, dis.out...)
}
