package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// locator is the key of an event in the events table, and how large it is.
type locator struct {
	seq    uint64
	stream string
	size   uint32 // bytes of data and metadata
}

// A group of events read at once: at most so many, and so many bytes unless
// a single event has more.
const (
	groupEvents = 500
	groupBytes  = 4 << 20
)

// pageLocators is how many locators are held where they come in pages.
const pageLocators = 5000

// eventsAt returns the events in the order of the locators, which is by sequence. One that is
// missing is an error: an answer that leaves out an event must never look complete.
//
// PREWHERE with FINAL is right here because it names key columns only: rows of one key pass or
// fail it together. On any other column it would return rows that were replaced.
func (db *DB) eventsAt(ctx context.Context, tenant uuid.UUID, at []locator) ([]projections.Row, error) {
	seqs, streams := make([]uint64, len(at)), make([]string, 0, len(at))
	for i, l := range at {
		seqs[i] = l.seq
		streams = append(streams, l.stream)
	}
	slices.Sort(streams)
	out, err := collect(ctx, db, params{"tenant": tenant, "seqs": seqs, "streams": slices.Compact(streams)},
		`SELECT ledger_seq, tenant, stream, revision, event_id, type, occurred_at, timed, recorded_at, source,
		correlation, causation, data, metadata, leaf, subjects.alias, subjects.role,
		values.attribute, values.element, values.value, values.removed, values.observed, catalogue, partition
		FROM events FINAL PREWHERE tenant = {tenant:UUID} AND stream IN {streams:Array(String)}
		AND ledger_seq IN {seqs:Array(UInt64)}
		ORDER BY ledger_seq`, readRow)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	if len(out) != len(at) {
		return nil, fmt.Errorf("events: %d of %d found from sequence %d on: the views disagree, rebuild them",
			len(out), len(at), at[0].seq)
	}
	return out, nil
}

func readRow(scan func(...any) error) (r projections.Row, err error) {
	var timed uint8
	var leaf, catalogue string
	var aliases []uuid.UUID
	var roles, attributes, elements, values []string
	var removed []uint8
	var observed []time.Time
	err = scan(&r.Seq, &r.Tenant, (*string)(&r.Stream), &r.Revision, &r.EventID, &r.Type, &r.Occurred, &timed,
		&r.Recorded, &r.Source, &r.Correlation, &r.Causation, &r.Data, &r.Metadata, &leaf,
		&aliases, &roles, &attributes, &elements, &values, &removed, &observed,
		&catalogue, &r.Partition)
	if err != nil {
		return r, err
	}
	if r.Data == nil {
		r.Data = []byte{} // an event without a byte of data, as it was inserted
	}
	r.Timed = timed != 0
	copy(r.Leaf[:], leaf)
	copy(r.Catalogue[:], catalogue)
	r.Subjects = make([]projections.Subject, len(aliases))
	for i := range aliases {
		r.Subjects[i] = projections.Subject{Alias: aliases[i], Role: roles[i]}
	}
	r.Values = make([]projections.Value, len(attributes))
	for i := range attributes {
		r.Values[i] = projections.Value{Attribute: attributes[i], Element: elements[i], Text: values[i],
			Removed: removed[i] != 0, Observed: observed[i]}
	}
	return r, nil
}

// rows yields the events at locators that come in order of sequence.
func (db *DB) rows(
	ctx context.Context, tenant uuid.UUID, at iter.Seq2[locator, error],
) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		var group []locator
		bytes := 0
		flush := func() bool {
			if len(group) == 0 {
				return true
			}
			rows, err := db.eventsAt(ctx, tenant, group)
			group, bytes = group[:0], 0
			if err != nil {
				yield(projections.Row{}, err)
				return false
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return false
				}
			}
			return true
		}
		for l, err := range at {
			if err != nil {
				yield(projections.Row{}, err)
				return
			}
			if len(group) == groupEvents || len(group) > 0 && bytes+int(l.size) > groupBytes {
				if !flush() {
					return
				}
			}
			group, bytes = append(group, l), bytes+int(l.size)
		}
		flush()
	}
}

func readLocator(scan func(...any) error) (l locator, err error) {
	return l, scan(&l.seq, &l.stream, &l.size)
}

// locate returns where the tenant's events at the sequences are, in their
// order; the sequences are ascending.
func (db *DB) locate(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[locator, error] {
	return func(yield func(locator, error) bool) {
		for part := range slices.Chunk(seqs, groupEvents) {
			at, err := collect(ctx, db, params{"tenant": tenant, "seqs": part},
				"SELECT ledger_seq, stream, size FROM event_seq WHERE tenant = {tenant:UUID} "+
					"AND ledger_seq IN {seqs:Array(UInt64)} ORDER BY ledger_seq", readLocator)
			if err == nil && len(at) != len(part) {
				err = fmt.Errorf("%d of the tenant's %d sequences from %d on are in the views",
					len(at), len(part), part[0])
			}
			if err != nil {
				yield(locator{}, fmt.Errorf("locate events: %w", err))
				return
			}
			for _, l := range at {
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

// matching collects the sequences that a question finds for any of the keys, ascending and each
// once. It holds eight bytes an event: what names one person or belongs to some streams.
func matching[K any](ctx context.Context, db *DB, p params, keys []K, question string) ([]uint64, error) {
	var out []uint64
	for part := range slices.Chunk(keys, groupEvents) {
		p["keys"] = part
		seqs, err := collect(ctx, db, p, question, func(scan func(...any) error) (n uint64, err error) {
			return n, scan(&n)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, seqs...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// found yields the events whose sequences ask returns.
func (db *DB) found(
	ctx context.Context, tenant uuid.UUID, what string, ask func() ([]uint64, error),
) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		seqs, err := ask()
		if err != nil {
			yield(projections.Row{}, fmt.Errorf("%s: %w", what, err))
			return
		}
		for r, err := range db.rows(ctx, tenant, db.locate(ctx, tenant, seqs)) {
			if err != nil {
				err = fmt.Errorf("%s: %w", what, err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// EventsByAliases implements projections.Reader.
func (db *DB) EventsByAliases(
	ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf projections.AsOf,
) iter.Seq2[projections.Row, error] {
	return db.found(ctx, tenant, "events by aliases", func() ([]uint64, error) {
		return matching(ctx, db, asOfParams(tenant, asOf), aliases, `SELECT DISTINCT ledger_seq FROM event_subject
			WHERE tenant = {tenant:UUID} AND alias IN {keys:Array(UUID)}
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}`)
	})
}

// EventsByStreams implements projections.Reader.
func (db *DB) EventsByStreams(
	ctx context.Context, tenant uuid.UUID, streams []schemas.Stream, asOf projections.AsOf,
) iter.Seq2[projections.Row, error] {
	names := make([]string, len(streams))
	for i, s := range streams {
		names[i] = string(s)
	}
	return db.found(ctx, tenant, "events by streams", func() ([]uint64, error) {
		return matching(ctx, db, asOfParams(tenant, asOf), names, `SELECT DISTINCT ledger_seq FROM events
			WHERE tenant = {tenant:UUID} AND stream IN {keys:Array(String)}
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')} AND`+notDisowned)
	})
}

// RawEvents implements projections.Reader.
func (db *DB) RawEvents(ctx context.Context, tenant uuid.UUID, from, to uint64) iter.Seq2[schemas.Envelope, error] {
	p := params{"tenant": tenant, "to": to, "limit": pageLocators}
	return raw(db.rows(ctx, tenant, pages(pageLocators, func(after uint64, ok bool) ([]locator, error) {
		p["from"] = from
		if ok {
			p["from"] = after + 1
		}
		at, err := collect(ctx, db, p, `SELECT ledger_seq, stream, size FROM event_seq
			WHERE tenant = {tenant:UUID} AND ledger_seq >= {from:UInt64} AND ledger_seq < {to:UInt64}
			ORDER BY ledger_seq LIMIT {limit:UInt64}`, readLocator)
		if err != nil {
			return nil, fmt.Errorf("locate events: %w", err)
		}
		return at, nil
	}, func(l locator) uint64 { return l.seq })))
}

// RawEventsAt implements projections.Reader.
func (db *DB) RawEventsAt(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[schemas.Envelope, error] {
	sorted := slices.Clone(seqs)
	slices.Sort(sorted)
	return raw(db.rows(ctx, tenant, db.locate(ctx, tenant, slices.Compact(sorted))))
}

func raw(rows iter.Seq2[projections.Row, error]) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range rows {
			if err != nil {
				yield(schemas.Envelope{}, fmt.Errorf("raw events: %w", err))
				return
			}
			e, err := schemas.NewEnvelope(schemas.RecordedEvent{Revision: r.Revision, Seq: r.Seq, Event: schemas.Event{
				ID: r.EventID, Stream: r.Stream, Type: r.Type, Data: r.Data, Metadata: r.Metadata}})
			if err != nil {
				yield(schemas.Envelope{}, fmt.Errorf("raw events: sequence %d: %w", r.Seq, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Counts implements projections.Reader.
func (db *DB) Counts(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf) (projections.Counts, error) {
	var c projections.Counts
	var err error
	p := asOfParams(tenant, asOf)
	c.Types, err = collect(ctx, db, p, `SELECT type, count(), min(ledger_seq), max(ledger_seq),
		min(occurred_at), max(occurred_at) FROM event_seq
		WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
		AND`+notDisowned+` GROUP BY type ORDER BY type`,
		func(scan func(...any) error) (t projections.TypeCount, err error) {
			return t, scan(&t.Type, &t.Events, &t.FirstSeq, &t.LastSeq, &t.FirstOccurred, &t.LatestOccurred)
		})
	if err != nil {
		return c, fmt.Errorf("counts: %w", err)
	}
	for i, t := range c.Types {
		c.Events += t.Events
		c.Last = max(c.Last, t.LastSeq)
		if i == 0 || cmp.Less(t.FirstSeq, c.First) {
			c.First = t.FirstSeq
		}
	}
	c.Attributes, err = collect(ctx, db, p, `SELECT attribute, count(), uniqExact(stream) FROM attribute_current
		WHERE tenant = {tenant:UUID} GROUP BY attribute ORDER BY attribute`,
		func(scan func(...any) error) (a projections.AttributeCount, err error) {
			return a, scan(&a.Attribute, &a.Values, &a.Entities)
		})
	if err != nil {
		return c, fmt.Errorf("counts: %w", err)
	}
	return c, nil
}
