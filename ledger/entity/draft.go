package entity

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// TellsOfUser reports whether the value tells of the entity's user, whatever it is a value of: it
// is sealed under their key.
func (c Delta) TellsOfUser() bool { return c.protect == protectAsPerson }

// Drafter turns differences into the events that report them.
type Drafter struct {
	Def      Definition
	Occurred time.Time
	// New returns an empty event of the type and of that time.
	New func(t *schemas.Type, occurred time.Time) schemas.Draft
	// Owner says whose key seals a value.
	Owner func(Delta) schemas.Owner
	// Subjects lists the persons whom an event of the type names, others among them.
	Subjects func(t *schemas.Type, others []uuid.UUID) []schemas.SubjectRef
	// Route says which type tells of a change. Order are all types, in the order of appending.
	Route func(Delta) *schemas.Type
	Order []*schemas.Type
	// Restated is the type for what stays as it is under new keys, Confirmed the one for an event
	// that only confirms.
	Restated, Confirmed *schemas.Type
	// Contacted is the type that tells the latest contact again.
	Contacted *schemas.Type
}

// maxOthers is how many persons an event of the type can name beside the entity's user and owner.
func maxOthers(t *schemas.Type) int {
	users, owners := len(t.RoleClasses("user")), len(t.RoleClasses("owner"))
	return (schemas.MaxSubjects-owners)/max(users, 1) - 1
}

// events turns deltas into drafts of the type, as many as the limits of an event and of a list's
// delta require. Each begins with the snapshot's own last contact.
func (d Drafter) events(t *schemas.Type, deltas []*Delta, contact *Delta) []schemas.Draft {
	var out []schemas.Draft
	var size, entries int
	var persons []uuid.UUID
	most := maxOthers(t)
	add := func(c *Delta, takes int) {
		v := schemas.Value{Attr: c.Attr, Plain: c.Plain, Removed: c.Removed, Observed: c.observed,
			Protect: c.protect != protectNot, Owner: d.Owner(*c)}
		if c.Removed {
			v.Plain, v.Owner = nil, schemas.Owner{}
			if c.Person != uuid.Nil {
				v.Owner = schemas.PersonOrTenant(c.Person)
			}
		}
		if c.Element != "" {
			v.Path = []string{c.Element}
		}
		last := &out[len(out)-1]
		last.Values = append(last.Values, v)
		size += takes
	}
	closeLast := func() {
		if n := len(out); n > 0 {
			out[n-1].Subjects = d.Subjects(t, persons)
		}
	}
	begin := func() {
		closeLast()
		out = append(out, d.New(t, d.Occurred))
		out[len(out)-1].Values = make([]schemas.Value, 0, min(len(deltas)+1, schemas.MaxListEntries))
		size, entries, persons = 0, 0, nil
		if contact != nil {
			add(contact, schemas.EstimateSize(contact.Attr, contact.Plain, ""))
		}
	}
	begin()
	for _, c := range deltas {
		takes := schemas.EstimateSize(c.Attr, c.Plain, c.Element)
		full := size+takes > schemas.FullEventBytes && len(out[len(out)-1].Values) > 0
		if full || c.Element != "" && entries == schemas.MaxListEntries || len(persons) == most {
			begin()
		}
		if c.Element != "" {
			entries++
		}
		if c.Person != uuid.Nil && !slices.Contains(persons, c.Person) {
			persons = append(persons, c.Person)
		}
		add(c, takes)
	}
	closeLast()
	return out
}

// Events turns a difference into the events that report it, in the order in which they are
// appended.
func (d Drafter) Events(st *State, snap *Snapshot, diff Difference) []schemas.Draft {
	by := map[*schemas.Type][]*Delta{} // they are large
	var contact *Delta
	if said := snap.Values[d.Def.Contact]; said != nil {
		contact = &Delta{Attr: d.Def.Contact, Plain: said}
	}
	for i := range diff.deltas {
		c := &diff.deltas[i]
		if c.Attr == d.Def.Contact && contact != nil {
			continue // it stands in each
		}
		to := d.Route(*c)
		if by[to] == nil {
			by[to] = make([]*Delta, 0, min(len(diff.deltas)-i, usualValues))
		}
		by[to] = append(by[to], c)
	}
	newer := map[int64][]*Delta{} // by their own L
	for i := range diff.restated {
		c := &diff.restated[i]
		if c.ownL {
			newer[c.contact.Unix()] = append(newer[c.contact.Unix()], c)
		} else {
			by[d.Restated] = append(by[d.Restated], c)
		}
	}
	var out []schemas.Draft
	for _, typ := range d.Order {
		if len(by[typ]) > 0 {
			out = append(out, d.events(typ, by[typ], contact)...)
		}
	}
	if len(out) == 0 && diff.Writes() {
		out = d.events(d.Confirmed, nil, contact)
	}
	d.silence(out, diff)
	for _, l := range slices.Sorted(maps.Keys(newer)) {
		out = append(out, d.restateNewer(st, newer[l], out)...)
	}
	if restored := d.restoreContact(st, snap, contact, out); restored != nil {
		out = append(out, *restored)
	}
	return out
}

// silence names in each event what it does not confirm: what the snapshot did not report, and what
// only the events behind it tell. A crash between two of their appends then leaves nothing that
// looks as if it had been compared.
func (d Drafter) silence(drafts []schemas.Draft, diff Difference) {
	silent := map[string]bool{}
	for a, is := range diff.silent {
		if is {
			silent[d.Def.member(a)] = true
		}
	}
	for i := len(drafts) - 1; i >= 0; i-- {
		drafts[i].Silent = slices.Sorted(maps.Keys(silent))
		for _, v := range drafts[i].Values {
			if i > 0 && v.Attr != d.Def.Contact {
				silent[d.Def.member(v.Attr)] = true
			}
		}
	}
}

// restateNewer restates what is newer than the snapshot and of one L or none, behind the events
// before it. Its events carry that L, and confirm nothing.
func (d Drafter) restateNewer(st *State, newer []*Delta, before []schemas.Draft) []schemas.Draft {
	at := newer[0].contact
	latest := st.values[d.Def.Contact]
	if d.Occurred = latest.Observed; !latest.Contact.Equal(at) {
		d.Occurred = slices.MaxFunc(newer, func(a, b *Delta) int { return a.observed.Compare(b.observed) }).observed
	}
	var contact *Delta // stands in each
	if !at.IsZero() {
		contact = &Delta{Attr: d.Def.Contact, Plain: schemas.JSON(record.WholeSeconds(at))}
	}
	newer = slices.DeleteFunc(newer, func(c *Delta) bool { return c.Attr == d.Def.Contact })
	out := d.events(d.Restated, newer, contact)
	d.confirmNothing(st, out, before)
	return out
}

// restoreContact tells the latest contact again behind the events of a snapshot that names an
// earlier one: in the views, what was told last is current. nil where that is not needed.
func (d Drafter) restoreContact(
	st *State, snap *Snapshot, contact *Delta, before []schemas.Draft,
) *schemas.Draft {
	if contact == nil || len(before) == 0 {
		return nil
	}
	have, known := st.values[contact.Attr]
	told := contact.Plain // last
	for _, b := range before {
		if v := b.Values[0]; v.Attr == contact.Attr {
			told = v.Plain
		}
	}
	if !known || have.None || snap.Newer(have.Moment) || string(have.Plain) == string(told) {
		return nil
	}
	d.Occurred = have.Observed
	again := &Delta{Attr: contact.Attr, Plain: have.Plain}
	restored := d.events(d.Contacted, []*Delta{again}, nil)
	d.confirmNothing(st, restored, before)
	return &restored[0]
}

// confirmNothing names as silent in the drafts all that the state has and the drafts before them
// tell, but for the last contact.
func (d Drafter) confirmNothing(st *State, drafts, before []schemas.Draft) {
	silent := map[string]bool{}
	for a := range st.values {
		silent[d.Def.member(a)] = true
	}
	for a := range st.lists {
		silent[d.Def.member(a)] = true
	}
	for _, b := range before {
		for _, v := range b.Values {
			silent[d.Def.member(v.Attr)] = true
		}
	}
	delete(silent, d.Def.member(d.Def.Contact))
	for i := range drafts {
		drafts[i].Silent = slices.Sorted(maps.Keys(silent))
	}
}
