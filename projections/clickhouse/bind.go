package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/schemas"
)

// ErrOtherLedger is wrapped by Bind when the views are another ledger's.
var ErrOtherLedger = errors.New("the views are another ledger's")

// Bind says whose views these are: the first time it notes the ledger, afterwards it refuses every
// other with ErrOtherLedger. A database filled before it was noted is known by its ledger.created.
func (db *DB) Bind(ctx context.Context, ledger uuid.UUID) error {
	bound, err := db.boundTo(ctx)
	if err != nil {
		return fmt.Errorf("bind the views to ledger %s: %w", ledger, err)
	}
	noted := false
	for _, b := range bound {
		if b.id != ledger {
			return fmt.Errorf("%w: database %s holds those of ledger %s, this is %s; clear it, or name "+
				"another database", ErrOtherLedger, db.database, b.id, ledger)
		}
		noted = noted || b.noted
	}
	if noted {
		return nil
	}
	if err := db.conn.Exec(params{"id": ledger}.In(ctx, insertOption),
		"INSERT INTO ledger SELECT {id:UUID}, now64(3)"); err != nil {
		return fmt.Errorf("bind the views to ledger %s: %w", ledger, err)
	}
	return nil
}

type binding struct {
	id    uuid.UUID
	noted bool // in the table ledger; else by an event
}

func (db *DB) boundTo(ctx context.Context) ([]binding, error) {
	return ask.All(ctx, db.Asker, params{"stream": string(schemas.LedgerStream)},
		`SELECT id, toUInt8(1) FROM ledger FINAL
		UNION ALL SELECT toUUIDOrZero(arrayFirst((x, a) -> a = 'ledger.id', values.value, values.attribute)) AS id,
		toUInt8(0)
		FROM events FINAL PREWHERE tenant = toUUID('00000000-0000-0000-0000-000000000000')
		AND stream = {stream:String} AND ledger_seq = 0
		WHERE id != toUUID('00000000-0000-0000-0000-000000000000')`,
		func(scan func(...any) error) (b binding, err error) {
			var noted uint8
			err = scan(&b.id, &noted)
			b.noted = noted != 0
			return b, err
		})
}

// Anchor returns the views' own position in the ledger: the event at Through, as they hold it. ok
// is false where they are bound to no ledger or hold nothing yet.
func (db *DB) Anchor(ctx context.Context) (a schemas.Anchor, ok bool, err error) {
	fail := func(err error) (schemas.Anchor, bool, error) {
		return schemas.Anchor{}, false, fmt.Errorf("anchor of the views: %w", err)
	}
	bound, err := db.boundTo(ctx)
	if err != nil {
		return fail(err)
	}
	for _, b := range bound {
		if a.LedgerID != uuid.Nil && a.LedgerID != b.id {
			return fail(fmt.Errorf("%w: of %s and of %s", ErrOtherLedger, a.LedgerID, b.id))
		}
		a.LedgerID = b.id
	}
	if a.Seq, ok, err = db.Through(ctx); err != nil {
		return fail(err)
	}
	if !ok || a.LedgerID == uuid.Nil {
		return schemas.Anchor{}, false, nil
	}
	events, err := ask.All(ctx, db.Asker, params{"seq": a.Seq},
		"SELECT event_id, leaf FROM events FINAL PREWHERE ledger_seq = {seq:UInt64} LIMIT 2",
		func(scan func(...any) error) (e schemas.Anchor, err error) {
			var leaf string
			err = scan(&e.EventID, &leaf)
			copy(e.Leaf[:], leaf)
			return e, err
		})
	if err == nil && len(events) != 1 {
		err = fmt.Errorf("sequence %d, through which they say to be, stands in events %d times", a.Seq, len(events))
	}
	if err != nil {
		return fail(err)
	}
	a.EventID, a.Leaf = events[0].EventID, events[0].Leaf
	return a, true, nil
}

// Clear destroys all views with their position and makes them anew, empty: the projector fills
// them from its topics' first messages. No projector may run. It may be interrupted and called
// again, on a database that Migrate has made.
func (db *DB) Clear(ctx context.Context) error {
	if err := db.Drop(ctx); err != nil {
		return fmt.Errorf("clear the views: %w", err)
	}
	if err := Migrate(ctx, db.cfg); err != nil {
		return fmt.Errorf("clear the views: %w", err)
	}
	return nil
}
