package clickhouse

import (
	"context"
	"fmt"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
)

// Stored implements projections.Sink. It reads one column of the partitions of events that the
// sequences lie in, and more only of the rows it returns. Without FINAL: a row that another
// replaced is a row that somebody may have read.
func (db *DB) Stored(ctx context.Context, seqs []uint64) (map[uint64][]projections.Stored, error) {
	type row struct {
		seq uint64
		projections.Stored
	}
	rows, err := ask.All(ctx, db.Asker, params{"seqs": seqs},
		`SELECT DISTINCT ledger_seq, leaf, partition FROM events WHERE ledger_seq IN {seqs:Array(UInt64)}`,
		func(scan func(...any) error) (r row, err error) {
			var leaf string
			err = scan(&r.seq, &leaf, &r.Partition)
			copy(r.Leaf[:], leaf)
			return r, err
		})
	if err != nil {
		return nil, fmt.Errorf("rows of %d sequences: %w", len(seqs), err)
	}
	out := make(map[uint64][]projections.Stored, len(rows))
	for _, r := range rows {
		out[r.seq] = append(out[r.seq], r.Stored)
	}
	return out, nil
}
