package clickhouse

import (
	"context"
	"errors"
	"fmt"
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

// Insert writes the rows into events and, inside ClickHouse, into every
// view. See projections.Sink.
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
