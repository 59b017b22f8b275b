package record

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// This file takes out of records what is never collected, whatever their kind and form and however
// deep it stands: by the name of a member, by a MIME type beside it, by what a text betrays.

// CategoryLocation is what tells where a device or somebody is.
const CategoryLocation = catalogue.CategoryLocation

// DropNever takes out of the record what is never collected, and counts it by category. whole is
// the category of a record that is such a thing itself: nothing of it may be looked at. more are
// names that hold such things in this record alone, in plain letters, and the category of each.
func (r *Record) DropNever(more map[string]string) (counts map[string]int, whole string) {
	s := stripping{more: more}
	for name, raw := range r.All {
		if name == "location" && r.Properties != nil {
			continue // of Azure Monitor: the region of its own servers
		}
		if kept, changed := s.member(name, raw); changed && kept == nil {
			r.Delete(name)
		} else if changed {
			r.Set(name, kept)
		}
	}
	if r.Event != nil {
		for name, raw := range r.Event.Extensions.All {
			s.member(name, raw) // nothing of them is kept
		}
	}
	if whole = media(r.Members); whole != "" {
		return nil, whole
	}
	if r.Properties != nil && s.counts != nil {
		r.Properties = r.Object("properties")
	}
	return s.counts, ""
}

// stripping counts what it takes out.
type stripping struct {
	counts map[string]int
	more   map[string]string
}

// category is that of what a member of that name holds, "" for what may be kept.
func (s *stripping) category(name string) string {
	if c := catalogue.NeverCollected(name); c != "" || s.more == nil {
		return c
	}
	return s.more[catalogue.PlainName(name)]
}

func (s *stripping) drop(category string) {
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[category]++
}

// member returns what may be kept of a member, nil for nothing. Most are kept as they are, which
// is told without taking them apart.
func (s *stripping) member(name string, raw json.RawMessage) (kept json.RawMessage, changed bool) {
	if c := s.category(name); c != "" && tells(raw) {
		s.drop(c)
		return nil, true
	}
	if s.more == nil && !mayHold(raw) || catalogue.NotNever(name) {
		return raw, false
	}
	return s.value(raw, 0)
}

// tells reports whether a member that is named like what is never collected may hold some of it. A
// switch does not: it is a setting about it.
func tells(raw json.RawMessage) bool {
	return !IsEmpty(raw) && !Begins(raw, 't') && !Begins(raw, 'f')
}

// maxDepth is how deep a record is taken apart. What is deeper is dropped: no source writes it.
const maxDepth = 64

// value returns what may be kept of a value, nil for nothing.
func (s *stripping) value(raw json.RawMessage, depth int) (kept json.RawMessage, changed bool) {
	switch {
	case len(raw) == 0:
		return raw, false
	case depth > maxDepth:
		s.drop("files")
		return nil, true
	case raw[0] == '{':
		return s.object(raw, depth)
	case raw[0] == '[':
		return s.list(raw, depth)
	case raw[0] == '"':
		return s.text(raw, depth)
	}
	return raw, false
}

func (s *stripping) object(raw json.RawMessage, depth int) (json.RawMessage, bool) {
	m := ReadMembers(raw)
	if m == nil {
		return raw, false
	}
	if c := media(m); c != "" {
		s.drop(c)
		return nil, true
	}
	changed := s.pair(m)
	for name, inner := range m.All {
		if c := s.category(name); c != "" && tells(inner) {
			s.drop(c)
			m.Delete(name)
			changed = true
			continue
		}
		if catalogue.NotNever(name) {
			continue
		}
		if kept, other := s.value(inner, depth+1); other {
			changed = true
			if kept == nil {
				m.Delete(name)
			} else {
				m.Set(name, kept)
			}
		}
	}
	if !changed {
		return raw, false
	}
	return schemas.JSON(m), true
}

// pair takes the values out of an object that names a property in one member and tells it in
// others, where that property is never collected.
func (s *stripping) pair(m *Members) (changed bool) {
	for _, by := range []string{"displayName", "DisplayName", "name", "Name"} {
		c := catalogue.NeverCollected(m.Text(by))
		if c == "" {
			continue
		}
		for _, told := range []string{"oldValue", "newValue", "OldValue", "NewValue", "old", "new", "Old", "New"} {
			if !IsEmpty(m.Get(told)) {
				s.drop(c)
				m.Set(told, json.RawMessage("null"))
				changed = true
			}
		}
	}
	return changed
}

func (s *stripping) list(raw json.RawMessage, depth int) (json.RawMessage, bool) {
	elements := Elements(raw)
	kept, changed := elements[:0:0], false
	for _, e := range elements {
		inner, other := s.value(e, depth+1)
		if changed = changed || other; inner != nil {
			kept = append(kept, inner)
		}
	}
	if !changed {
		return raw, false
	}
	if kept == nil {
		return json.RawMessage("[]"), true
	}
	return schemas.JSON(kept), true
}

// text looks into a text: what it betrays, and what JSON in it holds.
func (s *stripping) text(raw json.RawMessage, depth int) (json.RawMessage, bool) {
	if inner := JsonInText(raw); inner != nil {
		kept, changed := s.value(inner, depth+1)
		if changed && kept != nil {
			kept = schemas.JSONText(string(kept))
		}
		if changed {
			return kept, true
		}
	}
	if t, ok := Unquote(raw); ok {
		if c := catalogue.NeverContent(t); c != "" {
			s.drop(c)
			return nil, true
		}
	}
	return raw, false
}

// media returns the category of what an object holds by the MIME type that stands in it, "" where
// it may be kept.
func media(m *Members) string {
	for _, name := range []string{"contentType", "ContentType", "mimeType", "MimeType", "mediaType",
		"@odata.mediaContentType", "type"} {
		if t := m.Text(name); strings.IndexByte(t, '/') > 0 {
			if c := catalogue.NeverMedia(t); c != "" {
				return c
			}
		}
	}
	return ""
}

// mayHold reports whether a value may hold something that is never collected: it looks at each
// name and text in the JSON as it is written, and errs towards yes.
func mayHold(raw json.RawMessage) bool {
	for rest := []byte(raw); ; {
		i := bytes.IndexByte(rest, '"')
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			return false
		}
		text := rest[:end]
		if bytes.IndexByte(text, '\\') >= 0 {
			return true // it has to be read
		}
		rest = rest[end+1:]
		if mayBe(text, rest) {
			return true
		}
	}
}

// mayBe reports whether a text without escapes may betray something; behind is what follows it.
func mayBe(text, behind []byte) bool {
	if named(behind) {
		return catalogue.NeverCollected(string(text)) != ""
	}
	switch {
	case len(text) == 0:
		return false
	case len(text) < 64 && catalogue.NeverCollected(string(text)) != "": // the name of a property, perhaps
		return true
	case text[0] == '{' || text[0] == '[' || text[0] == ' ':
		return true
	case bytes.IndexByte(text, '/') > 0 && len(text) < 128 && catalogue.NeverMedia(string(text)) != "":
		return true
	}
	return catalogue.NeverContent(string(text)) != ""
}

// named reports whether what stands before is a member's name: a colon comes next.
func named(behind []byte) bool {
	for _, c := range behind {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == ':'
		}
	}
	return false
}
