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
	"github.com/ledgerline/ledgerline/projections/report/acts"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// remoteActions: who asked what of which devices, why, whose they were, and what became of it. One
// row a request, however many devices it names and whichever sources tell of it: the audit event,
// which says who and why, and what is told of each device's action.
var remoteActions = Definition{
	ID:    "remote-actions",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "requested", Type: document.Instant},
		{ID: "action", Type: document.Text},
		{ID: "devices", Type: document.Number},
		{ID: "device", Type: document.Text, List: true},
		{ID: "serial", Type: document.Text, List: true},
		{ID: "userThen", Type: document.Text, List: true},
		{ID: "by", Type: document.Text},
		{ID: "approver", Type: document.Text},
		{ID: "reason", Type: document.Text},
		{ID: "result", Type: document.Text},
		{ID: "progress", Type: document.Text, List: true},
		{ID: "progressOn", Type: document.Number, List: true},
		{ID: "completed", Type: document.Instant},
		{ID: "failure", Type: document.Text, List: true},
		{ID: "state", Type: document.Text},
		{ID: "stateSince", Type: document.Instant},
		{ID: "ownership", Type: document.Text, List: true},
		{ID: "id", Type: document.Text, List: true, Machine: true},
		{ID: "intuneId", Type: document.Text, List: true, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "device", Devices: true},
		{ID: "operation"},
		{ID: "ownership", Attr: "device.ownership"},
		{ID: "result", Attr: "action.result"},
		{ID: "actor", Check: isUUID, Shown: somebody},
		{ID: "person", Check: isUUID, Shown: somebody},
		{ID: "text", In: []string{"reason"}, Whole: true},
	},
	Rows: remoteActionRows,
}

var (
	remoteThen = slices.Concat([]string{"device.ownership"}, userAttributes, targetAttributes)
	remoteNow  = []string{attributeManagement}
)

const attributeManagement = "device.management-state"

// request is what was asked of devices: what an audit event tells of it, if one does, and what is
// told of each device's action.
type request struct {
	acts.Action
	parts []projections.RemoteAction
}

func remoteActionRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		audited, endAudited := iter.Pull2(auditedRequests(ctx, q))
		defer endAudited()
		others, endOthers := iter.Pull2(otherRequests(ctx, q))
		defer endOthers()
		a, err, more := audited()
		b, otherErr, moreOthers := others()
		for more || moreOthers {
			if err != nil || otherErr != nil {
				yield(Row{}, cmp.Or(err, otherErr))
				return
			}
			one := &a
			if !more || moreOthers && b.Occurred.Before(a.Occurred) {
				one = &b
			}
			if on := one.remote(q); len(on) > 0 && !yield(one.row(on), nil) {
				return
			}
			if one == &a {
				a, err, more = audited()
			} else {
				b, otherErr, moreOthers = others()
			}
		}
	}
}

// auditedRequests yields those of which an admin action tells, by time.
func auditedRequests(ctx context.Context, q *question) iter.Seq2[request, error] {
	return func(yield func(request, error) bool) {
		f, err := actionFilter(q)
		if err != nil {
			yield(request{}, err)
			return
		}
		f.Verbs = remoteVerbs
		var page []request
		flush := func() bool {
			parts, err := partsOf(ctx, q, page)
			for _, r := range page {
				if err == nil {
					r.parts = parts[r.Stream.UUID()]
				}
				if !yield(r, err) || err != nil {
					return false
				}
			}
			page = page[:0]
			return true
		}
		for a, err := range actsOf(q).Actions(ctx, f, remoteThen, remoteNow) {
			if err != nil {
				yield(request{}, err)
				return
			}
			page = append(page, request{Action: a})
			if len(page) == acts.AtOnce && !flush() {
				return
			}
		}
		flush()
	}
}

// partsOf returns what is told of the devices of each request.
func partsOf(
	ctx context.Context, q *question, page []request,
) (map[uuid.UUID][]projections.RemoteAction, error) {
	var f projections.RemoteFilter
	for _, r := range page {
		f.Requests = append(f.Requests, r.Stream.UUID())
	}
	out := map[uuid.UUID][]projections.RemoteAction{}
	if len(f.Requests) == 0 {
		return out, nil
	}
	for p, err := range q.Reader.RemoteActions(ctx, q.Tenant, f, q.AsOf) {
		if err != nil {
			return nil, err
		}
		out[p.Request] = append(out[p.Request], p)
	}
	return out, nil
}

// otherRequests yields those of which no admin action tells, by time. Filters that ask for what an
// admin action alone has leave none of them.
func otherRequests(ctx context.Context, q *question) iter.Seq2[request, error] {
	return func(yield func(request, error) bool) {
		actors, err := q.Aliases("actor")
		if err != nil {
			yield(request{}, err)
			return
		}
		if len(q.Filter["result"]) > 0 {
			return
		}
		seen := map[uuid.UUID]bool{}
		var page []request
		flush := func() bool {
			all := make([]acts.Action, len(page))
			for i := range page {
				all[i] = page[i].Action
			}
			err := actsOf(q).Devices(ctx, all, remoteThen, remoteNow)
			for i := range page {
				page[i].Action = all[i]
				if !yield(page[i], err) || err != nil {
					return false
				}
			}
			page = page[:0]
			return true
		}
		f := projections.RemoteFilter{In: q.In, Unaudited: true}
		for p, err := range q.Reader.RemoteActions(ctx, q.Tenant, f, q.AsOf) {
			if err != nil {
				yield(request{}, err)
				return
			}
			if len(actors) > 0 && !slices.Contains(actors, p.Actor) || !calledSo(q, p) || seen[p.Request] {
				continue
			}
			parts := []projections.RemoteAction{p}
			if p.Request != uuid.Nil {
				seen[p.Request], parts = true, nil
				one := projections.RemoteFilter{Requests: []uuid.UUID{p.Request}, Unaudited: true}
				for other, err := range q.Reader.RemoteActions(ctx, q.Tenant, one, q.AsOf) {
					if err != nil {
						yield(request{}, err)
						return
					}
					parts = append(parts, other)
				}
			}
			page = append(page, requestOf(parts))
			if len(page) == acts.AtOnce && !flush() {
				return
			}
		}
		flush()
	}
}

// calledSo reports whether the action is one that the filter on operations asks for.
func calledSo(q *question, p projections.RemoteAction) bool {
	given := q.Filter["operation"]
	return len(given) == 0 || slices.ContainsFunc(operationsCalled(q.Lang, given), func(o string) bool {
		return strings.Contains(strings.ToLower(string(p.Action)), strings.ToLower(o))
	}) || slices.ContainsFunc(given, func(o string) bool {
		word := content.Word(q.Lang, "remoteaction.action", string(p.Action))
		return strings.Contains(strings.ToLower(word), strings.ToLower(o))
	})
}

// requestOf is a request of which only its devices' actions are known.
func requestOf(parts []projections.RemoteAction) request {
	p := parts[0]
	r := request{parts: parts}
	r.Fact = projections.Fact{Seq: p.Seq, EventID: p.EventID, Stream: p.Stream, Occurred: p.Requested}
	r.Recorded, r.AdminAction.Actor = p.Recorded, p.Actor
	for _, p := range parts {
		t := acts.Target{}
		if id, err := schemas.ParseUUID(string(p.Device)); err == nil {
			t.Stream = schemas.NewStream("device", id)
		}
		r.On = append(r.On, t)
	}
	return r
}

// endsManagement reports whether what was asked shows in the device's management. What else was
// asked of it says nothing of a state that another act brought about.
func (r *request) endsManagement() bool {
	what := strings.ToLower(string(cmp.Or(r.Operation, r.ActivityType, r.DisplayName)))
	if what == "" && len(r.parts) > 0 {
		what = strings.ToLower(string(r.parts[0].Action))
	}
	return r.Verb == "delete" || slices.ContainsFunc([]string{"wipe", "retire", "delete", "cleanwindowsdevice"},
		func(s string) bool { return strings.HasPrefix(what, s) })
}

// remoteVerbs are the verbs of actions that ask something of a device itself.
var remoteVerbs = []string{"action", "delete"}

// on is a device that something was asked of, and what is told of that.
type on struct {
	acts.Target
	part *projections.RemoteAction // nil where only the audit event is known
}

// remote are the devices of the request that the filters ask for: one without any, where its
// operation says that it was done to one.
func (r *request) remote(q *question) (out []on) {
	var all []on
	if len(r.parts) > 0 && r.Verb == "" {
		for i, t := range r.On {
			all = append(all, on{t, &r.parts[i]})
		}
	} else {
		left := slices.Clone(r.parts)
		for _, t := range r.OnDevices() {
			one := on{Target: t}
			for i := range left {
				if t.Stream != "" && string(left[i].Device) == t.Stream.UUID().String() {
					one.part = &r.parts[slices.IndexFunc(r.parts, func(p projections.RemoteAction) bool {
						return p.Stream == left[i].Stream
					})]
					left = slices.Delete(left, i, i+1)
					break
				}
			}
			all = append(all, one)
		}
		for i := range all { // what is of devices that one of the two does not know
			if all[i].part == nil && len(left) > 0 {
				all[i].part, left = &left[0], left[1:]
			}
		}
	}
	for _, o := range all {
		if wants(q, o.Target) {
			out = append(out, o)
		}
	}
	return out
}

// wants reports whether the target is one that the filters ask for: an action names others too.
// The person is who was the device's user then.
func wants(q *question, t acts.Target) bool {
	h, _ := t.Then.Get("device.ownership")
	person := q.Filter["person"]
	return among(q.Filter["device"], string(t.Stream)) && among(q.Filter["ownership"], string(h.Text)) &&
		(len(person) == 0 || isUserOf(t.Then, person))
}

// told returns a value of what is told of a device's action.
func (o on) told(attr string, get func(*projections.RemoteAction) projections.Text) Cell {
	if o.part == nil {
		return nil
	}
	return of("remoteaction."+attr, get(o.part), uuid.Nil)
}

func (o on) user() Cell {
	for _, attr := range userAttributes {
		if h, ok := o.Then.Get(attr); ok {
			return of(attr, h.Text, uuid.Nil)
		}
	}
	return o.told("user-upn", func(p *projections.RemoteAction) projections.Text { return p.UserUPN })
}

func (o on) name() Cell {
	return first(o.Was("device.name"), o.Target.Name(), o.Target.ID(),
		o.told("device-name", func(p *projections.RemoteAction) projections.Text { return p.DeviceName }),
		o.told("device", func(p *projections.RemoteAction) projections.Text { return p.Device }))
}

// firstTold returns the first value that is told of one of the devices' actions.
func firstTold(all []on, attr string, get func(*projections.RemoteAction) projections.Text) Cell {
	for _, o := range all {
		if c := o.told(attr, get); len(c) > 0 {
			return c
		}
	}
	return nil
}

func (r *request) row(all []on) Row {
	var device, serial, user, failure, ownership, id, intune Cell
	for _, o := range all {
		device, serial = append(device, orNull(o.name())...), append(serial, orNull(o.Was("device.serial-number"))...)
		user, ownership = append(user, orNull(o.user())...), append(ownership, orNull(o.Was("device.ownership"))...)
		intune = append(intune, orNull(o.Was("device.intune-id"))...)
		is := Cell(nil)
		if o.Stream != "" {
			is = text(o.Stream.UUID().String())
		}
		id = append(id, orNull(is)...)
		failure = append(failure,
			o.told("failure", func(p *projections.RemoteAction) projections.Text { return p.Failure })...)
		failure = append(failure,
			o.told("error-code", func(p *projections.RemoteAction) projections.Text { return p.ErrorCode })...)
	}
	parts := make([]*projections.RemoteAction, len(all))
	for i, o := range all {
		parts[i] = o.part
	}
	progress, progressOn, completed := acts.States(parts)
	var state, since Cell
	if h, ok := all[0].Now.Get(attributeManagement); ok && len(all) == 1 && h.Observed.After(r.Occurred) &&
		r.endsManagement() {
		state, since = of(attributeManagement, h.Text, uuid.Nil), instant(h.Observed)
	}
	what := first(r.What(),
		firstTold(all, "action", func(p *projections.RemoteAction) projections.Text { return p.Action }))
	by := first(r.By(),
		firstTold(all, "actor-upn", func(p *projections.RemoteAction) projections.Text { return p.ActorUPN }),
		firstTold(all, "actor-name", func(p *projections.RemoteAction) projections.Text { return p.ActorName }),
		firstTold(all, "actor-id", func(p *projections.RemoteAction) projections.Text { return p.ActorID }))
	approver := firstTold(all, "approver", func(p *projections.RemoteAction) projections.Text { return p.Approver })
	return Row{
		Key: fmt.Sprintf("%s/0", r.EventID), Seq: r.Seq, Recorded: r.Recorded,
		Cells: cells(
			instant(r.Occurred), what, whole(len(all)), device, serial, user, by, approver,
			r.In("action.reason", r.Reason), r.Accepted(), progress, progressOn, instant(completed), failure,
			state, since, ownership, id, intune, sequence(r.Seq)),
	}
}
