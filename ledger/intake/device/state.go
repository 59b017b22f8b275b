package device

import (
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
const ownershipCompany = "company"

// State is what the ledger says of one device, and who has used it.
type State struct {
	*entity.State
	kind    *kind
	User    uuid.UUID // whom the ledger says the device is used by
	holders []holder  // in the order of the stream
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

// hold notes who uses the device from an observation on.
func (s *State) hold(user uuid.UUID, from time.Time) {
	if user != s.User {
		s.User = user
		s.holders = append(s.holders, holder{from, user})
	}
}

// sealedUser is what an event says of the device's user: the alias of a value of theirs tells who
// it is, no value that there is none.
type sealedUser struct {
	token schemas.Token
	at    time.Time
}

// foldUsers settles who used the device, event by event.
func (s *State) foldUsers(tx *vault.Tx, events []ledger.Own) error {
	for _, own := range events {
		said, tells := s.kind.userIn(own.Draft)
		if !tells {
			continue
		}
		user, err := said.person(tx)
		if err != nil {
			return err
		}
		s.hold(user, said.at)
	}
	if n := len(s.holders); n > 0 && s.User != uuid.Nil && !s.namesUser() {
		s.hold(uuid.Nil, s.holders[n-1].from)
	}
	return nil
}

// userIn returns what an event says of the device's user; tells is false where it says nothing. A
// person known by name alone replaces one known by id: the id is removed and the name set, in one
// event.
func (k *kind) userIn(d schemas.Draft) (user sealedUser, tells bool) {
	for _, v := range d.Values {
		at := d.Occurred
		if !v.Observed.IsZero() {
			at = v.Observed
		}
		if v.Attr == k.userID && (!tells || v.Token != "") ||
			v.Attr == k.userUPN && v.Token != "" && (!tells || user.token == "") {
			user, tells = sealedUser{token: v.Token, at: at}, true
		}
	}
	return user, tells
}

// namesUser reports whether anything still tells who the user is.
func (s *State) namesUser() bool {
	for _, a := range []*schemas.Attribute{s.kind.userID, s.kind.userUPN} {
		if h, known := s.Value(a); known && !h.None {
			return true
		}
	}
	return false
}

func (u sealedUser) person(tx *vault.Tx) (uuid.UUID, error) {
	if u.token == "" {
		return uuid.Nil, nil
	}
	h, _, err := u.token.Parse()
	if err != nil {
		return uuid.Nil, nil // no event that fits its type holds such a token
	}
	return entity.PersonOf(tx, h.Alias)
}

// contradicts reports whether a snapshot that is not newer names another user or ownership: it
// then tells of a time that is over, and sets nothing.
func (s *State) contradicts(snap *snapshot) (yes, sameMoment bool) {
	for _, a := range []*schemas.Attribute{s.kind.ownership, s.kind.userID, s.kind.userUPN} {
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
	return false, false
}

func (s *State) sameID(snap *snapshot) bool {
	id := s.kind.userID
	have, _ := s.Value(id)
	return snap.Values[id] != nil && string(snap.Values[id]) == string(have.Plain)
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
func (s *State) terms(exists bool, snap *snapshot, who userHint, next holding, unlimited bool) entity.Terms {
	moved := exists && (next.user != s.User || next.ownership != s.Text(s.kind.ownership))
	seen, _ := s.Value(s.kind.userID)
	t := entity.Terms{Restate: moved, Unlimited: unlimited,
		Apart: func(a *schemas.Attribute) bool { return a == s.kind.loggedOn }, // each entry is its own person's
		Drop:  func(a *schemas.Attribute) bool { return a == s.kind.app && next.ownership != ownershipCompany },
	}
	if who == userUntold && s.User != uuid.Nil && seen.Newer(snap.Moment) {
		t.Stale = entity.OfUser // of the user before
	}
	if moved && s.User != uuid.Nil && next.user != s.User {
		t.Renewed = entity.OfUser
	}
	return t
}

// holding says whose the values of a device are: its user's and, by its ownership, whoever owns
// its identifiers.
type holding struct {
	kind      *kind
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
		if h.ownership == ownershipCompany {
			return schemas.Owner{Kind: schemas.OwnerDevice, ID: h.device}
		}
		return schemas.PersonOrTenant(h.user)
	case schemas.KeyPerson:
		if c.Attr == h.kind.loggedOn {
			return schemas.PersonOrTenant(c.Person)
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
		Order:    []*schemas.Type{k.enrolled, k.ownershipType, k.whole, k.inventory, k.compliance, k.apps, k.retired},
		Restated: k.whole, Confirmed: whole, Contacted: k.inventory,
		Route: func(c entity.Delta) *schemas.Type {
			text, _ := record.AsText(c.Plain)
			switch {
			case c.Attr == k.management && slices.Contains(retiring, text) &&
				!slices.Contains(retiring, st.Text(c.Attr)):
				return k.retired
			case c.Attr == k.app:
				return k.apps
			case first:
			case c.Attr.Group == "compliance":
				return k.compliance
			case c.Attr.Group == "ownership":
				return k.ownershipType
			}
			return whole
		},
	}
}
