package content

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// Cell is what stands in one column of a row: nothing, one value, or a list.
type Cell []Value

// Text is an open value of our own.
func Text(s string) Cell {
	if s == "" {
		return nil
	}
	return Cell{{JSON: schemas.JSON(s)}}
}

// Number is a count.
func Number(n uint64) Cell {
	return Cell{{Type: document.Number, JSON: json.RawMessage(strconv.FormatUint(n, 10))}}
}

// Whole is a number that may be below zero.
func Whole(n int) Cell { return Cell{{Type: document.Number, JSON: json.RawMessage(strconv.Itoa(n))}} }

// Sequence is a position in the ledger.
func Sequence(n uint64) Cell {
	return Cell{{Type: document.Sequence, JSON: json.RawMessage(strconv.FormatUint(n, 10))}}
}

// Instant is when something occurred; nothing where that is not known.
func Instant(t time.Time) Cell {
	if t.IsZero() {
		return nil
	}
	return Cell{{Type: document.Instant, Time: t}}
}

// Of returns a value as a view holds it, open or a token; nothing where it is not set.
func Of(attr string, t projections.Text, event uuid.UUID) Cell {
	if t == "" {
		return nil
	}
	return Cell{ValueOf(attr, t, event)}
}

// MemberOf is Of an object of which one member is shown, a text.
func MemberOf(attr string, t projections.Text, event uuid.UUID, member string) Cell {
	c := Of(attr, t, event)
	for i := range c {
		c[i].member, c[i].Type = member, document.Text
		if c[i].State == document.Shown {
			c[i].JSON = memberOf(c[i].JSON, member)
		}
	}
	return c
}

// First returns the first cell that is not empty.
func First(cs ...Cell) Cell {
	for _, c := range cs {
		if len(c) > 0 {
			return c
		}
	}
	return nil
}

// Named is a name in a vocabulary, written in the language.
func Named(vocabulary, id string) Cell { return Cell{{Attr: vocabulary, JSON: schemas.JSON(id)}} }

// OrNull keeps the place of a value that is missing, where lists stand side by side.
func OrNull(c Cell) Cell {
	if len(c) == 0 {
		return Cell{{JSON: json.RawMessage("null")}}
	}
	return c
}
