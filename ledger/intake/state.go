package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// state is what the ledger says of one device, or of one rule's refusals, folded from the
// tenant's own events in its stream up to revision. Its plaintext lives in memory only,
// and no longer than maxStateAge.
type state struct {
	stream schemas.Stream
	exists bool          // the stream has events of the tenant's own
	expect ledger.Expect // of the next append: whosever events keep their revisions
	folded time.Time

	values  map[*schemas.Attribute]held
	lists   map[*schemas.Attribute]*heldList
	persons map[place]uuid.UUID // whose a value is, where a person's key seals it
	last    time.Time           // the latest observation in the stream
	user    uuid.UUID           // whom the ledger says the device is used by
	holders []holder            // in the order of the stream

	action *toldAction // an action's stream

	refused   int       // refusal streams: the last count
	refusedAt time.Time // and when it was observed
}

// held is an attribute's present value. A none is an explicit "there is none". Its moment is that
// of the newest event that set, unset or confirmed it.
type held struct {
	plain   json.RawMessage
	none    bool
	protect protection
	moment
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

// holder is who used the device from a time on.
type holder struct {
	from time.Time
	user uuid.UUID
}

// maxStateAge is how long plaintext may be used without asking the vault again (DESIGN
// §4): an erasure counts on it.
const maxStateAge = 30 * time.Second

func newState(s schemas.Stream, now time.Time) *state {
	return &state{stream: s, expect: ledger.NoStream, folded: now, values: map[*schemas.Attribute]held{},
		lists: map[*schemas.Attribute]*heldList{}, persons: map[place]uuid.UUID{}}
}

// read notes what reading the stream came to.
func (s *state) read(r ledger.Reading) { s.exists, s.expect = r.Own > 0, r.Expect() }

func (s *state) text(a *schemas.Attribute) string {
	t, _ := asText(s.values[a].plain)
	return t
}

// userAt returns who used the device at that time; before the first
// observation, whoever is known first.
func (s *state) userAt(at time.Time) uuid.UUID {
	var user uuid.UUID
	for i, h := range s.holders {
		if i == 0 || !h.from.After(at) {
			user = h.user
		}
	}
	return user
}

// latest returns at, or the latest observation in the stream where that is later: an older snapshot
// that tells something not known yet tells it of the device as it is now.
func (s *state) latest(at time.Time) time.Time {
	if s.last.After(at) {
		return s.last
	}
	return at
}

// confirm raises the moment of everything that an event neither changed nor named as silent.
func (s *state) confirm(at moment, changed, silent func(*schemas.Attribute) bool) {
	if at.observed.After(s.last) {
		s.last = at.observed
	}
	for a, h := range s.values {
		if !changed(a) && !silent(a) && at.newer(h.moment) {
			h.moment = at
			s.values[a] = h
		}
	}
	for a, l := range s.lists {
		if !silent(a) && at.observed.After(l.observed) {
			l.observed = at.observed
		}
	}
}

// hold notes who uses the device from an observation on.
func (s *state) hold(user uuid.UUID, from time.Time) {
	if user != s.user {
		s.user = user
		s.holders = append(s.holders, holder{from, user})
	}
}

// own notes whose a value is.
func (s *state) own(p place, owner schemas.Owner) {
	delete(s.persons, p)
	if owner.Kind == schemas.OwnerPerson {
		s.persons[p] = owner.ID
	}
}

// sealedAt is a sealed value that the fold has to open.
type sealedAt struct {
	attr    *schemas.Attribute
	element string // "" for a value of its own
	sealed  vault.Sealed
	event   ledger.LeftEvent // its event, should the vault not have sealed it
}

// fold reads the stream and opens what the tenant's own events in it say now. A value whose key was
// destroyed or lost counts as not set; one that the vault cannot have sealed does too, and its
// event is counted as left out.
func (in *Intake) fold(ctx context.Context, tenant uuid.UUID, left *leftOut, stream schemas.Stream) (*state, error) {
	st := newState(stream, in.cfg.Clock())
	var events []ledger.Own
	reading := ledger.Reading{Disowned: left.disowned}
	for own, err := range ledger.ReadGenuine(ctx, in.cfg.Ledger, in.cfg.Catalogue, stream, tenant, &reading) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		switch d := own.Draft; {
		case d.Type == nil: // a kind of event that only a newer program writes
		case d.Type.Form == schemas.FormState:
			events = append(events, own)
		default:
			st.foldRefusal(d)
		}
	}
	st.read(reading)
	var err error
	if len(events) > 0 {
		err = in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
			f := &folding{state: st, types: in.types, tx: tx, left: &reading.Left,
				tokens:    map[*schemas.Attribute]map[string]sealedAt{},
				unfitting: map[ledger.LeftEvent]bool{}}
			return f.fold(events)
		})
	}
	left.note(stream, reading.Left)
	return st, err
}

func (s *state) foldRefusal(d schemas.Draft) {
	for _, v := range d.Values {
		if v.Attr.ID == "refusal.count" {
			_ = json.Unmarshal(v.Plain, &s.refused) // not a count: the next one differs
			s.refusedAt = d.Occurred
		}
	}
}

// sealedUser is what an event says of the device's user: the alias of a value of theirs tells who
// it is, no value that there is none.
type sealedUser struct {
	token schemas.Token
	at    time.Time
}

// folding brings a state forward by the events of its stream, inside one vault transaction.
type folding struct {
	*state
	types  eventTypes
	tx     *vault.Tx
	left   *ledger.LeftOut
	tokens map[*schemas.Attribute]map[string]sealedAt // to be opened, by attribute and element
	users  []sealedUser
	// The events that hold a value which the vault cannot have sealed, each once.
	unfitting map[ledger.LeftEvent]bool
}

func (f *folding) fold(events []ledger.Own) error {
	contacts, err := f.contacts(events)
	if err != nil {
		return err
	}
	for i, own := range events {
		if user := f.event(own, contacts[i]); user != nil {
			f.users = append(f.users, *user)
		}
	}
	return f.open()
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

// ownContact reports whether the value is the last contact that the event's own snapshot names: one
// that is restated has its own time.
func ownContact(v schemas.Value) bool {
	return v.Attr.ID == attrContact && !v.Removed && v.Observed.IsZero()
}

// contacts opens each event's own last contact, nil where it names none that can be read: which of
// two is newer hangs on it.
func (f *folding) contacts(events []ledger.Own) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(events))
	var sealed []vault.Sealed
	var at []int
	for i, own := range events {
		for _, v := range own.Draft.Values {
			if !ownContact(v) {
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
		case !notSet(o.Err):
			f.unfit(leftEvent(events[i]))
		}
	}
	return out, nil
}

// event brings the state forward by one event and returns what that says of the user, nil where it
// says nothing. contact is the event's own last contact.
func (f *folding) event(own ledger.Own, contact json.RawMessage) (user *sealedUser) {
	d, s := own.Draft, f.state
	now := moment{observed: d.Occurred}
	if said, ok := asText(contact); ok {
		now.contact, _ = parseTime(said)
	}
	changed := map[*schemas.Attribute]bool{}
	for _, v := range d.Values {
		changed[v.Attr] = true
		at := now
		if !v.Observed.IsZero() { // restated: S is its own, L the event's
			at.observed = v.Observed
		}
		_, list := d.Type.Member(v.Attr)
		// A person known by name alone replaces one known by id: the id is removed
		// and the name set, in one event.
		if v.Attr.ID == attrUserID && (user == nil || v.Token != "") ||
			v.Attr.ID == attrUserUPN && v.Token != "" && (user == nil || user.token == "") {
			user = &sealedUser{token: v.Token, at: at.observed}
		}
		element := v.Element()
		if list {
			s.list(v.Attr, v.Observed)
		}
		delete(f.tokens[v.Attr], element)
		switch {
		case ownContact(v):
			// An older snapshot that tells something else carries its own, older contact.
			if have, known := s.values[v.Attr]; contact != nil && (!known || !have.newer(at)) {
				s.values[v.Attr] = held{plain: contact, moment: at}
			}
		case v.Token != "":
			if f.tokens[v.Attr] == nil {
				f.tokens[v.Attr] = map[string]sealedAt{}
			}
			f.tokens[v.Attr][element] = sealedAt{v.Attr, element,
				vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID}, leftEvent(own)}
			if list {
				delete(s.lists[v.Attr].elements, element)
			} else {
				s.values[v.Attr] = held{moment: at} // until it is opened
			}
		case list && v.Removed:
			delete(s.lists[v.Attr].elements, element)
		case list:
			s.lists[v.Attr].elements[element] = v.Plain
		default:
			s.values[v.Attr] = held{plain: v.Plain, none: v.Removed, moment: at}
		}
	}
	silent := map[string]bool{}
	for _, name := range d.Silent {
		silent[name] = true
	}
	s.confirm(now, func(a *schemas.Attribute) bool { return changed[a] },
		func(a *schemas.Attribute) bool { return silent[f.types.member(a)] })
	return user
}

// list returns the state of a list, begun where there is none; restated is when it was observed,
// where that is told apart from its event.
func (s *state) list(a *schemas.Attribute, restated time.Time) *heldList {
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

// notSet reports whether a value is as if it were not set, by decision: its key was destroyed.
func notSet(err error) bool {
	return errors.Is(err, vault.ErrErased) || errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrLost)
}

// open opens the values that the events left standing, and settles who uses the device.
func (f *folding) open() error {
	s := f.state
	var asked []sealedAt
	var sealed []vault.Sealed
	for _, elements := range f.tokens {
		for _, t := range elements {
			asked = append(asked, t)
			sealed = append(sealed, t.sealed)
		}
	}
	opened, err := f.tx.Open(sealed)
	if err != nil {
		return err
	}
	for i, o := range opened {
		t := asked[i]
		switch {
		case o.Err != nil:
			if !notSet(o.Err) {
				f.unfit(t.event)
			}
			if t.element == "" {
				delete(s.values, t.attr)
			}
		case t.element == "":
			h := s.values[t.attr]
			h.plain = o.Plain
			if t.attr.MayStandOpen(o.Plain) {
				h.protect = protectAsOwn // what was sealed once for what it tells stays sealed
			}
			s.values[t.attr] = h
		default:
			s.lists[t.attr].elements[t.element] = o.Plain
		}
		s.own(place{t.attr, t.element}, o.Owner)
	}
	for a, l := range s.lists {
		if len(l.elements) == 0 && len(f.tokens[a]) > 0 {
			delete(s.lists, a) // none of it opens any more
		}
	}
	for _, u := range f.users {
		user, err := u.person(f.tx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.stream, err)
		}
		s.hold(user, u.at)
	}
	if n := len(s.holders); n > 0 && s.user != uuid.Nil && !s.namesUser() {
		s.hold(uuid.Nil, s.holders[n-1].from)
	}
	return nil
}

// namesUser reports whether anything still tells who the user is.
func (s *state) namesUser() bool {
	for a, h := range s.values {
		if (a.ID == attrUserID || a.ID == attrUserUPN) && !h.none {
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
	return personOf(tx, h.Alias)
}

// personOf returns the person whom an alias names, uuid.Nil where it names nobody any more, or no person.
func personOf(tx *vault.Tx, alias uuid.UUID) (uuid.UUID, error) {
	owner, err := tx.AliasOwner(alias)
	switch {
	case notSet(err), errors.Is(err, vault.ErrNotFound):
		return uuid.Nil, nil
	case err != nil:
		return uuid.Nil, err
	case owner.Kind != schemas.OwnerPerson:
		return uuid.Nil, nil
	}
	return owner.ID, nil
}
