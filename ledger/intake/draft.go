package intake

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxDraftBytes is where an event is closed and another begun, by estimate; the catalogue refuses one over schemas.MaxEventBytes.
const maxDraftBytes = 200 << 10

// maxEventPersons leaves room in an action's event for its actor.
const maxEventPersons = 60

func sortedKeys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// estimate returns about how many bytes a value takes in an event: its token is the header, and P padded to 32, in base64.
func estimate(a *schemas.Attribute, plain []byte, element string) int {
	if len(plain) == 0 || a.MayStandOpen(plain) {
		return len(plain) + len(element) + 64
	}
	return 220 + 2*len(element) + (len(plain)/32+1)*32*4/3
}

// holding says whose the values of a device are: its user and, by its ownership, whoever owns its identifiers.
type holding struct {
	device    uuid.UUID
	ownership string
	user      uuid.UUID
}

// owner returns the owning person: the user of a device that is personal or of unknown ownership.
func (h holding) owner() uuid.UUID {
	if h.ownership == ownershipCompany {
		return uuid.Nil
	}
	return h.user
}

// ownerOf returns whose key seals a value of the attribute (FORMATS §4). person is the one a list entry is about.
func (h holding) ownerOf(a *schemas.Attribute, person uuid.UUID) schemas.Owner {
	switch a.Key {
	case schemas.KeyDevice:
		return schemas.Owner{Kind: schemas.OwnerDevice, ID: h.device}
	case schemas.KeyDeviceOwner:
		if h.ownership == ownershipCompany {
			return schemas.Owner{Kind: schemas.OwnerDevice, ID: h.device}
		}
		return personOrTenant(h.user)
	case schemas.KeyPerson:
		if a.ID == attrLoggedOn {
			return personOrTenant(person)
		}
		return personOrTenant(h.user)
	}
	return schemas.Owner{Kind: schemas.OwnerTenant}
}

// ownerOfChange is ownerOf for a value of the device, which may tell of its user whatever it is a value of.
func (h holding) ownerOfChange(c delta) schemas.Owner {
	if c.protect == protectAsPerson && h.user != uuid.Nil {
		return personOrTenant(h.user)
	}
	return h.ownerOf(c.attr, c.person)
}

func personOrTenant(p uuid.UUID) schemas.Owner {
	if p == uuid.Nil {
		return schemas.Owner{Kind: schemas.OwnerTenant}
	}
	return schemas.Owner{Kind: schemas.OwnerPerson, ID: p}
}

// own notes in the state whose the values are that the difference brought.
func (h holding) own(st *state, diff difference) {
	for _, c := range slices.Concat(diff.deltas, diff.restated) {
		owner := schemas.Owner{}
		if !c.removed {
			owner = h.ownerOfChange(c)
		}
		st.own(place{c.attr, c.element}, owner)
	}
}

// subjects lists the persons whom an event of the type names: the user, the owner, those of its entries, and
// those whose values it removes.
func (h holding) subjects(t *schemas.Type, others []uuid.UUID) []schemas.SubjectRef {
	var out []schemas.SubjectRef
	seen := map[uuid.UUID]bool{uuid.Nil: true}
	for _, p := range append([]uuid.UUID{h.user}, others...) {
		if !seen[p] && len(t.RoleClasses("user")) > 0 {
			seen[p] = true
			out = append(out, schemas.SubjectRef{Role: "user", Person: p})
		}
	}
	if p := h.owner(); p != uuid.Nil && len(t.RoleClasses("owner")) > 0 {
		out = append(out, schemas.SubjectRef{Role: "owner", Person: p})
	}
	return out
}

// maxOthers is how many persons an event of the type can name beside the device's user and owner.
func maxOthers(t *schemas.Type) int {
	users, owners := len(t.RoleClasses("user")), len(t.RoleClasses("owner"))
	return (schemas.MaxSubjects-owners)/max(users, 1) - 1
}

// drafter makes the drafts of one record.
type drafter struct {
	tenant   vault.Tenant
	stream   schemas.Stream
	source   string
	occurred time.Time
	recorded time.Time
	holding
}

func (d drafter) draft(t *schemas.Type) schemas.Draft {
	return schemas.Draft{Type: t, Tenant: d.tenant.ID, Stream: d.stream, ID: schemas.NewID(), Occurred: d.occurred, Recorded: d.recorded,
		Source: d.source, Policy: d.tenant.Policy}
}

// states turns deltas into drafts of the type, as many as the limits of an event and of a list's
// delta require. Each begins with the snapshot's own last contact.
func (d drafter) states(t *schemas.Type, deltas []delta, contact *delta) []schemas.Draft {
	var out []schemas.Draft
	var size, entries int
	var persons []uuid.UUID
	most := maxOthers(t)
	add := func(c delta) {
		v := schemas.Value{Attr: c.attr, Plain: c.plain, Removed: c.removed, Observed: c.observed,
			Protect: c.protect != protectNot, Owner: d.ownerOfChange(c)}
		if c.removed {
			v.Plain, v.Owner = nil, schemas.Owner{}
			if c.person != uuid.Nil {
				v.Owner = personOrTenant(c.person)
			}
		}
		if c.element != "" {
			v.Path = []string{c.element}
		}
		last := &out[len(out)-1]
		last.Values = append(last.Values, v)
		size += estimate(c.attr, c.plain, c.element)
	}
	closeLast := func() {
		if n := len(out); n > 0 {
			out[n-1].Subjects = d.subjects(t, persons)
		}
	}
	begin := func() {
		closeLast()
		out = append(out, d.draft(t))
		size, entries, persons = 0, 0, nil
		if contact != nil {
			add(*contact)
		}
	}
	begin()
	for _, c := range deltas {
		full := size+estimate(c.attr, c.plain, c.element) > maxDraftBytes && len(out[len(out)-1].Values) > 0
		if full || c.element != "" && entries == schemas.MaxListEntries || len(persons) == most {
			begin()
		}
		if c.element != "" {
			entries++
		}
		if c.person != uuid.Nil && !slices.Contains(persons, c.person) {
			persons = append(persons, c.person)
		}
		add(c)
	}
	closeLast()
	return out
}

// drafts turns a difference into the events that report it, in the order in which they are appended.
func (in *Intake) drafts(d drafter, st *state, snap *snapshot, diff difference) []schemas.Draft {
	by := map[*schemas.Type][]delta{}
	t := in.types
	attr := in.cfg.Catalogue.MustAttribute(attrContact)
	var contact *delta
	if said := snap.values[attr]; said != nil {
		contact = &delta{attr: attr, plain: said}
	}
	whole := t.inventory // what tells of the device as a whole
	if diff.first {
		whole = t.enrolled
	}
	for _, c := range diff.deltas {
		to := whole
		text, _ := asText(c.plain)
		switch {
		case c.attr.ID == attrContact && contact != nil:
			continue // it stands in each
		case c.attr.ID == attrManagement && retiring[text] && !retiring[st.text(c.attr)]:
			to = t.retired
		case c.attr.ID == attrApp:
			to = t.apps
		case diff.first:
		case c.attr.Group == "compliance":
			to = t.compliance
		case c.attr.Group == "ownership":
			to = t.ownership
		}
		by[to] = append(by[to], c)
	}
	by[t.restated] = diff.restated
	var out []schemas.Draft
	for _, typ := range []*schemas.Type{t.enrolled, t.ownership, t.restated, t.inventory, t.compliance, t.apps, t.retired} {
		if len(by[typ]) > 0 {
			out = append(out, d.states(typ, by[typ], contact)...)
		}
	}
	if len(out) == 0 && diff.writes() {
		out = d.states(whole, nil, contact)
	}
	in.silence(out, diff)
	if restored := in.restoreContact(d, st, snap, contact, out); restored != nil {
		out = append(out, *restored)
	}
	return out
}

// silence names in each event what it does not confirm: what the snapshot did not report, and what
// only the events behind it tell. A crash between two of their appends then leaves nothing that
// looks as if it had been compared.
func (in *Intake) silence(drafts []schemas.Draft, diff difference) {
	silent := map[string]bool{}
	for a, is := range diff.silent {
		if is {
			silent[in.types.member(a)] = true
		}
	}
	for i := len(drafts) - 1; i >= 0; i-- {
		drafts[i].Silent = sortedKeys(silent)
		for _, v := range drafts[i].Values {
			if v.Attr.ID != attrContact {
				silent[in.types.member(v.Attr)] = true
			}
		}
	}
}

// restoreContact tells the latest contact again behind the events of a snapshot that names an
// earlier one: in the views, what was told last is current. nil where that is not needed.
func (in *Intake) restoreContact(
	d drafter, st *state, snap *snapshot, contact *delta, before []schemas.Draft,
) *schemas.Draft {
	if contact == nil || len(before) == 0 {
		return nil
	}
	have, known := st.values[contact.attr]
	if !known || have.none || snap.newer(have.moment) || string(have.plain) == string(contact.plain) {
		return nil
	}
	d.occurred = have.observed
	draft := d.states(in.types.inventory, []delta{{attr: contact.attr, plain: have.plain}}, nil)[0]
	silent := map[string]bool{}
	for a := range st.values {
		silent[in.types.member(a)] = true
	}
	for a := range st.lists {
		silent[in.types.member(a)] = true
	}
	for _, b := range before {
		for _, v := range b.Values {
			silent[in.types.member(v.Attr)] = true
		}
	}
	delete(silent, in.types.member(contact.attr))
	draft.Silent = sortedKeys(silent)
	return &draft
}
