package report

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
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
		{ID: "person", Required: true, Check: isUUID, Shown: somebody},
		{ID: "role", Attr: content.OfRole, Known: roles},
	},
	Rows: personRows,
}

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

// eventsAtOnce is how many events are held while the view is asked what their devices were called.
const eventsAtOnce = 200

// mention is an event that names the person.
type mention struct {
	projections.Event
	as     []string       // in which roles
	device schemas.Stream // that it is about, "" for none
	name   Cell           // what that was called then
}

func personRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		aliases, err := q.Aliases("person")
		if err != nil {
			yield(Row{}, err)
			return
		}
		var page []mention
		flush := func() bool {
			if err := nameDevices(ctx, q, page); err != nil {
				yield(Row{}, err)
				return false
			}
			for _, m := range page {
				if !yield(m.row(), nil) {
					return false
				}
			}
			page = page[:0]
			return true
		}
		for e, err := range q.Reader.EventsByAliases(ctx, q.Tenant, aliases, q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			m := mention{Event: e}
			for _, s := range e.Subjects {
				asked := slices.Contains(aliases, s.Alias) && among(q.Filter["role"], s.Role)
				if asked && !slices.Contains(m.as, s.Role) {
					m.as = append(m.as, s.Role)
				}
			}
			if len(m.as) == 0 || !q.In.Has(e.Occurred) {
				continue
			}
			m.device, m.name = concerned(e)
			if page = append(page, m); len(page) == eventsAtOnce && !flush() {
				return
			}
		}
		flush()
	}
}

// nameDevices fills in what devices were called then, where the events do not say it.
func nameDevices(ctx context.Context, q *question, page []mention) error {
	var at []projections.DeviceAt
	var unnamed []*mention
	for i := range page {
		if m := &page[i]; m.device != "" && len(m.name) == 0 {
			asOf := projections.AsOf{Seq: q.AsOf.Seq, Time: m.Occurred}
			at, unnamed = append(at, projections.DeviceAt{Stream: m.device, AsOf: asOf}), append(unnamed, m)
		}
	}
	if len(at) == 0 {
		return nil
	}
	devices, err := q.Reader.DevicesAt(ctx, q.Tenant, at, targetAttributes...)
	for i, d := range devices {
		get := valuesOf(d)
		unnamed[i].name = first(get("device.name"), get("device.serial-number"), get("device.intune-id"))
	}
	return err
}

func (m *mention) row() Row {
	var role, id Cell
	for _, r := range m.as {
		role = append(role, named(content.OfRole, r)...)
	}
	if m.device != "" {
		id = text(m.device.UUID().String())
	}
	return Row{
		Key: m.EventID.String(), Seq: m.Seq, Recorded: m.Recorded,
		Cells: cells(instant(m.Occurred), role, named(content.NameOfType, m.Type), leading(m.Event),
			first(m.name, id), id, named(content.NameOfSource, m.Source), text(m.EventID.String()), sequence(m.Seq)),
	}
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
		members = append(members, fmt.Sprintf("%s:%s", schemas.JSON(attr), content.OpenJSON(attr, value)))
	}
	if len(members) == 0 {
		for _, attr := range others {
			members = append(members, fmt.Sprintf("%s:null", schemas.JSON(attr)))
		}
	}
	if len(members) == 0 {
		return nil
	}
	return Cell{{Attr: content.OfLeading, Type: document.Object, JSON: []byte("{" + strings.Join(members, ",") + "}")}}
}
