package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
)

var _ projections.Reader = (*DB)(nil)

// Times beyond every event's (projections.MinTime, MaxTime), for a bound that is not set.
var (
	pastTime   = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	futureTime = time.Date(2299, 12, 31, 0, 0, 0, 0, time.UTC)
)

// asOfParams are {seq:UInt64} and {time:…}, which every question compares
// ledger_seq and occurred_at with.
func asOfParams(tenant uuid.UUID, a projections.AsOf) params {
	p := params{"tenant": tenant, "seq": a.Seq, "time": futureTime}
	if !a.Time.IsZero() {
		p["time"] = clamp(a.Time)
	}
	return p
}

// clamp cuts to milliseconds, as the columns are, and keeps within what they hold.
func clamp(t time.Time) time.Time {
	switch t = t.Truncate(time.Millisecond); {
	case t.Before(pastTime):
		return pastTime
	case t.After(futureTime):
		return futureTime
	}
	return t
}

// ceil is the first millisecond not before t: bounds "from" and "to" of a period
// compare with whole milliseconds.
func ceil(t time.Time) time.Time {
	if c := t.Truncate(time.Millisecond); c.Before(t) {
		return c.Add(time.Millisecond)
	}
	return t
}

// periodParams are {from:…} and {to:…}, and the key {after_time:…}, {after_seq:UInt64}
// behind which a page begins.
func periodParams(p params, in projections.Period) params {
	p["from"], p["to"] = pastTime, futureTime
	if !in.From.IsZero() {
		p["from"] = clamp(ceil(in.From))
	}
	if !in.To.IsZero() {
		p["to"] = clamp(ceil(in.To))
	}
	return p
}

// pages yields all answers of a question that is asked page by page: ask returns those behind
// after (ok is false on the first page), at most size of them, in the order of their key. Neither
// side holds more than a page, and no statement stays open while the caller works.
func pages[T, K any](size int, ask func(after K, ok bool) ([]T, error), key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var after K
		for ok := false; ; ok = true {
			page, err := ask(after, ok)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, v := range page {
				if !yield(v, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
			after = key(page[len(page)-1])
		}
	}
}

// collect runs a question and returns all of its answer, for questions whose text bounds it.
func collect[T any](
	ctx context.Context, db *DB, p params, question string, read func(scan func(...any) error) (T, error),
) ([]T, error) {
	return collectUntil(ctx, db, p, question, read, func(T) (keep, enough bool) { return true, false })
}

// How questions are asked. paged makes a page cost what is on it, for one that ends in ORDER BY a
// key and LIMIT: by itself the server begins at several places at once, with 65,409 rows each.
// byKey has conditions choose rows before other columns are read, where they are on a view's key.
var (
	paged      = asked(ch.Settings{"max_threads": 1, "max_block_size": 2048})
	byKey      = asked(ch.Settings{"optimize_move_to_prewhere_if_final": 1})
	pagedByKey = asked(ch.Settings{"max_threads": 1, "max_block_size": 2048,
		"optimize_move_to_prewhere_if_final": 1})
)

func asked(s ch.Settings) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return ch.Context(ctx, ch.WithSettings(s)) }
}

// collectUntil returns what take says to keep of an answer; the rest of it is left where take
// has enough.
func collectUntil[T any](
	ctx context.Context, db *DB, p params, question string, read func(scan func(...any) error) (T, error),
	take func(T) (keep, enough bool),
) (out []T, err error) {
	asking, done := db.watched(ctx)
	defer func() {
		if err != nil {
			if cause := context.Cause(asking); errors.Is(cause, ErrStands) {
				err = cause
			}
			err = db.stands(ctx, err)
		}
		done()
	}()
	asking, leave := context.WithCancel(asking)
	defer leave()
	rows, err := db.conn.Query(p.In(asking), question)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		keep, enough := take(v)
		if keep {
			out = append(out, v)
		}
		if enough {
			leave() // or Close would take in the rest
			return out, nil
		}
	}
	return out, rows.Err()
}

// byTime pages through a view that is ordered by (occurred_at, ledger_seq), and hands each page to
// then, where that is not nil, before anybody sees it. The question ends in pageByTime.
func byTime[T any](ctx context.Context, db *DB, what string, p params, question string,
	read func(scan func(...any) error) (T, error), then func([]T) error,
	fact func(T) projections.Fact) iter.Seq2[T, error] {
	p = p.With(params{"limit": pageRows})
	return pages(pageRows, func(after projections.Fact, ok bool) ([]T, error) {
		p["after_time"], p["after_seq"], p["again"] = p["from"], uint64(0), ok
		if ok {
			p["after_time"], p["after_seq"] = after.Occurred, after.Seq
		}
		out, err := collect(paged(ctx), db, p, question+pageByTime, read)
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
func (db *DB) Through(ctx context.Context) (seq uint64, ok bool, err error) {
	// Several projectors may each have a position; what any of them applied is in the views.
	applied, err := collect(ctx, db, nil, "SELECT max(applied) FROM projector_position FINAL",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil || len(applied) != 1 {
		return 0, false, fmt.Errorf("through: %d answers: %w", len(applied), err)
	}
	return applied[0] - 1, applied[0] > 0, nil
}

// WaitThrough implements projections.Reader.
func (db *DB) WaitThrough(ctx context.Context, seq uint64) error {
	tick := time.NewTicker(db.poll)
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
func (db *DB) SeqOf(ctx context.Context, tenant, event uuid.UUID) (uint64, bool, error) {
	seqs, err := collect(ctx, db, params{"tenant": tenant, "event": event},
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
