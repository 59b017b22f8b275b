package content

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

	Known string // open text that says as much: shown where the token is not; "" for none

	member string        // of an object: what is shown of it; "" for all
	token  schemas.Token // until opened
	event  uuid.UUID     // the event that contains it, uuid.Nil where not known
}

// ValueOf returns the value of an attribute as a view holds it: Shown when open, else Masked
// until it is opened. event is the event that contains it, uuid.Nil where that is not known.
func ValueOf(attr string, t projections.Text, event uuid.UUID) Value {
	v := Value{Attr: attr, Type: TypeOf(attr), event: event}
	if token, sealed := t.Token(); sealed {
		v.token, v.State = token, document.Masked
		return v
	}
	v.JSON = OpenJSON(attr, string(t))
	return v
}

// TypeOf returns the type of an attribute's values; Text where it is none of the catalogue.
func TypeOf(attr string) document.Type {
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

// OpenJSON gives an open value its JSON again: views hold the string itself, or the JSON text of
// anything else.
func OpenJSON(attr, s string) json.RawMessage {
	switch TypeOf(attr) {
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
	if v.Type == document.Changes {
		out.Behind = technical
	}
	if v.State != document.Shown {
		return out
	}
	switch v.Attr {
	case FirstSeen, AppsChanged:
		out.Word = countedWord(l, v.Attr, v.JSON)
	case OfLeading:
		out.Word = leadingWord(l, v.JSON)
	case "access.filters":
		out.Word = filtersWord(l, v.JSON)
	}
	if v.Type != document.Text {
		return out
	}
	if v.Attr == NameOfItem && string(v.JSON) == "null" {
		out.Word = l.Text("exposure.none")
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

// Withhold keeps the value back on behalf of somebody else.
func (v *Value) Withhold() { v.State, v.token = document.Withheld, "" }

// Instead shows what is known in place of a value that is not shown and is genuine.
func (v *Value) Instead() {
	if v.Known != "" && v.State != document.Shown && v.State != document.NotGenuine {
		v.JSON, v.State, v.token = schemas.JSON(v.Known), document.Shown, ""
	}
}

// Settle takes what became of the value's token.
func (v *Value) Settle(o projections.Opened) error {
	switch {
	case o.Err == nil && json.Valid(o.Plain):
		v.JSON, v.State, v.token = o.Plain, document.Shown, "" // what is held long need not be held twice
		v.JSON = memberOf(v.JSON, v.member)
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

// memberOf is a member of an object, null where it has none; all of it for "".
func memberOf(object json.RawMessage, member string) json.RawMessage {
	if member == "" {
		return object
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil || members[member] == nil {
		return json.RawMessage("null")
	}
	return members[member]
}

// OpenBatch is how many tokens a package opens in one call, and a report in its first.
const OpenBatch = 2000

// Tokens are values that are opened in one call. Each token is taken apart once, and what they say
// lies in few pieces of memory: a value that is kept longer than the others is to be copied.
type Tokens struct {
	values []*Value
	tokens []projections.Sealed
	free   []byte
}

// tokenMemory is what is asked for at a time for the bodies of tokens: about 500 of them.
const tokenMemory = 64 << 10

// Check marks a value whose token was sealed for another attribute or another event than the one
// it stands in, and reports whether it may be opened. Whoever writes such a token takes one cell
// and no report.
func (t *Tokens) Check(v *Value) (genuine bool) {
	_, genuine = t.parse(v)
	return genuine
}

// Parse is Check, and returns the token taken apart, for Add.
func (t *Tokens) Parse(v *Value) (s projections.Sealed, genuine bool) {
	s, genuine = t.parse(v)
	t.free = t.free[len(s.Body):]
	return s, genuine
}

// parse takes a token apart, in the memory that is free next.
func (t *Tokens) parse(v *Value) (s projections.Sealed, genuine bool) {
	if len(v.token) > len(t.free) {
		t.free = make([]byte, max(tokenMemory, len(v.token)))
	}
	h, body, err := v.token.ParseInto(t.free)
	if err != nil || h.Attr != v.Attr || v.event != uuid.Nil && h.Event != v.event {
		v.State, v.token = document.NotGenuine, ""
		return s, false
	}
	return projections.Sealed{Token: v.token, Attribute: v.Attr, Event: v.event, Header: h, Body: body}, true
}

// Add lets Open open the value with this token.
func (t *Tokens) Add(v *Value, s projections.Sealed) {
	t.values, t.tokens = append(t.values, v), append(t.tokens, s)
}

// Grow makes room for n more values.
func (t *Tokens) Grow(n int) {
	t.values, t.tokens = slices.Grow(t.values, n), slices.Grow(t.tokens, n)
}

// Len is how many Open will open.
func (t *Tokens) Len() int { return len(t.values) }

// Open opens what was added, through opener, and forgets it.
func (t *Tokens) Open(ctx context.Context, opener projections.Opener) error {
	if len(t.values) == 0 {
		return nil
	}
	opened, err := opener.Open(ctx, t.tokens)
	if err != nil {
		return fmt.Errorf("open %d values: %w", len(t.tokens), err)
	}
	if len(opened) != len(t.tokens) {
		return fmt.Errorf("open %d values: %d answers", len(t.tokens), len(opened))
	}
	for i, v := range t.values {
		if err := v.Settle(opened[i]); err != nil {
			return err
		}
	}
	clear(t.values)
	clear(t.tokens)
	t.values, t.tokens, t.free = t.values[:0], t.tokens[:0], nil
	return nil
}
