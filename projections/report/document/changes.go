package document

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// ChangedProperty is one entry of a value of type Changes.
type ChangedProperty struct {
	Name     string          `json:"name"`
	Old      json.RawMessage `json:"old"`
	New      json.RawMessage `json:"new"`
	Withheld bool            `json:"withheld"` // present at the source and not kept: a secret or a script
	Cut      bool            `json:"cut"`      // it or its name was too long to be kept whole
	More     int             `json:"more"`     // of the last entry: how many further properties had no room
}

// told is what changed: the value before and after, or why it is not there, in the words that text
// has for it.
func (c ChangedProperty) told(
	text func(key string, args ...words.Args) string, value func(json.RawMessage) string,
) string {
	switch {
	case c.Withheld:
		return text("change.withheld")
	case c.More > 0:
		return text("change.more", words.Args{"count": c.More})
	case c.Cut && len(c.Old)+len(c.New) == 0:
		return text("change.cut")
	}
	return value(c.Old) + " → " + value(c.New)
}

// named writes the property's name before what is told of it.
func (c ChangedProperty) named(told string) string {
	if c.Name == "" {
		return told
	}
	return c.Name + ": " + told
}

// Line writes a changed property for people.
func (c ChangedProperty) Line(l *words.Language) string {
	return c.named(c.told(l.Text, func(raw json.RawMessage) string { return plain(raw, l) }))
}

// exact writes a changed property for machines, in every language alike.
func (c ChangedProperty) exact() string {
	text := func(key string, args ...words.Args) string {
		if len(args) > 0 {
			return fmt.Sprintf("(%v more)", args[0]["count"])
		}
		return "(" + strings.TrimPrefix(key, "change.") + ")"
	}
	return c.named(c.told(text, func(raw json.RawMessage) string {
		if len(raw) == 0 || string(raw) == "null" {
			return "(none)"
		}
		return Value{JSON: raw}.Exact()
	}))
}

// changesIn reads a list of changed properties; nil where raw is not of that form.
func changesIn(raw json.RawMessage) []ChangedProperty {
	var cs []ChangedProperty
	if json.Unmarshal(raw, &cs) != nil {
		return nil
	}
	return cs
}

// plain writes any JSON for people: a string without quotes, a word for nothing.
func plain(raw json.RawMessage, l *words.Language) string {
	var s string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return l.Text("value.none")
	case json.Unmarshal(raw, &s) == nil:
		if s == "" {
			return l.Text("value.empty")
		}
		return s
	}
	return string(raw)
}

// Changed are the changed properties of a value in the order in which people read them, those that
// nobody changed last; nil where it is not of that form.
func (v Value) Changed() []ChangedProperty {
	cs := changesIn(v.JSON)
	slices.SortStableFunc(cs, func(a, b ChangedProperty) int {
		return cmp.Compare(v.behind(a), v.behind(b))
	})
	return cs
}

// behind says how far behind the others a property stands.
func (v Value) behind(c ChangedProperty) int {
	switch {
	case c.More > 0:
		return 2
	case slices.ContainsFunc(v.Behind, func(name string) bool { return strings.EqualFold(name, c.Name) }):
		return 1
	}
	return 0
}

func (v Value) changes(l *words.Language) string {
	cs := v.Changed()
	if cs == nil {
		return string(v.JSON)
	}
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = c.Line(l)
	}
	return strings.Join(parts, "; ")
}
