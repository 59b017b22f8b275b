package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/block"
)

// insertSettings are named on each insert. 26.7 answers asynchronous inserts before they are
// written. What a table replaces it replaces when it merges and when it is read, not in each block
// as well. Mostly an insert waits until its views' files are synced: with a thread each they wait
// together.
var insertSettings = ch.Settings{
	"async_insert": 0, "deduplicate_blocks_in_dependent_materialized_views": 1, "parallel_view_processing": 1,
	"optimize_on_insert": 0, "max_threads": 16,
}

// insertOption names them on an INSERT … SELECT.
var insertOption = ch.WithSettings(insertSettings)

// batchOption names those of a batch too. Each batch has ten views analysed anew, which the
// analyzer before the present one does in a fraction of the time; a server that no longer has it
// takes no notice. Whoever compares or rebuilds a view asks by the present one.
var batchOption = func() ch.QueryOption {
	settings := ch.Settings{"enable_analyzer": 0}
	maps.Copy(settings, insertSettings)
	return ch.WithSettings(settings)
}()

// column is a column of an insert with its type, named so that the client need not
// ask for it before each batch.
type column struct{ name, kind string }

func insertStatement(table string, columns []column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = "`" + c.name + "`"
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

var insertEvents = func() string {
	columns := make([]column, len(block.Columns))
	for i, c := range block.Columns {
		columns[i] = column{c.Name, c.Type}
	}
	return insertStatement("events", columns)
}()

func insertContext(ctx context.Context, columns []column) context.Context {
	named := make([]ch.ColumnNameAndType, len(columns))
	for i, c := range columns {
		named[i] = ch.ColumnNameAndType{Name: c.name, Type: c.kind}
	}
	return ch.Context(ctx, ch.WithSettings(maps.Clone(insertSettings)), ch.WithColumnNamesAndTypes(named))
}

// Insert writes the rows into events and, inside ClickHouse, into every
// view. See projections.Sink.
func (db *DB) Insert(ctx context.Context, rows []projections.Row) error {
	if len(rows) == 0 {
		return nil
	}
	err := db.conn.InsertFormat(ch.Context(ctx, batchOption), "Native", insertEvents, block.Reader(rows))
	if err != nil {
		return fmt.Errorf("insert %d events from sequence %d: %w", len(rows), rows[0].Seq, db.Asker.Stands(ctx, err))
	}
	// Before they are acknowledged: what is through is also right in every view.
	if disowns(rows) {
		return db.Disown(ctx)
	}
	return nil
}
