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
	protect  protection
}

// difference is what a snapshot changes in a state.
type difference struct {
	deltas   []delta // in the catalogue's order; a list's elements together
	restated []delta // what stays as it is, to be written under new keys
	silent   map[*schemas.Attribute]bool
	confirms bool // an event of its own confirms what the snapshot reports, though it changes nothing
	first    bool // nothing was known of the device
	moved    bool // its user or ownership changes whose data it is
	user     uuid.UUID
	owner    string // ownership
	late     bool   // something differs and is older than what is known
	moments  bool   // something differs and is of the same moment
}

// writes reports whether the difference needs an event.
func (d difference) writes() bool { return len(d.deltas)+len(d.restated) > 0 || d.confirms }

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

// contradicts reports whether a snapshot that is not newer names another user or ownership: it then
// tells of a time that is over, and sets nothing.
func (in *Intake) contradicts(st *state, snap *snapshot) (yes, sameMoment bool) {
	for _, name := range []string{attrOwnership, attrUserID, attrUserUPN} {
		a := in.cfg.Catalogue.MustAttribute(name)
		have, known := st.values[a]
		said, saidNone := snap.values[a], snap.none[a]
		if !known || said == nil && !saidNone || snap.newer(have.moment) {
			continue
		}
		same := saidNone == have.none && strings.EqualFold(string(said), string(have.plain))
		if name == attrUserUPN && !same && in.sameID(st, snap) {
			continue // renamed, the same person
		}
		if !same {
			return true, snap.same(have.moment)
		}
	}
	return false, false
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
	case said == nil && known && have.newer(snap.moment):
		return now, ""
	case said == nil, string(said) == string(have.plain):
		return now, now
	case known && !snap.newer(have.moment):
		return now, ""
	default:
		now, _ = asText(said)
		return now, now
	}
}

// diff compares a snapshot with the state. user is the person whom the snapshot names, uuid.Nil for nobody; owner is the ownership that follows.
func (in *Intake) diff(st *state, snap *snapshot, told userHint, user uuid.UUID, owner string, lists []resolvedList) difference {
	d := difference{first: !st.exists, user: st.user, owner: owner, silent: map[*schemas.Attribute]bool{}}
	if told != userUntold {
		d.user = user
	}
	d.moved = !d.first && (d.user != st.user || owner != st.text(in.cfg.Catalogue.MustAttribute(attrOwnership)))
	newUser := d.moved && st.user != uuid.Nil && d.user != st.user
	userSeen := st.values[in.cfg.Catalogue.MustAttribute(attrUserID)].moment
	stale := told == userUntold && st.user != uuid.Nil && userSeen.newer(snap.moment)

	v := volatiles{day: snap.day(), free: true, unlimited: in.unlimited}
	for _, a := range in.types.restated.Attributes() {
		if _, list := in.types.restated.Member(a); list {
			continue
		}
		have, known := st.values[a]
		if a.Volatile && known {
			v.seen(have.moment)
		}
		said, none := snap.values[a], snap.none[a]
		confirmed := said != nil || none
		switch {
		case stale && ofUser(a): // of the user before
			d.silent[a] = known
		case newUser && ofUser(a) && known && !confirmed:
			if !have.none {
				d.deltas = append(d.deltas, delta{attr: a, removed: true})
			}
		case newUser && ofUser(a) && confirmed && !(none && have.none):
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		case !confirmed:
			d.silent[a] = known
		case !known:
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		case none == have.none && a.Same(said, have.plain):
			// An event of its own confirms a value once a UTC day at most.
			d.confirms = d.confirms || snap.newer(have.moment) && v.due(have.moment)
		case !snap.newer(have.moment):
			d.late = true
			d.moments = d.moments || snap.same(have.moment)
		case a.Volatile:
			v.deltas = append(v.deltas, delta{attr: a, plain: said, removed: none})
		default:
			d.deltas = append(d.deltas, delta{attr: a, plain: said, removed: none})
		}
	}
	in.diffLists(st, snap, lists, &d, &v)
	if d.writes() || v.free {
		d.deltas = append(d.deltas, v.deltas...)
	}
	if d.moved {
		in.restate(st, snap, &d)
	}
	return d
}

// volatiles are the changes that alone cause at most one event a UTC day of observation.
type volatiles struct {
	day       time.Time // of the snapshot
	deltas    []delta
	free      bool // none of them was observed on that day or later
	unlimited bool // tests ask what holds without the limit
}

func (v *volatiles) seen(at moment) { v.free = v.free && v.due(at) }

// due reports whether the snapshot is of a later day than at.
func (v *volatiles) due(at moment) bool { return v.unlimited || v.day.After(at.day()) }

// diffLists compares the reported lists, and names the others as silent.
func (in *Intake) diffLists(st *state, snap *snapshot, lists []resolvedList, d *difference, v *volatiles) {
	reported := map[*schemas.Attribute]bool{}
	for _, l := range lists {
		have := st.lists[l.attr]
		changed := st.diffList(l)
		// A part of a list confirms nothing; what it sets no older list may undo.
		reported[l.attr] = l.complete || len(changed) > 0
		switch {
		case have == nil:
			d.deltas = append(d.deltas, changed...)
		case len(changed) == 0:
			d.confirms = d.confirms || l.complete && snap.observed.After(have.observed) &&
				v.due(moment{observed: have.observed})
		case !snap.observed.After(have.observed):
			d.late = true
			d.moments = d.moments || snap.observed.Equal(have.observed)
			reported[l.attr] = false
		case l.attr.Volatile:
			v.seen(moment{observed: have.observed})
			v.deltas = append(v.deltas, changed...)
		default:
			d.deltas = append(d.deltas, changed...)
		}
	}
	for a := range st.lists {
		d.silent[a] = !reported[a]
	}
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

func (s *state) diffList(l resolvedList) (out []delta) {
	var before map[string]json.RawMessage
	if have := s.lists[l.attr]; have != nil {
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
	return out
}

// restate adds what stays as it is. What the snapshot does not confirm keeps the time of its own
// observation. A list that may no longer be held is removed.
func (in *Intake) restate(st *state, snap *snapshot, d *difference) {
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
		if a.ID == attrContact && snap.values[a] != nil {
			continue // the snapshot's own stands in each event
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
			at := h.observed
			if !d.silent[a] && snap.newer(h.moment) && a.Same(snap.values[a], h.plain) {
				at = snap.observed
			}
			d.restated = append(d.restated, delta{attr: a, plain: h.plain, observed: at, protect: h.protect})
		}
	}
}

// apply brings the state to what folding finds once the events of the difference are in the ledger.
func (in *Intake) apply(st *state, snap *snapshot, d difference) {
	if !d.writes() {
		return
	}
	st.exists = true
	changed := map[*schemas.Attribute]bool{}
	for _, c := range append(d.deltas[:len(d.deltas):len(d.deltas)], d.restated...) {
		changed[c.attr] = true
		at := snap.moment
		if !c.observed.IsZero() {
			at.observed = c.observed
		}
		switch {
		case c.element == "":
			st.values[c.attr] = held{plain: c.plain, none: c.removed, protect: c.protect, moment: at}
		case c.removed:
			delete(st.list(c.attr, time.Time{}).elements, c.element)
		default:
			st.list(c.attr, c.observed).elements[c.element] = c.plain
		}
	}
	st.confirm(snap.moment, func(a *schemas.Attribute) bool { return changed[a] },
		func(a *schemas.Attribute) bool { return d.silent[a] })
	st.hold(d.user, snap.observed)
}
