package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Value is one value in a cell: open, opened, or not shown.
type Value struct {
	Attr  string          // catalogue attribute that it is a value of, "" for none: decides its words
	JSON  json.RawMessage // its exact JSON; nil unless Shown
	Time  time.Time       // of an Instant; JSON is nil then
	Type  document.Type
	State document.State

	token schemas.Token // until opened
	event uuid.UUID     // the event that contains it, uuid.Nil where not known
}

// text is an open value of our own.
func text(s string) Cell {
	if s == "" {
		return nil
	}
	return Cell{{JSON: schemas.JSON(s)}}
}

func number(n uint64) Cell {
	return Cell{{Type: document.Number, JSON: json.RawMessage(strconv.FormatUint(n, 10))}}
}

func sequence(n uint64) Cell {
	return Cell{{Type: document.Sequence, JSON: json.RawMessage(strconv.FormatUint(n, 10))}}
}

func instant(t time.Time) Cell {
	if t.IsZero() {
		return nil
	}
	return Cell{{Type: document.Instant, Time: t}}
}

// of returns a value as a view holds it, open or a token; nothing where it is not set.
func of(attr string, t projections.Text, event uuid.UUID) Cell {
	if t == "" {
		return nil
	}
	return Cell{ValueOf(attr, t, event)}
}

// first returns the first cell that is not empty.
func first(cs ...Cell) Cell {
	for _, c := range cs {
		if len(c) > 0 {
			return c
		}
	}
	return nil
}

// ValueOf returns the value of an attribute as a view holds it: Shown when open, else Masked
// until it is opened. event is the event that contains it, uuid.Nil where that is not known.
func ValueOf(attr string, t projections.Text, event uuid.UUID) Value {
	v := Value{Attr: attr, Type: typeOf(attr), event: event}
	if token, sealed := t.Token(); sealed {
		v.token, v.State = token, document.Masked
		return v
	}
	v.JSON = openJSON(attr, string(t))
	return v
}

// typeOf returns the type of an attribute's values; Text where it is none of the catalogue.
func typeOf(attr string) document.Type {
	a := schemas.Default().Attribute(attr)
	if a == nil {
		return document.Text
	}
	switch a.Type {
	case "bool":
		return document.Boolean
	case "number":
		return document.Number
	case "bytes":
		return document.Bytes
	case "time":
		return document.Reported
	case "object":
		if attr == "action.changes" {
			return document.Changes
		}
		return document.Object
	}
	return document.Text
}

// openJSON gives an open value its JSON again: views hold the string itself, or the JSON text of
// anything else.
func openJSON(attr, s string) json.RawMessage {
	switch typeOf(attr) {
	case document.Text, document.Reported:
	default:
		if json.Valid([]byte(s)) {
			return json.RawMessage(s)
		}
	}
	return schemas.JSON(s)
}

// In returns the value as a document in the language has it.
func (v Value) In(l *words.Language) document.Value {
	out := document.Value{Type: v.Type, State: v.State, JSON: v.JSON, Time: v.Time}
	if v.State != document.Shown || v.Type != document.Text {
		return out
	}
	if s, ok := document.String(v.JSON); ok {
		out.Word, _ = word(l, v.Attr, s)
	}
	return out
}

// People writes the value for people: words of the language, times in loc, sizes with a unit.
func (v Value) People(l *words.Language, loc *time.Location) string { return v.In(l).People(l, loc) }

// Token returns the token of a value that is not open.
func (v Value) Token() schemas.Token { return v.token }

// Check marks a token that was sealed for another attribute or another event than the one it
// stands in, and reports whether it may be opened. Whoever writes such a token takes one cell and
// no report.
func (v *Value) Check() bool {
	h, _, err := v.token.Parse()
	if err != nil || h.Attr != v.Attr || v.event != uuid.Nil && h.Event != v.event {
		v.State = document.NotGenuine
		return false
	}
	return true
}

// Settle takes what became of the value's token.
func (v *Value) Settle(o projections.Opened) error {
	switch {
	case o.Err == nil && json.Valid(o.Plain):
		v.JSON, v.State, v.token = o.Plain, document.Shown, "" // what is held long need not be held twice
	case o.Err == nil, errors.Is(o.Err, projections.ErrTampered):
		v.State = document.NotGenuine
	case errors.Is(o.Err, projections.ErrErased):
		v.State = document.Erased
	case errors.Is(o.Err, projections.ErrExpired):
		v.State = document.Expired
	case errors.Is(o.Err, projections.ErrLost):
		v.State = document.Lost
	case errors.Is(o.Err, projections.ErrNotAuthorised):
		v.State = document.Masked
	default:
		return fmt.Errorf("%s: open: %w", v.Attr, o.Err)
	}
	return nil
}

// OpenBatch is how many tokens are opened in one call.
const OpenBatch = 2000

// OpenValues opens the values that have a token, OpenBatch at a time, through opener.
func OpenValues(ctx context.Context, opener projections.Opener, values []*Value) error {
	values = slices.DeleteFunc(slices.Clone(values), func(v *Value) bool { return !v.Check() })
	for len(values) > 0 {
		part := values[:min(len(values), OpenBatch)]
		values = values[len(part):]
		tokens := make([]projections.Sealed, len(part))
		for i, v := range part {
			tokens[i] = projections.Sealed{Token: v.token, Attribute: v.Attr, Event: v.event}
		}
		opened, err := opener.Open(ctx, tokens)
		if err != nil {
			return fmt.Errorf("open %d values: %w", len(tokens), err)
		}
		if len(opened) != len(tokens) {
			return fmt.Errorf("open %d values: %d answers", len(tokens), len(opened))
		}
		for i, v := range part {
			if err := v.Settle(opened[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
