package intake

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// ownershipCompany is the only ownership under which a device's identifiers are its own and its apps are kept.
const ownershipCompany = "company"

// retiring are the management states by which a device leaves.
var retiring = map[string]bool{"retirePending": true, "retireIssued": true, "wipePending": true, "wipeIssued": true, "deletePending": true}

// change of one attribute, or of one element of a list.
type delta struct {
	attr     *schemas.Attribute
	element  string
	plain    json.RawMessage
	removed  bool
	observed time.Time // zero: at the event's own time
	person   uuid.UUID // whose value it is, where that is not the device's user; whose it was, where it is removed
}

// difference is what a snapshot changes in a state.
type difference struct {
	deltas   []delta // in the catalogue's order; a list's elements together
	restated []delta // what stays as it is, to be written under new keys
	first    bool    // nothing was known of the device
	moved    bool    // its user or ownership changes whose data it is
	user     uuid.UUID
	owner    string // ownership
	late     bool   // something differs and is older than what is known
}

// userHint says what a snapshot tells of the device's user.
type userHint int

const (
	userUntold userHint = iota
	userNone
	userNamed
)

func (in *Intake) userOf(s *snapshot) userHint {
	id, upn := in.cfg.Catalogue.MustAttribute(attrUserID), in.cfg.Catalogue.MustAttribute(attrUserUPN)
	switch {
	case s.values[id] != nil || s.values[upn] != nil:
		return userNamed
	case s.none[id]:
		return userNone
	}
	return userUntold
}

// later reports whether the snapshot may overwrite what was observed at that time (FORMATS §2).
func (s *state) later(snap *snapshot, observed time.Time) bool {
	return snap.observed.After(observed) && snap.observed.After(s.newest[snap.source])
}

// older reports whether the snapshot tells of a time before what was observed then, or before the newest of its own source.
func (s *state) older(snap *snapshot, observed time.Time) bool {
	return snap.observed.Before(observed) || snap.observed.Before(s.newest[snap.source])
}

// contradicts reports whether an older snapshot names another user or ownership: it then tells of a time that is over, and sets nothing.
func (in *Intake) contradicts(st *state, snap *snapshot) bool {
	for _, name := range []string{attrOwnership, attrUserID, attrUserUPN} {
		a := in.cfg.Catalogue.MustAttribute(name)
		have, known := st.values[a]
		said, saidNone := snap.values[a], snap.none[a]
		if !known || said == nil && !saidNone || !st.older(snap, have.observed) {
			continue
		}
		same := saidNone == have.none && strings.EqualFold(string(said), string(have.plain))
		if name == attrUserUPN && !same && in.sameID(st, snap) {
			continue // renamed, the same person
		}
		if !same {
			return true
		}
	}
	return false
}

func (in *Intake) sameID(st *state, snap *snapshot) bool {
	id := in.cfg.Catalogue.MustAttribute(attrUserID)
	return snap.values[id] != nil && string(snap.values[id]) == string(st.values[id].plain)
}

// ofUser reports whether the attribute's values are the device user's own.
func ofUser(a *schemas.Attribute) bool { return a.Key == schemas.KeyPerson && a.Role == "user" }

// ownershipOf returns the device's ownership once the snapshot is taken in, and its ownership at the time the snapshot tells of, "" where that is
// not known: what may have been personal then stays out.
func (in *Intake) ownershipOf(st *state, snap *snapshot) (now, then string) {
	a := in.cfg.Catalogue.MustAttribute(attrOwnership)
	have, known := st.values[a]
	now = st.text(a)
	switch said := snap.values[a]; {
	case said == nil && known && snap.observed.Before(have.observed):
		return now, ""
	case said == nil, string(said) == string(have.plain):
		return now, now
	case known && !st.later(snap, have.observed):
		return now, ""
	default:
		now, _ = asText(said)
		return now, now
	}
}

// diff compares a snapshot with the state. user is the person whom the snapshot names, uuid.Nil for nobody; owner is the ownership that follows.
func (in *Intake) diff(st *state, snap *snapshot, told userHint, user uuid.UUID, owner string, lists []resolvedList) difference {
	d := difference{first: !st.exists, user: st.user, owner: owner}
	if told != userUntold {
		d.user = user
	}
	d.moved = !d.first && (d.user != st.user || owner != st.text(in.cfg.Catalogue.MustAttribute(attrOwnership)))
	newUser := d.moved && st.user != uuid.Nil && d.user != st.user
	userSeen := st.values[in.cfg.Catalogue.MustAttribute(attrUserID)].observed
	stale := told == userUntold && st.user != uuid.Nil && snap.observed.Before(userSeen)

	var volatile []delta
	volatileDay := true // may volatile values alone be written for this day?
	day := snap.observed.Truncate(24 * time.Hour)
	for _, a := range in.types.restated.Attributes() {
		if _, list := in.types.restated.Member(a); list {
			continue
		}
		have, known := st.values[a]
		if a.Volatile && known && !day.After(have.observed.Truncate(24*time.Hour)) {
			volatileDay = false
		}
		said, none := snap.values[a], snap.none[a]
		confirmed := said != nil || none
		switch {
		case stale && ofUser(a):
			continue // of the user before
		case newUser && ofUser(a) && known && !confirmed:
			if !have.none {
				d.deltas = append(d.deltas, delta{attr: a, removed: true})
			}
		case newUser && ofUser(a) && confirmed && !(none && have.none):
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		case !confirmed:
		case !known:
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		case none == have.none && string(said) == string(have.plain):
		case !st.later(snap, have.observed):
			d.late = true
		case a.Volatile:
			volatile = append(volatile, delta{attr: a, plain: said, removed: none})
		default:
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		}
	}
	for _, l := range lists {
		changed, late := st.diffList(snap, l)
		d.late = d.late || late
		have := st.lists[l.attr]
		if l.attr.Volatile && have != nil {
			if !day.After(have.observed.Truncate(24 * time.Hour)) {
				volatileDay = false
			}
			volatile = append(volatile, changed...)
		} else {
			d.deltas = append(d.deltas, changed...)
		}
	}
	if len(d.deltas) > 0 || volatileDay {
		d.deltas = append(d.deltas, volatile...)
	}
	if d.moved {
		in.restate(st, &d)
	}
	return d
}

// resolvedList is a reported list whose entries have their element uuids.
type resolvedList struct {
	attr     *schemas.Attribute
	complete bool
	elements []string // in order
	items    map[string]resolvedItem
}

type resolvedItem struct {
	plain  json.RawMessage
	person uuid.UUID
}

func (s *state) diffList(snap *snapshot, l resolvedList) (out []delta, late bool) {
	have := s.lists[l.attr]
	var before map[string]json.RawMessage
	if have != nil {
		before = have.elements
	}
	for _, e := range l.elements {
		if item := l.items[e]; string(before[e]) != string(item.plain) {
			out = append(out, delta{attr: l.attr, element: e, plain: item.plain, person: item.person})
		}
	}
	if l.complete {
		for _, e := range sortedKeys(before) {
			if _, still := l.items[e]; !still {
				out = append(out, delta{attr: l.attr, element: e, removed: true})
			}
		}
	}
	if have != nil && len(out) > 0 && !s.later(snap, have.observed) {
		return nil, true
	}
	return out, false
}

// restate adds what the snapshot leaves as it is, each with the time of its own observation. A list that may no longer be held is removed.
func (in *Intake) restate(st *state, d *difference) {
	changed := map[*schemas.Attribute]map[string]bool{}
	for _, c := range d.deltas {
		if changed[c.attr] == nil {
			changed[c.attr] = map[string]bool{}
		}
		changed[c.attr][c.element] = true
	}
	for _, a := range in.types.restated.Attributes() {
		if a.ID == attrLoggedOn {
			continue // each entry is its own person's, whoever holds the device
		}
		if l := st.lists[a]; l != nil {
			drop := a.ID == attrApp && d.owner != ownershipCompany
			for _, e := range sortedKeys(l.elements) {
				switch {
				case changed[a][e]:
				case drop:
					d.deltas = append(d.deltas, delta{attr: a, element: e, removed: true})
				default:
					d.restated = append(d.restated, delta{attr: a, element: e, plain: l.elements[e], observed: l.observed})
				}
			}
			continue
		}
		if h, ok := st.values[a]; ok && !h.none && !changed[a][""] {
			d.restated = append(d.restated, delta{attr: a, plain: h.plain, observed: h.observed})
		}
	}
}

// apply brings the state to what it is once the difference is in the ledger.
func (in *Intake) apply(st *state, snap *snapshot, d difference) {
	if len(d.deltas)+len(d.restated) == 0 {
		return
	}
	st.exists = true
	if snap.observed.After(st.newest[snap.source]) {
		st.newest[snap.source] = snap.observed
	}
	for _, c := range d.deltas {
		switch {
		case c.element == "":
			st.values[c.attr] = held{plain: c.plain, none: c.removed, observed: snap.observed}
		case c.removed:
			delete(st.list(c.attr, snap.observed).elements, c.element)
		default:
			st.list(c.attr, snap.observed).elements[c.element] = c.plain
		}
	}
	for _, c := range d.restated {
		if c.element == "" {
			h := st.values[c.attr]
			h.observed = c.observed
			st.values[c.attr] = h
		}
	}
	st.hold(d.user, snap.observed)
}
