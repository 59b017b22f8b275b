package document

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// People writes the value for people: words of the language, times in loc, sizes with a unit.
func (v Value) People(l *words.Language, loc *time.Location) string {
	switch {
	case v.State != Shown:
		return v.State.Word(l)
	case v.Type == Instant:
		return words.Instant(v.Time, loc)
	case v.Type == Changes:
		return v.changes(l)
	case v.Word != "":
		return v.Word
	}
	if s, ok := String(v.JSON); ok {
		if v.Type == Reported {
			if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
				return words.Instant(t, loc)
			}
		}
		return s
	}
	switch {
	case string(v.JSON) == "true":
		return l.Text("value.yes")
	case string(v.JSON) == "false":
		return l.Text("value.no")
	case v.Type == Bytes:
		if n, err := strconv.ParseFloat(string(v.JSON), 64); err == nil {
			return l.Size(n)
		}
	case v.Type == Object:
		return objectText(v.JSON, l, loc)
	}
	return string(v.JSON)
}

// String returns the string that valid JSON is, and whether it is one; null is the empty one.
func String(raw json.RawMessage) (string, bool) {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : n-1]), true // most are written as they are
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// Lines writes the value as People does, line by line, a list of changes one by one.
func (v Value) Lines(l *words.Language, loc *time.Location) []string {
	var cs []ChangedProperty
	if v.State == Shown && v.Type == Changes {
		cs = v.Changed()
	}
	if cs == nil {
		return strings.Split(v.People(l, loc), "\n")
	}
	lines := make([]string, len(cs))
	for i, c := range cs {
		lines[i] = c.Line(l)
	}
	return lines
}

// objectText writes an object by the members that people know it by, else by what it says member
// by member; a list by what is in it.
func objectText(raw json.RawMessage, l *words.Language, loc *time.Location) string {
	var o struct{ Name, DisplayName, Version string }
	if json.Unmarshal(raw, &o) == nil && o.Name+o.DisplayName != "" {
		return strings.TrimSpace(o.Name + o.DisplayName + " " + o.Version)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) == nil && members != nil {
		parts := make([]string, 0, len(members))
		for _, name := range slices.Sorted(maps.Keys(members)) {
			parts = append(parts, memberName(name, l)+": "+objectText(members[name], l, loc))
		}
		return strings.Join(parts, "; ")
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && list != nil {
		parts := make([]string, len(list))
		for i, of := range list {
			parts[i] = objectText(of, l, loc)
		}
		return strings.Join(parts, ", ")
	}
	if s := plain(raw, l); s != string(raw) {
		return Value{Type: Reported, JSON: schemas.JSON(s)}.People(l, loc)
	}
	return Value{JSON: raw}.People(l, loc)
}

// memberName is what people read for a member of an object: its word, else its name, taken apart.
func memberName(name string, l *words.Language) string {
	if word, ok := l.Find("member." + name); ok {
		return word
	}
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Exact writes the value for machines: a string as it is, anything else as its JSON, an instant
// in UTC. What is not shown is its state in brackets, in every language.
func (v Value) Exact() string {
	switch {
	case v.State != Shown:
		return "(" + v.State.Name() + ")"
	case v.Type == Instant:
		return schemas.Time(v.Time)
	}
	if s, ok := String(v.JSON); ok {
		return s
	}
	return string(v.JSON)
}

// ExactLines writes the value for CSV, which has no JSON in it: as Exact, and what has parts a
// part a line, a changed property as "name: old → new" and an object's member as "name: value".
// Where a string could be taken for a state, JSON tells them apart.
func (v Value) ExactLines() []string {
	if v.State != Shown || v.Type != Changes && v.Type != Object {
		return []string{v.Exact()}
	}
	if v.Type == Changes {
		if cs := changesIn(v.JSON); cs != nil {
			lines := make([]string, len(cs))
			for i, c := range cs {
				lines[i] = c.exact()
			}
			return lines
		}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(v.JSON, &members) != nil {
		return []string{v.Exact()}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		lines = append(lines, name+": "+Value{JSON: members[name]}.Exact())
	}
	return lines
}

// Raw returns the value's JSON; an instant in UTC, and what is not shown as {"state":"erased"}.
func (v Value) Raw() json.RawMessage {
	switch {
	case v.State != Shown:
		return schemas.JSON(struct {
			State string `json:"state"`
		}{v.State.Name()})
	case v.Type == Instant:
		return schemas.JSON(v.Time.UTC().Format(time.RFC3339Nano))
	}
	return v.JSON
}

// Raw returns the cell's JSON: of one value that value, of several an array, so that none can be
// mistaken for two.
func (c Cell) Raw() json.RawMessage {
	if len(c) == 1 {
		return c[0].Raw()
	}
	b := []byte{'['}
	for i, v := range c {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v.Raw()...)
	}
	return append(b, ']')
}

// ForPeople is the document without the columns that only programs get.
func (d *Document) ForPeople() *Document {
	var kept []int
	out := *d
	out.Columns = nil
	for i, c := range d.Columns {
		if !c.Machine {
			kept, out.Columns = append(kept, i), append(out.Columns, c)
		}
	}
	out.Rows = func(yield func(Row, error) bool) {
		cells := make([]Cell, len(kept))
		for row, err := range d.Rows {
			if err == nil {
				for i, k := range kept {
					cells[i] = row.Cells[k]
				}
				row.Cells = cells
			}
			if !yield(row, err) {
				return
			}
		}
	}
	return &out
}

// People writes a cell of the column for people; a value that has lines keeps them.
func (c Column) People(cell Cell, d *Document) string {
	sep := "; "
	if c.Parts {
		sep = " "
	}
	parts := make([]string, len(cell))
	for i, v := range cell {
		parts[i] = v.People(d.Language, d.Location)
	}
	return strings.Join(parts, sep)
}

// Local writes an instant for machines, in the document's zone with its offset.
func (d *Document) Local(t time.Time) string {
	return t.In(d.Location).Format("2006-01-02T15:04:05.000-07:00")
}
