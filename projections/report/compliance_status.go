package report

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

const attrCompliance = "device.compliance-state"

var complianceAttributes = []string{
	"device.name", "device.serial-number", "device.operating-system", "device.os-version", "device.ownership",
	"device.user-upn", "device.user-name", "device.user-id", attrCompliance, "device.grace-until",
	"device.last-contact",
}

// complianceStatus: which devices are not known to comply, and since when.
var complianceStatus = Definition{
	ID:    "compliance-status",
	Scope: AtMoment, Personal: true,
	Columns: []Column{
		{ID: "device", Type: document.Text},
		{ID: "serial", Type: document.Text},
		{ID: "user", Type: document.Text},
		{ID: "compliance", Type: document.Text},
		{ID: "since", Type: document.Instant},
		{ID: "days", Type: document.Number},
		{ID: "graceEnd", Type: document.Reported},
		{ID: "lastContact", Type: document.Reported},
		{ID: "ownership", Type: document.Text},
		{ID: "os", Type: document.Text, List: true, Parts: true},
		{ID: "id", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: append([]Filter{
		{ID: "days", One: true, Check: isCount},
		{ID: "platform", Held: "device.operating-system"},
		{ID: "ownership", Attr: "device.ownership"},
		{ID: "state", Attr: content.OfCompliance, Known: complianceStates},
	}, onDevices...),
	Rows: complianceRows,
}

// unknownState is the state of compliance of a device of which no source told it.
const unknownState = "unknown"

// complianceStates are all but the one that complies.
func complianceStates() []string {
	states := slices.Clone(schemas.Default().MustAttribute(attrCompliance).Shape.Values)
	return append(slices.DeleteFunc(states, func(s string) bool { return s == compliantState }), unknownState)
}

const compliantState = "compliant"

func complianceRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		least := 0
		if given := q.Filter["days"]; len(given) > 0 {
			var err error
			if least, err = strconv.Atoi(given[0]); err != nil {
				yield(Row{}, err)
				return
			}
		}
		for d, err := range q.Reader.Devices(ctx, q.Tenant, q.AsOf, complianceAttributes...) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			state, days := unknownState, 0
			h, told := d.Get(attrCompliance)
			if told {
				state, days = string(h.Text), daysPassed(h.Observed, q.Moment())
			}
			if state == compliantState || !among(q.Filter["state"], state) || days < least || !matches(q, d) {
				continue
			}
			if !yield(complianceRow(d, h, told, days), nil) {
				return
			}
		}
	}
}

func complianceRow(d projections.Device, state projections.Held, told bool, days int) Row {
	get := valuesOf(d)
	is, since, passed := named(content.OfCompliance, unknownState), Cell(nil), Cell(nil)
	if told {
		is, since, passed = of(attrCompliance, state.Text, uuid.Nil), instant(state.Observed), whole(days)
	}
	seq := newest(d)
	return Row{
		Key: string(d.Stream), Seq: seq,
		Cells: cells(
			get("device.name"), get("device.serial-number"), userOf(get), is, since, passed,
			get("device.grace-until"), get("device.last-contact"), get("device.ownership"),
			slices.Concat(get("device.operating-system"), get("device.os-version")), text(d.Stream.UUID().String()),
			sequence(seq),
		),
	}
}

// daysPassed are the whole days of 24 hours from one moment to another, none where it is before.
func daysPassed(from, to time.Time) int { return max(0, int(to.Sub(from)/(24*time.Hour))) }
