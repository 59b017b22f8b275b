package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// Decode reads an event through its type, the only place where upcasters run. A Draft with tenant,
// times and subjects is returned even where the error says that the type is unknown
// (ErrUnknownType) or that the data does not fit it, so that a reader can store what it cannot
// understand.
func (c *Catalogue) Decode(e Envelope) (Draft, error) {
	m := e.Meta()
	d := Draft{Stream: e.Stream, ID: e.ID}
	d.Tenant, d.Occurred, d.Recorded, d.Source = m.Tenant, KnownTime(m.Occurred), m.Recorded, m.Source
	d.Correlation, d.Causation, d.Policy = m.Correlation, m.Causation, m.Policy
	for _, s := range m.Subjects {
		d.Subjects = append(d.Subjects, SubjectRef{Role: s.Role, Alias: s.ID})
	}
	d.Type = c.Type(e.Type)
	if d.Type == nil {
		return d, fmt.Errorf("decode %s: %w: %s", e.ID, ErrUnknownType, e.Type)
	}
	err := d.decode(e.Data)
	if err != nil {
		return d, fmt.Errorf("decode %s (%s): %w", e.ID, e.Type, err)
	}
	for hops := 0; ; hops++ {
		up, ok := c.upcasters[d.Type.Name]
		if !ok {
			return d, nil
		}
		if hops > len(c.upcasters) {
			return d, fmt.Errorf("decode %s: upcasters of %s go in a circle", e.ID, e.Type)
		}
		if d, err = up.Apply(d); err != nil {
			return d, fmt.Errorf("decode %s: upcast to %s: %w", e.ID, up.To, err)
		}
		d.Type = c.Type(up.To)
	}
}

// decoder reads the values in an event's data. NewEnvelope has found the data to be one JSON
// object, so it is walked once, and what it holds is cut out of one copy of it.
type decoder struct {
	walk   jsonScanner
	text   string // of the data; tokens, elements and names are parts of it
	values []Value
	state  stateReading
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// decode puts into the draft what the data say, and keeps no part of them.
func (d *Draft) decode(data []byte) error {
	r := decoders.Get().(*decoder)
	defer func() {
		clear(r.values)
		r.walk, r.text, r.values = jsonScanner{}, "", r.values[:0]
		decoders.Put(r)
	}()
	r.walk, r.text = jsonScanner{data: data}, string(data)
	var err error
	if d.Type.Form == FormState {
		d.Silent, err = r.ofState(d.Type)
	} else {
		err = r.ofFact(d.Type.Root(), "", nil)
	}
	if err == nil && len(r.values) > 0 {
		d.Values = slices.Clone(r.values)
	}
	return err
}

// raw is a value's place in the data.
type raw struct{ from, to int }

func (r *decoder) peek() byte { return r.walk.data[r.walk.at] }

// pass passes a value and returns where it stands.
func (r *decoder) pass() raw {
	from := r.walk.at
	r.walk.value()
	return raw{from, r.walk.at}
}

// str passes a string and returns it. What has no escape is its own text.
func (r *decoder) str() string {
	at := r.pass()
	s := r.text[at.from+1 : at.to-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	if err := json.Unmarshal(r.walk.data[at.from:at.to], &s); err != nil {
		panic("schemas: a string in the data of an event of the ledger: " + err.Error()) // it was examined
	}
	return s
}

var (
	errNull      = errors.New("null where a value was expected")
	errNotObject = errors.New("not an object")
	errNotArray  = errors.New("not an array")
	errNotString = errors.New("not a string")
)

// members calls member at the value of each member of an object; it passes the value.
func (r *decoder) members(member func(name string) error) error {
	return r.items('{', errNotObject, func() error {
		name := r.str()
		r.walk.space()
		r.walk.at++ // ':'
		r.walk.space()
		return member(name)
	})
}

// items calls item at each item of an array, or at each name of an object.
func (r *decoder) items(begin byte, other error, item func() error) error {
	if r.peek() != begin {
		return other
	}
	r.walk.at++
	r.walk.space()
	for r.peek() != begin+2 { // ']' and '}' are two behind '[' and '{'
		if err := item(); err != nil {
			return err
		}
		r.walk.space()
		if r.walk.take(',') {
			r.walk.space()
		}
	}
	r.walk.at++
	return nil
}

// null passes null and reports whether it was there.
func (r *decoder) null() bool { return r.peek() == 'n' && r.walk.value() }

// readValue passes a value at an attribute's place.
func (r *decoder) readValue(a *Attribute, path []string) Value {
	v := Value{Attr: a, Path: path}
	from := r.walk.at
	if r.peek() == '"' {
		if s := r.str(); IsSealed(s) {
			v.Token = Token(s)
			return v
		}
	} else {
		r.walk.value()
	}
	v.Plain = json.RawMessage(r.text[from:r.walk.at])
	return v
}

// ofFact reads what stands at a node of the type, in the type's order whatever that of the data.
// Of a member that repeats the last one holds.
func (r *decoder) ofFact(n *catalogue.Node, at string, path []string) error {
	if n.Attr != nil {
		r.values = append(r.values, r.readValue(n.Attr, slices.Clone(path)))
		return nil
	}
	if r.null() {
		return fmt.Errorf("%s: %w", at, errNull)
	}
	if elem := n.Children["*"]; elem != nil {
		i := 0
		err := r.items('[', errNotArray, func() error {
			index := strconv.Itoa(i)
			i++
			return r.ofFact(elem, at+"/"+index, append(path, index))
		})
		return where(at, err)
	}
	var few [32]raw
	places := few[:]
	if len(n.Order) > len(few) {
		places = make([]raw, len(n.Order))
	}
	err := r.members(func(name string) error {
		child := n.Children[name]
		if child == nil {
			return fmt.Errorf("%s/%s: the type has no such member", at, name)
		}
		places[child.Index] = r.pass()
		return nil
	})
	if err != nil {
		return where(at, err)
	}
	end := r.walk.at
	for i, name := range n.Order {
		if places[i].to == 0 {
			continue
		}
		r.walk.at = places[i].from
		if err := r.ofFact(n.Children[name], at+"/"+name, path); err != nil {
			return err
		}
	}
	r.walk.at = end
	return nil
}

// where says where an error was found that does not say so itself.
func where(at string, err error) error {
	switch err {
	case errNotObject, errNotArray, errNotString:
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}

// NewID returns a random event id.
func NewID() uuid.UUID { return uuid.New() }
