package report

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
)

// remoteActions: who asked what of which device, why, whose it was, and what its management says
// since. A source records that something was asked and accepted, never that it was done.
var remoteActions = Definition{
	ID:    "remote-actions",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "requested", Type: document.Instant},
		{ID: "action", Type: document.Text},
		{ID: "device", Type: document.Text},
		{ID: "serial", Type: document.Text},
		{ID: "userThen", Type: document.Text},
		{ID: "by", Type: document.Text},
		{ID: "reason", Type: document.Text},
		{ID: "result", Type: document.Text},
		{ID: "state", Type: document.Text},
		{ID: "stateSince", Type: document.Instant},
		{ID: "ownership", Type: document.Text},
		{ID: "userSince", Type: document.Instant},
		{ID: "id", Type: document.Text, Machine: true},
		{ID: "intuneId", Type: document.Text, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "device", devices: true},
		{ID: "operation"},
		{ID: "ownership", Attr: "device.ownership"},
		{ID: "result", Attr: "action.result"},
		{ID: "actor", check: isUUID, shown: somebody},
		{ID: "person", check: isUUID, shown: somebody},
		{ID: "text", In: []string{"reason"}, Whole: true},
	},
	rows: remoteActionRows,
}

var (
	remoteThen = slices.Concat([]string{"device.ownership"}, userAttributes, targetAttributes)
	remoteNow  = []string{attributeManagement}
)

const attributeManagement = "device.management-state"

func remoteActionRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f, err := q.actionFilter()
		if err != nil {
			yield(Row{}, err)
			return
		}
		f.Verbs = remoteVerbs
		for a, err := range q.actions(ctx, f, remoteThen, remoteNow) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			for i, t := range a.remote() {
				if q.wants(t) && !yield(remoteActionRow(a, i, t), nil) {
					return
				}
			}
		}
	}
}

// endsManagement reports whether what was asked shows in the device's management. What else was
// asked of it says nothing of a state that another act brought about.
func (a *action) endsManagement() bool {
	what := strings.ToLower(string(cmp.Or(a.Operation, a.ActivityType, a.DisplayName)))
	return a.Verb == "delete" || slices.ContainsFunc([]string{"wipe", "retire", "delete", "cleanwindowsdevice"},
		func(s string) bool { return strings.HasPrefix(what, s) })
}

// remoteVerbs are the verbs of actions that ask something of a device itself.
var remoteVerbs = []string{"action", "delete"}

// managedDevice is what sources call a device that something is done to.
const managedDevice = "ManagedDevice"

// remote are the devices that the action names: one without any, where its operation says that it
// was done to one.
func (a *action) remote() (out []target) {
	for _, t := range a.targets {
		onDevice := func(tell projections.Target) bool { return tell.Type == managedDevice }
		if t.stream != "" || slices.ContainsFunc(t.tells, onDevice) {
			out = append(out, t)
		}
	}
	if _, on, _ := strings.Cut(string(a.Operation), " "); len(out) == 0 && on == managedDevice {
		if out = a.targets; len(out) == 0 {
			out = []target{{}}
		}
	}
	return out
}

// wants reports whether the target is one that the filters ask for: an action names others too.
// The person is who was the device's user then.
func (q *question) wants(t target) bool {
	h, _ := t.then.Get("device.ownership")
	person := q.filter["person"]
	return among(q.filter["device"], string(t.stream)) && among(q.filter["ownership"], string(h.Text)) &&
		(len(person) == 0 || isUserOf(t.then, person))
}

// accepted is the action's result, told as that of a request.
func (a *action) accepted() Cell {
	c := a.in("action.result", a.Result)
	if len(c) > 0 && c[0].State == document.Shown {
		c[0].Attr = content.ResultOfRequest
	}
	return c
}

func remoteActionRow(a action, nth int, t target) Row {
	var user, since, state, stateSince, id Cell
	for _, attr := range userAttributes {
		if h, ok := t.then.Get(attr); ok && user == nil {
			user, since = of(attr, h.Text, uuid.Nil), instant(h.Observed)
		}
	}
	if h, ok := t.now.Get(attributeManagement); ok && h.Observed.After(a.Occurred) && a.endsManagement() {
		state, stateSince = of(attributeManagement, h.Text, uuid.Nil), instant(h.Observed)
	}
	if t.stream != "" {
		id = text(t.stream.UUID().String())
	}
	return Row{
		Key: fmt.Sprintf("%s/%d", a.EventID, nth), Seq: a.Seq, Recorded: a.Recorded,
		Cells: cells(
			instant(a.Occurred), a.operation(), first(t.was("device.name"), t.name(), t.id()),
			t.was("device.serial-number"), user, a.actor(), a.in("action.reason", a.Reason), a.accepted(),
			state, stateSince, t.was("device.ownership"), since, id, t.was("device.intune-id"), sequence(a.Seq)),
	}
}
