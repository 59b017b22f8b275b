package report

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// actionsAtOnce is how many actions are held while the view is asked what their devices were
// called.
const actionsAtOnce = 500

// action is an admin action, with what the ledger knows of what it names.
type action struct {
	projections.AdminAction
	targets []target
	called  projections.ApplicationName // the application, where the action has only its id
}

// target is what an action was done to, in all events that say something of it.
type target struct {
	tells  []projections.Target
	stream schemas.Stream     // of the device that it is, "" where it is none
	then   projections.Device // that device at the time of the action
	now    projections.Device // and where the report ends
}

// actions yields the actions that a filter leaves. Of each target that is a device it has what the
// device had of some attributes then, and of others where the report ends; both are asked for a
// page of actions at a time.
func (q *question) actions(
	ctx context.Context, f projections.ActionFilter, then, now []string,
) iter.Seq2[action, error] {
	return func(yield func(action, error) bool) {
		names := applications{q: q, known: map[string]projections.ApplicationName{}}
		var page []action
		flush := func() bool {
			err := q.devices(ctx, page, then, now)
			if err == nil {
				err = names.call(ctx, page)
			}
			if err != nil {
				yield(action{}, err)
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
		for a, err := range q.reader.AdminActions(ctx, q.tenant, q.in, f, q.asOf) {
			if err != nil {
				yield(action{}, err)
				return
			}
			page = append(page, actionOf(a))
			if len(page) == actionsAtOnce && !flush() {
				return
			}
		}
		flush()
	}
}

func actionOf(a projections.AdminAction) action {
	out := action{AdminAction: a}
	for _, t := range a.Targets {
		one := target{tells: append([]projections.Target{t}, t.Added...)}
		for _, t := range one.tells {
			if id, err := schemas.ParseUUID(string(t.Device)); err == nil && one.stream == "" {
				one.stream = schemas.NewStream("device", id)
			}
		}
		out.targets = append(out.targets, one)
	}
	return out
}

// in returns a value of the action as a whole: what the first telling lacked, a later event may
// have supplied.
func (a *action) in(attr string, t projections.Text) Cell {
	if t != "" {
		return of(attr, t, a.EventID)
	}
	for _, s := range a.Supplied {
		if s.Attribute == attr {
			return of(attr, s.Value, s.Event)
		}
	}
	return nil
}

// application is the name that the action has for the one that it was done with, else the one
// that others have for its id, else the id.
func (a *action) application() Cell {
	id := a.in("action.application-id", a.ApplicationID)
	if name := a.in("action.application-name", a.ApplicationName); len(name) > 0 || a.called.Name == "" {
		return first(name, id)
	}
	name := of("action.application-name", a.called.Name, a.called.Event)
	name[0].Known = string(a.ApplicationID)
	return name
}

// actor names who acted by the best name there is; an application acts under its own.
func (a *action) actor() Cell {
	upn, name := a.in("action.actor-upn", a.ActorUPN), a.in("action.actor-name", a.ActorName)
	id, application := a.in("action.actor-id", a.ActorID), a.application()
	if a.Actor == uuid.Nil { // nobody in person: the id is an application's
		id, application = application, id
	}
	return first(upn, name, id, application)
}

// operation is what the source calls what was done.
func (a *action) operation() Cell {
	return first(a.in("action.operation", a.Operation), a.in("action.activity-type", a.ActivityType),
		a.in("action.display-name", a.DisplayName))
}

// told returns the first value that is told of the target.
func (t *target) told(attr string, get func(projections.Target) projections.Text) Cell {
	for _, tell := range t.tells {
		if c := of(attr, get(tell), tell.Event); len(c) > 0 {
			return c
		}
	}
	return nil
}

func (t *target) kind() Cell {
	return t.told("action.target-type", func(t projections.Target) projections.Text { return t.Type })
}

// name is what the action calls it, else what the ledger called the device then: its name, its
// serial number, its id in Intune.
func (t *target) name() Cell {
	return first(t.told("action.target-name", func(t projections.Target) projections.Text { return t.Name }),
		t.was("device.name"), t.was("device.serial-number"), t.was("device.intune-id"))
}

// id is the target's id as its source named it; of a device that the ledger knows, the ledger's.
func (t *target) id() Cell {
	return first(t.told("action.target-id", func(t projections.Target) projections.Text { return t.ID }),
		t.told("action.target-resource", func(t projections.Target) projections.Text { return t.Resource }),
		t.told("action.target-device", func(t projections.Target) projections.Text { return t.Device }))
}

// was is a value that the device had then. The event that set it is not part of the view.
func (t *target) was(attr string) Cell {
	h, _ := t.then.Get(attr)
	return of(attr, h.Text, uuid.Nil)
}

// devices fills in the devices among the targets of a page of actions.
func (q *question) devices(ctx context.Context, page []action, then, now []string) error {
	var at []projections.DeviceAt
	var open []*target
	ask := func() (err error) {
		var was, is []projections.Device
		if len(at) > 0 {
			was, err = q.reader.DevicesAt(ctx, q.tenant, at, then...)
		}
		for i := range at {
			at[i].AsOf = q.asOf
		}
		if len(at) > 0 && len(now) > 0 && err == nil {
			is, err = q.reader.DevicesAt(ctx, q.tenant, at, now...)
		}
		for i, d := range was {
			open[i].then = d
		}
		for i, d := range is {
			open[i].now = d
		}
		at, open = at[:0], open[:0]
		return err
	}
	for i := range page {
		for k := range page[i].targets {
			t := &page[i].targets[k]
			if t.stream == "" {
				continue
			}
			at = append(at, projections.DeviceAt{Stream: t.stream,
				AsOf: projections.AsOf{Seq: q.asOf.Seq, Time: page[i].Occurred}})
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
	q     *question
	known map[string]projections.ApplicationName // none of one that nobody names
}

// maxApplications bounds the names that are remembered, aroundPeriod the time on either side of a
// report's period in which a name is looked for: the cost follows from what the report reads.
const (
	maxApplications = 10_000
	aroundPeriod    = 92 * 24 * time.Hour
)

// call fills in the names of a page of actions; the view is asked for an id once.
func (n *applications) call(ctx context.Context, page []action) error {
	var ids []string
	lacks := func(a *action) bool {
		return a.ApplicationID != "" && !schemas.IsSealed(string(a.ApplicationID)) &&
			len(a.in("action.application-name", a.ApplicationName)) == 0
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
		in := n.q.in
		if !in.From.IsZero() {
			in.From = in.From.Add(-aroundPeriod)
		}
		if !in.To.IsZero() {
			in.To = in.To.Add(aroundPeriod)
		}
		found, err := n.q.reader.ApplicationNames(ctx, n.q.tenant, ids, in, n.q.asOf)
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

// operationsCalled are texts that operations of the source contain which are called so, by the
// source or in the words of the language.
func operationsCalled(l *words.Language, given []string) (out []string) {
	for _, g := range given {
		out = append(out, g)
		for _, id := range words.Default().Under("operation.") {
			if strings.Contains(strings.ToLower(l.Text("operation."+id)), strings.ToLower(g)) {
				out = append(out, id)
			}
		}
	}
	return out
}
