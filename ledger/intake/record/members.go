package record

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
)

// Record is one record, decoded one level deep, and its properties where it has them.
type Record struct {
	Members
	Properties Members
	Decoded    bool   // a text in it held JSON
	Table      string // of Log Analytics, for a row of it
}

// Begins reports whether a JSON value begins with b, and so is of that type.
func Begins(raw json.RawMessage, b byte) bool { return len(raw) > 0 && raw[0] == b }

// errMalformed stands for the decoder's own error, whose text quotes the content.
var errMalformed = errors.New("malformed JSON")

// ReadRecord reads the text of a record. One that is valid JSON and no object has no members.
func ReadRecord(raw []byte) (r Record, err error) {
	switch {
	case !Begins(raw, '{') && !json.Valid(raw),
		Begins(raw, '{') && json.Unmarshal(raw, &r.Members) != nil:
		return Record{}, errMalformed
	}
	return r, nil
}

// Members is a record's own members, by name.
type Members map[string]json.RawMessage

// Text returns a member as text, "" where it is absent, null or no single value.
func (m Members) Text(name string) string {
	s, _ := AsText(m[name])
	return s
}

// Known returns a member as text, "" also for a placeholder.
func (m Members) Known(name string) string {
	if s := m.Text(name); !schemas.Nothing(s) {
		return s
	}
	return ""
}

// Object returns a member that is an object, else nil.
func (m Members) Object(name string) Members {
	var o Members
	if raw := m[name]; len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &o) == nil {
		return o
	}
	return nil
}

// Array returns a member that is an array, else nil.
func (m Members) Array(name string) []json.RawMessage {
	var a []json.RawMessage
	if raw := m[name]; len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &a) == nil {
		return a
	}
	return nil
}

// Has reports whether all those members are there, whatever they say.
func (m Members) Has(names ...string) bool {
	for _, n := range names {
		if _, ok := m[n]; !ok {
			return false
		}
	}
	return true
}

// Name returns a member as a name: with single blanks, "" for a placeholder.
func (m Members) Name(field string) string { return strings.Join(strings.Fields(m.Known(field)), " ") }

// Size returns a member that is a whole number of bytes, "" for none and for 0.
func (m Members) Size(field string) (json.Number, error) {
	raw := m[field]
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
func (m Members) Value(name string) *string {
	raw := m[name]
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
