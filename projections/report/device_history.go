package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
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
		{ID: "device", Required: true, one: true, check: isDevice},
		{ID: "attribute", check: isAttribute, shown: attributeNames},
	},
	rows: deviceHistoryRows,
}

func isAttribute(s string) Code {
	if schemas.Default().Attribute(s) == nil {
		return NoName
	}
	return ""
}

func attributeNames(l *words.Language, ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = attributeName(l, id)
	}
	return strings.Join(names, ", ")
}

func attributeName(l *words.Language, id string) string {
	return schemas.Label("attribute." + id).Of(l)
}

// Attributes whose value is a name in the catalogue, written in the language: what
// changed, and by which kind of event.
const (
	nameOfAttribute = "attribute"
	nameOfType      = "type"
	nameOfSource    = "source"
)

func named(kind, id string) Cell { return Cell{{Attr: kind, JSON: schemas.JSON(id)}} }

func deviceHistoryRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stream, err := deviceStream(q.filter["device"][0])
		if err != nil {
			yield(Row{}, fmt.Errorf("filter device: %w", err))
			return
		}
		causes := causes{ctx: ctx, q: q, known: map[uuid.UUID]Cell{}}
		for c, err := range q.reader.DeviceHistory(ctx, q.tenant, stream, q.in, q.filter["attribute"], q.asOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			actor, err := causes.actor(c.Causation)
			if err != nil {
				yield(Row{}, err)
				return
			}
			row := Row{
				Key: fmt.Sprintf("%s/%s/%s", c.EventID, c.Attribute, c.Element), Seq: c.Seq, Recorded: c.Recorded,
				Cells: cells(instant(c.Occurred), named(nameOfAttribute, c.Attribute),
					held(c.Attribute, c.Old, uuid.Nil), held(c.Attribute, c.New, c.EventID),
					named(nameOfSource, c.Source), named(nameOfType, c.Type), actor, sequence(c.Seq)),
			}
			if !yield(row, nil) {
				return
			}
		}
	}
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
	seq, found, err := c.q.reader.SeqOf(c.ctx, c.q.tenant, event)
	if err != nil || !found || seq > c.q.asOf.Seq {
		return nil, err // caused by what this ledger does not hold, or not yet
	}
	for rec, err := range c.q.reader.RawEventsAt(c.ctx, c.q.tenant, []uint64{seq}) {
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
		return actorOf(in("action.actor-upn"), in("action.actor-name"), in("action.actor-id"),
			in("action.application-name"), in("action.application-id")), nil
	}
	return nil, nil
}
