package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
)

var positionColumns = []column{
	{"projector", "String"}, {"saved", "UInt64"}, {"applied", "UInt64"},
	{"next.partition", "Array(String)"}, {"next.offset", "Array(Int64)"}, {"next.last_seq", "Array(UInt64)"},
}

var skippedColumns = []column{
	{"projector", "String"}, {"saved", "UInt64"}, {"skipped.partition", "Array(String)"},
	{"skipped.count", "Array(UInt64)"}, {"skipped.first", "Array(Int64)"}, {"skipped.last", "Array(Int64)"},
}

// LoadPosition implements projections.Positions.
func (db *DB) LoadPosition(ctx context.Context, projector string) (projections.Position, error) {
	found, err := ask.All(ctx, db.Asker, params{"projector": projector},
		`SELECT saved, applied, next.partition, next.offset, next.last_seq FROM projector_position FINAL
		WHERE projector = {projector:String}`,
		func(scan func(...any) error) (p projections.Position, err error) {
			var partitions []string
			var offsets []int64
			var seqs []uint64
			if err := scan(&p.Saved, &p.Applied, &partitions, &offsets, &seqs); err != nil {
				return p, err
			}
			p.Next = make(map[string]projections.Place, len(partitions))
			for i, name := range partitions {
				p.Next[name] = projections.Place{Next: offsets[i], LastSeq: seqs[i]}
			}
			return p, nil
		})
	if err != nil {
		return projections.Position{}, fmt.Errorf("read position: %w", err)
	}
	if len(found) == 0 {
		return projections.Position{}, nil
	}
	p := found[0]
	skipped, err := ask.All(ctx, db.Asker, params{"projector": projector},
		`SELECT skipped.partition, skipped.count, skipped.first, skipped.last FROM projector_skipped FINAL
		WHERE projector = {projector:String}`,
		func(scan func(...any) error) (map[string]projections.Foreign, error) {
			var partitions []string
			var counts []uint64
			var first, last []int64
			if err := scan(&partitions, &counts, &first, &last); err != nil {
				return nil, err
			}
			out := make(map[string]projections.Foreign, len(partitions))
			for i, name := range partitions {
				out[name] = projections.Foreign{Count: counts[i], First: first[i], Last: last[i]}
			}
			return out, nil
		})
	if err != nil {
		return projections.Position{}, fmt.Errorf("read what was skipped: %w", err)
	}
	if len(skipped) > 0 {
		p.Skipped = skipped[0]
	}
	return p, nil
}

// SavePosition implements projections.Positions. What was skipped is written first: of what is
// noted and read again, each is counted once.
func (db *DB) SavePosition(ctx context.Context, projector string, p projections.Position) error {
	var partitions []string
	var offsets []int64
	var seqs []uint64
	if len(p.Skipped) > 0 { // counts of partitions that are gone may stay: their names do not come again
		var counts []uint64
		var first, last []int64
		for name, f := range p.Skipped {
			partitions, counts = append(partitions, name), append(counts, f.Count)
			first, last = append(first, f.First), append(last, f.Last)
		}
		if err := db.insertOne(ctx, "projector_skipped", skippedColumns, projector, p.Saved, partitions, counts, first,
			last); err != nil {
			return fmt.Errorf("write what was skipped: %w", err)
		}
		partitions = nil
	}
	for name, place := range p.Next {
		partitions, offsets, seqs = append(partitions, name), append(offsets, place.Next), append(seqs, place.LastSeq)
	}
	if err := db.insertOne(ctx, "projector_position", positionColumns, projector, p.Saved, p.Applied, partitions,
		offsets, seqs); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

// insertOne writes one row.
func (db *DB) insertOne(ctx context.Context, table string, columns []column, values ...any) error {
	batch, err := db.conn.PrepareBatch(insertContext(ctx, columns), insertStatement(table, columns))
	if err != nil {
		return db.Asker.Stands(ctx, err)
	}
	if err := batch.Append(values...); err != nil {
		return errors.Join(err, batch.Close())
	}
	return batch.Send()
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
			seqs, err := ask.All(ctx, db.Asker, params{"from": from, "limit": pageSeqs,
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
