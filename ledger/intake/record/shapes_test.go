package record

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// What a member may be, what is read of it all the same, and what fails its record.
func TestShapes(t *testing.T) {
	object := func(s *Shapes, raw json.RawMessage) any { return s.Object(raw, "f") }
	objects := func(s *Shapes, raw json.RawMessage) any { return s.Objects(raw, "f") }
	texts := func(s *Shapes, raw json.RawMessage) any { return s.Texts(raw, "f", false) }
	alone := func(s *Shapes, raw json.RawMessage) any { return s.Texts(raw, "f", true) }
	words := func(s *Shapes, raw json.RawMessage) any { return s.Words(raw, "f") }
	single := func(s *Shapes, raw json.RawMessage) any {
		m := NewMembers(1)
		m.Set("f", raw)
		s.Single("", m, "f")
		return nil
	}
	const short = "was cut short"
	for _, c := range []struct {
		name    string
		read    func(*Shapes, json.RawMessage) any
		in      string
		want    string // as JSON
		decoded int
		fault   string
	}{
		{"object", object, `{"a":1}`, `{"a":1}`, 0, ""},
		{"object", object, `"{\"a\":1}"`, `{"a":1}`, 1, ""},
		{"object", object, `"<null>"`, `null`, 0, ""},
		{"object", object, ` null `, `null`, 0, ""},
		{"object", object, ``, `null`, 0, ""},
		{"object", object, `7`, `null`, 0, "is not an object"},
		{"object", object, `["x"]`, `null`, 0, "is not an object"},
		{"object", object, `"[1]"`, `null`, 0, "is not an object"},
		{"object", object, `"@{serialNumber=X}"`, `null`, 0, short},
		{"object", object, `"System.Object[]"`, `null`, 0, short},
		{"objects", objects, `[{"a":1},null]`, `[{"a":1},null]`, 0, ""},
		{"objects", objects, `{"a":1}`, `[{"a":1}]`, 0, ""},
		{"objects", objects, `"[{\"a\":1}]"`, `[{"a":1}]`, 1, ""},
		{"objects", objects, `["{\"a\":1}"]`, `[{"a":1}]`, 1, ""},
		{"objects", objects, `[7]`, `[null]`, 0, "is not a list of objects"},
		{"objects", objects, `["@{a=1}"]`, `[null]`, 0, short},
		{"objects", objects, `true`, `[]`, 0, "is not a list of objects"},
		{"texts", texts, `["a b",7,null]`, `["a b","7",""]`, 0, ""},
		{"texts", texts, `"a"`, `[]`, 0, "is not a list of texts"},
		{"texts", texts, `[{"a":1}]`, `[""]`, 0, "is not a list of texts"},
		{"one text", alone, `"a b"`, `["a b"]`, 0, ""},
		{"one text", alone, `"System.String[]"`, `[]`, 0, short},
		{"words", words, `"a"`, `["a"]`, 0, ""},
		{"words", words, `"a b"`, `[]`, 0, "is not a list of texts"},
		{"words", words, `"[\"a\",\"b\"]"`, `["a","b"]`, 1, ""},
		{"single", single, `7`, `null`, 0, ""},
		{"single", single, `{}`, `null`, 0, ""},
		{"single", single, ` {"a":1}`, `null`, 0, "is not a single value"},
	} {
		s := &Shapes{Seen: &Seen{}}
		got, err := json.Marshal(c.read(s, json.RawMessage(c.in)))
		if err != nil || string(got) != c.want || s.Seen.Decoded != c.decoded {
			t.Errorf("%s of %s: %s, %d decoded, want %s, %d", c.name, c.in, got, s.Seen.Decoded, c.want, c.decoded)
		}
		if fault := fmt.Sprint(s.Err); (s.Err != nil) != (c.fault != "") || !strings.HasPrefix(fault, "f: "+c.fault) &&
			c.fault != "" {
			t.Errorf("%s of %s: fault %v, want %q", c.name, c.in, s.Err, c.fault)
		}
	}
}

func TestTheFirstFaultStays(t *testing.T) {
	s := &Shapes{Seen: &Seen{}}
	s.Object(json.RawMessage(`7`), "first")
	s.Object(json.RawMessage(`7`), "second")
	if s.Err == nil || s.Err.Error() != "first: is not an object" {
		t.Error(s.Err)
	}
}
