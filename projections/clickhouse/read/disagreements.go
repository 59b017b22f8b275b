package read

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// What one telling of a fact says otherwise than the one before, which intake found. The other of
// an admin action is by its source: what recorded it says no form.
const disputedFacts = `SELECT 'adminaction' AS of, attribute, told, against, count(), uniqExact(stream),
	min(occurred_at), max(occurred_at), max(ledger_seq) FROM (
	SELECT m.stream AS stream, m.occurred_at AS occurred_at, m.ledger_seq AS ledger_seq,
		arrayJoin(m.disputes) AS attribute, m.form AS told, a.source AS against
	FROM (SELECT * FROM admin_action_more WHERE ` + inPeriod + ` AND notEmpty(disputes)) AS m
	LEFT JOIN (SELECT stream, any(source) AS source FROM admin_action WHERE tenant = {tenant:UUID}
		AND ledger_seq <= {seq:UInt64} GROUP BY stream) AS a ON a.stream = m.stream)
	GROUP BY attribute, told, against`

const inPeriod = `tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64}
	AND occurred_at >= {from:DateTime64(3, 'UTC')} AND occurred_at < {to:DateTime64(3, 'UTC')}
	AND occurred_at <= {time:DateTime64(3, 'UTC')}`

// What was told of the state of the streams from first to last, where the value before was another
// source's and not an hour old. A value is only told where it differs from the one before; that it
// is restated, under another key, is no telling. Of a remote action it is the form that tells.
const disputedStates = `SELECT of, attribute, told, against, count(), uniqExact(stream), min(occurred_at),
	max(occurred_at), max(ledger_seq) FROM (
	SELECT splitByChar('-', stream)[1] AS of, stream, attribute, told, occurred_at, ledger_seq,
		lagInFrame(told) OVER w AS against, lagInFrame(occurred_at) OVER w AS before
	FROM (SELECT stream, ledger_seq, occurred_at, value.1 AS attribute, value.2 AS element,
			if(form = '', source, form) AS told
		FROM (SELECT stream, ledger_seq, occurred_at, toString(source) AS source,
				values.value[indexOf(values.attribute, 'remoteaction.form')] AS form,
				arrayJoin(arrayZip(values.attribute, values.element)) AS value
			FROM events FINAL PREWHERE tenant = {tenant:UUID} AND stream >= {first:String} AND stream <= {last:String}
				AND ledger_seq <= {seq:UInt64}
			WHERE NOT like(type, '%.restated.%') AND` + ask.NotDisowned + `)
		WHERE attribute NOT IN {but:Array(String)})
	WINDOW w AS (PARTITION BY stream, attribute, element ORDER BY ledger_seq
		ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))
	WHERE against != '' AND against != told AND abs(dateDiff('millisecond', before, occurred_at)) < {soon:Int64}
		AND occurred_at >= {from:DateTime64(3, 'UTC')} AND occurred_at < {to:DateTime64(3, 'UTC')}
		AND occurred_at <= {time:DateTime64(3, 'UTC')}
	GROUP BY of, attribute, told, against`

// statesAtOnce is how many streams one question about states reads.
const statesAtOnce = 2000

// Disagreements implements projections.Reader. States are asked for so many streams at a time.
func (db *Views) Disagreements(ctx context.Context, tenant uuid.UUID, in projections.Period, but []string,
	asOf projections.AsOf) ([]projections.Disagreement, error) {
	p := ask.Period(ask.AsOf(tenant, asOf), in).With(param.Set{"but": but, "limit": statesAtOnce,
		"soon": int(projections.SoonAfter.Milliseconds())})
	all := map[[4]string]projections.Disagreement{}
	add := func(question string) error {
		found, err := ask.All(ctx, db.Asker, p, question, readDisagreement)
		for _, d := range found {
			key := [4]string{d.Kind, d.Attribute, d.Told, d.Against}
			if had, ok := all[key]; ok {
				d.Times, d.Records, d.LastSeq = d.Times+had.Times, d.Records+had.Records, max(d.LastSeq, had.LastSeq)
				if had.First.Before(d.First) {
					d.First = had.First
				}
				if had.Last.After(d.Last) {
					d.Last = had.Last
				}
			}
			all[key] = d
		}
		return err
	}
	if err := add(disputedFacts); err != nil {
		return nil, fmt.Errorf("disagreements of facts: %w", err)
	}
	for _, kind := range projections.StateKinds() {
		// "device-" is before every device's stream, "device." behind them.
		for after, more := kind+"-", true; more; {
			p["after"], p["before"] = after, kind+"."
			streams, err := ask.All(ask.Paged(ctx), db.Asker, p, `SELECT stream FROM events
				WHERE tenant = {tenant:UUID} AND stream > {after:String} AND stream < {before:String}
				GROUP BY stream HAVING count() > 1 ORDER BY stream LIMIT {limit:UInt64}`,
				func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
			if more = len(streams) == statesAtOnce; err == nil && len(streams) > 0 {
				after = streams[len(streams)-1]
				p["first"], p["last"] = streams[0], after
				err = add(disputedStates)
			}
			if err != nil {
				return nil, fmt.Errorf("disagreements of states: %w", err)
			}
		}
	}
	out := make([]projections.Disagreement, 0, len(all))
	for _, d := range all {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b projections.Disagreement) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Attribute, b.Attribute),
			strings.Compare(a.Told, b.Told), strings.Compare(a.Against, b.Against))
	})
	return out, nil
}

func readDisagreement(scan func(...any) error) (d projections.Disagreement, err error) {
	return d, scan(&d.Kind, &d.Attribute, &d.Told, &d.Against, &d.Times, &d.Records, &d.First, &d.Last, &d.LastSeq)
}

// LastActs implements projections.Reader.
func (db *Views) LastActs(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf,
) (map[uuid.UUID]time.Time, error) {
	type act struct {
		by uuid.UUID
		at time.Time
	}
	acts, err := ask.All(ctx, db.Asker, ask.AsOf(tenant, asOf), `SELECT actor, max(occurred_at) FROM admin_action
		WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
		AND actor != toUUID('00000000-0000-0000-0000-000000000000') GROUP BY actor`,
		func(scan func(...any) error) (a act, err error) { return a, scan(&a.by, &a.at) })
	if err != nil {
		return nil, fmt.Errorf("last acts: %w", err)
	}
	out := make(map[uuid.UUID]time.Time, len(acts))
	for _, a := range acts {
		out[a.by] = a.at
	}
	return out, nil
}
