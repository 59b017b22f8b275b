package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/heading"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// deviceHistory: what changed on one device.
var deviceHistory = Definition{
	ID:    "device-history",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "attribute", Type: document.Text},
		{ID: "old", Type: document.Mixed},
		{ID: "new", Type: document.Mixed},
		{ID: "source", Type: document.Text},
		{ID: "cause", Type: document.Text},
		{ID: "actor", Type: document.Text},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "device", Required: true, One: true, Devices: true},
		{ID: "attribute", Check: isAttribute, Shown: attributeNames},
		{ID: "all", Flag: true},
		{ID: "with-volatile", Flag: true},
	},
	Rows: deviceHistoryRows,
	Keep: tellsAChange,
}

// tellsAChange leaves out what reads the same before and after: a time that differs by less than a
// second, a value that was sealed anew, nothing and an empty text. All of it is there with "all".
func tellsAChange(row Row, h heading.Header) bool {
	if h.Given("all") {
		return true
	}
	const columnOld, columnNew = 2, 3
	old, now := row.Cells[columnOld], row.Cells[columnNew]
	return !shownAlone(old) || !shownAlone(now) || peopleRead(old, h) != peopleRead(now, h)
}

// shownAlone reports whether the cell says all that it holds.
func shownAlone(c Cell) bool {
	return !slices.ContainsFunc(c, func(v Value) bool { return v.State != document.Shown })
}

func isAttribute(s string) define.Code {
	if schemas.Default().Attribute(s) == nil {
		return define.NoName
	}
	return ""
}

func attributeNames(l *words.Language, ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = content.AttributeName(l, id)
	}
	return strings.Join(names, ", ")
}

func deviceHistoryRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stream := schemas.Stream(q.Filter["device"][0])
		told := history{causes: causes{ctx: ctx, q: q, known: map[uuid.UUID]Cell{}}}
		_, told.all = q.Filter["all"]
		_, told.volatile = q.Filter["with-volatile"]
		told.all = told.all || len(q.Filter["attribute"]) > 0
		told.volatile = told.volatile || told.all
		var of []projections.Change // of one event
		flush := func() bool {
			rows, err := told.rows(of)
			of = of[:0]
			if err != nil {
				yield(Row{}, err)
				return false
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return false
				}
			}
			return true
		}
		for c, err := range q.Reader.DeviceHistory(ctx, q.Tenant, stream, q.In, q.Filter["attribute"], q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if len(of) > 0 && of[0].EventID != c.EventID && !flush() {
				return
			}
			of = append(of, c)
		}
		if len(of) > 0 {
			flush()
		}
	}
}

// history is how the events of a device are told.
type history struct {
	causes        causes
	all, volatile bool // every value of every event; values that change by themselves
}

// rows tell one event. By default they are its changes: what a restatement repeats is none, what
// was there when the device was first seen is told by one row, and so are changed apps.
func (h *history) rows(of []projections.Change) (rows []Row, err error) {
	first := of[0]
	if !h.all && strings.HasPrefix(first.Type, "device.restated.") {
		return nil, nil
	}
	actor, err := h.causes.actor(first.Causation)
	if err != nil {
		return nil, err
	}
	row := func(key string, attribute Cell, old, now Cell) {
		rows = append(rows, Row{
			Key: fmt.Sprintf("%s/%s", first.EventID, key), Seq: first.Seq, Recorded: first.Recorded,
			Cells: cells(instant(first.Occurred), attribute, old, now, named(content.NameOfSource, first.Source),
				named(content.NameOfType, first.Type), slices.Clone(actor), sequence(first.Seq)),
		})
	}
	if !h.all && strings.HasPrefix(first.Type, "device.enrolled.") {
		values := counted(content.FirstSeen, map[string]int{"values": len(of)})
		row(content.FirstSeen, named(content.NameOfAttribute, content.FirstSeen), nil, values)
		return rows, nil
	}
	apps := map[string]int{}
	for _, c := range of {
		a := schemas.Default().Attribute(c.Attribute)
		switch {
		case h.all:
		case a != nil && a.Volatile && !h.volatile:
			continue
		case c.Attribute == attributeApp:
			apps[whatBecame(c)]++
			continue
		}
		row(c.Attribute+"/"+c.Element, named(content.NameOfAttribute, c.Attribute), held(c.Attribute, c.Old, uuid.Nil),
			held(c.Attribute, c.New, c.EventID))
	}
	if len(apps) > 0 {
		row(attributeApp, named(content.NameOfAttribute, content.AppsChanged), nil, counted(content.AppsChanged, apps))
	}
	return rows, nil
}

const attributeApp = "device.app"

// whatBecame says what a change did to an entry of a list.
func whatBecame(c projections.Change) string {
	switch {
	case c.Old == nil:
		return "added"
	case c.New == nil:
		return "removed"
	}
	return "changed"
}

// counted is a value that counts: for programs an object, for people a text.
func counted(of string, counts map[string]int) Cell {
	return Cell{{Attr: of, Type: document.Object, JSON: schemas.JSON(counts)}}
}

func held(attr string, h *projections.Held, event uuid.UUID) Cell {
	if h == nil {
		return nil
	}
	return of(attr, h.Text, event)
}

// causes finds who acted in the admin action that caused an event.
type causes struct {
	ctx   context.Context
	q     *question
	known map[uuid.UUID]Cell
}

// maxCauses bounds the actors that are remembered: a device has few causes, and each once.
const maxCauses = 10_000

func (c *causes) actor(event uuid.UUID) (Cell, error) {
	if event == uuid.Nil {
		return nil, nil
	}
	if cell, ok := c.known[event]; ok {
		return append(Cell(nil), cell...), nil // the first one was opened in place
	}
	cell, err := c.find(event)
	if err != nil {
		return nil, fmt.Errorf("cause of an event: %w", err)
	}
	if len(c.known) >= maxCauses {
		clear(c.known)
	}
	c.known[event] = append(Cell(nil), cell...)
	return cell, nil
}

func (c *causes) find(event uuid.UUID) (Cell, error) {
	seq, found, err := c.q.Reader.SeqOf(c.ctx, c.q.Tenant, event)
	if err != nil || !found || seq > c.q.AsOf.Seq {
		return nil, err // caused by what this ledger does not hold, or not yet
	}
	for rec, err := range c.q.Reader.RawEventsAt(c.ctx, c.q.Tenant, []uint64{seq}) {
		if err != nil {
			return nil, err
		}
		d, err := schemas.Default().Decode(rec)
		if errors.Is(err, schemas.ErrUnknownType) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		have := map[string]projections.Text{}
		for _, v := range d.Values {
			have[v.Attr.ID] = projections.Text(v.Text())
		}
		in := func(attr string) Cell { return of(attr, have[attr], event) }
		return first(in("action.actor-upn"), in("action.actor-name"), in("action.actor-id"),
			in("action.application-name"), in("action.application-id")), nil
	}
	return nil, nil
}
