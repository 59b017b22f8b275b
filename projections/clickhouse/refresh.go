package clickhouse

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/schemas"
)

// refreshWindow is how many sequences Refresh reads at a time: some ten MB of events.
const refreshWindow = 8192

// Outdated returns how many events were read by another catalogue than this program's.
func (db *DB) Outdated(ctx context.Context) (uint64, error) {
	n, err := ask.All(ctx, db.Asker, params{"catalogue": catalogueHex()},
		"SELECT count() FROM events FINAL WHERE hex(catalogue) != {catalogue:String}",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return 0, fmt.Errorf("outdated events: %w", err)
	}
	return n[0], nil
}

func catalogueHex() string {
	v := schemas.Default().Version()
	return strings.ToUpper(hex.EncodeToString(v[:]))
}

// Refresh reads every outdated event again from its stored bytes, with this program's catalogue,
// and inserts its row again: types that were unknown get their values, old ones their upcasters.
// Values that the new catalogue no longer reads stay in views until they are rebuilt. It may be
// interrupted and called again.
func (db *DB) Refresh(ctx context.Context, progress func(seq, last uint64)) error {
	bounds, err := ask.All(ctx, db.Asker, params{"catalogue": catalogueHex()},
		"SELECT min(ledger_seq), max(ledger_seq), count() FROM events FINAL WHERE hex(catalogue) != "+
			"{catalogue:String}",
		func(scan func(...any) error) (b [3]uint64, err error) { return b, scan(&b[0], &b[1], &b[2]) })
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	first, last := bounds[0][0], bounds[0][1]
	if bounds[0][2] == 0 {
		return nil
	}
	for from := first; from <= last; from += refreshWindow {
		rows, err := ask.All(ctx, db.Asker, params{"catalogue": catalogueHex(), "from": from,
			"to": from + refreshWindow},
			`SELECT ledger_seq, stream, revision, event_id, type, data, metadata, partition FROM events FINAL
			WHERE ledger_seq >= {from:UInt64} AND ledger_seq < {to:UInt64} AND hex(catalogue) != {catalogue:String}
			ORDER BY ledger_seq`,
			func(scan func(...any) error) (projections.Row, error) {
				var r schemas.RecordedEvent
				var partition string
				err := scan(&r.Seq, (*string)(&r.Stream), &r.Revision, &r.ID, &r.Type,
					(*[]byte)(&r.Data), (*[]byte)(&r.Metadata), &partition)
				if err != nil {
					return projections.Row{}, err
				}
				e, err := schemas.NewEnvelope(r)
				if err != nil {
					return projections.Row{}, fmt.Errorf("row of sequence %d: %w", r.Seq, err)
				}
				row := projections.RowOf(e)
				row.Partition = partition
				return row, nil
			})
		if err == nil {
			err = db.Insert(ctx, rows)
		}
		if err != nil {
			return fmt.Errorf("refresh sequences from %d on: %w", from, err)
		}
		if progress != nil {
			progress(min(from+refreshWindow-1, last), last)
		}
	}
	return nil
}

// ClearPosition makes a projector read everything again from its first message. It must not be
// running. A database restored from a backup needs it: its position may be newer than its rows.
func (db *DB) ClearPosition(ctx context.Context, projector string) error {
	p, err := db.LoadPosition(ctx, projector)
	if err != nil {
		return fmt.Errorf("clear position: %w", err)
	}
	if err := db.SavePosition(ctx, projector, projections.Position{Saved: p.Saved + 1}); err != nil {
		return fmt.Errorf("clear position: %w", err)
	}
	return nil
}
