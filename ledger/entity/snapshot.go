package entity

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Snapshot is what one record tells of an entity, in the catalogue's terms.
type Snapshot struct {
	Source string
	Moment
	Proven bool // the record is of that time: a modification time proves no age
	Values map[*schemas.Attribute]json.RawMessage
	None   map[*schemas.Attribute]bool // present and empty: there is none
	Lists  []List
}

// usualValues is how many a snapshot of a device has.
const usualValues = 48

// NewSnapshot returns one of the source that tells nothing yet.
func NewSnapshot(source string) *Snapshot {
	return &Snapshot{Source: source, Values: make(map[*schemas.Attribute]json.RawMessage, usualValues),
		None: map[*schemas.Attribute]bool{}}
}

// Clone returns a copy whose values can be left out.
func (s *Snapshot) Clone() *Snapshot {
	c := *s
	c.Values, c.None = maps.Clone(s.Values), maps.Clone(s.None)
	return &c
}

// List is a list of the entity's, complete or in part.
type List struct {
	Attr     *schemas.Attribute
	Complete bool
	Items    []Item

	at map[string]int // by key, where Put added them
}

// Item is an entry of a list.
type Item struct {
	Key    string // native, the element's identity
	Value  json.RawMessage
	Person string // object id or UPN of the person it is about, where it is about one
}

// Put adds an entry. Of one that is told twice the same stays, whatever order they come in: the
// one that is greater as text.
func (l *List) Put(item Item) {
	if l.at == nil {
		l.at = map[string]int{}
	}
	switch n, twice := l.at[item.Key]; {
	case !twice:
		l.at[item.Key] = len(l.Items)
		l.Items = append(l.Items, item)
	case string(item.Value) > string(l.Items[n].Value):
		l.Items[n] = item
	}
}

// Tell takes in what one field tells of an attribute. What an earlier field reported stays.
func (s *Snapshot) Tell(a *schemas.Attribute, value json.RawMessage, found record.Finding) {
	if _, have := s.Values[a]; have {
		return
	}
	switch found {
	case record.Reported:
		s.Values[a] = value
		delete(s.None, a)
	case record.Emptied:
		s.None[a] = true
	}
}

// Settle dates the snapshot: never before its own L, in whole seconds. told is S as the record
// tells it, zero where it tells none; file then dates it. Its error is a *record.FieldError.
func (s *Snapshot) Settle(
	told record.NamedText, at time.Time, file record.Dating, contact record.NamedText, now time.Time,
) error {
	s.Observed, s.Proven = at, true
	if at.IsZero() {
		told.Field, s.Observed, s.Proven = contact.Field, file.At, file.Proven
	}
	for _, t := range []struct {
		field string
		at    time.Time
	}{{contact.Field, s.Contact}, {told.Field, s.Observed}} {
		if err := NotAhead(t.field, t.at, now); err != nil {
			return err
		}
	}
	if s.Observed.Before(s.Contact) {
		s.Observed = s.Contact
	}
	s.Observed = s.Observed.UTC().Truncate(time.Second)
	return nil
}

// Age is the time which the record is known to be no older than; zero where nothing proves one.
func (s *Snapshot) Age() time.Time {
	if s.Proven {
		return s.Observed
	}
	return s.Contact
}

// Expired refuses a snapshot that may be of a month whose data has been destroyed: one without a
// proven age is of its last contact. Its error is vault.ErrExpired, or one of the vault's.
func (s *Snapshot) Expired(tx *vault.Tx) error {
	if s.Proven || s.Contact.IsZero() {
		return nil
	}
	classes := map[string]bool{}
	for a := range s.Values {
		classes[a.Class] = true
	}
	for _, l := range s.Lists {
		classes[l.Attr.Class] = true
	}
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		gone, err := tx.Expired(c, s.Contact)
		if err != nil {
			return err
		}
		if gone {
			return vault.ErrExpired
		}
	}
	return nil
}

// Without returns the snapshot without the attributes and lists that a rule refuses, and how many
// values of theirs it tells: itself where it tells none.
func (s *Snapshot) Without(refused func(*schemas.Attribute) bool) (kept *Snapshot, n int) {
	for a := range s.Values {
		if refused(a) {
			n++
		}
	}
	for _, l := range s.Lists {
		if refused(l.Attr) {
			n += len(l.Items)
		}
	}
	none := func(a *schemas.Attribute, _ bool) bool { return refused(a) }
	if n == 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(s.None)), refused) {
		return s, 0
	}
	kept = s.Clone()
	maps.DeleteFunc(kept.Values, func(a *schemas.Attribute, _ json.RawMessage) bool { return refused(a) })
	maps.DeleteFunc(kept.None, none)
	kept.Lists = slices.DeleteFunc(slices.Clone(kept.Lists), func(l List) bool { return refused(l.Attr) })
	return kept, n
}

// DropUser takes out what is the own of whoever uses the entity, wherever it stands, and returns
// how many values that were.
func (s *Snapshot) DropUser() (n int) {
	persons := tellsOf(s, nil).persons
	for a, v := range s.Values {
		if OfUser(a) || persons.in(a, v) {
			delete(s.Values, a)
			n++
		}
	}
	clear(s.None)
	return n
}

// OfUser reports whether the attribute's values are the user's own.
func OfUser(a *schemas.Attribute) bool { return a.Key == schemas.KeyPerson && a.Role == "user" }

// ResolvedList is a reported list whose entries have their element uuids.
type ResolvedList struct {
	Attr     *schemas.Attribute
	Complete bool
	elements []string // in order
	items    map[string]resolvedItem
}

type resolvedItem struct {
	plain  json.RawMessage
	person uuid.UUID
}

// Resolve returns the list without entries yet.
func (l List) Resolve() ResolvedList {
	return ResolvedList{Attr: l.Attr, Complete: l.Complete, items: map[string]resolvedItem{}}
}

// Add adds an entry under its element's uuid, about that person or none.
func (l *ResolvedList) Add(element uuid.UUID, value json.RawMessage, person uuid.UUID) {
	l.elements = append(l.elements, element.String())
	l.items[element.String()] = resolvedItem{value, person}
}
