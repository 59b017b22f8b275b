package report

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// adminActions: who did what, to what, with which result.
var adminActions = Definition{
	ID:    "admin-actions",
	Title: schemas.Label{EN: "Admin actions", NL: "Beheerhandelingen"},
	About: schemas.Label{
		EN: "What sources reported that administrators and applications did in device management, each action " +
			"once, by time.",
		NL: "Wat beheerders en toepassingen volgens de bronnen in het apparaatbeheer deden, elke handeling " +
			"eenmaal, op tijd.",
	},
	Scope: OverPeriod, Personal: true, Late: true,
	Columns: []Column{
		{"time", schemas.Label{EN: "Time", NL: "Tijd"}, Instant},
		{"actor", schemas.Label{EN: "Actor", NL: "Uitvoerder"}, Words},
		{"actorType", schemas.Label{EN: "Actor type", NL: "Soort uitvoerder"}, Words},
		{"delegated", schemas.Label{EN: "Delegated", NL: "Gedelegeerd"}, Words},
		{"verb", schemas.Label{EN: "Verb", NL: "Handeling"}, Words},
		{"operation", schemas.Label{EN: "Operation", NL: "Bewerking"}, Words},
		{"category", schemas.Label{EN: "Category", NL: "Categorie"}, Words},
		{"target", schemas.Label{EN: "Target", NL: "Doel"}, Words},
		{"changes", schemas.Label{EN: "Field: old → new", NL: "Veld: oud → nieuw"}, Words},
		{"result", schemas.Label{EN: "Result", NL: "Resultaat"}, Words},
		{"ip", schemas.Label{EN: "IP address", NL: "IP-adres"}, Words},
		{"application", schemas.Label{EN: "Application", NL: "Toepassing"}, Words},
		{"reason", schemas.Label{EN: "Reason", NL: "Reden"}, Words},
		{"disputed", schemas.Label{EN: "Disputed", NL: "Betwist"}, Words},
		{"sequence", schemas.Label{EN: "Seq.", NL: "Volgnr."}, Sequence},
	},
	Filters: []Filter{
		{ID: "actor", Title: schemas.Label{EN: "Actor", NL: "Uitvoerder"}, check: isUUID,
			value: countOf("alias", "aliases", "alias", "aliassen"), Help: schemas.Label{
				EN: "only actions of this person; give a user principal name or an object id",
				NL: "alleen handelingen van deze persoon; geef een UPN of object-id"}},
		{ID: "verb", Title: schemas.Label{EN: "Verb", NL: "Handeling"}, Attr: "action.verb", Help: schemas.Label{
			EN: "only these verbs, as in create,delete", NL: "alleen deze handelingen, zoals create,delete"}},
		{ID: "category", Title: schemas.Label{EN: "Category", NL: "Categorie"}, Attr: "action.category",
			Help: schemas.Label{
				EN: "only these categories, as in device,role", NL: "alleen deze categorieën, zoals device,role"}},
		{ID: "result", Title: schemas.Label{EN: "Result", NL: "Resultaat"}, Attr: "action.result", Help: schemas.Label{
			EN: "only these results: success, failure, timeout, client-error",
			NL: "alleen deze resultaten: success, failure, timeout, client-error"}},
		{ID: "device", Title: schemas.Label{EN: "Device", NL: "Apparaat"}, check: isDevice, Help: schemas.Label{
			EN: "only actions on these devices; give the ledger's device id or Intune's",
			NL: "alleen handelingen op deze apparaten; geef het apparaat-id van het grootboek of van Intune"}},
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

// countOf shows in the header how many of something a filter had, in place of random numbers.
func countOf(one, many, een, meer string) func(lang, s string) string {
	return func(lang, s string) string {
		if n := len(split(s)); n != 1 {
			return fmt.Sprintf("%d %s", n, say(lang, many, meer))
		}
		return "1 " + say(lang, one, een)
	}
}

// deviceStream reads a device filter: the device's stream or its uuid.
func deviceStream(s string) (schemas.Stream, error) {
	if st := schemas.Stream(s); st.Kind() == "device" {
		return st, nil
	}
	id, err := schemas.ParseUUID(s)
	if err != nil {
		return "", fmt.Errorf("%q is no device's stream or id", s)
	}
	return schemas.NewStream("device", id), nil
}

func isDevice(s string) Code {
	if _, err := deviceStream(s); err != nil {
		return NoDevice
	}
	return ""
}

func adminActionRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f := projections.ActionFilter{Verbs: q.filter["verb"], Categories: q.filter["category"],
			Results: q.filter["result"]}
		for _, s := range q.filter["actor"] {
			id, err := schemas.ParseUUID(s)
			if err != nil {
				yield(Row{}, fmt.Errorf("filter actor: %w", err))
				return
			}
			f.Actors = append(f.Actors, id)
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
	var targets, changes Cell
	for _, t := range a.Targets {
		tells := append([]projections.Target{t}, t.Added...)
		told := func(attr string, get func(projections.Target) projections.Text) Cell {
			var all []Cell
			for _, t := range tells {
				all = append(all, of(attr, get(t), t.Event))
			}
			return first(all...)
		}
		targets = append(targets, first(
			told("action.target-name", func(t projections.Target) projections.Text { return t.Name }),
			told("action.target-id", func(t projections.Target) projections.Text { return t.ID }),
			told("action.target-device", func(t projections.Target) projections.Text { return t.Device }),
			told("action.target-resource", func(t projections.Target) projections.Text { return t.Resource }),
			told("action.target-type", func(t projections.Target) projections.Text { return t.Type }))...)
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
				in("action.actor-id", a.ActorID), in("action.application-name", a.ApplicationName), in("action.application-id", a.ApplicationID)),
			in("action.actor-type", a.ActorType), in("action.delegated", a.Delegated),
			in("action.verb", a.Verb), first(in("action.operation", a.Operation),
				in("action.activity-type", a.ActivityType), in("action.display-name", a.DisplayName)),
			in("action.category", a.Category), targets, changes, in("action.result", a.Result),
			in("action.actor-ip", a.ActorIP),
			first(in("action.application-name", a.ApplicationName), in("action.application-id", a.ApplicationID)),
			first(in("action.reason", a.Reason), in("action.details", a.Details)), disputed, number(a.Seq),
		),
	}
}

// actorOf names who acted by the best name there is; an application acts under its own.
func actorOf(upn, name, id, appName, appID Cell) Cell { return first(upn, name, id, appName, appID) }
