package intake

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// A member that has parts is an object or a list. Absent, null and empty it says nothing; a list of one may come as its one object, since
// PowerShell unrolls it; JSON in a text is decoded one level. Anything else is of the wrong type, and an error of the record: what is taken
// for absent today is "unchanged" when it comes right tomorrow.

// nestedObject returns a member that is an object, and whether it came in a text.
func (m members) nestedObject(name string) (o members, decoded bool, err error) {
	raw, decoded := decodeText(m[name])
	switch {
	case isEmpty(raw):
		return nil, false, nil
	case raw[0] == '{' && json.Unmarshal(raw, &o) == nil:
		return o, decoded, nil
	}
	return nil, false, &fieldError{name, wrongType(raw, "an object")}
}

// nestedList returns the entries of a member that is a list of objects, and whether it came in a text.
func (m members) nestedList(name string) (items []members, decoded bool, err error) {
	raw, decoded := decodeText(m[name])
	if isEmpty(raw) {
		return nil, false, nil
	}
	var entries []json.RawMessage
	switch {
	case raw[0] == '{':
		entries = []json.RawMessage{raw}
	case raw[0] != '[' || json.Unmarshal(raw, &entries) != nil:
		return nil, false, &fieldError{name, wrongType(raw, "a list")}
	}
	for _, e := range entries {
		var o members
		if e[0] != 'n' && (e[0] != '{' || json.Unmarshal(e, &o) != nil) {
			return nil, false, &fieldError{name, "holds an entry that " + wrongType(e, "an object")}
		}
		items = append(items, o)
	}
	return items, decoded, nil
}

// decodeText returns the JSON that a text holds, where it holds an object or a list.
func decodeText(raw json.RawMessage) (json.RawMessage, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, false
	}
	s, ok := asText(raw)
	if ok && s != "" && (s[0] == '{' || s[0] == '[') && json.Valid([]byte(s)) {
		return json.RawMessage(s), true
	}
	return raw, false
}

// flattened is what PowerShell writes for an object or a list that lies deeper than it was asked to go.
var flattened = regexp.MustCompile(`^(@\{.*|System\.[A-Za-z.]+.*|Microsoft\.Graph\.[A-Za-z.]+.*)$`)

// wrongType says what is there instead of what belongs there, and how it comes right.
func wrongType(raw json.RawMessage, wanted string) string {
	reason := "is " + jsonType(raw) + " where " + wanted + " belongs"
	if s, ok := asText(raw); ok && raw[0] == '"' && flattened.MatchString(strings.ReplaceAll(s, "\n", " ")) {
		reason += ": PowerShell cut it off; export again with ConvertTo-Json -Depth 20"
	}
	return reason
}

func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

// in puts the path of the object that a field lies in before its name.
func in(path string, err error) error {
	var f *fieldError
	if errors.As(err, &f) {
		return &fieldError{path + f.field, f.reason}
	}
	return err
}
