package clickhouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Exec and Query let tests put faults in, and look behind the views.
func (db *DB) Exec(ctx context.Context, statement string) error { return db.conn.Exec(ctx, statement) }

func (db *DB) Query(ctx context.Context, question string) (driver.Rows, error) {
	return db.conn.Query(ctx, question)
}
