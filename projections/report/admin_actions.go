package report

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// adminActions: who did what, to what, with which result.
var adminActions = Definition{
	ID:    "admin-actions",
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "actor", Type: document.Text},
		{ID: "actorType", Type: document.Text},
		{ID: "delegated", Type: document.Boolean},
		{ID: "verb", Type: document.Text},
		{ID: "operation", Type: document.Text},
		{ID: "category", Type: document.Text},
		{ID: "target", Type: document.Text, List: true},
		{ID: "targetType", Type: document.Text, List: true, Machine: true},
		{ID: "targetId", Type: document.Text, List: true, Machine: true},
		{ID: "changes", Type: document.Changes, List: true},
		{ID: "result", Type: document.Text},
		{ID: "ip", Type: document.Text},
		{ID: "application", Type: document.Text},
		{ID: "applicationId", Type: document.Text, Machine: true},
		{ID: "reason", Type: document.Text},
		{ID: "details", Type: document.Text},
		{ID: "disputed", Type: document.Text, List: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "actor", check: isUUID, shown: somebody},
		{ID: "verb", Attr: "action.verb"},
		{ID: "category", Attr: "action.category"},
		{ID: "result", Attr: "action.result"},
		{ID: "device", devices: true},
	},
	rows: adminActionRows,
}

// isUUID checks what is left of a filter on a person once the caller has
// resolved it: the person's aliases.
func isUUID(s string) Code {
	if _, err := schemas.ParseUUID(s); err != nil {
		return Nobody
	}
	return ""
}

// somebody stands for the aliases of a filter on a person, where what was typed is not shown.
func somebody(l *words.Language, _ []string) string { return l.Text("filter.somebody") }

func adminActionRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f := projections.ActionFilter{Verbs: q.filter["verb"], Categories: q.filter["category"],
			Results: q.filter["result"]}
		var err error
		if f.Actors, err = q.aliases("actor"); err != nil {
			yield(Row{}, err)
			return
		}
		for _, s := range q.filter["device"] {
			st, err := deviceStream(s)
			if err != nil {
				yield(Row{}, fmt.Errorf("filter device: %w", err))
				return
			}
			f.Devices = append(f.Devices, st.UUID().String())
		}
		for a, err := range q.reader.AdminActions(ctx, q.tenant, q.in, f, q.asOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(adminActionRow(a), nil) {
				return
			}
		}
	}
}

func adminActionRow(a projections.AdminAction) Row {
	// What the first telling lacked, a later event may have supplied.
	in := func(attr string, t projections.Text) Cell {
		if t != "" {
			return of(attr, t, a.EventID)
		}
		for _, s := range a.Supplied {
			if s.Attribute == attr {
				return of(attr, s.Value, s.Event)
			}
		}
		return of(attr, "", a.EventID)
	}
	var targets, types, ids, changes Cell
	for _, t := range a.Targets {
		tells := append([]projections.Target{t}, t.Added...)
		told := func(attr string, get func(projections.Target) projections.Text) Cell {
			var all []Cell
			for _, t := range tells {
				all = append(all, of(attr, get(t), t.Event))
			}
			return first(all...)
		}
		kind := told("action.target-type", func(t projections.Target) projections.Text { return t.Type })
		id := first(
			told("action.target-id", func(t projections.Target) projections.Text { return t.ID }),
			told("action.target-resource", func(t projections.Target) projections.Text { return t.Resource }),
			told("action.target-device", func(t projections.Target) projections.Text { return t.Device }))
		targets = append(targets, first(
			told("action.target-name", func(t projections.Target) projections.Text { return t.Name }), id, kind)...)
		types, ids = append(types, orNull(kind)...), append(ids, orNull(id)...)
		for _, t := range tells {
			changes = append(changes, of("action.changes", t.Changes, t.Event)...)
		}
	}
	var disputed Cell
	for _, attr := range slices.Compact(slices.Sorted(slices.Values(a.Disputed))) {
		disputed = append(disputed, named(nameOfAttribute, attr)...)
	}
	return Row{
		Key: a.EventID.String(), Seq: a.Seq, Recorded: a.Recorded,
		Cells: cells(
			instant(a.Occurred),
			actorOf(in("action.actor-upn", a.ActorUPN), in("action.actor-name", a.ActorName),
				in("action.actor-id", a.ActorID), in("action.application-name", a.ApplicationName),
				in("action.application-id", a.ApplicationID)),
			in("action.actor-type", a.ActorType), in("action.delegated", a.Delegated),
			in("action.verb", a.Verb), first(in("action.operation", a.Operation),
				in("action.activity-type", a.ActivityType), in("action.display-name", a.DisplayName)),
			in("action.category", a.Category), targets, types, ids, changes, in("action.result", a.Result),
			in("action.actor-ip", a.ActorIP),
			first(in("action.application-name", a.ApplicationName), in("action.application-id", a.ApplicationID)),
			in("action.application-id", a.ApplicationID), in("action.reason", a.Reason),
			in("action.details", a.Details), disputed, sequence(a.Seq),
		),
	}
}

// orNull keeps the place of a value that is missing, where lists stand side by side.
func orNull(c Cell) Cell {
	if len(c) == 0 {
		return Cell{{JSON: json.RawMessage("null")}}
	}
	return c
}

// actorOf names who acted by the best name there is; an application acts under its own.
func actorOf(upn, name, id, appName, appID Cell) Cell { return first(upn, name, id, appName, appID) }
