package projections

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// Row is one event as the views hold it: its exact stored bytes, and what
// the catalogue reads in them.
type Row struct {
	Seq         uint64
	Tenant      uuid.UUID
	Stream      schemas.Stream
	Revision    uint64
	EventID     uuid.UUID
	Type        string    // as stored, before any upcaster
	Occurred    time.Time // recordedAt where the source named no time; held inside MinTime and MaxTime
	Timed       bool      // Occurred is the source's own
	Recorded    time.Time
	Source      string
	Correlation uuid.UUID // uuid.Nil where there is none, Causation alike
	Causation   uuid.UUID
	Data        []byte // exactly the stored bytes, Metadata alike
	Metadata    []byte
	Leaf        [32]byte
	Subjects    []Subject
	Values      []Value
	Catalogue   [8]byte // version of the catalogue that read Values
	Partition   string  // where the projector read it; "" where a row came another way
}

// Subject is an alias that the event names, and in which role.
type Subject struct {
	Alias uuid.UUID
	Role  string
}

// Value is one attribute's value in an event, as a view shows it.
type Value struct {
	Attribute string
	Element   string // list element's uuid or array indices joined by "~"; "" for none
	Text      string // the token, the string itself, or the JSON text of anything else; "" when removed
	Removed   bool
	Observed  time.Time // when it was observed, where the event says so; else the event's Occurred
}

// Times outside the range that a view's column holds are drawn to its ends; the
// metadata keeps the exact text.
var (
	MinTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	MaxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// RowOf returns the row of an event whose Seq is set. Data that the catalogue cannot
// read (an unknown type, a newer version, damage) gives a row without Values: its bytes
// and leaf are kept all the same.
func RowOf(e schemas.Envelope) Row { return rowOf(schemas.Default(), e) }

func rowOf(c *schemas.Catalogue, e schemas.Envelope) Row {
	d, err := c.Decode(e)
	if err != nil {
		d.Values = nil
	}
	row := Row{
		Seq: e.Seq, Tenant: d.Tenant, Stream: e.Stream, Revision: e.Revision, EventID: e.ID, Type: e.Type,
		Occurred: d.Occurred, Timed: !d.Occurred.IsZero(), Recorded: within(d.Recorded), Source: d.Source,
		Correlation: d.Correlation, Causation: d.Causation,
		Data: e.Data, Metadata: e.Metadata, Leaf: e.Leaf(), Catalogue: c.Version(),
	}
	if !row.Timed {
		row.Occurred = d.Recorded
	}
	row.Occurred = within(row.Occurred)
	row.Subjects = make([]Subject, len(d.Subjects))
	for i, s := range d.Subjects {
		row.Subjects[i] = Subject{Alias: s.Alias, Role: s.Role}
	}
	row.Values = valuesOf(d, row.Occurred)
	return row
}

// valuesOf keeps one value per attribute and element. An event that both sets and unsets one says
// two things; the removal, which a fold applies last, is kept, so that every view agrees on it.
func valuesOf(d schemas.Draft, occurred time.Time) []Value {
	type place struct {
		of      *schemas.Attribute
		element string
	}
	var removed map[place]bool // nil mostly
	for i := range d.Values {
		if v := &d.Values[i]; v.Removed {
			if removed == nil {
				removed = map[place]bool{}
			}
			removed[place{v.Attr, v.Element()}] = true
		}
	}
	out := make([]Value, 0, len(d.Values))
	for i := range d.Values {
		v := &d.Values[i]
		w := Value{Attribute: v.Attr.ID, Element: v.Element(), Removed: v.Removed, Observed: occurred}
		if !v.Removed {
			if removed != nil && removed[place{v.Attr, w.Element}] {
				continue
			}
			w.Text = v.Text()
		}
		if !v.Observed.IsZero() {
			w.Observed = within(v.Observed)
		}
		out = append(out, w)
	}
	return out
}

func within(t time.Time) time.Time {
	switch {
	case t.Before(MinTime):
		return MinTime
	case t.After(MaxTime):
		return MaxTime
	}
	return t
}

// Size returns the bytes that the row counts for in a batch.
func (r *Row) Size() int {
	n := 200 + len(r.Data) + len(r.Metadata) + 24*len(r.Subjects)
	for i := range r.Values {
		n += 40 + len(r.Values[i].Element) + len(r.Values[i].Text)
	}
	return n
}
