package read

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
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
	"github.com/ledgerline/ledgerline/schemas"
)

// locator is the key of an event in the events table.
type locator struct {
	seq    uint64
	stream string
}

func (l locator) compare(m locator) int {
	return cmp.Or(cmp.Compare(l.seq, m.seq), strings.Compare(l.stream, m.stream))
}

// A group of events read at once: at most so many, and so many bytes unless
// a single event has more.
const (
	groupEvents = 500
	groupBytes  = 4 << 20
)

// pageLocators is how many locators are held where they come in pages.
const pageLocators = 5000

// form is how events are read: which columns behind ledger_seq and stream, and what they come to.
type form[T any] struct {
	columns string
	read    func(scan func(...any) error) (T, error)
	at      func(T) locator
	size    func(T) int     // bytes
	then    func([]T) error // completes what was read at once; may be nil
}

// eventsAt returns the first of the events at the locators, which are ascending: all of them, or
// as many as groupBytes hold. One that is missing is an error: an answer that leaves out an
// event must never look complete.
//
// PREWHERE with FINAL is right here because it names key columns only: rows of one key pass or
// fail it together. On any other column it would return rows that were replaced.
func eventsAt[T any](ctx context.Context, db *Views, tenant uuid.UUID, at []locator, f form[T]) ([]T, error) {
	seqs, streams := make([]uint64, len(at)), make([]string, len(at))
	for i, l := range at {
		seqs[i], streams[i] = l.seq, l.stream
	}
	slices.Sort(streams)
	found, bytes := 0, 0
	out, err := ask.Until(ctx, db.Asker,
		param.Set{"tenant": tenant, "seqs": slices.Compact(seqs), "streams": slices.Compact(streams)},
		"SELECT "+f.columns+` FROM events FINAL
		PREWHERE tenant = {tenant:UUID} AND stream IN {streams:Array(String)} AND ledger_seq IN {seqs:Array(UInt64)}
		ORDER BY ledger_seq, stream`, f.read,
		func(e T) (keep, enough bool) {
			if found == len(at) || f.at(e).compare(at[found]) < 0 {
				return false, false // another stream's event of the same sequence
			}
			if f.at(e) != at[found] {
				return false, true
			}
			found, bytes = found+1, bytes+f.size(e)
			return true, bytes >= groupBytes
		})
	if err == nil && found < len(at) && bytes < groupBytes {
		err = fmt.Errorf("that of sequence %d is not there: the views disagree, rebuild them", at[found].seq)
	}
	if err == nil && f.then != nil {
		err = f.then(out)
	}
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return out, nil
}

// eventForm reads what an event says.
var eventForm = form[projections.Event]{
	columns: factColumns + `, timed, recorded_at, source, causation, subjects.alias, subjects.role,
		values.attribute, values.element, values.value, values.removed, values.observed`,
	read: readEvent,
	at:   func(e projections.Event) locator { return locator{e.Seq, string(e.Stream)} },
	size: func(e projections.Event) (n int) {
		for _, v := range e.Values {
			n += len(v.Attribute) + len(v.Element) + len(v.Text)
		}
		return n
	},
}

func readEvent(scan func(...any) error) (e projections.Event, err error) {
	var timed uint8
	var aliases []uuid.UUID
	var roles, attributes, elements, values []string
	var removed []uint8
	var observed []time.Time
	if err = scan(into(&e.Fact, &timed, &e.Recorded, &e.Source, &e.Causation, &aliases, &roles,
		&attributes, &elements, &values, &removed, &observed)...); err != nil {
		return e, err
	}
	e.Timed = timed != 0
	for i := range aliases {
		e.Subjects = append(e.Subjects, projections.Subject{Alias: aliases[i], Role: roles[i]})
	}
	e.Values = slices.Grow(e.Values, len(attributes))
	for i := range attributes {
		e.Values = append(e.Values, projections.Value{Attribute: attributes[i], Element: elements[i], Text: values[i],
			Removed: removed[i] != 0, Observed: observed[i]})
	}
	return e, nil
}

// rawForm reads an event's stored bytes.
var rawForm = form[schemas.RecordedEvent]{
	columns: "ledger_seq, stream, revision, event_id, type, data, metadata",
	read: func(scan func(...any) error) (r schemas.RecordedEvent, err error) {
		err = scan(&r.Seq, (*string)(&r.Stream), &r.Revision, &r.ID, &r.Type, &r.Data, &r.Metadata)
		if r.Data == nil {
			r.Data = []byte{} // an event without a byte of data, as it was inserted
		}
		return r, err
	},
	at:   func(r schemas.RecordedEvent) locator { return locator{r.Seq, string(r.Stream)} },
	size: func(r schemas.RecordedEvent) int { return len(r.Data) + len(r.Metadata) },
}

// events yields the events at locators, which come ascending.
func events[T any](
	ctx context.Context, db *Views, tenant uuid.UUID, at iter.Seq2[locator, error], f form[T],
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		fail := func(err error) bool {
			var none T
			yield(none, err)
			return false
		}
		var group []locator
		// read hands on events until fewer than so many of the group are left.
		read := func(left int) bool {
			for len(group) > left {
				got, err := eventsAt(ctx, db, tenant, group[:min(len(group), groupEvents)], f)
				if err != nil {
					return fail(err)
				}
				group = slices.Delete(group, 0, len(got))
				for _, e := range got {
					if !yield(e, nil) {
						return false
					}
				}
			}
			return true
		}
		for l, err := range at {
			if err != nil {
				fail(err)
				return
			}
			if group = append(group, l); len(group) == groupEvents && !read(groupEvents-1) {
				return
			}
		}
		read(0)
	}
}

func readLocator(scan func(...any) error) (l locator, err error) {
	return l, scan(&l.seq, &l.stream)
}

// locate returns where the tenant's events at the sequences are, in their
// order; the sequences are ascending.
func (db *Views) locate(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[locator, error] {
	return func(yield func(locator, error) bool) {
		for part := range slices.Chunk(seqs, groupEvents) {
			at, err := ask.All(ctx, db.Asker, param.Set{"tenant": tenant, "seqs": part},
				"SELECT ledger_seq, stream FROM event_seq WHERE tenant = {tenant:UUID} "+
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

// matching collects the places that a question finds for any of the keys, ascending and each once.
// It holds some sixty bytes an event: what names one person or belongs to some streams.
func matching[K any](ctx context.Context, db *Views, p param.Set, keys []K, question string) ([]locator, error) {
	var out []locator
	streams := map[string]string{} // one string for each
	for part := range slices.Chunk(keys, groupEvents) {
		p["keys"] = part
		found, err := ask.All(ctx, db.Asker, p, question, func(scan func(...any) error) (locator, error) {
			l, err := readLocator(scan)
			if _, ok := streams[l.stream]; !ok {
				streams[l.stream] = l.stream
			}
			l.stream = streams[l.stream]
			return l, err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	slices.SortFunc(out, locator.compare)
	return slices.Compact(out), nil
}

// found yields the events at the places that ask returns.
func (db *Views) found(
	ctx context.Context, tenant uuid.UUID, what string, ask func() ([]locator, error),
) iter.Seq2[projections.Event, error] {
	return func(yield func(projections.Event, error) bool) {
		at, err := ask()
		if err != nil {
			yield(projections.Event{}, fmt.Errorf("%s: %w", what, err))
			return
		}
		f := eventForm
		f.then = func(read []projections.Event) error { return db.opaque(ctx, tenant, read) }
		for e, err := range events(ctx, db, tenant, each(at), f) {
			if err != nil {
				err = fmt.Errorf("%s: %w", what, err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// opaque marks the events that have data and no values: nobody could read it.
func (db *Views) opaque(ctx context.Context, tenant uuid.UUID, read []projections.Event) error {
	var without []*projections.Event
	var at []locator
	for i := range read {
		if e := &read[i]; len(e.Values) == 0 {
			without, at = append(without, e), append(at, eventForm.at(*e))
		}
	}
	for r, err := range events(ctx, db, tenant, each(at), rawForm) {
		if err != nil {
			return err
		}
		without[0].Opaque, without = len(r.Data) > len("{}"), without[1:]
	}
	return nil
}

func each[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range items {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// EventsByAliases implements projections.Reader.
func (db *Views) EventsByAliases(
	ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID, asOf projections.AsOf,
) iter.Seq2[projections.Event, error] {
	return db.found(ctx, tenant, "events by aliases", func() ([]locator, error) {
		return matching(ctx, db, ask.AsOf(tenant, asOf), aliases, `SELECT DISTINCT ledger_seq, stream
			FROM event_subject WHERE tenant = {tenant:UUID} AND alias IN {keys:Array(UUID)}
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}`)
	})
}

// EventsByStreams implements projections.Reader.
func (db *Views) EventsByStreams(
	ctx context.Context, tenant uuid.UUID, streams []schemas.Stream, asOf projections.AsOf,
) iter.Seq2[projections.Event, error] {
	if len(streams) == 1 {
		return db.ofStream(ctx, tenant, streams[0], asOf)
	}
	names := make([]string, len(streams))
	for i, s := range streams {
		names[i] = string(s)
	}
	return db.found(ctx, tenant, "events by streams", func() ([]locator, error) {
		return matching(ctx, db, ask.AsOf(tenant, asOf), names, `SELECT DISTINCT ledger_seq, stream FROM events
			WHERE tenant = {tenant:UUID} AND stream IN {keys:Array(String)}
			AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')} AND`+ask.NotDisowned)
	})
}

// ofStream yields the events of a stream. They lie together, so that a page is one question.
func (db *Views) ofStream(
	ctx context.Context, tenant uuid.UUID, stream schemas.Stream, asOf projections.AsOf,
) iter.Seq2[projections.Event, error] {
	p := ask.AsOf(tenant, asOf).With(param.Set{"stream": string(stream), "limit": groupEvents})
	return func(yield func(projections.Event, error) bool) {
		for from, bytes, n := uint64(0), 0, groupEvents; n == groupEvents || bytes >= groupBytes; {
			p["from"], bytes = from, 0
			page, err := ask.Until(ask.Paged(ctx), db.Asker, p, "SELECT "+eventForm.columns+` FROM events FINAL
				PREWHERE tenant = {tenant:UUID} AND stream = {stream:String} AND ledger_seq >= {from:UInt64}
				AND ledger_seq <= {seq:UInt64} WHERE occurred_at <= {time:DateTime64(3, 'UTC')} AND`+ask.NotDisowned+`
				ORDER BY stream, ledger_seq LIMIT {limit:UInt64}`, readEvent, func(e projections.Event) (bool, bool) {
				bytes += eventForm.size(e)
				return true, bytes >= groupBytes
			})
			if n = len(page); err == nil {
				err = db.opaque(ctx, tenant, page)
			}
			if err != nil {
				yield(projections.Event{}, fmt.Errorf("events of a stream: %w", err))
				return
			}
			for _, e := range page {
				if from = e.Seq + 1; !yield(e, nil) {
					return
				}
			}
		}
	}
}

// RawEvents implements projections.Reader.
func (db *Views) RawEvents(ctx context.Context, tenant uuid.UUID, from, to uint64) iter.Seq2[schemas.Envelope, error] {
	p := param.Set{"tenant": tenant, "to": to, "limit": pageLocators}
	return db.raw(ctx, tenant, ask.Pages(pageLocators, func(after uint64, ok bool) ([]locator, error) {
		p["from"] = from
		if ok {
			p["from"] = after + 1
		}
		at, err := ask.All(ask.Paged(ctx), db.Asker, p, `SELECT ledger_seq, stream FROM event_seq
			WHERE tenant = {tenant:UUID} AND ledger_seq >= {from:UInt64} AND ledger_seq < {to:UInt64}
			ORDER BY ledger_seq LIMIT {limit:UInt64}`, readLocator)
		if err != nil {
			return nil, fmt.Errorf("locate events: %w", err)
		}
		return at, nil
	}, func(l locator) uint64 { return l.seq }))
}

// RawEventsAt implements projections.Reader.
func (db *Views) RawEventsAt(ctx context.Context, tenant uuid.UUID, seqs []uint64) iter.Seq2[schemas.Envelope, error] {
	sorted := slices.Clone(seqs)
	slices.Sort(sorted)
	return db.raw(ctx, tenant, db.locate(ctx, tenant, slices.Compact(sorted)))
}

func (db *Views) raw(
	ctx context.Context, tenant uuid.UUID, at iter.Seq2[locator, error],
) iter.Seq2[schemas.Envelope, error] {
	return func(yield func(schemas.Envelope, error) bool) {
		for r, err := range events(ctx, db, tenant, at, rawForm) {
			if err != nil {
				yield(schemas.Envelope{}, fmt.Errorf("raw events: %w", err))
				return
			}
			e, err := schemas.NewEnvelope(r)
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
func (db *Views) Counts(ctx context.Context, tenant uuid.UUID, asOf projections.AsOf) (projections.Counts, error) {
	var c projections.Counts
	var err error
	p := ask.AsOf(tenant, asOf)
	c.Types, err = ask.All(ctx, db.Asker, p, `SELECT type, count(), min(ledger_seq), max(ledger_seq),
		min(occurred_at), max(occurred_at) FROM event_seq
		WHERE tenant = {tenant:UUID} AND ledger_seq <= {seq:UInt64} AND occurred_at <= {time:DateTime64(3, 'UTC')}
		AND`+ask.NotDisowned+` GROUP BY type ORDER BY type`,
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
	c.Attributes, err = ask.All(ctx, db.Asker, p, `SELECT attribute, count(), uniqExact(stream) FROM attribute_current
		WHERE tenant = {tenant:UUID} GROUP BY attribute ORDER BY attribute`,
		func(scan func(...any) error) (a projections.AttributeCount, err error) {
			return a, scan(&a.Attribute, &a.Values, &a.Entities)
		})
	if err != nil {
		return c, fmt.Errorf("counts: %w", err)
	}
	return c, nil
}
