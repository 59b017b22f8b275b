package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
)

// insertSettings are named on each insert: 26.7 answers asynchronous inserts
// before they are written.
var insertSettings = ch.Settings{
	"async_insert": 0, "deduplicate_blocks_in_dependent_materialized_views": 1, "parallel_view_processing": 1,
}

// insertOption names them on an INSERT … SELECT.
var insertOption = ch.WithSettings(insertSettings)

// column is a column of an insert with its type, named so that the client need not
// ask for it before each batch.
type column struct{ name, kind string }

var eventColumns = []column{
	{"ledger_seq", "UInt64"}, {"tenant", "UUID"}, {"stream", "String"}, {"revision", "UInt64"}, {"event_id", "UUID"},
	{"type", "LowCardinality(String)"}, {"occurred_at", "DateTime64(3, 'UTC')"}, {"timed", "UInt8"},
	{"recorded_at", "DateTime64(3, 'UTC')"}, {"source", "LowCardinality(String)"}, {"correlation", "UUID"},
	{"causation", "UUID"},
	{"data", "String"}, {"metadata", "String"}, {"leaf", "FixedString(32)"},
	{"subjects.alias", "Array(UUID)"}, {"subjects.role", "Array(LowCardinality(String))"},
	{"values.attribute", "Array(LowCardinality(String))"}, {"values.element", "Array(String)"},
	{"values.value", "Array(String)"}, {"values.removed", "Array(UInt8)"},
	{"values.observed", "Array(DateTime64(3, 'UTC'))"}, {"catalogue", "FixedString(8)"},
	{"partition", "LowCardinality(String)"},
}

var positionColumns = []column{
	{"projector", "String"}, {"saved", "UInt64"}, {"applied", "UInt64"},
	{"next.partition", "Array(String)"}, {"next.offset", "Array(Int64)"}, {"next.last_seq", "Array(UInt64)"},
}

func insertStatement(table string, columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = "`" + c.name + "`"
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

func insertContext(ctx context.Context, columns []column) context.Context {
	named := make([]ch.ColumnNameAndType, len(columns))
	for i, c := range columns {
		named[i] = ch.ColumnNameAndType{Name: c.name, Type: c.kind}
	}
	settings := ch.Settings{}
	for k, v := range insertSettings {
		settings[k] = v
	}
	return ch.Context(ctx, ch.WithSettings(settings), ch.WithColumnNamesAndTypes(named))
}

// Insert writes the rows into events and, inside ClickHouse, into every view. See projections.Sink.
func (db *DB) Insert(ctx context.Context, rows []projections.Row) error {
	if len(rows) == 0 {
		return nil
	}
	batch, err := db.conn.PrepareBatch(insertContext(ctx, eventColumns), insertStatement("events", eventColumns))
	if err != nil {
		return fmt.Errorf("insert events: %w", db.stands(ctx, err))
	}
	for i := range rows {
		if err := appendRow(batch.Append, &rows[i]); err != nil {
			return errors.Join(fmt.Errorf("insert events: sequence %d: %w", rows[i].Seq, err), batch.Close())
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d events from sequence %d: %w", len(rows), rows[0].Seq, err)
	}
	// Before they are acknowledged: what is through is also right in every view.
	if disowns(rows) {
		return db.Disown(ctx)
	}
	return nil
}

func appendRow(add func(...any) error, r *projections.Row) error {
	aliases, roles := make([]uuid.UUID, len(r.Subjects)), make([]string, len(r.Subjects))
	for i, s := range r.Subjects {
		aliases[i], roles[i] = s.Alias, s.Role
	}
	n := len(r.Values)
	attributes, elements, texts := make([]string, n), make([]string, n), make([]string, n)
	removed, observed := make([]uint8, n), make([]time.Time, n)
	for i, v := range r.Values {
		attributes[i], elements[i], texts[i], removed[i], observed[i] = v.Attribute, v.Element, v.Text,
			flag(v.Removed), v.Observed
	}
	return add(r.Seq, r.Tenant, string(r.Stream), r.Revision, r.EventID, r.Type, r.Occurred, flag(r.Timed),
		r.Recorded, r.Source, r.Correlation, r.Causation, r.Data, r.Metadata, r.Leaf[:],
		aliases, roles, attributes, elements, texts, removed, observed, r.Catalogue[:], r.Partition)
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// LoadPosition implements projections.Positions.
func (db *DB) LoadPosition(ctx context.Context, projector string) (projections.Position, error) {
	rows, err := db.conn.Query(withParams(ctx, params{"projector": projector}),
		"SELECT saved, applied, next.partition, next.offset, next.last_seq FROM projector_position FINAL "+
			"WHERE projector = {projector:String}")
	if err != nil {
		return projections.Position{}, fmt.Errorf("read position: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var p projections.Position
	if rows.Next() {
		var partitions []string
		var offsets []int64
		var seqs []uint64
		if err := rows.Scan(&p.Saved, &p.Applied, &partitions, &offsets, &seqs); err != nil {
			return projections.Position{}, fmt.Errorf("read position: %w", err)
		}
		p.Next = make(map[string]projections.Place, len(partitions))
		for i, name := range partitions {
			p.Next[name] = projections.Place{Next: offsets[i], LastSeq: seqs[i]}
		}
	}
	if err := rows.Err(); err != nil {
		return projections.Position{}, fmt.Errorf("read position: %w", err)
	}
	return p, nil
}

// SavePosition implements projections.Positions.
func (db *DB) SavePosition(ctx context.Context, projector string, p projections.Position) error {
	batch, err := db.conn.PrepareBatch(insertContext(ctx, positionColumns),
		insertStatement("projector_position", positionColumns))
	if err != nil {
		return fmt.Errorf("write position: %w", db.stands(ctx, err))
	}
	var partitions []string
	var offsets []int64
	var seqs []uint64
	for name, place := range p.Next {
		partitions, offsets, seqs = append(partitions, name), append(offsets, place.Next), append(seqs, place.LastSeq)
	}
	if err := batch.Append(projector, p.Saved, p.Applied, partitions, offsets, seqs); err != nil {
		return errors.Join(fmt.Errorf("write position: %w", err), batch.Close())
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

// AppliedAbove implements projections.Positions.
func (db *DB) AppliedAbove(ctx context.Context, pos projections.Position) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		partitions, last := make([]string, 0, len(pos.Next)), make([]uint64, 0, len(pos.Next))
		for name, place := range pos.Next {
			partitions, last = append(partitions, name), append(last, place.LastSeq)
		}
		// A page at a time: neither side holds more, and no statement stays open while the
		// caller works. Without FINAL: a row that its partition's place covered once was
		// applied, whatever came after it.
		for from := pos.Applied; ; {
			seqs, err := collect(ctx, db, params{"from": from, "limit": pageSeqs,
				"partitions": partitions, "last": last}, `SELECT DISTINCT ledger_seq FROM events
				WHERE ledger_seq >= {from:UInt64} AND has({partitions:Array(String)}, partition)
				AND ledger_seq <= {last:Array(UInt64)}[indexOf({partitions:Array(String)}, partition)]
				ORDER BY ledger_seq LIMIT {limit:UInt64}`,
				func(scan func(...any) error) (seq uint64, err error) { return seq, scan(&seq) })
			if err != nil {
				yield(0, fmt.Errorf("applied sequences: %w", err))
				return
			}
			for _, seq := range seqs {
				if !yield(seq, nil) {
					return
				}
			}
			if uint64(len(seqs)) < pageSeqs {
				return
			}
			from = seqs[len(seqs)-1] + 1
		}
	}
}

// pageSeqs is how many sequences one page of AppliedAbove has.
const pageSeqs uint64 = 1_000_000

// collect runs a question and returns all of its answer, for questions whose text bounds it.
func collect[T any](
	ctx context.Context, db *DB, p params, question string, read func(scan func(...any) error) (T, error),
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
	rows, err := db.conn.Query(withParams(asking, p), question)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
