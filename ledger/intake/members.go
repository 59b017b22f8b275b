package intake

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// sourceRecord is one record, decoded one level deep, and its properties where it has them.
type sourceRecord struct {
	members
	properties members
	decoded    bool   // a text in it held JSON
	table      string // of Log Analytics, for a row of it
}

// begins reports whether a JSON value begins with b, and so is of that type.
func begins(raw json.RawMessage, b byte) bool { return len(raw) > 0 && raw[0] == b }

// errMalformed stands for the decoder's own error, whose text quotes the content.
var errMalformed = errors.New("malformed JSON")

// readRecord reads the text of a record. One that is valid JSON and no object has no members.
func readRecord(raw []byte) (r sourceRecord, err error) {
	switch {
	case !begins(raw, '{') && !json.Valid(raw),
		begins(raw, '{') && json.Unmarshal(raw, &r.members) != nil:
		return sourceRecord{}, errMalformed
	}
	return r, nil
}

// members is a record's own members, by name.
type members map[string]json.RawMessage

// text returns a member as text, "" where it is absent, null or no single value.
func (m members) text(name string) string {
	s, _ := asText(m[name])
	return s
}

// known returns a member as text, "" also for a placeholder.
func (m members) known(name string) string {
	if s := m.text(name); !isNothing(s) {
		return s
	}
	return ""
}

// object returns a member that is an object, else nil.
func (m members) object(name string) members {
	var o members
	if raw := m[name]; len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &o) == nil {
		return o
	}
	return nil
}

// array returns a member that is an array, else nil.
func (m members) array(name string) []json.RawMessage {
	var a []json.RawMessage
	if raw := m[name]; len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &a) == nil {
		return a
	}
	return nil
}

// has reports whether all those members are there, whatever they say.
func (m members) has(names ...string) bool {
	for _, n := range names {
		if _, ok := m[n]; !ok {
			return false
		}
	}
	return true
}

// name returns a member as a name: with single blanks, "" for a placeholder.
func (m members) name(field string) string { return strings.Join(strings.Fields(m.known(field)), " ") }

// size returns a member that is a whole number of bytes, "" for none and for 0.
func (m members) size(field string) (json.Number, error) {
	raw := m[field]
	if isEmpty(raw) {
		return "", nil
	}
	s, _ := asText(raw)
	n, ok := 0.0, s != ""
	if ok {
		n, ok = parseNumber(s)
	}
	if !ok || n != math.Trunc(n) {
		return "", &fieldError{field, "is no whole number"}
	}
	if n == 0 {
		return "", nil
	}
	return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), nil
}

// value returns a property's value as text, nil where it is null, absent or the text "<null>".
func (m members) value(name string) *string {
	raw := m[name]
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	s, ok := asText(raw)
	if !ok {
		s = string(raw)
	}
	if s == "<null>" {
		return nil
	}
	return &s
}
