package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// personOverview: every event that names a person, and as what.
var personOverview = Definition{
	ID:    "person-overview",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "role", Type: document.Text, List: true},
		{ID: "item", Type: document.Text},
		{ID: "event", Type: document.Object},
		{ID: "device", Type: document.Text},
		{ID: "deviceId", Type: document.Text, Machine: true},
		{ID: "source", Type: document.Text},
		{ID: "eventId", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "person", Required: true, check: isUUID, shown: somebody},
		{ID: "role", Attr: ofRole, known: roles},
	},
	rows: personRows,
}

// ofRole is the vocabulary of roles in which events name persons.
const ofRole = "role"

// roles are those that the catalogue has.
func roles() (out []string) {
	for _, t := range schemas.Default().Types() {
		for _, r := range t.Roles {
			if !slices.Contains(out, r.Role) {
				out = append(out, r.Role)
			}
		}
	}
	slices.Sort(out)
	return out
}

func personRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		aliases, err := q.aliases("person")
		if err != nil {
			yield(Row{}, err)
			return
		}
		names := deviceNames{ctx: ctx, q: q, known: map[schemas.Stream][]projections.Change{}}
		for e, err := range q.reader.EventsByAliases(ctx, q.tenant, aliases, q.asOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			var as []string
			for _, s := range e.Subjects {
				asked := slices.Contains(aliases, s.Alias) && among(q.filter["role"], s.Role)
				if asked && !slices.Contains(as, s.Role) {
					as = append(as, s.Role)
				}
			}
			if len(as) == 0 || !q.in.Has(e.Occurred) {
				continue
			}
			row, err := personRow(e, as, &names)
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func personRow(e projections.Event, as []string, names *deviceNames) (Row, error) {
	var role, id Cell
	for _, r := range as {
		role = append(role, named(ofRole, r)...)
	}
	stream, device := concerned(e)
	if stream != "" {
		id = text(stream.UUID().String())
		if len(device) == 0 {
			var err error
			if device, err = names.at(stream, e); err != nil {
				return Row{}, fmt.Errorf("name of a device: %w", err)
			}
		}
		device = first(device, id)
	}
	return Row{
		Key: e.EventID.String(), Seq: e.Seq, Recorded: e.Recorded,
		Cells: cells(instant(e.Occurred), role, named(nameOfType, e.Type), leading(e), device, id,
			named(nameOfSource, e.Source), text(e.EventID.String()), sequence(e.Seq)),
	}, nil
}

// concerned returns the device that an event is about, "" for none, and its name where the event
// tells it.
func concerned(e projections.Event) (device schemas.Stream, name Cell) {
	if e.Stream.Kind() == "device" {
		return e.Stream, nil
	}
	for _, v := range e.Values {
		if v.Attribute != "action.target-device" {
			continue
		}
		id, err := schemas.ParseUUID(v.Text)
		if err != nil {
			continue
		}
		for _, n := range e.Values {
			if n.Attribute == "action.target-name" && n.Element == v.Element {
				name = of(n.Attribute, projections.Text(n.Text), e.EventID)
			}
		}
		return schemas.NewStream("device", id), name
	}
	return "", nil
}

// ofLeading is what leads an event: an object of open values by attribute, in the order in which
// people tell events of the type apart. Where nothing leads it, what it tells of, each null.
const ofLeading = "leading"

// leading are the open values that tell an event from others of its type: all that stand open
// where the type does not say which. Without any, they are the names of what the event tells of.
func leading(e projections.Event) Cell {
	t := schemas.Default().Type(e.Type)
	if t == nil {
		return nil
	}
	open := map[string]string{} // of several targets, the first
	var others []string
	for _, v := range e.Values {
		if _, have := open[v.Attribute]; !have && !v.Removed && !schemas.IsSealed(v.Text) {
			open[v.Attribute] = v.Text
		}
		if !slices.Contains(others, v.Attribute) {
			others = append(others, v.Attribute)
		}
	}
	leads := t.Leads
	if len(leads) == 0 {
		for _, a := range t.Attributes() {
			if _, list := t.Member(a); !list {
				leads = append(leads, a.ID)
			}
		}
	}
	var members []string
	for _, attr := range leads {
		value, ok := open[attr]
		_, operation := open["action.operation"]
		if !ok || attr == "action.target-device" || attr == "action.verb" && operation {
			continue // a device has a column of its own, and an operation says its verb
		}
		members = append(members, fmt.Sprintf("%s:%s", schemas.JSON(attr), openJSON(attr, value)))
	}
	if len(members) == 0 {
		for _, attr := range others {
			members = append(members, fmt.Sprintf("%s:null", schemas.JSON(attr)))
		}
	}
	if len(members) == 0 {
		return nil
	}
	return Cell{{Attr: ofLeading, Type: document.Object, JSON: []byte("{" + strings.Join(members, ",") + "}")}}
}

// leadingWord writes what leads an event: each value by its word, behind what it is.
func leadingWord(l *words.Language, raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	var out []string
	for _, err := d.Token(); err == nil && d.More(); {
		attr, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return ""
		}
		id, _ := attr.(string)
		told := attributeName(l, id)
		if string(value) != "null" {
			told += ": " + Value{Attr: id, Type: typeOf(id), JSON: value}.People(l, l.Location())
		}
		out = append(out, told)
	}
	return strings.Join(out, "; ")
}

// deviceNames are what devices were called when events happened to them.
type deviceNames struct {
	ctx   context.Context
	q     *question
	known map[schemas.Stream][]projections.Change // the names that each device had
}

// maxNamed bounds the devices whose names are remembered.
const maxNamed = 10_000

// at is what a device was called at an event, as far as it had been told.
func (n *deviceNames) at(device schemas.Stream, e projections.Event) (Cell, error) {
	names, ok := n.known[device]
	if !ok {
		for c, err := range n.q.reader.DeviceHistory(n.ctx, n.q.tenant, device, projections.Period{},
			[]string{"device.name"}, n.q.asOf) {
			if err != nil {
				return nil, err
			}
			if c.New != nil {
				names = append(names, c)
			}
		}
		if len(n.known) >= maxNamed {
			clear(n.known)
		}
		n.known[device] = names
	}
	var name Cell
	for _, c := range names {
		if name == nil || c.Seq <= e.Seq {
			name = held("device.name", c.New, c.EventID)
		}
	}
	return name, nil
}
