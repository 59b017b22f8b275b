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
	newest  map[string]time.Time // per source, the latest observation in the stream
	user    uuid.UUID            // whom the ledger says the device is used by
	holders []holder             // in the order of the stream

	action *told // an action's stream

	refused   int       // refusal streams: the last count
	refusedAt time.Time // and when it was observed
}

// held is an attribute's present value. A none is an explicit "there is none".
type held struct {
	plain    json.RawMessage
	none     bool
	observed time.Time
}

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
		lists: map[*schemas.Attribute]*heldList{}, newest: map[string]time.Time{}}
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
	for _, n := range s.newest {
		if n.After(at) {
			at = n
		}
	}
	return at
}

// hold notes who uses the device from an observation on.
func (s *state) hold(user uuid.UUID, from time.Time) {
	if user != s.user {
		s.user = user
		s.holders = append(s.holders, holder{from, user})
	}
}

// sealedAt is a sealed value that the fold has to open.
type sealedAt struct {
	attr    *schemas.Attribute
	element string // "" for a value of its own
	sealed  vault.Sealed
	at      time.Time
	event   ledger.LeftEvent // its event, should the vault not have sealed it
}

// fold reads the stream and opens what the tenant's own events in it say now. A value whose key was
// destroyed or lost counts as not set; one that the vault cannot have sealed does too, and its
// event is counted as left out.
func (in *Intake) fold(ctx context.Context, tenant uuid.UUID, left *leftOut, stream schemas.Stream) (*state, error) {
	st := newState(stream, in.cfg.Clock())
	tokens := map[*schemas.Attribute]map[string]sealedAt{}
	users := []sealedUser{}
	reading := ledger.Reading{Disowned: left.disowned}
	for own, err := range ledger.ReadGenuine(ctx, in.cfg.Ledger, in.cfg.Catalogue, stream, tenant, &reading) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		d := own.Draft
		if d.Type == nil {
			continue // a kind of event that only a newer program writes
		}
		if d.Type.Form != schemas.FormState {
			st.foldRefusal(d)
			continue
		}
		if user := st.foldEvent(own, tokens); user != nil {
			users = append(users, *user)
		}
	}
	st.read(reading)
	var err error
	if len(tokens) > 0 {
		err = in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
			return st.open(tx, tokens, users, &reading.Left)
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

// foldEvent brings the state forward by one event and returns what that says of the
// user, nil where it says nothing.
func (s *state) foldEvent(own ledger.Own, tokens map[*schemas.Attribute]map[string]sealedAt) (user *sealedUser) {
	d := own.Draft
	event := ledger.LeftEvent{ID: own.ID, Stream: own.Stream, Revision: own.Revision, Verdict: ledger.Unfitting}
	if d.Occurred.After(s.newest[d.Source]) {
		s.newest[d.Source] = d.Occurred
	}
	for _, v := range d.Values {
		at := v.Observed
		if at.IsZero() {
			at = d.Occurred
		}
		_, list := d.Type.Member(v.Attr)
		// A person known by name alone replaces one known by id: the id is removed
		// and the name set, in one event.
		if v.Attr.ID == attrUserID && (user == nil || v.Token != "") ||
			v.Attr.ID == attrUserUPN && v.Token != "" && (user == nil || user.token == "") {
			user = &sealedUser{token: v.Token, at: at}
		}
		element := v.Element()
		if list {
			s.list(v.Attr, at)
		}
		delete(tokens[v.Attr], element)
		switch {
		case v.Token != "":
			if tokens[v.Attr] == nil {
				tokens[v.Attr] = map[string]sealedAt{}
			}
			tokens[v.Attr][element] = sealedAt{v.Attr, element,
				vault.Sealed{Token: v.Token, Attr: v.Attr.ID, Event: d.ID}, at, event}
			if !list {
				delete(s.values, v.Attr)
			} else {
				delete(s.lists[v.Attr].elements, element)
			}
		case list && v.Removed:
			delete(s.lists[v.Attr].elements, element)
		case list:
			s.lists[v.Attr].elements[element] = v.Plain
		default:
			s.values[v.Attr] = held{plain: v.Plain, none: v.Removed, observed: at}
		}
	}
	return user
}

// list returns the state of a list that was observed at that time.
func (s *state) list(a *schemas.Attribute, at time.Time) *heldList {
	l := s.lists[a]
	if l == nil {
		l = &heldList{elements: map[string]json.RawMessage{}}
		s.lists[a] = l
	}
	if at.After(l.observed) {
		l.observed = at
	}
	return l
}

// notSet reports whether a value is as if it were not set, by decision: its key was destroyed.
func notSet(err error) bool {
	return errors.Is(err, vault.ErrErased) || errors.Is(err, vault.ErrExpired) || errors.Is(err, vault.ErrLost)
}

// open opens the values. left gets the events of those that the vault cannot have sealed.
func (s *state) open(
	tx *vault.Tx, tokens map[*schemas.Attribute]map[string]sealedAt, users []sealedUser, left *ledger.LeftOut,
) error {
	unfitting := map[ledger.LeftEvent]bool{}
	var asked []sealedAt
	var sealed []vault.Sealed
	for _, elements := range tokens {
		for _, t := range elements {
			asked = append(asked, t)
			sealed = append(sealed, t.sealed)
		}
	}
	opened, err := tx.Open(sealed)
	if err != nil {
		return err
	}
	for i, o := range opened {
		t := asked[i]
		if o.Err != nil {
			if !notSet(o.Err) && !unfitting[t.event] {
				unfitting[t.event] = true
				left.Add(t.event)
			}
			continue
		}
		if t.element == "" {
			s.values[t.attr] = held{plain: o.Plain, observed: t.at}
		} else {
			s.lists[t.attr].elements[t.element] = o.Plain
		}
	}
	for a, l := range s.lists {
		if len(l.elements) == 0 && len(tokens[a]) > 0 {
			delete(s.lists, a) // none of it opens any more
		}
	}
	for _, u := range users {
		user, err := u.person(tx)
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
