package read

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
	"github.com/ledgerline/ledgerline/schemas"
)

const factColumns = "ledger_seq, event_id, stream, type, occurred_at"

// into are the places of factColumns in f.
func into(f *projections.Fact, more ...any) []any {
	return append([]any{&f.Seq, &f.EventID, (*string)(&f.Stream), &f.Type, &f.Occurred}, more...)
}

// AdminActions implements projections.Reader.
func (db *Views) AdminActions(ctx context.Context, tenant uuid.UUID, in projections.Period,
	filter projections.ActionFilter,
	asOf projections.AsOf) iter.Seq2[projections.AdminAction, error] {
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"verbs": filter.Verbs, "categories": filter.Categories,
		"results": filter.Results, "actors": filter.Actors, "devices": filter.Devices, "operations": filter.Operations,
		"applications": filter.Applications})
	return byTime(ctx, db, "admin actions", p, "SELECT "+factColumns+
		`, timed, recorded_at, source, correlation, actor, withheld, cut,
		verb, operation, activity_type, display_name, component, category, result,
		actor_type, delegated, application_id, actor_id, actor_upn, actor_name, actor_ip, actor_permissions,
		partner_tenant, application_name, details, reason,
		target_aliases, targets.element, targets.attribute, targets.value
		FROM admin_action WHERE tenant = {tenant:UUID}`+narrowed(filter),
		func(scan func(...any) error) (a projections.AdminAction, err error) {
			var timed uint8
			var elements, attributes, values []string
			text := func(t *projections.Text) any { return (*string)(t) }
			err = scan(into(&a.Fact, &timed, &a.Recorded, &a.Source, &a.Correlation, &a.Actor, &a.Withheld, &a.Cut,
				text(&a.Verb), text(&a.Operation), text(&a.ActivityType), text(&a.DisplayName), text(&a.Component),
				text(&a.Category), text(&a.Result),
				text(&a.ActorType), text(&a.Delegated), text(&a.ApplicationID),
				text(&a.ActorID), text(&a.ActorUPN), text(&a.ActorName), text(&a.ActorIP), text(&a.ActorPermissions),
				text(&a.PartnerTenant),
				text(&a.ApplicationName), text(&a.Details), text(&a.Reason),
				&a.TargetAliases, &elements, &attributes, &values)...)
			a.Timed = timed != 0
			_, a.Targets = targetsOf(a.EventID, elements, attributes, values)
			return a, err
		}, func(page []projections.AdminAction) error { return db.moreOf(ctx, p, page) },
		func(a projections.AdminAction) projections.Fact { return a.Fact })
}

// narrowed is what a filter says of an action. Only what it narrows is asked, since a part that
// narrows nothing still reads what it compares with.
func narrowed(f projections.ActionFilter) (conditions string) {
	if len(f.Verbs) > 0 {
		conditions += " AND (has({verbs:Array(String)}, verb)"
		if slices.Contains(f.Verbs, "create") { // what creates an assignment assigns, and its source says create
			conditions += " OR verb = 'assign' AND startsWith(lower(operation), 'create ')"
		}
		conditions += ")"
	}
	if len(f.Categories) > 0 {
		conditions += " AND has({categories:Array(String)}, category)"
	}
	if len(f.Results) > 0 {
		conditions += " AND has({results:Array(String)}, result)"
	}
	if len(f.Operations) > 0 { // a token holds no word of the source
		conditions += ` AND arrayExists(o -> o != '' AND NOT startsWith(o, '` + schemas.SealedPrefix + `')
			AND multiSearchAnyCaseInsensitiveUTF8(o, {operations:Array(String)}),
			[toString(operation), toString(activity_type), toString(display_name)])`
	}
	if len(f.Applications) > 0 {
		conditions += " AND application_id IN {applications:Array(String)}"
	}
	// Whom and what an action concerns, later events of its stream may tell: as of a time, those
	// that had occurred.
	const more = ` OR stream IN (SELECT stream FROM admin_action_more
		WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
		AND `
	if len(f.Actors) > 0 {
		conditions += " AND (has({actors:Array(UUID)}, actor)" + more +
			"has({actors:Array(UUID)}, actor) AND NOT startsWith(type, 'adminaction.disputed.')))"
	}
	if len(f.Devices) > 0 {
		conditions += " AND (hasAny({devices:Array(String)}, target_devices)" + more +
			"hasAny({devices:Array(String)}, target_devices)))"
	}
	return conditions
}

// moreOf adds to a page of actions what other events of their streams say.
func (db *Views) moreOf(ctx context.Context, p param.Set, page []projections.AdminAction) error {
	at := make(map[schemas.Stream]*projections.AdminAction, len(page))
	streams := make([]string, len(page))
	for i := range page {
		at[page[i].Stream], streams[i] = &page[i], string(page[i].Stream)
	}
	type row struct {
		projections.Fact
		aliases                                  []uuid.UUID
		disputes, attributes, values             []string
		elements, targetAttributes, targetValues []string
	}
	rows, err := ask.All(ctx, db.Asker, p.With(param.Set{"streams": streams}),
		"SELECT "+factColumns+`, target_aliases, disputes,
		attributes.attribute, attributes.value, targets.element, targets.attribute, targets.value
		FROM admin_action_more WHERE tenant = {tenant:UUID} AND stream IN {streams:Array(String)}
		AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')} ORDER BY ledger_seq`,
		func(scan func(...any) error) (r row, err error) {
			return r, scan(into(&r.Fact, &r.aliases, &r.disputes, &r.attributes, &r.values, &r.elements,
				&r.targetAttributes, &r.targetValues)...)
		})
	if err != nil {
		return err
	}
	for _, r := range rows {
		a := at[r.Stream]
		if strings.HasPrefix(r.Type, "adminaction.disputed.") {
			a.Disputed = append(a.Disputed, r.disputes...)
			continue
		}
		for _, alias := range r.aliases {
			if !slices.Contains(a.TargetAliases, alias) {
				a.TargetAliases = append(a.TargetAliases, alias)
			}
		}
		supplements := strings.HasPrefix(r.Type, "adminaction.supplemented.")
		for i, attribute := range r.attributes {
			if supplements {
				a.Supplied = append(a.Supplied, projections.Supplied{Event: r.EventID, Attribute: attribute,
					Value: projections.Text(r.values[i])})
			}
		}
		indices, targets := targetsOf(r.EventID, r.elements, r.targetAttributes, r.targetValues)
		for i, t := range targets {
			if n := indices[i]; supplements && n >= 0 && n < len(a.Targets) {
				a.Targets[n].Added = append(a.Targets[n].Added, t)
			} else {
				a.Targets = append(a.Targets, t)
			}
		}
	}
	return nil
}

// targetsOf puts the values of each target together, in the order of the targets. indices say
// which of the action's each is, -1 where its event does not.
func targetsOf(event uuid.UUID, elements, attributes, values []string) (indices []int, targets []projections.Target) {
	at := map[string]*projections.Target{}
	index := map[string]int{}
	var order []string
	for i, e := range elements {
		t := at[e]
		if t == nil {
			t = &projections.Target{Event: event}
			at[e], order, index[e] = t, append(order, e), -1
		}
		v := projections.Text(values[i])
		switch attributes[i] {
		case "action.target-index":
			if n, err := strconv.Atoi(values[i]); err == nil {
				index[e] = n
			}
		case "action.target-type":
			t.Type = v
		case "action.target-resource":
			t.Resource = v
		case "action.target-device":
			t.Device = v
		case "action.target-id":
			t.ID = v
		case "action.target-name":
			t.Name = v
		case "action.changes":
			t.Changes = v
		}
	}
	// Indices are decimal without leading zeros: the shorter is the smaller.
	slices.SortFunc(order, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	targets = make([]projections.Target, len(order))
	for i, e := range order {
		targets[i] = *at[e]
		indices = append(indices, index[e])
	}
	return indices, targets
}

// Refusals implements projections.Reader.
func (db *Views) Refusals(ctx context.Context, tenant uuid.UUID, in projections.Period, rules []string,
	asOf projections.AsOf) iter.Seq2[projections.Refusal, error] {
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"rules": rules})
	return byTime(ctx, db, "refusals", p, "SELECT "+factColumns+`, source, rule, category, count
		FROM refusal WHERE tenant = {tenant:UUID}
		AND (empty({rules:Array(String)}) OR has({rules:Array(String)}, rule))`,
		func(scan func(...any) error) (r projections.Refusal, err error) {
			return r, scan(into(&r.Fact, &r.Source, &r.Rule, &r.Category, &r.Count)...)
		}, nil, func(r projections.Refusal) projections.Fact { return r.Fact })
}

// Access implements projections.Reader. A run is a stream; its events are counted on the server,
// and its first one is read.
func (db *Views) Access(ctx context.Context, tenant uuid.UUID, in projections.Period, filter projections.AccessFilter,
	asOf projections.AsOf) iter.Seq2[projections.AccessRun, error] {
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"reports": filter.Reports,
		"officers": filter.Officers, "targets": filter.Persons})
	const seen = ` WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64}
		AND occurred_at <= {time:DateTime64(3, 'UTC')}`
	question := "SELECT " + factColumns + `, officer_alias, report, purpose_code, purpose, filters, officer, named,
		sequence FROM access INNER JOIN (SELECT stream, min(ledger_seq) AS began, sum(persons) AS named FROM access` +
		seen + ` GROUP BY stream) AS run USING (stream) WHERE tenant = {tenant:UUID} AND ledger_seq = began
		AND (empty({reports:Array(String)}) OR has({reports:Array(String)}, report))
		AND (empty({officers:Array(UUID)}) OR has({officers:Array(UUID)}, officer_alias))`
	if len(filter.Persons) > 0 {
		question += " AND stream IN (SELECT stream FROM event_subject" + seen +
			" AND alias IN {targets:Array(UUID)} AND role = 'target')"
	}
	return byTime(ctx, db, "access", p, question,
		func(scan func(...any) error) (a projections.AccessRun, err error) {
			return a, scan(into(&a.Fact, &a.Officer, (*string)(&a.Report), (*string)(&a.PurposeCode),
				(*string)(&a.Purpose), (*string)(&a.Filters), (*string)(&a.OfficerName), &a.Persons, &a.Sequence)...)
		}, nil, func(a projections.AccessRun) projections.Fact { return a.Fact })
}

// Requests implements projections.Reader.
func (db *Views) Requests(ctx context.Context, tenant uuid.UUID,
	asOf projections.AsOf) iter.Seq2[projections.RequestAct, error] {
	p := ask.AsOf(tenant, asOf).With(param.Set{"limit": pageRows})
	return ask.Pages(pageRows, func(after uint64, ok bool) ([]projections.RequestAct, error) {
		p["again"], p["after"] = ok, after
		out, err := ask.All(ask.Paged(ctx), db.Asker, p,
			"SELECT "+factColumns+`, requester_alias, officer_alias, asked_right, subject, received, due,
			identity_method, package, sequence, files, ground, completion, keys, erasure_order, keys_destroyed
			FROM request WHERE tenant = {tenant:UUID} AND ledger_seq >= {after:UInt64}
			AND (NOT {again:Bool} OR ledger_seq > {after:UInt64})
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
			ORDER BY ledger_seq LIMIT {limit:UInt64}`,
			func(scan func(...any) error) (r projections.RequestAct, err error) {
				return r, scan(into(&r.Fact, &r.Requester, &r.Officer, (*string)(&r.Right), (*string)(&r.Subject),
					(*string)(&r.Received),
					(*string)(&r.Due), (*string)(&r.IdentityMethod), (*string)(&r.Package), &r.Sequence, &r.Files,
					(*string)(&r.Ground),
					(*string)(&r.Completion), &r.Keys, (*string)(&r.Order), &r.KeysDestroyed)...)
			})
		if err != nil {
			return nil, fmt.Errorf("requests: %w", err)
		}
		return out, nil
	}, func(r projections.RequestAct) uint64 { return r.Seq })
}
