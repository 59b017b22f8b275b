package entity

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Delta is the change of one attribute, or of one element of a list.
type Delta struct {
	Attr     *schemas.Attribute
	Element  string
	Plain    json.RawMessage
	Removed  bool
	observed time.Time // zero: at the event's own time
	ownL     bool      // restated under the value's own L, contact, and not under the snapshot's
	contact  time.Time
	// Person is whose value it is, where that is not the entity's user; whose it was, where it is
	// removed.
	Person  uuid.UUID
	protect protection
}

// Difference is what a snapshot changes in a state.
type Difference struct {
	deltas   []Delta // in the catalogue's order; a list's elements together
	restated []Delta // what stays as it is, to be written under new keys
	silent   map[*schemas.Attribute]bool
	confirms bool // an event of its own confirms what the snapshot reports, though it changes nothing
	Late     bool // something differs and is older than what is known
	Moments  bool // something differs and is of the same moment
}

// Writes reports whether the difference needs an event.
func (d Difference) Writes() bool { return len(d.deltas)+len(d.restated) > 0 || d.confirms }

// Terms are what a kind of entity adds to the comparison of a snapshot.
type Terms struct {
	// Stale tells attributes of which the snapshot does not say anything, whatever stands in it:
	// it is of somebody else. nil: none.
	Stale func(*schemas.Attribute) bool
	// Renewed tells attributes that were somebody else's: what the snapshot does not tell of them
	// is removed, and what it does is told anew. nil: none.
	Renewed func(*schemas.Attribute) bool
	// Restate says that the keys change under which values are sealed: what stays is told again,
	// but for Apart, attributes whose values are sealed apart from the others; and what Drop tells
	// is removed.
	Restate     bool
	Apart, Drop func(*schemas.Attribute) bool
	// Apart from changes, an event of its own confirms a value after so many UTC days; 0: one.
	ConfirmDays int
	// Unlimited lifts the limits of UTC days. Tests ask what holds without it.
	Unlimited bool
}

func (t Terms) tells(of func(*schemas.Attribute) bool, a *schemas.Attribute) bool {
	return of != nil && of(a)
}

// Diff compares a snapshot with the state.
func (s *State) Diff(snap *Snapshot, lists []ResolvedList, t Terms) Difference {
	d := Difference{silent: map[*schemas.Attribute]bool{}}
	v := volatiles{day: snap.Day(), free: true, unlimited: t.Unlimited, rests: max(t.ConfirmDays-1, 0)}
	if len(s.values) == 0 {
		d.deltas = make([]Delta, 0, len(snap.Values))
	}
	for _, a := range s.def.single {
		have, known := s.values[a]
		if a.Volatile && known {
			v.seen(have.Moment)
		}
		told := Delta{Attr: a, Plain: snap.Values[a], Removed: snap.None[a]}
		switch s.judge(told, have, known, snap, t) {
		case untold, ofAnother:
			if known {
				d.silent[a] = true
			}
		case left:
			d.deltas = append(d.deltas, Delta{Attr: a, Removed: true})
		case leftBefore:
		case theirs, first, changed:
			d.deltas = append(d.deltas, told)
		case fleeting:
			v.deltas = append(v.deltas, told)
		case confirmed:
			// An event of its own confirms a value once a UTC day at most, or less often.
			d.confirms = d.confirms || snap.Newer(have.Moment) && v.confirms(have.Moment)
		case late:
			d.Late = true
			d.Moments = d.Moments || snap.Same(have.Moment)
		}
	}
	s.diffLists(snap, lists, &d, &v)
	if d.Writes() || v.free {
		d.deltas = append(d.deltas, v.deltas...)
	}
	if t.Restate {
		s.restate(snap, t, &d)
	}
	return d
}

// verdict is what a snapshot says of an attribute, beside what is known of it.
type verdict int

const (
	untold     verdict = iota // nothing: what is known stays
	ofAnother                 // nothing of whom it is about, whatever stands there
	left                      // nothing, and what is known was somebody else's
	leftBefore                // likewise, and it is known that there is none
	theirs                    // a value of somebody new, be it the same
	first                     // a value, where nothing is known
	confirmed                 // what is known
	late                      // another value, and it is not newer
	fleeting                  // another, newer value of what changes all the time
	changed                   // another, newer value
)

// judge compares what is told of an attribute with what is known of it.
func (s *State) judge(told Delta, have Held, known bool, snap *Snapshot, t Terms) verdict {
	a, said, none := told.Attr, told.Plain, told.Removed
	tells := said != nil || none
	renewed := t.tells(t.Renewed, a)
	switch {
	case t.tells(t.Stale, a):
		return ofAnother
	case renewed && known && !tells && have.None:
		return leftBefore
	case renewed && known && !tells:
		return left
	case renewed && tells && !(none && have.None):
		return theirs
	case !tells:
		return untold
	case !known:
		return first
	case none == have.None && a.Same(said, have.Plain):
		return confirmed
	case !snap.Newer(have.Moment):
		return late
	case a.Volatile:
		return fleeting
	}
	return changed
}

// volatiles are the changes that alone cause at most one event a UTC day of observation.
type volatiles struct {
	day       time.Time // of the snapshot
	deltas    []Delta
	free      bool // none of them was observed on that day or later
	unlimited bool
	rests     int // days beyond one for which nothing is confirmed
}

func (v *volatiles) seen(at Moment) { v.free = v.free && v.due(at) }

// confirms reports whether what was told at that moment is due to be confirmed.
func (v *volatiles) confirms(at Moment) bool {
	return v.unlimited || v.day.After(at.Day().AddDate(0, 0, v.rests))
}

// due reports whether the snapshot is of a later day than at.
func (v *volatiles) due(at Moment) bool { return v.unlimited || v.day.After(at.Day()) }

// diffLists compares the reported lists, and names the others as silent.
func (s *State) diffLists(snap *Snapshot, lists []ResolvedList, d *Difference, v *volatiles) {
	reported := map[*schemas.Attribute]bool{}
	for a, l := range s.lists {
		if a.Volatile {
			v.seen(Moment{Observed: l.observed})
		}
	}
	for _, l := range lists {
		have := s.lists[l.Attr]
		changed := s.diffList(l)
		// A part of a list confirms nothing; what it sets no older list may undo.
		reported[l.Attr] = l.Complete || len(changed) > 0
		switch {
		case have == nil:
			d.deltas = append(d.deltas, changed...)
		case len(changed) == 0:
			d.confirms = d.confirms || l.Complete && snap.Observed.After(have.observed) &&
				v.confirms(Moment{Observed: have.observed})
		case !snap.Observed.After(have.observed):
			more, rest := s.further(l, changed, snap.Observed.Equal(have.observed))
			d.deltas = append(d.deltas, more...)
			reported[l.Attr] = len(more) > 0
			if rest {
				d.Late = true
				d.Moments = d.Moments || snap.Observed.Equal(have.observed)
			}
		case l.Attr.Volatile:
			v.deltas = append(v.deltas, changed...)
		default:
			d.deltas = append(d.deltas, changed...)
		}
	}
	for a := range s.lists {
		d.silent[a] = !reported[a]
	}
}

// further returns of what a part of a list changes the entries that nobody told yet: the parts of
// one list have one moment, and none undoes another. rest says that there is more.
func (s *State) further(l ResolvedList, changed []Delta, sameMoment bool) (more []Delta, rest bool) {
	if l.Complete || !sameMoment || l.Attr.Volatile {
		return nil, true
	}
	for _, c := range changed {
		if s.lists[l.Attr].elements[c.Element] == nil {
			more = append(more, c)
		} else {
			rest = true
		}
	}
	return more, rest
}

func (s *State) diffList(l ResolvedList) (out []Delta) {
	var before map[string]json.RawMessage
	if have := s.lists[l.Attr]; have != nil {
		before = have.elements
	}
	for _, e := range l.elements {
		if item := l.items[e]; string(before[e]) != string(item.plain) {
			out = append(out, Delta{Attr: l.Attr, Element: e, Plain: item.plain, Person: item.person})
		}
	}
	if l.Complete {
		for _, e := range slices.Sorted(maps.Keys(before)) {
			if _, still := l.items[e]; !still {
				out = append(out, Delta{Attr: l.Attr, Element: e, Removed: true})
			}
		}
	}
	return out
}

// restate adds what stays as it is. What the snapshot does not confirm keeps the time of its own
// observation, and its own L, or none, where the snapshot's would make it older: else the next
// snapshot that is older undoes it. What may no longer be held is removed.
func (s *State) restate(snap *Snapshot, t Terms, d *Difference) {
	changed := map[*schemas.Attribute]map[string]bool{}
	for _, c := range d.deltas {
		if changed[c.Attr] == nil {
			changed[c.Attr] = map[string]bool{}
		}
		changed[c.Attr][c.Element] = true
	}
	for _, a := range s.def.Whole.Attributes() {
		if t.tells(t.Apart, a) {
			continue
		}
		if a == s.def.Contact && snap.Values[a] != nil {
			continue // the snapshot's own stands in each event
		}
		if l := s.lists[a]; l != nil {
			drop := t.tells(t.Drop, a)
			for _, e := range slices.Sorted(maps.Keys(l.elements)) {
				switch {
				case changed[a][e]:
				case drop:
					d.deltas = append(d.deltas, Delta{Attr: a, Element: e, Removed: true})
				default:
					d.restated = append(d.restated,
						Delta{Attr: a, Element: e, Plain: l.elements[e], observed: l.observed})
				}
			}
			continue
		}
		if h, ok := s.values[a]; ok && !h.None && !changed[a][""] {
			if t.tells(t.Drop, a) {
				d.deltas = append(d.deltas, Delta{Attr: a, Removed: true})
				continue
			}
			c := Delta{Attr: a, Plain: h.Plain, observed: h.Observed, protect: h.protect}
			switch {
			case !d.silent[a] && snap.Newer(h.Moment) && a.Same(snap.Values[a], h.Plain):
				c.observed = snap.Observed
			case h.Contact.After(snap.Contact), h.Contact.IsZero() && h.Newer(snap.Moment):
				c.ownL, c.contact = true, h.Contact
				d.silent[a] = true // an event behind the snapshot's own tells it
			}
			d.restated = append(d.restated, c)
		}
	}
}

// Name says whose each single value is that the difference brings, where it is not the entity's
// user's: the event that brings it names them.
func (d Difference) Name(of func(*schemas.Attribute) uuid.UUID) {
	for _, deltas := range [][]Delta{d.deltas, d.restated} {
		for i := range deltas {
			if c := &deltas[i]; c.Element == "" && !c.Removed {
				c.Person = of(c.Attr)
			}
		}
	}
}

// Whose returns the person under whose key the value of a single attribute lies, uuid.Nil for
// nobody.
func (s *State) Whose(a *schemas.Attribute) uuid.UUID { return s.persons[place{a, ""}] }

// Former says of each removed value whose it was: the event that removes it names them. Whose
// erasure has begun is named nowhere any more.
func (s *State) Former(tx *vault.Tx, d Difference) error {
	for i := range d.deltas {
		c := &d.deltas[i]
		who := s.persons[place{c.Attr, c.Element}]
		if !c.Removed || who == uuid.Nil {
			continue
		}
		if err := tx.Living(who); errors.Is(err, vault.ErrErased) {
			continue
		} else if err != nil {
			return err
		}
		c.Person = who
	}
	return nil
}

// Apply brings the state to what folding finds once the events of the difference are in the
// ledger. owner says whose key seals a value that the difference brings.
func (s *State) Apply(snap *Snapshot, d Difference, owner func(Delta) schemas.Owner) {
	if !d.Writes() {
		return
	}
	if len(s.values)+len(s.persons) == 0 { // an entity's first snapshot tells most of what there is
		s.values = make(map[*schemas.Attribute]Held, len(d.deltas))
		s.persons = make(map[place]uuid.UUID, len(d.deltas)/2)
	}
	changed := make(map[*schemas.Attribute]bool, len(d.deltas))
	for _, deltas := range [][]Delta{d.deltas, d.restated} {
		for i := range deltas {
			c := &deltas[i]
			changed[c.Attr] = true
			s.apply(c, snap.Moment)
			of := schemas.Owner{}
			if !c.Removed {
				of = owner(*c)
			}
			s.own(place{c.Attr, c.Element}, of)
		}
	}
	s.confirm(snap.Moment, func(a *schemas.Attribute) bool { return changed[a] },
		func(a *schemas.Attribute) bool { return d.silent[a] })
}

// apply sets or removes what one delta tells.
func (s *State) apply(c *Delta, at Moment) {
	if !c.observed.IsZero() {
		at.Observed = c.observed
	}
	if c.ownL {
		at.Contact = c.contact
	}
	switch {
	case c.Element == "":
		s.values[c.Attr] = Held{Plain: c.Plain, None: c.Removed, protect: c.protect, Moment: at}
	case c.Removed:
		delete(s.list(c.Attr, time.Time{}).elements, c.Element)
	default:
		s.list(c.Attr, c.observed).elements[c.Element] = c.Plain
	}
}
