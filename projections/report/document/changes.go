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

// People writes what changed: the value before and after, or that it was not kept.
func (c ChangedProperty) People(l *words.Language) string {
	switch {
	case c.Withheld:
		return l.Text("change.withheld")
	case c.More > 0:
		return l.Text("change.more", words.Args{"count": c.More})
	case c.Cut && len(c.Old)+len(c.New) == 0:
		return l.Text("change.cut")
	}
	return plain(c.Old, l) + " → " + plain(c.New, l)
}

// exact writes a changed property for machines, in every language alike.
func (c ChangedProperty) exact() string {
	value := func(raw json.RawMessage) string {
		if len(raw) == 0 || string(raw) == "null" {
			return "(none)"
		}
		return Value{JSON: raw}.Exact()
	}
	name := ""
	if c.Name != "" {
		name = c.Name + ": "
	}
	switch {
	case c.Withheld:
		return name + "(withheld)"
	case c.More > 0:
		return name + fmt.Sprintf("(%d more)", c.More)
	case c.Cut && len(c.Old)+len(c.New) == 0:
		return name + "(cut)"
	}
	return name + value(c.Old) + " → " + value(c.New)
}

// Line writes a changed property with its name.
func (c ChangedProperty) Line(l *words.Language) string {
	if c.Name == "" {
		return c.People(l)
	}
	return c.Name + ": " + c.People(l)
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
