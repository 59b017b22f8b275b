package ask

import (
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// The events of an action, put together as of: of each column what was told last, and when it was
// over as it was told with its state.
const remoteActions = `SELECT stream, min(ledger_seq) AS first_seq, argMin(event_id, ledger_seq) AS first_event,
	argMin(recorded_at, ledger_seq) AS first_recorded,
	argMaxIf(actor, ledger_seq, actor != toUUID('00000000-0000-0000-0000-000000000000')) AS last_actor,
	argMaxIf(target, ledger_seq, target != toUUID('00000000-0000-0000-0000-000000000000')) AS last_target,
	countIf(form IN ('auditEvents', 'AuditLogs')) > 0 AS audited,
	argMaxIf(action, ledger_seq, action != '') AS last_action,
	argMaxIf(state, ledger_seq, state != '') AS last_state,
	argMaxIf(requested_at, ledger_seq, requested_at != '') AS last_requested,
	argMaxIf(completed_at, ledger_seq, state != '') AS last_completed,
	argMaxIf(request, ledger_seq, request != '') AS last_request,
	argMaxIf(device, ledger_seq, device != '') AS last_device,
	argMaxIf(device_name, ledger_seq, device_name != '') AS last_name,
	argMaxIf(user_upn, ledger_seq, user_upn != '') AS last_user,
	argMaxIf(failure, ledger_seq, failure != '') AS last_failure,
	argMaxIf(error_code, ledger_seq, error_code != '') AS last_error,
	argMaxIf(actor_id, ledger_seq, actor_id != '') AS last_actor_id,
	argMaxIf(actor_upn, ledger_seq, actor_upn != '') AS last_actor_upn,
	argMaxIf(actor_name, ledger_seq, actor_name != '') AS last_actor_name,
	argMaxIf(approver, ledger_seq, approver != '') AS last_approver
	FROM remote_action WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64}
	AND occurred_at <= {time:DateTime64(3, 'UTC')}`

// RemoteActions returns the question for a page of so many remote actions that have a
// last_requested, ordered by it and stream, behind the place {after:String}, {behind:String}, and
// sets its parameters but those.
func RemoteActions(p param.Set, f projections.RemoteFilter, limit int) (question string) {
	p["limit"] = limit
	question = remoteActions
	having := " HAVING last_requested != '' AND last_requested >= {from:String} AND last_requested < {to:String}"
	p["from"], p["to"] = "", "A" // behind every year
	if !f.In.From.IsZero() {
		p["from"] = inText(f.In.From)
	}
	if !f.In.To.IsZero() {
		p["to"] = inText(f.In.To)
	}
	if f.Unaudited {
		having += " AND NOT audited"
	}
	if len(f.Requests) > 0 {
		all := make([]string, len(f.Requests))
		for i, r := range f.Requests {
			all[i] = r.String()
		}
		p["requests"] = all
		question += ` AND stream IN (SELECT stream FROM remote_action
			WHERE tenant = {tenant:UUID} AND request IN {requests:Array(String)})`
		having += " AND last_request IN {requests:Array(String)}"
	}
	return question + " GROUP BY stream" + having + ` AND (last_requested, stream) > ({after:String}, {behind:String})
		ORDER BY last_requested, stream LIMIT {limit:UInt64}`
}

// inText is a bound of a period in whole seconds, as the view has times.
func inText(t time.Time) string {
	if c := t.Truncate(time.Second); c.Before(t) {
		t = c.Add(time.Second)
	}
	return t.UTC().Format(time.RFC3339)
}
