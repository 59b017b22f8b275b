package entity

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// What folding has come to can be kept and gone on from, so that a long stream need not be read
// whole: the state before anything is opened, with the tokens of sealed values in place of them.
// But for the last contacts, which moments are made of, nothing that was opened is in it.

// Memory is what is kept of a folding, being written or read. What is read was written in the same
// form and in the terms of the same catalogue; anything else fails, and reads as zeros.
type Memory struct {
	b   []byte
	err error
}

// ErrMemory says that what was kept cannot be read. The stream says it all.
var ErrMemory = errors.New("what was kept of a stream is not in this program's form")

func (m *Memory) fail() { m.b, m.err = nil, ErrMemory }

// PutInt writes a number that is not negative.
func (m *Memory) PutInt(n int) { m.b = binary.AppendUvarint(m.b, uint64(n)) }

// Int reads a number.
func (m *Memory) Int() int {
	n, size := binary.Uvarint(m.b)
	if size <= 0 || n > 1<<40 {
		m.fail()
		return 0
	}
	m.b = m.b[size:]
	return int(n)
}

// Count reads how many things follow, each of a byte or more.
func (m *Memory) Count() int {
	n := m.Int()
	if n > len(m.b) {
		m.fail()
		return 0
	}
	return n
}

func (m *Memory) putText(s string) {
	m.PutInt(len(s))
	m.b = append(m.b, s...)
}

func (m *Memory) text() []byte {
	n := m.Count()
	s := m.b[:n:n]
	m.b = m.b[n:]
	return s
}

// PutID writes a uuid.
func (m *Memory) PutID(id uuid.UUID) { m.b = append(m.b, id[:]...) }

// ID reads a uuid.
func (m *Memory) ID() (id uuid.UUID) {
	if len(m.b) < len(id) {
		m.fail()
		return id
	}
	copy(id[:], m.b)
	m.b = m.b[len(id):]
	return id
}

// PutTime writes a time, the zero one too.
func (m *Memory) PutTime(t time.Time) {
	if t.IsZero() {
		m.PutInt(0)
		return
	}
	m.PutInt(1 + t.Nanosecond())
	m.b = binary.AppendVarint(m.b, t.Unix())
}

// Time reads a time, in UTC.
func (m *Memory) Time() time.Time {
	nanos := m.Int()
	if nanos == 0 {
		return time.Time{}
	}
	seconds, size := binary.Varint(m.b)
	if size <= 0 {
		m.fail()
		return time.Time{}
	}
	m.b = m.b[size:]
	return time.Unix(seconds, int64(nanos)-1).UTC()
}

// PutMoment writes a moment.
func (m *Memory) PutMoment(at Moment) {
	m.PutTime(at.Contact)
	m.PutTime(at.Observed)
}

// Moment reads a moment.
func (m *Memory) Moment() Moment { return Moment{Contact: m.Time(), Observed: m.Time()} }

// What stands where a value does.
const (
	keptOpen = iota
	keptNone
	keptToken
)

// putValue writes what stands in a place: a token, an open value, or that there is none.
func (m *Memory) putValue(f *folding, events map[uuid.UUID]int, p place, plain json.RawMessage, none bool) {
	switch t, sealed := f.tokens[p]; {
	case sealed:
		m.PutInt(keptToken)
		m.PutInt(events[t.event.ID])
		m.putText(string(t.sealed.Token))
	case none:
		m.PutInt(keptNone)
	default:
		m.PutInt(keptOpen)
		m.putText(string(plain))
	}
}

func (m *Memory) value(f *folding, events []ledger.LeftEvent, p place) (plain json.RawMessage, none bool) {
	switch m.Int() {
	case keptToken:
		n := m.Int()
		token := schemas.Token(m.text())
		if n >= len(events) {
			m.fail()
			return nil, false
		}
		f.tokens[p] = sealedAt{vault.Sealed{Token: token, Attr: p.attr.ID, Event: events[n].ID}, events[n]}
	case keptNone:
		return nil, true
	case keptOpen:
		if text := m.text(); len(text) > 0 {
			return slices.Clone(text), false
		}
	default:
		m.fail()
	}
	return nil, false
}

// keep hands over the folding, before anything is opened. With an event left out nothing is kept:
// its place only the stream tells.
func (f *folding) keep(p Past, beside Beside) error {
	if p.Keep == nil || f.left.Count() > 0 {
		return nil
	}
	m := &Memory{}
	if !f.put(m) {
		return nil
	}
	if beside != nil {
		beside.Put(m)
	}
	return p.Keep(m.b, slices.Collect(maps.Keys(f.persons)))
}

// put writes the folding; false where it holds what no event of ours tells.
func (f *folding) put(m *Memory) bool {
	s := f.State
	var events []ledger.LeftEvent // by which tokens stand, each once
	index := map[uuid.UUID]int{}
	for _, t := range f.tokens {
		if _, known := index[t.event.ID]; !known {
			index[t.event.ID] = len(events)
			events = append(events, t.event)
		}
	}
	m.PutInt(len(events))
	for _, e := range events {
		m.PutID(e.ID)
		m.PutInt(int(e.Revision))
	}
	m.PutTime(s.last)
	attributes := s.def.Whole.Attributes()
	m.PutInt(len(s.values))
	found := 0
	for i, a := range attributes {
		h, known := s.values[a]
		if !known {
			continue
		}
		found++
		m.PutInt(i)
		m.PutMoment(h.Moment)
		m.putValue(f, index, place{attr: a}, h.Plain, h.None)
	}
	m.PutInt(len(s.lists))
	for i, a := range attributes {
		l := s.lists[a]
		if l == nil {
			continue
		}
		found++
		m.PutInt(i)
		m.PutTime(l.observed)
		elements := slices.AppendSeq(make([]string, 0, len(l.elements)), maps.Keys(l.elements))
		for p := range f.tokens {
			if p.attr == a {
				elements = append(elements, p.element) // not among them until it is opened
			}
		}
		m.PutInt(len(elements))
		for _, e := range elements {
			id, err := uuid.Parse(e)
			if err != nil || id.String() != e {
				return false // no event of ours tells such an element
			}
			m.PutID(id)
			m.putValue(f, index, place{a, e}, l.elements[e], false)
		}
	}
	return found == len(s.values)+len(s.lists)
}

// take brings a folding that has just begun to where a kept one of the stream was.
func (f *folding) take(m *Memory, stream schemas.Stream) {
	s := f.State
	events := make([]ledger.LeftEvent, m.Count())
	for i := range events {
		events[i] = ledger.LeftEvent{ID: m.ID(), Stream: stream, Revision: uint64(m.Int()), Verdict: ledger.Unfitting}
	}
	s.last = m.Time()
	attributes := s.def.Whole.Attributes()
	attribute := func() *schemas.Attribute {
		i := m.Int()
		if i >= len(attributes) {
			m.fail()
			i = 0
		}
		return attributes[i]
	}
	for range m.Count() {
		a := attribute()
		h := Held{Moment: m.Moment()}
		h.Plain, h.None = m.value(f, events, place{attr: a})
		s.values[a] = h
	}
	for range m.Count() {
		a := attribute()
		l := s.list(a, m.Time())
		for range m.Count() {
			e := m.ID().String()
			plain, _ := m.value(f, events, place{a, e})
			if _, sealed := f.tokens[place{a, e}]; !sealed {
				l.elements[e] = plain
			}
		}
	}
}

// Ahead adds whose tokens stand in what was kept of a folding, and returns what a kind has written
// behind that.
func Ahead(known []byte, a *vault.Ahead) *Memory {
	m := &Memory{b: known}
	for range m.Count() { // events
		m.ID()
		m.Int()
	}
	m.Time()
	value := func() {
		switch m.Int() {
		case keptToken:
			m.Int()
			a.Tokens = append(a.Tokens, schemas.Token(m.text()))
		case keptOpen:
			m.text()
		}
	}
	for range m.Count() { // values
		m.Int()
		m.Moment()
		value()
	}
	for range m.Count() { // lists
		m.Int()
		m.Time()
		for range m.Count() {
			m.ID()
			value()
		}
	}
	return m
}
