// Package read answers questions about the views, by pages and keys, and changes nothing.
//
// It keeps nothing. An answer is final when its AsOf.Seq is not above what Through returned.
package read

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// Views are where questions are put: what a database's readers share.
type Views struct {
	Asker ask.Asker
	Poll  time.Duration // how often WaitThrough looks

	First, Most int // how many values of entities' states one question reads: FirstValues, MostValues
}

var _ projections.Reader = (*Views)(nil)

// byTime pages through a view that is ordered by (occurred_at, ledger_seq), and hands each page to
// then, where that is not nil, before anybody sees it. The question ends in pageByTime.
func byTime[T any](ctx context.Context, db *Views, what string, p param.Set, question string,
	read func(scan func(...any) error) (T, error), then func([]T) error,
	fact func(T) projections.Fact) iter.Seq2[T, error] {
	p = p.With(param.Set{"limit": pageRows})
	return ask.Pages(pageRows, func(after projections.Fact, ok bool) ([]T, error) {
		p["after_time"], p["after_seq"], p["again"] = p["from"], uint64(0), ok
		if ok {
			p["after_time"], p["after_seq"] = after.Occurred, after.Seq
		}
		out, err := ask.All(ask.Paged(ctx), db.Asker, p, question+pageByTime, read)
		if err == nil && then != nil {
			err = then(out)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return out, nil
	}, fact)
}

// pageByTime bounds a page. The plain comparison of occurred_at is the one
// that the primary key can use.
const pageByTime = `
AND occurred_at >= {after_time:DateTime64(3, 'UTC')} AND occurred_at < {to:DateTime64(3, 'UTC')}
AND occurred_at <= {time:DateTime64(3, 'UTC')}
AND ledger_seq <= {seq:UInt64}
AND (NOT {again:Bool} OR (occurred_at, ledger_seq) > ({after_time:DateTime64(3, 'UTC')}, {after_seq:UInt64}))
ORDER BY occurred_at, ledger_seq LIMIT {limit:UInt64}`

// pageRows is how many rows a page has: some MB at most, at a few kB a row.
const pageRows = 2000

// Through implements projections.Reader.
func (db *Views) Through(ctx context.Context) (seq uint64, ok bool, err error) {
	// Several projectors may each have a position; what any of them applied is in the views.
	applied, err := ask.All(ctx, db.Asker, nil, "SELECT max(applied) FROM projector_position FINAL",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil || len(applied) != 1 {
		return 0, false, fmt.Errorf("through: %d answers: %w", len(applied), err)
	}
	return applied[0] - 1, applied[0] > 0, nil
}

// WaitThrough implements projections.Reader.
func (db *Views) WaitThrough(ctx context.Context, seq uint64) error {
	tick := time.NewTicker(db.Poll)
	defer tick.Stop()
	for {
		through, ok, err := db.Through(ctx)
		if err != nil {
			return err
		}
		if ok && through >= seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for sequence %d, views at %d events: %w", seq, through+1, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// SeqOf implements projections.Reader.
func (db *Views) SeqOf(ctx context.Context, tenant, event uuid.UUID) (uint64, bool, error) {
	seqs, err := ask.All(ctx, db.Asker, param.Set{"tenant": tenant, "event": event},
		"SELECT ledger_seq FROM event_seq WHERE tenant = {tenant:UUID} AND event_id = {event:UUID} ORDER BY "+
			"ledger_seq LIMIT 1",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return 0, false, fmt.Errorf("sequence of event %s: %w", event, err)
	}
	if len(seqs) == 0 {
		return 0, false, nil
	}
	return seqs[0], true, nil
}
