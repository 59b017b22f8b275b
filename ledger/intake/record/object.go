package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ledgerline/ledgerline/schemas"
)

// Scanner finds where a JSON value ends and where the members of an object stand: in one pass, and
// without decoding any. It is not for concurrent use.
type Scanner struct {
	src   bytes.Buffer
	dec   *jsontext.Decoder
	spans []span
	names []byte
}

// span is where a member stands, its name in quotes; of an element of a list the value alone.
type span struct{ name, nameEnd, value, end int }

// ErrEnds says that a text ends inside a JSON value.
var ErrEnds = errors.New("ends inside a JSON value")

// errMalformed stands for the decoder's own error, whose text quotes the content.
var errMalformed = errors.New("malformed JSON")

// asWritten takes what encoding/json takes: of members of one name the last counts, and a text
// that is no Unicode is one.
var asWritten = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Scan finds the end of the JSON value that text begins with. Where text ends inside of it, the
// error is ErrEnds.
func (s *Scanner) Scan(text []byte) (n int, err error) {
	s.src = *bytes.NewBuffer(text)
	if s.dec == nil {
		s.dec = jsontext.NewDecoder(&s.src, asWritten...)
	} else {
		s.dec.Reset(&s.src, asWritten...)
	}
	s.spans = s.spans[:0]
	switch kind := s.dec.PeekKind(); kind {
	case jsontext.KindBeginObject:
		err = s.inside(jsontext.KindEndObject)
	case jsontext.KindBeginArray:
		err = s.inside(jsontext.KindEndArray)
	default:
		_, err = s.dec.ReadValue()
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return 0, ErrEnds
	case err != nil:
		return 0, errMalformed
	}
	return int(s.dec.InputOffset()), nil
}

// inside reads an object or a list to its end.
func (s *Scanner) inside(end jsontext.Kind) error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	for s.dec.PeekKind() != end {
		var at span
		if end == jsontext.KindEndObject {
			name, err := s.dec.ReadValue()
			if err != nil {
				return err
			}
			at.nameEnd = int(s.dec.InputOffset())
			at.name = at.nameEnd - len(name)
		}
		value, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		at.end = int(s.dec.InputOffset())
		at.value = at.end - len(value)
		s.spans = append(s.spans, at)
	}
	_, err := s.dec.ReadToken()
	return err
}

// Members returns the members of the object that was scanned last, in text, which holds it as it
// was then. What they say is text's own bytes.
func (s *Scanner) Members(text []byte) *Members {
	m := NewMembers(len(s.spans))
	s.names = s.names[:0]
	for _, at := range s.spans {
		s.names = append(s.names, text[at.name+1:at.nameEnd-1]...)
	}
	names, from := string(s.names), 0
	for _, at := range s.spans {
		to := from + at.nameEnd - at.name - 2
		name := names[from:to]
		if from = to; !plain(name) {
			name, _ = Unquote(text[at.name:at.nameEnd])
		}
		m.Set(name, text[at.value:at.end:at.end])
	}
	return m
}

// FirstNames returns the names of the first members, up to n, of the object that was scanned last:
// like itself where they are the same.
func (s *Scanner) FirstNames(text []byte, n int, like []string) []string {
	if !Begins(text, '{') {
		return nil
	}
	spans := s.spans[:min(n, len(s.spans))]
	same := len(like) == len(spans)
	for i, at := range spans {
		inner := text[at.name+1 : at.nameEnd-1]
		same = same && string(inner) == like[i] && plain(inner)
	}
	if same {
		return like
	}
	like = nil
	for _, at := range spans {
		name, _ := Unquote(text[at.name:at.nameEnd])
		like = append(like, name)
	}
	return like
}

// elements returns those of the list that was scanned last.
func (s *Scanner) elements(text []byte) []json.RawMessage {
	out := make([]json.RawMessage, len(s.spans))
	for i, at := range s.spans {
		out[i] = text[at.value:at.end:at.end]
	}
	return out
}

var scanners = sync.Pool{New: func() any { return &Scanner{} }}

// scanned scans all of a text and lets of make something of it, unless it is no JSON.
func scanned[T any](text []byte, of func(*Scanner, []byte) T) (out T, ok bool) {
	s := scanners.Get().(*Scanner)
	n, err := s.Scan(text)
	if ok = err == nil && len(bytes.TrimLeft(text[n:], " \t\r\n")) == 0; ok {
		out = of(s, text)
	}
	s.src = bytes.Buffer{} // keep no content
	s.dec.Reset(&s.src, asWritten...)
	scanners.Put(s)
	return out, ok
}

// Valid reports whether the text is JSON.
func Valid(text []byte) bool { return jsontext.Value(text).IsValid(asWritten...) }

// Elements returns the elements of the text of a list, nil where it is none.
func Elements(raw json.RawMessage) []json.RawMessage {
	if !Begins(raw, '[') {
		return nil
	}
	out, _ := scanned(raw, (*Scanner).elements)
	return out
}

// ReadMembers returns the members of the text of an object, nil where it is none.
func ReadMembers(raw json.RawMessage) *Members {
	if !Begins(raw, '{') {
		return nil
	}
	out, _ := scanned(raw, (*Scanner).Members)
	return out
}

// plain reports whether what stands in quotes stands for itself.
func plain[T string | []byte](inner T) bool {
	for i := range len(inner) {
		if c := inner[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// Unquote returns the text that a JSON string is, blanks and all; false where it is none.
func Unquote(raw []byte) (string, bool) {
	if n := len(raw); n > 1 && raw[0] == '"' && raw[n-1] == '"' && plain(raw[1:n-1]) {
		return string(raw[1 : n-1]), true
	}
	raw = bytes.TrimRight(raw, " \t\r\n")
	if !Begins(raw, '"') || !Valid(raw) {
		return "", false
	}
	out, _ := jsontext.AppendUnquote(nil, raw) // an error says that something was no Unicode
	return string(out), true
}

// Member is a member of an object: its name, and its value as it stands.
type Member struct {
	Name  string
	Value json.RawMessage
	gone  bool
}

// Members is a record's own members, by name: of those of one name, the last. None are nil.
type Members struct {
	list  []Member
	slots *[slots]uint8  // of more than a few: where each stands in list, from 1, by its hash
	index map[string]int // of so many that slots has no room
}

const (
	few   = 6 // looked through
	slots = 256
	most  = 160 // for which slots has room
)

// NewMembers returns no members yet, with room for so many.
func NewMembers(n int) *Members { return &Members{list: make([]Member, 0, n)} }

// hash tells names apart by how long they are and a few of their letters.
func hash(name string) uint8 {
	n := len(name)
	if n == 0 {
		return 0
	}
	h := uint32(n)*0x9e3779b1 ^ uint32(name[0])*0x85ebca6b ^ uint32(name[n-1])*0xc2b2ae35 ^
		uint32(name[n/2])*0x27d4eb2f ^ uint32(name[n/4])*0x165667b1
	return uint8(h >> 24)
}

func (m *Members) find(name string) int {
	switch {
	case m == nil:
	case m.index != nil:
		if i, ok := m.index[name]; ok {
			return i
		}
	case m.slots == nil:
		for i := range m.list {
			if m.list[i].Name == name {
				return i
			}
		}
	default:
		for h := hash(name); m.slots[h] != 0; h++ {
			if i := int(m.slots[h]) - 1; m.list[i].Name == name {
				return i
			}
		}
	}
	return -1
}

// Set says what a member is.
func (m *Members) Set(name string, raw json.RawMessage) {
	if i := m.find(name); i >= 0 {
		m.list[i].Value, m.list[i].gone = raw, false
		return
	}
	m.list = append(m.list, Member{Name: name, Value: raw})
	switch n := len(m.list); {
	case n <= few:
	case n == few+1:
		m.slots = new([slots]uint8)
		for i := range m.list {
			m.enter(i)
		}
	case n <= most:
		m.enter(n - 1)
	case n == most+1:
		m.index = make(map[string]int, 2*n)
		for i := range m.list {
			m.index[m.list[i].Name] = i
		}
	default:
		m.index[name] = n - 1
	}
}

func (m *Members) enter(i int) {
	h := hash(m.list[i].Name)
	for m.slots[h] != 0 {
		h++
	}
	m.slots[h] = uint8(i + 1)
}

// Delete leaves a member out.
func (m *Members) Delete(name string) {
	if i := m.find(name); i >= 0 {
		m.list[i].Value, m.list[i].gone = nil, true
	}
}

// Get returns what a member says as it stands, nil where it is absent.
func (m *Members) Get(name string) json.RawMessage {
	if i := m.find(name); i >= 0 {
		return m.list[i].Value
	}
	return nil
}

// All yields all members, in no order that means anything.
func (m *Members) All(yield func(name string, raw json.RawMessage) bool) {
	if m == nil {
		return
	}
	for i := range m.list {
		if !m.list[i].gone && !yield(m.list[i].Name, m.list[i].Value) {
			return
		}
	}
}

// Len is how many there are.
func (m *Members) Len() (n int) {
	for range m.All {
		n++
	}
	return n
}

// Clone returns a copy that can be changed.
func (m *Members) Clone() *Members {
	c := &Members{list: slices.Clone(m.list), index: maps.Clone(m.index)}
	if m.slots != nil {
		c.slots = new(*m.slots)
	}
	return c
}

// MarshalJSON writes them sorted by name.
func (m *Members) MarshalJSON() ([]byte, error) {
	return schemas.JSON(maps.Collect(m.All)), nil
}
