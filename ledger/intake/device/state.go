package device

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// ownershipCompany is the only ownership under which a device's identifiers are its own and its
// apps are kept.
const ownershipCompany = vault.OwnershipCompany

// State is what the ledger says of one device, and who has used it.
type State struct {
	*entity.State
	kind    *kind
	User    uuid.UUID // whom the ledger says the device is used by
	holders []holder  // in the order of the stream
	past    past
}

// past is when the device was last told to be otherwise than it is told now: of another user, of a
// user without the present id or name, of another ownership, shared or not; zero where it never
// was. It moves forward only: what tells of a time that is over does so for good, whoever has the
// device again.
type past struct{ user, id, upn, ownership, shared entity.Moment }

// pass moves a moment of the past forward.
func pass(past *entity.Moment, to entity.Moment) {
	if to.Newer(*past) {
		*past = to
	}
}

// holder is who used the device from a time on.
type holder struct {
	from time.Time
	user uuid.UUID
}

// UserAt returns who used the device at that time; before the first observation, whoever is known
// first.
func (s *State) UserAt(at time.Time) uuid.UUID {
	var user uuid.UUID
	for i, h := range s.holders {
		if i == 0 || !h.from.After(at) {
			user = h.user
		}
	}
	return user
}

// hold notes who uses the device from an observation on. told is when the user was told last
// before that.
func (s *State) hold(user uuid.UUID, from time.Time, told entity.Moment) {
	if user != s.User {
		s.User = user
		s.holders = append(s.holders, holder{from, user})
		pass(&s.past.user, told)
	}
}

// name notes that the user's id or name is told, in place of another one or none. before is what
// was told before that.
func (s *State) name(a *schemas.Attribute, before *entity.State) {
	switch a {
	case s.kind.userID:
		pass(&s.past.id, s.kind.toldUser(before))
	case s.kind.userUPN:
		pass(&s.past.upn, s.kind.toldUser(before))
	}
}

// toldUser is when the user was told last, zero where that is unknown.
func (k *kind) toldUser(st *entity.State) (at entity.Moment) {
	for _, a := range []*schemas.Attribute{k.userID, k.userUPN} {
		if have, known := st.Value(a); known {
			pass(&at, have.Moment)
		}
	}
	return at
}

// belong notes the ownership of the device. before is what was told before that.
func (s *State) belong(ownership string, before *entity.State) {
	if have, known := before.Value(s.kind.ownership); known && ownership != before.Text(s.kind.ownership) {
		pass(&s.past.ownership, have.Moment)
	}
}

// share notes whether the device is shared. before is what was told before that.
func (s *State) share(shared bool, before *entity.State) {
	if have, known := before.Value(s.kind.shared); known && shared != isShared(before.Text(s.kind.shared)) {
		pass(&s.past.shared, have.Moment)
	}
}

// isShared reports whether what is told of it says that many persons use a device.
func isShared(told string) bool { return told == "true" }

// sharedOf reports whether the device is shared once the snapshot is taken in.
func (s *State) sharedOf(snap *snapshot) bool {
	have, known := s.Value(s.kind.shared)
	if said := snap.Values[s.kind.shared]; said != nil && (!known || snap.Newer(have.Moment)) {
		return isShared(string(said))
	}
	return isShared(string(have.Plain))
}

// has reports whether the attribute is known to have a value.
func has(st *entity.State, a *schemas.Attribute) bool {
	h, known := st.Value(a)
	return known && !h.None
}

// folding settles, beside the state, who used the device, and whose it was.
type folding struct {
	st    *State // its user and holders are settled last: whom an alias names may be forgotten
	users []sealedUser
}

// sealedUser is what an event says of the device's user: the alias of a value of theirs tells who
// it is, no value that there is none.
type sealedUser struct {
	alias uuid.UUID
	at    time.Time
	told  entity.Moment // when the user was told last before that
}

// Event implements entity.Beside.
func (f *folding) Event(own ledger.Own, before *entity.State) {
	k, d := f.st.kind, own.Draft
	for _, v := range d.Values {
		switch {
		case v.Attr == k.ownership:
			text, _ := record.AsText(v.Plain)
			f.st.belong(text, before)
		case v.Attr == k.shared:
			f.st.share(isShared(string(v.Plain)), before)
		case v.Token != "" && (d.Type != k.whole || !has(before, v.Attr)):
			f.st.name(v.Attr, before)
		}
	}
	said, tells := k.userIn(d, before)
	// Who is told twice in a row by one alias is one user.
	if n := len(f.users); tells && (n == 0 && said.alias != uuid.Nil || n > 0 && f.users[n-1].alias != said.alias) {
		said.told = k.toldUser(before)
		f.users = append(f.users, said)
	}
}

// userIn returns what an event says of the device's user; tells is false where it says nothing. A
// person known by name alone replaces one known by id: the id is removed and the name set, in one
// event. Where nobody was known by id, the name that is removed was all.
func (k *kind) userIn(d schemas.Draft, before *entity.State) (user sealedUser, tells bool) {
	nameOnly := !has(before, k.userID)
	var token schemas.Token
	for _, v := range d.Values {
		at := d.Occurred
		if !v.Observed.IsZero() {
			at = v.Observed
		}
		if v.Attr == k.userID && (!tells || v.Token != "") ||
			v.Attr == k.userUPN && (v.Token != "" || nameOnly) && (!tells || token == "") {
			token, user.at, tells = v.Token, at, true
		}
	}
	if h, _, err := token.Parse(); err == nil { // no event that fits its type holds another
		user.alias = h.Alias
	}
	return user, tells
}

// settle says who the users were, as far as their aliases still name them, once the state is
// folded.
func (f *folding) settle(tx *vault.Tx) error {
	s := f.st
	for _, u := range f.users {
		var user uuid.UUID
		if u.alias != uuid.Nil {
			var err error
			if user, err = entity.PersonOf(tx, u.alias); err != nil {
				return err
			}
		}
		s.hold(user, u.at, u.told)
	}
	if n := len(s.holders); n > 0 && s.User != uuid.Nil && !s.namesUser() {
		s.hold(uuid.Nil, s.holders[n-1].from, s.kind.toldUser(s.State)) // none of it opens any more
	}
	return nil
}

// Put implements entity.Beside.
func (f *folding) Put(m *entity.Memory) {
	p := f.st.past
	for _, at := range []entity.Moment{p.id, p.upn, p.ownership, p.shared} {
		m.PutMoment(at)
	}
	m.PutInt(len(f.users))
	for _, u := range f.users {
		m.PutID(u.alias)
		m.PutTime(u.at)
		m.PutMoment(u.told)
	}
}

// Take implements entity.Beside.
func (f *folding) Take(m *entity.Memory) {
	p := &f.st.past
	for _, at := range []*entity.Moment{&p.id, &p.upn, &p.ownership, &p.shared} {
		*at = m.Moment()
	}
	for range m.Count() {
		f.users = append(f.users, sealedUser{m.ID(), m.Time(), m.Moment()})
	}
}

// namesUser reports whether anything still tells who the user is.
func (s *State) namesUser() bool {
	return has(s.State, s.kind.userID) || has(s.State, s.kind.userUPN)
}

// contradicts reports whether a snapshot tells of a time that is over, and so sets nothing: it
// names a user or ownership, and is not newer than what named another, or did not name this one.
// Whether that stands or is past changes nothing: else the snapshot would be new once more when
// the device comes back.
func (s *State) contradicts(snap *snapshot) (yes, sameMoment bool) {
	for _, a := range []*schemas.Attribute{s.kind.ownership, s.kind.shared, s.kind.userID, s.kind.userUPN} {
		have, known := s.Value(a)
		said, saidNone := snap.Values[a], snap.None[a]
		if !known || said == nil && !saidNone || snap.Newer(have.Moment) {
			continue
		}
		same := saidNone == have.None && strings.EqualFold(string(said), string(have.Plain))
		if a == s.kind.userUPN && !same && s.sameID(snap) {
			continue // renamed, the same person
		}
		if !same {
			return true, snap.Same(have.Moment)
		}
	}
	who := snap.tellsUser()
	byID := snap.Values[s.kind.userID] != nil && snap.Newer(s.past.id)
	byUPN := snap.Values[s.kind.userUPN] != nil && snap.Newer(s.past.upn)
	yes = who != userUntold && !snap.Newer(s.past.user) || who == userNamed && !byID && !byUPN ||
		snap.Values[s.kind.ownership] != nil && !snap.Newer(s.past.ownership) ||
		(snap.alone || snap.Values[s.kind.shared] != nil) && !snap.Newer(s.past.shared)
	return yes, false // of one moment with the past may be what told it
}

func (s *State) sameID(snap *snapshot) bool {
	id := s.kind.userID
	have, _ := s.Value(id)
	return snap.Values[id] != nil && string(snap.Values[id]) == string(have.Plain) && snap.Newer(s.past.id)
}

// ownershipOf returns the device's ownership once the snapshot is taken in, and its ownership at
// the time the snapshot tells of, "" where that is not known: what may have been personal then
// stays out.
func (s *State) ownershipOf(snap *snapshot) (now, then string) {
	a := s.kind.ownership
	have, known := s.Value(a)
	now = s.Text(a)
	switch said := snap.Values[a]; {
	case said == nil && known && have.Newer(snap.Moment):
		return now, ""
	case said == nil, string(said) == string(have.Plain):
		return now, now
	case known && !snap.Newer(have.Moment):
		return now, ""
	default:
		now, _ = record.AsText(said)
		return now, now
	}
}

// terms are what a device adds to the comparison: whose its data is may change with the snapshot.
// What the tenant's policy refuses by now is not told again.
func (s *State) terms(p *plan.Planner, exists bool, snap *snapshot, who userHint, next holding) entity.Terms {
	moved := exists && (next.user != s.User || next.ownership != s.Text(s.kind.ownership) ||
		next.shared != isShared(s.Text(s.kind.shared)))
	seen, _ := s.Value(s.kind.userID)
	t := entity.Terms{Restate: moved, Unlimited: p.Unlimited, Apart: s.kind.ofEach,
		Drop: func(a *schemas.Attribute) bool {
			return a == s.kind.app && next.ownership != ownershipCompany || p.Tenant.Policy.Refuses(a)
		},
	}
	if who == userUntold && (s.User != uuid.Nil && seen.Newer(snap.Moment) || !snap.Newer(s.past.user)) {
		t.Stale = entity.OfUser // of a user before
	}
	if moved && s.User != uuid.Nil && next.user != s.User {
		t.Renewed = entity.OfUser
	}
	return t
}

// ofEach reports whether each entry of the list is sealed under the person it is about.
func (k *kind) ofEach(a *schemas.Attribute) bool { return a == k.loggedOn || a == k.cached }

// holding says whose the values of a device are: its user's and, by its ownership, whoever owns
// its identifiers.
type holding struct {
	kind      *kind
	device    uuid.UUID
	ownership string
	shared    bool // many persons use it: it is nobody's, whoever is told to be its user
	user      uuid.UUID
}

// owner returns the owning person: the user of a device that is personal or of unknown ownership.
// Of nobody's, which is a company's, one that is shared or one without a user, the device itself
// is the subject.
func (h holding) owner() uuid.UUID {
	if h.ownership == ownershipCompany || h.shared {
		return uuid.Nil
	}
	return h.user
}

// vaultOwnership is the ownership as the vault knows it: whatever is not told apart is unknown.
func (h holding) vaultOwnership() string {
	switch {
	case h.shared && h.ownership == ownershipCompany:
		return vault.OwnershipSharedCompany
	case h.shared:
		return vault.OwnershipShared
	case h.ownership == ownershipCompany, h.ownership == "personal":
		return h.ownership
	}
	return ""
}

// ownerOf returns whose key seals a value (FORMATS §4), which may tell of the user whatever it is
// a value of.
func (h holding) ownerOf(c entity.Delta) schemas.Owner {
	if c.TellsOfUser() && h.user != uuid.Nil {
		return schemas.PersonOrTenant(h.user)
	}
	switch c.Attr.Key {
	case schemas.KeyDevice:
		return schemas.Owner{Kind: schemas.OwnerDevice, ID: h.device}
	case schemas.KeyDeviceOwner:
		if p := h.owner(); p != uuid.Nil {
			return schemas.PersonOrTenant(p)
		}
		return schemas.Owner{Kind: schemas.OwnerDevice, ID: h.device}
	case schemas.KeyPerson:
		if h.kind.ofEach(c.Attr) {
			return schemas.PersonOrTenant(c.Person)
		}
		if h.shared && !c.Attr.EmptyIsNone { // of a shared device, what does not name the user is not theirs
			return schemas.Owner{Kind: schemas.OwnerTenant}
		}
		return schemas.PersonOrTenant(h.user)
	}
	return schemas.Owner{Kind: schemas.OwnerTenant}
}

// subjects lists the persons whom an event of the type names: the user, the owner, those of its
// entries, and those whose values it removes.
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

// retiring are the management states by which a device leaves.
var retiring = []string{"retirePending", "retireIssued", "wipePending", "wipeIssued", "deletePending"}

func retires(state json.RawMessage) bool {
	text, _ := record.AsText(state)
	return slices.Contains(retiring, text)
}

// drafter reports what changes of the device: each change in the type of its group, on first sight
// in one.
func (k *kind) drafter(p *plan.Planner, known *plan.StreamState, snap *snapshot, holds holding) entity.Drafter {
	st := known.Content.(*State)
	whole := k.inventory // what tells of the device as a whole
	if !known.Exists {
		whole = k.enrolled
	}
	first := !known.Exists
	return entity.Drafter{Def: k.Definition, Occurred: snap.Observed, Owner: holds.ownerOf, Subjects: holds.subjects,
		New: func(t *schemas.Type, at time.Time) schemas.Draft {
			return p.Draft(t, known.Stream, snap.Source, at)
		},
		Order: []*schemas.Type{k.enrolled, k.ownershipType, k.whole, k.inventory, k.compliance, k.security, k.setup,
			k.apps, k.retired},
		Restated: k.whole, Confirmed: whole, Contacted: k.inventory,
		Route: func(c entity.Delta) *schemas.Type {
			switch {
			case c.Attr == k.management && retires(c.Plain) && !slices.Contains(retiring, st.Text(c.Attr)):
				return k.retired
			case c.Attr == k.app:
				return k.apps
			case first:
			case c.Attr.Group == "compliance":
				return k.compliance
			case c.Attr.Group == "ownership":
				return k.ownershipType
			case c.Attr.Group == "security":
				return k.security
			case c.Attr.Group == "setup":
				return k.setup
			}
			return whole
		},
	}
}
