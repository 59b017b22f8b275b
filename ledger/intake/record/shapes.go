package record

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
)

// Shapes reads members that must have a shape: an object, a list of objects, a list of texts, a
// single value. What has another is a fault of the record and never "absent" (FORMATS §2), but
// for two whose meaning is certain: one object where a list of them belongs, and JSON in a text,
// which is decoded one level and counted. The first fault stays.
type Shapes struct {
	Seen *Seen
	Err  error
}

func (s *Shapes) fail(field, reason string) {
	if s.Err == nil {
		s.Err = &FieldError{field, reason}
	}
}

// isCutShort reports whether a text is what PowerShell writes in place of what lies deeper than it
// was told to go, or in a cell of a table: "@{…}", or the name of a type of System or of the SDK,
// perhaps with brackets behind it.
func isCutShort(text string) bool {
	if strings.HasPrefix(text, "@{") {
		return true
	}
	named := strings.HasPrefix(text, "System.") || strings.HasPrefix(text, "Microsoft.Graph.")
	return named && cutShort.MatchString(text)
}

var cutShort = regexp.MustCompile(`^(System|Microsoft\.Graph)\.[A-Za-z0-9.]+(\[[^]]*\])*$`)

// wrong notes a text or another value that stands where what belongs.
func (s *Shapes) wrong(field string, raw json.RawMessage, what string) {
	if text, ok := AsText(raw); ok && isCutShort(text) {
		s.fail(field, "was cut short when it was written: PowerShell keeps two levels unless it is told more, as in "+
			"ConvertTo-Json -Depth 20")
		return
	}
	s.fail(field, "is not "+what)
}

// decoded returns the JSON that a text holds, where it is of that kind; else what stands there.
func (s *Shapes) decoded(raw json.RawMessage, begins string) json.RawMessage {
	inner := JsonInText(raw)
	if len(inner) == 0 || strings.IndexByte(begins, inner[0]) < 0 {
		return raw
	}
	s.Seen.Decoded++
	return inner
}

// Absent reports whether a member says nothing: it is not there, null, or a text that means
// nothing.
func Absent(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return true
	}
	text, ok := AsText(raw)
	return ok && raw[0] == '"' && schemas.Nothing(text)
}

// Object reads a member that is an object; nil where it is absent.
func (s *Shapes) Object(raw json.RawMessage, field string) *Members {
	if Absent(raw) {
		return nil
	}
	raw = s.decoded(raw, "{")
	o := ReadMembers(raw)
	if o == nil {
		s.wrong(field, raw, "an object")
	}
	return o
}

// list reads a member that is a list. one says whether a value that is none is taken for a list
// of it.
func (s *Shapes) list(
	raw json.RawMessage, field, begins, what string, one func(json.RawMessage) bool,
) []json.RawMessage {
	if Absent(raw) {
		return nil
	}
	raw = s.decoded(raw, begins)
	out := Elements(raw)
	switch {
	case out != nil:
		return out
	case one(raw):
		return []json.RawMessage{raw}
	}
	s.wrong(field, raw, what)
	return nil
}

// Objects reads a list of objects; an element that is null has no members, and keeps its place.
func (s *Shapes) Objects(raw json.RawMessage, field string) []*Members {
	const what = "a list of objects"
	elements := s.list(raw, field, "[{", what, func(raw json.RawMessage) bool { return raw[0] == '{' })
	out := make([]*Members, len(elements))
	for i, e := range elements {
		if Absent(e) {
			continue
		}
		e = s.decoded(e, "{")
		if out[i] = ReadMembers(e); out[i] == nil {
			s.wrong(field, e, what)
		}
	}
	return out
}

// Texts reads a list of single values as text. alone says that one text without a list is a list
// of it.
func (s *Shapes) Texts(raw json.RawMessage, field string, alone bool) []string {
	return s.textsWhere(raw, field, func(string) bool { return alone })
}

// Words reads a list of texts that have no blanks in them: several that were written as one are
// told apart.
func (s *Shapes) Words(raw json.RawMessage, field string) []string {
	return s.textsWhere(raw, field, func(text string) bool { return !strings.Contains(text, " ") })
}

func (s *Shapes) textsWhere(raw json.RawMessage, field string, alone func(string) bool) []string {
	const what = "a list of texts"
	elements := s.list(raw, field, "[", what, func(raw json.RawMessage) bool {
		text, ok := AsText(raw)
		return ok && raw[0] == '"' && !isCutShort(text) && alone(text)
	})
	out := make([]string, len(elements))
	for i, e := range elements {
		text, ok := AsText(e)
		if !ok && !Absent(e) {
			s.wrong(field, e, what)
		}
		out[i] = text
	}
	return out
}

// Single checks that members are single values.
func (s *Shapes) Single(prefix string, m *Members, names ...string) {
	for _, name := range names {
		raw := bytes.TrimSpace(m.Get(name))
		if len(raw) > 0 && (raw[0] == '{' || raw[0] == '[') && !IsEmpty(raw) {
			s.fail(prefix+name, "is not a single value")
		}
	}
}
