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
	"github.com/ledgerline/ledgerline/schemas"
)

// State says whether a value is shown, and if not why.
type State int

// States of a value.
const (
	Shown      State = iota
	Masked           // protected, and not asked for or not allowed to be seen
	Erased           // its person's key was destroyed
	Expired          // its period's key was destroyed
	Withheld         // kept back on behalf of somebody else; packages only
	Lost             // its key was lost with the newest part of the vault, and that loss was accepted
	NotGenuine       // what stands in its place was not sealed for it: the event is forged, or was altered
)

// Value is one value in a cell: open, opened, or not shown.
type Value struct {
	Attr  string          // catalogue attribute that it is a value of, "" for none: decides its words
	JSON  json.RawMessage // its exact JSON; nil unless Shown
	Time  time.Time       // of an Instant; JSON is nil then
	State State

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

func number(n uint64) Cell { return Cell{{JSON: json.RawMessage(strconv.FormatUint(n, 10))}} }

func instant(t time.Time) Cell {
	if t.IsZero() {
		return nil
	}
	return Cell{{Time: t}}
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

// ValueOf returns the value of an attribute as a view holds it: Shown when open, else Masked until it is opened.
// event is the event that contains it, uuid.Nil where that is not known.
func ValueOf(attr string, t projections.Text, event uuid.UUID) Value {
	v := Value{Attr: attr, event: event}
	if token, sealed := t.Token(); sealed {
		v.token, v.State = token, Masked
		return v
	}
	v.JSON = openJSON(attr, string(t))
	return v
}

// openJSON gives an open value its JSON again: views hold the string itself, or the JSON text of anything else.
func openJSON(attr, s string) json.RawMessage {
	if a := schemas.Default().Attribute(attr); a != nil {
		switch a.Type {
		case "bool", "number", "bytes", "object":
			if json.Valid([]byte(s)) {
				return json.RawMessage(s)
			}
		}
	}
	return schemas.JSON(s)
}

// Token returns the token of a value that is not open.
func (v Value) Token() schemas.Token { return v.token }

// Check marks a token that was sealed for another attribute or another event than the one it stands
// in, and reports whether it may be opened. Whoever writes such a token takes one cell and no report.
func (v *Value) Check() bool {
	h, _, err := v.token.Parse()
	if err != nil || h.Attr != v.Attr || v.event != uuid.Nil && h.Event != v.event {
		v.State = NotGenuine
		return false
	}
	return true
}

// Settle takes what became of the value's token.
func (v *Value) Settle(o projections.Opened) error {
	switch {
	case o.Err == nil && json.Valid(o.Plain):
		v.JSON, v.State = o.Plain, Shown
	case o.Err == nil, errors.Is(o.Err, projections.ErrTampered):
		v.State = NotGenuine
	case errors.Is(o.Err, projections.ErrErased):
		v.State = Erased
	case errors.Is(o.Err, projections.ErrExpired):
		v.State = Expired
	case errors.Is(o.Err, projections.ErrLost):
		v.State = Lost
	case errors.Is(o.Err, projections.ErrNotAuthorised):
		v.State = Masked
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
