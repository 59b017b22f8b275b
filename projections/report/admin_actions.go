package report

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/acts"
	"github.com/ledgerline/ledgerline/projections/report/content"
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
		{ID: "targetIntuneId", Type: document.Text, List: true, Machine: true},
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
		{ID: "actor", Check: isUUID, Shown: somebody},
		{ID: "verb", Attr: "action.verb"},
		{ID: "operation"},
		{ID: "category", Attr: "action.category"},
		{ID: "result", Attr: "action.result"},
		{ID: "device", Devices: true},
		{ID: "target", In: []string{"target"}},
		{ID: "application", In: []string{"application", "applicationId"}, Open: isGUID},
		{ID: "ip", In: []string{"ip"}},
		{ID: "text", In: []string{"target", "changes", "reason", "details"}, Whole: true},
	},
	Rows: adminActionRows,
}

func isGUID(s string) bool { return uuid.Validate(s) == nil }
func isName(s string) bool { return !isGUID(s) }

// actionFilter is what a report's filters say of actions.
func actionFilter(q *question) (f projections.ActionFilter, err error) {
	f = projections.ActionFilter{Verbs: q.Filter["verb"], Categories: q.Filter["category"],
		Results:    q.Filter["result"],
		Operations: operationsCalled(q.Lang, q.Filter["operation"])}
	if ids := q.Filter["application"]; !slices.ContainsFunc(ids, isName) {
		for _, id := range ids {
			f.Applications = append(f.Applications, strings.ToLower(id))
		}
	}
	f.Actors, err = q.Aliases("actor")
	for _, s := range q.Filter["device"] {
		f.Devices = append(f.Devices, schemas.Stream(s).UUID().String())
	}
	return f, err
}

// targetAttributes are what a target of an action may be called by.
var targetAttributes = []string{"device.name", "device.serial-number", "device.intune-id"}

func adminActionRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f, err := actionFilter(q)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for a, err := range actsOf(q).Actions(ctx, f, targetAttributes, nil) {
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

func adminActionRow(a acts.Action) Row {
	var targets, types, ids, intune, changes Cell
	for _, t := range a.On {
		targets = append(targets, first(t.Name(), t.ID(), t.Kind())...)
		types, ids = append(types, orNull(t.Kind())...), append(ids, orNull(t.ID())...)
		intune = append(intune, orNull(t.Was("device.intune-id"))...)
		for _, t := range t.Tells {
			changes = append(changes, of("action.changes", t.Changes, t.Event)...)
		}
	}
	var disputed Cell
	for _, attr := range slices.Compact(slices.Sorted(slices.Values(a.Disputed))) {
		disputed = append(disputed, named(content.NameOfAttribute, attr)...)
	}
	return Row{
		Key: a.EventID.String(), Seq: a.Seq, Recorded: a.Recorded,
		Cells: cells(
			instant(a.Occurred), a.By(),
			a.In("action.actor-type", a.ActorType), a.In("action.delegated", a.Delegated),
			a.In("action.verb", a.Verb), a.What(), a.In("action.category", a.Category),
			targets, types, ids, intune, changes,
			a.In("action.result", a.Result), a.In("action.actor-ip", a.ActorIP), a.Application(),
			a.In("action.application-id", a.ApplicationID), a.In("action.reason", a.Reason),
			a.In("action.details", a.Details), disputed, sequence(a.Seq),
		),
	}
}

// actsOf asks for the actions that the question is about.
func actsOf(q *question) acts.Asker {
	return acts.Asker{Reader: q.Reader, Tenant: q.Tenant, In: q.In, AsOf: q.AsOf}
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
