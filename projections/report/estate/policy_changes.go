package estate

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/acts"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// PolicyChanges tells what changed in policies, profiles and scripts: what the audit log says was
// done to them, and what differs between one snapshot of a policy and the next. Of the latter the
// actor is named where one person alone acted on the policy in between.
var PolicyChanges = define.Definition{
	ID:    "policy-changes",
	Scope: define.OverPeriod, Personal: true, Late: true,
	Columns: []define.Column{
		{ID: "time", Type: document.Instant},
		{ID: "policy", Type: document.Text, List: true},
		{ID: "policyKind", Type: document.Text, List: true},
		{ID: "what", Type: document.Text},
		{ID: "old", Type: document.Mixed},
		{ID: "new", Type: document.Mixed},
		{ID: "changes", Type: document.Changes, List: true},
		{ID: "groups", Type: document.Object, List: true},
		{ID: "actor", Type: document.Text},
		{ID: "result", Type: document.Text},
		{ID: "source", Type: document.Text},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []define.Filter{
		{ID: "policy", In: []string{"policy"}, Whole: true},
		{ID: "actor", Check: define.IsUUID, Shown: define.Somebody},
	},
	Rows: policyRows,
}

const (
	attrPolicyID   = "configuration.id"
	attrPolicyName = "configuration.name"
	attrPolicyKind = "configuration.kind"
	attrAssignment = "configuration.assignment"
)

// policyVerbs are what changes something; policyTypes are parts of what sources call a policy.
var (
	policyVerbs = []string{"create", "update", "delete", "assign", "action", "set-reference", "remove-reference"}
	policyTypes = []string{"Configuration", "Policy", "Profile", "Script"}
)

// Bounds of what is held: what changed by snapshots in a period, which is told in order of time,
// and how long before a period an action may have led to a snapshot in it.
const (
	mostChanges  = 100_000
	beforePeriod = 31 * 24 * time.Hour
)

func tooMany(what string, most int) error {
	return fmt.Errorf("more than %d %s: too many to be told in order; name a shorter period", most, what)
}

// touched is an action on a policy.
type touched struct {
	at    time.Time
	alias uuid.UUID
	app   projections.Text // by which an application acted on its own
	by    content.Cell
}

func policyRows(ctx context.Context, q *define.Question) iter.Seq2[define.Row, error] {
	return func(yield func(define.Row, error) bool) {
		actors, err := q.Aliases("actor")
		var changed []timed
		if err == nil {
			changed, err = changes(ctx, q, actors)
		}
		if err != nil {
			yield(define.Row{}, err)
			return
		}
		f := projections.ActionFilter{Verbs: policyVerbs, Actors: actors}
		asker := acts.Asker{Reader: q.Reader, Tenant: q.Tenant, In: q.In, AsOf: q.AsOf}
		for a, err := range asker.Actions(ctx, f, nil, nil) {
			if err != nil {
				yield(define.Row{}, err)
				return
			}
			if !onPolicy(a) {
				continue
			}
			for len(changed) > 0 && changed[0].at.Before(a.Occurred) {
				if !yield(changed[0].Row, nil) {
					return
				}
				changed = changed[1:]
			}
			if !yield(actionRow(a), nil) {
				return
			}
		}
		for _, c := range changed {
			if !yield(c.Row, nil) {
				return
			}
		}
	}
}

type timed struct {
	at time.Time
	define.Row
}

// onPolicy reports whether the action was done to a policy.
func onPolicy(a acts.Action) bool {
	return slices.ContainsFunc(a.On, func(t acts.Target) bool {
		return slices.ContainsFunc(t.Tells, func(tell projections.Target) bool {
			is := func(part string) bool { return strings.Contains(string(tell.Type), part) }
			return slices.ContainsFunc(policyTypes, is)
		})
	})
}

func actionRow(a acts.Action) define.Row {
	var policy, kind, changes content.Cell
	for _, t := range a.On {
		policy, kind = append(policy, content.First(t.Name(), t.ID())...), append(kind, t.Kind()...)
		for _, tell := range t.Tells {
			changes = append(changes, content.Of("action.changes", tell.Changes, tell.Event)...)
		}
	}
	return define.Row{
		Key: a.EventID.String(), Seq: a.Seq, Recorded: a.Recorded,
		Cells: []content.Cell{content.Instant(a.Occurred), policy, kind,
			content.First(a.What(), a.In("action.verb", a.Verb)), nil, nil, changes, nil, a.By(),
			a.In("action.result", a.Result), content.Named(content.NameOfSource, a.Source), content.Sequence(a.Seq)},
	}
}

// changes are what snapshots tell, in order of time.
func changes(ctx context.Context, q *define.Question, actors []uuid.UUID) ([]timed, error) {
	var policies []projections.Entity
	var ids []projections.Text
	for e, err := range q.Reader.Entities(ctx, q.Tenant, "configuration", q.AsOf, attrPolicyID, attrPolicyName,
		attrPolicyKind, attrAssignment) {
		if err != nil {
			return nil, err
		}
		id, _ := e.Get(attrPolicyID)
		if policies, ids = append(policies, e), append(ids, id.Text); len(policies) > mostChanges {
			return nil, tooMany("policies", mostChanges)
		}
	}
	if len(policies) == 0 {
		return nil, nil
	}
	looked, err := look(ctx, q, attrPolicyID, ids)
	if err != nil {
		return nil, err
	}
	done, err := actionsOn(ctx, q, looked)
	if err != nil {
		return nil, err
	}
	var out []timed
	for i, e := range policies {
		before := time.Time{} // the snapshot before
		var last uint64
		var at time.Time
		until := projections.Period{To: q.In.To}
		for c, err := range q.Reader.DeviceHistory(ctx, q.Tenant, e.Stream, until, nil, q.AsOf) {
			if err != nil {
				return nil, err
			}
			if c.Seq != last {
				last, before, at = c.Seq, at, c.Occurred
			}
			changed := strings.HasPrefix(c.Type, "configuration.changed.")
			if !changed || !q.In.Has(c.Occurred) || isVolatile(c.Attribute) {
				continue
			}
			by := between(done[looked[i]], before, c.Occurred)
			if len(actors) > 0 && !slices.Contains(actors, by.alias) {
				continue
			}
			if out = append(out, timed{c.Occurred, changeRow(e, c, by)}); len(out) > mostChanges {
				return nil, tooMany("changes of policies", mostChanges)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b timed) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Seq, b.Seq))
	})
	return out, nil
}

func isVolatile(attr string) bool {
	a := schemas.Default().Attribute(attr)
	return a != nil && a.Volatile
}

// actionsOn are the actions on policies of these ids, by id and time.
func actionsOn(ctx context.Context, q *define.Question, ids []string) (map[string][]touched, error) {
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = id != ""
	}
	in, held := q.In, 0
	if !in.From.IsZero() {
		in.From = in.From.Add(-beforePeriod)
	}
	out := map[string][]touched{}
	f := projections.ActionFilter{Verbs: policyVerbs}
	for a, err := range q.Reader.AdminActions(ctx, q.Tenant, in, f, q.AsOf) {
		if err != nil {
			return nil, err
		}
		one := acts.Of(a)
		for _, t := range one.On {
			for _, tell := range t.Tells {
				if id := string(tell.Resource); known[id] {
					if held++; held > mostChanges {
						return nil, tooMany("actions on policies", mostChanges)
					}
					out[id] = append(out[id], touched{a.Occurred, a.Actor, byItself(a), one.By()})
				}
			}
		}
	}
	return out, nil
}

// byItself is the application of an action that no person did.
func byItself(a projections.AdminAction) projections.Text {
	if a.Actor != uuid.Nil {
		return ""
	}
	return a.ApplicationID
}

// between is the one person who acted after one snapshot and up to the next; nobody where nobody
// did, or several.
func between(all []touched, after, until time.Time) (by touched) {
	for _, t := range all {
		if !t.at.After(after) || t.at.After(until) {
			continue
		}
		if by.by != nil && (by.alias != t.alias || by.app != t.app) {
			return touched{}
		}
		by = t
	}
	return by
}

func changeRow(e projections.Entity, c projections.Change, by touched) define.Row {
	get := define.ValuesOf(e)
	value := func(h *projections.Held, event uuid.UUID) content.Cell {
		if h == nil {
			return nil
		}
		return content.Of(c.Attribute, h.Text, event)
	}
	var groups content.Cell
	for _, h := range e.Values[attrAssignment] {
		groups = append(groups, content.Of(attrAssignment, h.Text, uuid.Nil)...)
	}
	return define.Row{
		Key: c.EventID.String() + "/" + c.Attribute + "/" + c.Element, Seq: c.Seq, Recorded: c.Recorded,
		Cells: []content.Cell{content.Instant(c.Occurred), get(attrPolicyName), get(attrPolicyKind),
			content.Named(content.NameOfAttribute, c.Attribute), value(c.Old, uuid.Nil), value(c.New, c.EventID), nil,
			groups, slices.Clone(by.by), nil, content.Named(content.NameOfSource, c.Source), content.Sequence(c.Seq)},
	}
}
