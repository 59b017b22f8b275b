// Package acts puts what reports tell of admin actions together: whom and what each names, as the
// ledger knew it at that time, and what became of it on each device.
//
// It keeps nothing but the names of applications while one report is read, and opens nothing.
package acts

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// Reader is what the views are asked for.
type Reader interface {
	AdminActions(
		ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.ActionFilter,
		asOf projections.AsOf,
	) iter.Seq2[projections.AdminAction, error]
	DevicesAt(
		ctx context.Context, tenant uuid.UUID, at []projections.DeviceAt, attributes ...string,
	) ([]projections.Device, error)
	ApplicationNames(
		ctx context.Context, tenant uuid.UUID, ids []string, in projections.Period, asOf projections.AsOf,
	) (map[string]projections.ApplicationName, error)
}

// Asker asks for the actions of a tenant in a period, as of.
type Asker struct {
	Reader Reader
	Tenant uuid.UUID
	In     projections.Period
	AsOf   projections.AsOf
}

// AtOnce is how many actions are held while the view is asked what their devices were
// called.
const AtOnce = 500

// Action is an admin action, with what the ledger knows of what it names.
type Action struct {
	projections.AdminAction
	On     []Target
	called projections.ApplicationName // the application, where the action has only its id
}

// Target is what an action was done to, in all events that say something of it.
type Target struct {
	Tells  []projections.Target
	Stream schemas.Stream     // of the device that it is, "" where it is none
	Then   projections.Device // that device at the time of the action
	Now    projections.Device // and where the report ends
}

// Actions yields the actions that a filter leaves. Of each target that is a device it has what the
// device had of some attributes then, and of others where the report ends; both are asked for a
// page of actions at a time.
func (q Asker) Actions(
	ctx context.Context, f projections.ActionFilter, then, now []string,
) iter.Seq2[Action, error] {
	return func(yield func(Action, error) bool) {
		names := applications{q: q, known: map[string]projections.ApplicationName{}}
		var page []Action
		flush := func() bool {
			err := q.Devices(ctx, page, then, now)
			if err == nil {
				err = names.call(ctx, page)
			}
			if err != nil {
				yield(Action{}, err)
				return false
			}
			for _, a := range page {
				if !yield(a, nil) {
					return false
				}
			}
			page = page[:0]
			return true
		}
		for a, err := range q.Reader.AdminActions(ctx, q.Tenant, q.In, f, q.AsOf) {
			if err != nil {
				yield(Action{}, err)
				return
			}
			page = append(page, Of(a))
			if len(page) == AtOnce && !flush() {
				return
			}
		}
		flush()
	}
}

// Of is the action, with what it names put together.
func Of(a projections.AdminAction) Action {
	out := Action{AdminAction: a}
	for _, t := range a.Targets {
		one := Target{Tells: append([]projections.Target{t}, t.Added...)}
		for _, t := range one.Tells {
			if id, err := schemas.ParseUUID(string(t.Device)); err == nil && one.Stream == "" {
				one.Stream = schemas.NewStream("device", id)
			}
		}
		out.On = append(out.On, one)
	}
	return out
}

// In returns a value of the action as a whole: what the first telling lacked, a later event may
// have supplied.
func (a *Action) In(attr string, t projections.Text) content.Cell {
	if t != "" {
		return content.Of(attr, t, a.EventID)
	}
	for _, s := range a.Supplied {
		if s.Attribute == attr {
			return content.Of(attr, s.Value, s.Event)
		}
	}
	return nil
}

// Application is the name that the action has for the one that it was done with, else the one
// that others have for its id, else the id.
func (a *Action) Application() content.Cell {
	id := a.In("action.application-id", a.ApplicationID)
	if name := a.In("action.application-name", a.ApplicationName); len(name) > 0 || a.called.Name == "" {
		return content.First(name, id)
	}
	name := content.Of("action.application-name", a.called.Name, a.called.Event)
	name[0].Known = string(a.ApplicationID)
	return name
}

// By names who acted by the best name there is; an application acts under its own.
func (a *Action) By() content.Cell {
	upn, name := a.In("action.actor-upn", a.ActorUPN), a.In("action.actor-name", a.ActorName)
	id, application := a.In("action.actor-id", a.ActorID), a.Application()
	if a.Actor == uuid.Nil { // nobody in person: the id is an application's
		id, application = application, id
	}
	return content.First(upn, name, id, application)
}

// What is what the source calls what was done.
func (a *Action) What() content.Cell {
	return content.First(a.In("action.operation", a.Operation), a.In("action.activity-type", a.ActivityType),
		a.In("action.display-name", a.DisplayName))
}

// Told returns the first value that is told of the target.
func (t *Target) Told(attr string, get func(projections.Target) projections.Text) content.Cell {
	for _, tell := range t.Tells {
		if c := content.Of(attr, get(tell), tell.Event); len(c) > 0 {
			return c
		}
	}
	return nil
}

func (t *Target) Kind() content.Cell {
	return t.Told("action.target-type", func(t projections.Target) projections.Text { return t.Type })
}

// Name is what the action calls it, else what the ledger called the device then: its name, its
// serial number, its id in Intune.
func (t *Target) Name() content.Cell {
	return content.First(t.Told("action.target-name", func(t projections.Target) projections.Text { return t.Name }),
		t.Was("device.name"), t.Was("device.serial-number"), t.Was("device.intune-id"))
}

// ID is the target's id as its source named it; of a device that the ledger knows, the ledger's.
func (t *Target) ID() content.Cell {
	return content.First(t.Told("action.target-id", func(t projections.Target) projections.Text { return t.ID }),
		t.Told("action.target-resource", func(t projections.Target) projections.Text { return t.Resource }),
		t.Told("action.target-device", func(t projections.Target) projections.Text { return t.Device }))
}

// Was is a value that the device had then. The event that set it is not part of the view.
func (t *Target) Was(attr string) content.Cell {
	h, _ := t.Then.Get(attr)
	return content.Of(attr, h.Text, uuid.Nil)
}

// Devices fills in the devices among the targets of a page of actions.
func (q Asker) Devices(ctx context.Context, page []Action, then, now []string) error {
	var at []projections.DeviceAt
	var open []*Target
	ask := func() (err error) {
		var was, is []projections.Device
		if len(at) > 0 {
			was, err = q.Reader.DevicesAt(ctx, q.Tenant, at, then...)
		}
		for i := range at {
			at[i].AsOf = q.AsOf
		}
		if len(at) > 0 && len(now) > 0 && err == nil {
			is, err = q.Reader.DevicesAt(ctx, q.Tenant, at, now...)
		}
		for i, d := range was {
			open[i].Then = d
		}
		for i, d := range is {
			open[i].Now = d
		}
		at, open = at[:0], open[:0]
		return err
	}
	for i := range page {
		for k := range page[i].On {
			t := &page[i].On[k]
			if t.Stream == "" {
				continue
			}
			at = append(at, projections.DeviceAt{Stream: t.Stream,
				AsOf: projections.AsOf{Seq: q.AsOf.Seq, Time: page[i].Occurred}})
			if open = append(open, t); len(at) == projections.MaxDevicesAt {
				if err := ask(); err != nil {
					return err
				}
			}
		}
	}
	return ask()
}

// applications are the names of those that some actions tell by id alone.
type applications struct {
	q     Asker
	known map[string]projections.ApplicationName // none of one that nobody names
}

// maxApplications bounds the names that are remembered, aroundPeriod the time on either side of a
// report's period in which a name is looked for: the cost follows from what the report reads.
const (
	maxApplications = 10_000
	aroundPeriod    = 92 * 24 * time.Hour
)

// call fills in the names of a page of actions; the view is asked for an id once.
func (n *applications) call(ctx context.Context, page []Action) error {
	var ids []string
	lacks := func(a *Action) bool {
		return a.ApplicationID != "" && !schemas.IsSealed(string(a.ApplicationID)) &&
			len(a.In("action.application-name", a.ApplicationName)) == 0
	}
	if len(n.known) > maxApplications {
		clear(n.known)
	}
	for i := range page {
		id := string(page[i].ApplicationID)
		if _, known := n.known[id]; !known && lacks(&page[i]) {
			ids, n.known[id] = append(ids, id), projections.ApplicationName{}
		}
	}
	if len(ids) > 0 {
		in := n.q.In
		if !in.From.IsZero() {
			in.From = in.From.Add(-aroundPeriod)
		}
		if !in.To.IsZero() {
			in.To = in.To.Add(aroundPeriod)
		}
		found, err := n.q.Reader.ApplicationNames(ctx, n.q.Tenant, ids, in, n.q.AsOf)
		if err != nil {
			return err
		}
		for id, name := range found {
			n.known[id] = name
		}
	}
	for i := range page {
		if lacks(&page[i]) {
			page[i].called = n.known[string(page[i].ApplicationID)]
		}
	}
	return nil
}

// managedDevice is what sources call a device that something is done to.
const managedDevice = "ManagedDevice"

// OnDevices are the devices that an admin action names.
func (a *Action) OnDevices() (out []Target) {
	for _, t := range a.On {
		onDevice := func(tell projections.Target) bool { return tell.Type == managedDevice }
		if t.Stream != "" || slices.ContainsFunc(t.Tells, onDevice) {
			out = append(out, t)
		}
	}
	if _, of, _ := strings.Cut(string(a.Operation), " "); len(out) == 0 && of == managedDevice {
		if out = a.On; len(out) == 0 {
			out = []Target{{}}
		}
	}
	return out
}

// States are how far the action has come, each with the number of devices it has come so far on:
// what is over behind what is not, as devices have it. completed is when it was over on all.
func States(all []*projections.RemoteAction) (names, counts content.Cell, completed time.Time) {
	n := map[projections.Text]int{}
	var order []projections.Text
	over := 0
	for _, o := range all {
		if o == nil || o.State == "" {
			continue
		}
		if n[o.State]++; n[o.State] == 1 {
			order = append(order, o.State)
		}
		if at := o.Completed; !at.IsZero() {
			over++
			if at.After(completed) {
				completed = at
			}
		}
	}
	slices.SortStableFunc(order, func(a, b projections.Text) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(string(a), string(b))
	})
	for _, s := range order {
		names = append(names, content.Of("remoteaction.state", s, uuid.Nil)...)
		counts = append(counts, content.Whole(n[s])...)
	}
	if over < len(all) {
		completed = time.Time{}
	}
	return names, counts, completed
}

// Accepted is the action's result, told as that of a request.
func (a *Action) Accepted() content.Cell {
	c := a.In("action.result", a.Result)
	if len(c) > 0 && c[0].State == document.Shown {
		c[0].Attr = content.ResultOfRequest
	}
	return c
}
