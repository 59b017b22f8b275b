package entity

import (
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Definition is what folding and comparing have to know of a kind of entity.
type Definition struct {
	Whole   *schemas.Type      // the type that has all attributes and lists of the entity
	Contact *schemas.Attribute // of L; nil where moments are told by S alone

	single  []*schemas.Attribute // of Whole, those that are no lists
	members map[*schemas.Attribute]string
}

// Define returns what has to be known of an entity with those attributes.
func Define(whole *schemas.Type, contact *schemas.Attribute) Definition {
	d := Definition{Whole: whole, Contact: contact, members: map[*schemas.Attribute]string{}}
	for _, a := range whole.Attributes() {
		name, list := whole.Member(a)
		if d.members[a] = name; !list {
			d.single = append(d.single, a)
		}
	}
	return d
}

// member is the name by which events tell of an attribute or list.
func (d Definition) member(a *schemas.Attribute) string { return d.members[a] }

// ListName is the name of a list in events, by which its elements are told apart.
func (d Definition) ListName(a *schemas.Attribute) string { return d.member(a) }

// State is what the ledger says of one entity, folded from the tenant's own events in its stream.
// Its plaintext lives in memory only, and no longer than the engine keeps states.
type State struct {
	def     *Definition
	values  map[*schemas.Attribute]Held
	lists   map[*schemas.Attribute]*heldList
	persons map[place]uuid.UUID // whose a value is, where a person's key seals it
	last    time.Time           // the latest observation in the stream
}

// Held is an attribute's present value. A none is an explicit "there is none". Its moment is that
// of the newest event that set, unset or confirmed it.
type Held struct {
	Plain   json.RawMessage
	None    bool
	protect protection
	Moment
}

// place is where a state has a value: an attribute, or an element of a list.
type place struct {
	attr    *schemas.Attribute
	element string
}

// heldList is a list's present entries. Lists are told apart by S alone (FORMATS §2).
type heldList struct {
	elements map[string]json.RawMessage // by element uuid
	observed time.Time
}

// NewState returns the state of an entity of which nothing is told.
func NewState(d Definition) *State {
	return &State{def: &d, values: map[*schemas.Attribute]Held{},
		lists: map[*schemas.Attribute]*heldList{}, persons: map[place]uuid.UUID{}}
}

// What a value, an element and whose it is take in a map, about, beside their text.
const (
	valueBytes   = 160
	elementBytes = 112 // with its name
	personBytes  = 96
)

// Size is about how many bytes of memory the state takes.
func (s *State) Size() int {
	n := valueBytes*len(s.values) + personBytes*len(s.persons)
	for _, h := range s.values {
		n += len(h.Plain)
	}
	for _, l := range s.lists {
		n += elementBytes * len(l.elements)
		for _, plain := range l.elements {
			n += len(plain)
		}
	}
	return n
}

// Value returns the attribute's present value; ok is false where nothing is known of it.
func (s *State) Value(a *schemas.Attribute) (h Held, ok bool) {
	h, ok = s.values[a]
	return h, ok
}

// Values yields each attribute of which something is known.
func (s *State) Values() iter.Seq2[*schemas.Attribute, Held] { return maps.All(s.values) }

// Entry is a present entry of a list.
type Entry struct {
	Plain    json.RawMessage
	Observed time.Time // of its list
}

// Entries yields the present entries of all lists.
func (s *State) Entries() iter.Seq2[*schemas.Attribute, Entry] {
	return func(yield func(*schemas.Attribute, Entry) bool) {
		for a, l := range s.lists {
			for _, plain := range l.elements {
				if !yield(a, Entry{plain, l.observed}) {
					return
				}
			}
		}
	}
}

// Element returns the present entry of a list under that element's uuid, nil for none.
func (s *State) Element(a *schemas.Attribute, element string) json.RawMessage {
	if l := s.lists[a]; l != nil {
		return l.elements[element]
	}
	return nil
}

// Text returns an attribute's present value as text, "" for none.
func (s *State) Text(a *schemas.Attribute) string {
	t, _ := record.AsText(s.values[a].Plain)
	return t
}

// Latest returns at, or the latest observation in the stream where that is later: an older
// snapshot that tells something not known yet tells it of the entity as it is now.
func (s *State) Latest(at time.Time) time.Time {
	if s.last.After(at) {
		return s.last
	}
	return at
}

// confirm raises the moment of everything that an event neither changed nor named as silent.
func (s *State) confirm(at Moment, changed, silent func(*schemas.Attribute) bool) {
	if at.Observed.After(s.last) {
		s.last = at.Observed
	}
	for a, h := range s.values {
		if at.Newer(h.Moment) && !changed(a) && !silent(a) {
			h.Moment = at
			s.values[a] = h
		}
	}
	for a, l := range s.lists {
		if !silent(a) && at.Observed.After(l.observed) {
			l.observed = at.Observed
		}
	}
}

// own notes whose a value is.
func (s *State) own(p place, owner schemas.Owner) {
	if owner.Kind == schemas.OwnerPerson {
		s.persons[p] = owner.ID
	} else if len(s.persons) > 0 {
		delete(s.persons, p)
	}
}

// sealedAt is a sealed value that the fold has to open.
type sealedAt struct {
	sealed vault.Sealed
	event  ledger.LeftEvent // its event, should the vault not have sealed it
}

// Past is what is folded: the events of a stream, and what an earlier folding of it kept.
type Past struct {
	Stream schemas.Stream
	Known  []byte       // nil where the events are all that there are, else they are those behind it
	Events []ledger.Own // the tenant's own, in order
	Left   *ledger.LeftOut
	// Keep, unless nil, gets what folding comes to where that can be kept, and the persons by
	// whose keys it knows when the entity was in contact.
	Keep func(known []byte, persons []uuid.UUID) error
}

// Beside is what a kind folds beside the state.
type Beside interface {
	// Event gets every event with the state before it, whose sealed values are not opened yet.
	Event(own ledger.Own, before *State)
	// Put writes what it has come to, and Take goes on from there: nothing that was opened.
	Put(*Memory)
	Take(*Memory)
}

// folding brings a state forward by the events of its stream, inside one vault transaction. Sealed
// values stay sealed until the end: what an event changes hangs on none but its last contact.
type folding struct {
	*State
	tx     *vault.Tx
	left   *ledger.LeftOut
	tokens map[place]sealedAt // to be opened
	// The events that hold a value which the vault cannot have sealed, each once.
	unfitting map[ledger.LeftEvent]bool
	persons   map[uuid.UUID]bool // whose keys opened a last contact
}

// Fold returns what the events say now, opened. A value whose key was destroyed or lost counts as
// not set; one that the vault cannot have sealed does too, and its event is counted as left out.
// beside is nil for none. ErrMemory: of what is known.
func Fold(d Definition, tx *vault.Tx, p Past, beside Beside) (*State, error) {
	f := &folding{State: NewState(d), tx: tx, left: p.Left, tokens: map[place]sealedAt{},
		unfitting: map[ledger.LeftEvent]bool{}, persons: map[uuid.UUID]bool{}}
	if p.Known != nil {
		m := &Memory{b: p.Known}
		f.take(m, p.Stream)
		if beside != nil {
			beside.Take(m)
		}
		if m.err != nil || len(m.b) > 0 {
			return nil, ErrMemory
		}
	}
	contacts, err := f.contacts(p.Events)
	if err != nil {
		return nil, err
	}
	for i, own := range p.Events {
		if beside != nil {
			beside.Event(own, f.State)
		}
		f.event(own, contacts[i])
	}
	if err := f.keep(p, beside); err != nil {
		return nil, err
	}
	return f.State, f.open()
}

func leftEvent(own ledger.Own) ledger.LeftEvent {
	return ledger.LeftEvent{ID: own.ID, Stream: own.Stream, Revision: own.Revision, Verdict: ledger.Unfitting}
}

// unfit notes an event that holds a value which the vault cannot have sealed.
func (f *folding) unfit(e ledger.LeftEvent) {
	if !f.unfitting[e] {
		f.unfitting[e] = true
		f.left.Add(e)
	}
}

// ownContact reports whether the value is the last contact that the event's own snapshot names:
// one that is restated has its own time.
func (d Definition) ownContact(v schemas.Value) bool {
	return v.Attr == d.Contact && !v.Removed && v.Observed.IsZero()
}

// contacts opens each event's own last contact, nil where it names none that can be read: which of
// two is newer hangs on it.
func (f *folding) contacts(events []ledger.Own) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(events))
	var sealed []vault.Sealed
	var at []int
	for i, own := range events {
		for _, v := range own.Draft.Values {
			if !f.def.ownContact(v) {
				continue
			}
			if out[i] = v.Plain; v.Token != "" {
				sealed = append(sealed, vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: own.ID})
				at = append(at, i)
			}
		}
	}
	opened, err := f.tx.Open(sealed)
	if err != nil {
		return nil, err
	}
	for n, o := range opened {
		switch i := at[n]; {
		case o.Err == nil:
			out[i] = o.Plain
			if o.Owner.Kind == schemas.OwnerPerson {
				f.persons[o.Owner.ID] = true
			}
		case !NotSet(o.Err):
			f.unfit(leftEvent(events[i]))
		}
	}
	return out, nil
}

// event brings the state forward by one event. contact is the event's own last contact.
func (f *folding) event(own ledger.Own, contact json.RawMessage) {
	d, s := own.Draft, f.State
	now := Moment{Observed: d.Occurred}
	if said, ok := record.AsText(contact); ok {
		now.Contact, _ = record.ParseTime(said)
	}
	changed := map[*schemas.Attribute]bool{}
	for _, v := range d.Values {
		changed[v.Attr] = true
		at := now
		if !v.Observed.IsZero() { // restated: S is its own, L the event's
			at.Observed = v.Observed
		}
		_, list := d.Type.Member(v.Attr)
		element := strings.Clone(v.Element()) // not the whole event with it
		if list {
			s.list(v.Attr, v.Observed)
		}
		where := place{v.Attr, element}
		delete(f.tokens, where)
		switch {
		case s.def.ownContact(v):
			// An older snapshot that tells something else carries its own, older contact.
			if have, known := s.values[v.Attr]; contact != nil && (!known || !have.Newer(at)) {
				s.values[v.Attr] = Held{Plain: contact, Moment: at}
			}
		case v.Token != "":
			f.tokens[where] = sealedAt{vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID}, leftEvent(own)}
			if list {
				delete(s.lists[v.Attr].elements, element)
			} else {
				s.values[v.Attr] = Held{Moment: at} // until it is opened
			}
		case list && v.Removed:
			delete(s.lists[v.Attr].elements, element)
		case list:
			s.lists[v.Attr].elements[element] = v.Plain
		default:
			s.values[v.Attr] = Held{Plain: v.Plain, None: v.Removed, Moment: at}
		}
	}
	silent := map[string]bool{}
	for _, name := range d.Silent {
		silent[name] = true
	}
	s.confirm(now, func(a *schemas.Attribute) bool { return changed[a] },
		func(a *schemas.Attribute) bool { return silent[s.def.member(a)] })
}

// list returns the state of a list, begun where there is none; restated is when it was observed,
// where that is told apart from its event.
func (s *State) list(a *schemas.Attribute, restated time.Time) *heldList {
	l := s.lists[a]
	if l == nil {
		l = &heldList{elements: map[string]json.RawMessage{}}
		s.lists[a] = l
	}
	if restated.After(l.observed) {
		l.observed = restated
	}
	return l
}

// NotSet reports whether a value is as if it were not set, by decision: its key was destroyed.
func NotSet(err error) bool {
	return errors.Is(err, vault.ErrErased) || errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrLost)
}

// open opens the values that the events left standing.
func (f *folding) open() error {
	s := f.State
	asked := make([]place, 0, len(f.tokens))
	sealed := make([]vault.Sealed, 0, len(f.tokens))
	of := map[*schemas.Attribute]bool{}
	for p, t := range f.tokens {
		asked, sealed = append(asked, p), append(sealed, t.sealed)
		of[p.attr] = true
	}
	opened, err := f.tx.Open(sealed)
	if err != nil {
		return err
	}
	for i, o := range opened {
		p := asked[i]
		switch {
		case o.Err != nil:
			if !NotSet(o.Err) {
				f.unfit(f.tokens[p].event)
			}
			if p.element == "" {
				delete(s.values, p.attr)
			}
		case p.element == "":
			h := s.values[p.attr]
			h.Plain = o.Plain
			if p.attr.MayStandOpen(o.Plain) {
				h.protect = protectAsOwn // what was sealed once for what it tells stays sealed
			}
			s.values[p.attr] = h
		default:
			s.lists[p.attr].elements[p.element] = o.Plain
		}
		s.own(p, o.Owner)
	}
	for a, l := range s.lists {
		if len(l.elements) == 0 && of[a] {
			delete(s.lists, a) // none of it opens any more
		}
	}
	return nil
}

// PersonOf returns the person whom an alias names, uuid.Nil where it names nobody any more, or no
// person.
func PersonOf(tx *vault.Tx, alias uuid.UUID) (uuid.UUID, error) {
	owner, err := tx.AliasOwner(alias)
	switch {
	case NotSet(err), errors.Is(err, vault.ErrNotFound):
		return uuid.Nil, nil
	case err != nil:
		return uuid.Nil, err
	case owner.Kind != schemas.OwnerPerson:
		return uuid.Nil, nil
	}
	return owner.ID, nil
}
