package document

import (
	"encoding/json"
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

// Line writes a changed property with its name.
func (c ChangedProperty) Line(l *words.Language) string {
	if c.Name == "" {
		return c.People(l)
	}
	return c.Name + ": " + c.People(l)
}

// ChangesIn reads a list of changed properties; nil where raw is not of that form.
func ChangesIn(raw json.RawMessage) []ChangedProperty {
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

func (v Value) changes(l *words.Language) string {
	cs := ChangesIn(v.JSON)
	if cs == nil {
		return string(v.JSON)
	}
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = c.Line(l)
	}
	return strings.Join(parts, "; ")
}
