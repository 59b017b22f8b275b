package report

import (
	"context"
	"iter"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// alerts: which setting made a device noncompliant, and which enrolments failed and why.
var alerts = Definition{
	ID:    "alerts",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "category", Type: document.Text},
		{ID: "result", Type: document.Text},
		{ID: "device", Type: document.Text},
		{ID: "user", Type: document.Text},
		{ID: "policy", Type: document.Text},
		{ID: "setting", Type: document.Text},
		{ID: "failureCategory", Type: document.Text},
		{ID: "failure", Type: document.Text},
		{ID: "enrolmentType", Type: document.Text},
		{ID: "os", Type: document.Text, List: true, Parts: true},
		{ID: "alertTitle", Type: document.Text, Machine: true},
		{ID: "alertText", Type: document.Text, Machine: true},
		{ID: "id", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "category", Attr: "alert.category"},
		{ID: "result", Attr: "alert.result"},
		{ID: "device", Devices: true},
		{ID: "person", Check: isUUID, Shown: somebody},
		{ID: "rule", In: []string{"policy", "setting"}, Whole: true},
	},
	Rows: alertRows,
}

func alertRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f := projections.AlertFilter{Categories: q.Filter["category"], Results: q.Filter["result"]}
		for _, s := range q.Filter["device"] {
			f.Devices = append(f.Devices, schemas.Stream(s).UUID().String())
		}
		var err error
		if f.Users, err = q.Aliases("person"); err != nil {
			yield(Row{}, err)
			return
		}
		for a, err := range q.Reader.Alerts(ctx, q.Tenant, q.In, f, q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(alertRow(a), nil) {
				return
			}
		}
	}
}

func alertRow(a projections.Alert) Row {
	in := func(attr string, t projections.Text) Cell { return of(attr, t, a.EventID) }
	return Row{
		Key: a.EventID.String(), Seq: a.Seq, Recorded: a.Recorded,
		Cells: cells(
			instant(a.Occurred), in("alert.category", a.Category), in("alert.result", a.Result),
			in("alert.device-name", a.DeviceName),
			first(in("alert.user-upn", a.UserUPN), in("alert.user-name", a.UserName), in("alert.user-id", a.UserID)),
			in("alert.policy", a.Policy), in("alert.setting", a.Setting),
			in("alert.failure-category", a.FailureCategory), in("alert.failure-reason", a.FailureReason),
			in("alert.enrolment-type", a.EnrolmentType),
			append(in("alert.operating-system", a.OperatingSystem), in("alert.os-version", a.OSVersion)...),
			in("alert.title", a.Title), in("alert.description", a.Description), in("alert.device", a.Device),
			sequence(a.Seq),
		),
	}
}

// reasons are the settings by which a device did not comply, as alerts tell of it since a moment.
type reasons map[schemas.Stream][]projections.Alert

// reasonsOf asks for those of so many devices at once.
func reasonsOf(ctx context.Context, q *question, devices []projections.Device) (reasons, error) {
	if len(devices) == 0 {
		return nil, nil
	}
	f := projections.AlertFilter{Categories: []string{"compliance"}}
	out := reasons{}
	since := q.Moment()
	for _, d := range devices {
		f.Devices = append(f.Devices, d.Stream.UUID().String())
		if h, ok := d.Get(attrCompliance); ok && h.Observed.Before(since) {
			since = h.Observed
		}
	}
	in := projections.Period{From: since.Add(-beforeState)}
	for a, err := range q.Reader.Alerts(ctx, q.Tenant, in, f, q.AsOf) {
		if err != nil {
			return nil, err
		}
		if id, err := schemas.ParseUUID(string(a.Device)); err == nil {
			s := schemas.NewStream("device", id)
			out.add(s, a)
		}
	}
	return out, nil
}

// beforeState is how long before a device was seen not to comply an alert may tell why.
const beforeState = time.Hour

// A device's settings that are told: the latest so many.
const mostRules = 20

func (r reasons) add(device schemas.Stream, a projections.Alert) {
	kept := r[device]
	for i, had := range kept {
		if had.Setting == a.Setting && had.Policy == a.Policy {
			kept[i] = a
			return
		}
	}
	if kept = append(kept, a); len(kept) > mostRules {
		kept = kept[1:]
	}
	r[device] = kept
}

// of names the settings, else the policies, by which the device does not comply since it is told.
func (r reasons) of(d projections.Device) (out Cell) {
	state, _ := d.Get(attrCompliance)
	for _, a := range r[d.Stream] {
		if !a.Occurred.Before(state.Observed.Add(-beforeState)) {
			setting, policy := of("alert.setting", a.Setting, a.EventID), of("alert.policy", a.Policy, a.EventID)
			out = append(out, first(setting, policy)...)
		}
	}
	return out
}
