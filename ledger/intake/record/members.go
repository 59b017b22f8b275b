package record

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
)

// Record is one record, decoded one level deep, and its properties where it has them.
type Record struct {
	*Members
	Properties *Members
	Decoded    bool   // a text in it held JSON
	Table      string // of Log Analytics, for a row of it
	Columns    bool   // its members are named by the header of a table: names of several words
	Parent     string // id of that of whose collection it is, as its page tells
	Event      *Event // the CloudEvent that brought it, nil for none
}

// Event is the envelope of a CloudEvent, whatever brought it. Source and ID together tell one from
// all others.
type Event struct {
	ID, Source, Type, Time string
	Extensions             *Members    // attributes that the specification does not name
	Never                  string      // the category of its data, where that is never collected
	Fault                  *FieldError // why it is none that can be taken; nil where it can
}

// Begins reports whether a JSON value begins with b, and so is of that type.
func Begins(raw json.RawMessage, b byte) bool { return len(raw) > 0 && raw[0] == b }

// ReadRecord reads the text of a record. One that is valid JSON and no object has no members.
func ReadRecord(raw []byte) (r Record, err error) {
	if Begins(raw, '{') {
		r.Members = ReadMembers(raw)
	}
	if r.Members == nil && (Begins(raw, '{') || !Valid(raw)) {
		return Record{}, errMalformed
	}
	return r, nil
}

// Text returns a member as text, "" where it is absent, null or no single value.
func (m *Members) Text(name string) string {
	s, _ := AsText(m.Get(name))
	return s
}

// Known returns a member as text, "" also for a placeholder.
func (m *Members) Known(name string) string { return Known(m.Get(name)) }

// Known returns a value as text, "" also for a placeholder.
func Known(raw json.RawMessage) string {
	if s, _ := AsText(raw); !schemas.Nothing(s) {
		return s
	}
	return ""
}

// Object returns a member that is an object, else nil.
func (m *Members) Object(name string) *Members { return ReadMembers(m.Get(name)) }

// Array returns a member that is an array, else nil.
func (m *Members) Array(name string) []json.RawMessage { return Elements(m.Get(name)) }

// Has reports whether all those members are there, whatever they say.
func (m *Members) Has(names ...string) bool {
	for _, n := range names {
		if i := m.find(n); i < 0 || m.list[i].gone {
			return false
		}
	}
	return true
}

// Name returns a member as a name: with single blanks, "" for a placeholder.
func (m *Members) Name(field string) string { return strings.Join(strings.Fields(m.Known(field)), " ") }

// Size returns a member that is a whole number of bytes, "" for none and for 0.
func (m *Members) Size(field string) (json.Number, error) {
	raw := m.Get(field)
	if IsEmpty(raw) {
		return "", nil
	}
	s, _ := AsText(raw)
	n, ok := 0.0, s != ""
	if ok {
		n, ok = ParseNumber(s)
	}
	if !ok || n != math.Trunc(n) {
		return "", &FieldError{field, "is no whole number"}
	}
	if n == 0 {
		return "", nil
	}
	return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), nil
}

// Value returns a property's value as text, nil where it is null, absent or the text "<null>".
func (m *Members) Value(name string) *string {
	raw := m.Get(name)
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	s, ok := AsText(raw)
	if !ok {
		s = string(raw)
	}
	if s == "<null>" {
		return nil
	}
	return &s
}
