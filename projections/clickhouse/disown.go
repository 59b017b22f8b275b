package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/retry"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
	"github.com/ledgerline/ledgerline/projections/clickhouse/param"
)

// disownedType is the type of events that take others out of the views;
// disownedView holds what they name.
const (
	disownedType = "ledger.disowned.v1"
	disownedView = "disowned_event"
)

// disownedTable is what disownedView says, as every insert asks it.
const disownedTable = "disowned"

// named holds for events that any disowning event names, one that is disowned itself
// too: what it took out comes back.
const named = ` ((tenant, event_id, ledger_seq) IN (SELECT tenant, event, at_seq FROM disowned_named)
	OR (toUUID('00000000-0000-0000-0000-000000000000'), event_id, ledger_seq)
		IN (SELECT tenant, event, at_seq FROM disowned_named)
	OR (tenant, event_id, ledger_seq) IN {gone:Array(Tuple(UUID, UUID, UInt64))})`

// disownPage is how many named events are looked at at once.
const disownPage = 500

// Disown brings every view in line with what is disowned. A materialized view leaves out what is
// disowned when it is inserted; a row that was there before, and in a view of the present the
// genuine row that it replaced, is put right here. It may be interrupted and called again at any
// time; where nothing is to be done it changes nothing.
func (db *DB) Disown(ctx context.Context) error {
	type event struct {
		tenant uuid.UUID
		stream string
		seq    uint64
		out    bool
	}
	fail := func(err error) error { return fmt.Errorf("take disowned events out of the views: %w", err) }
	some, err := ask.All(ctx, db.Asker, nil, "SELECT count() FROM disowned_named",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return fail(err)
	}
	gone, err := db.syncDisowned(ctx)
	if err != nil {
		return fail(err)
	}
	if some[0] == 0 && len(gone) == 0 {
		return nil
	}
	for after := int64(-1); ; {
		p := params{"after": strconv.FormatInt(after, 10), "limit": disownPage, "gone": places(gone)}
		events, err := ask.All(ctx, db.Asker, p, `SELECT tenant, stream, ledger_seq, NOT (`+ask.NotDisowned+`)
			FROM event_seq
			WHERE toInt64(ledger_seq) > {after:Int64} AND `+named+` ORDER BY ledger_seq LIMIT {limit:UInt64}`,
			func(scan func(...any) error) (e event, err error) {
				var out uint8
				err = scan(&e.tenant, &e.stream, &e.seq, &out)
				e.out = out != 0
				return e, err
			})
		if err != nil {
			return fail(err)
		}
		by := map[uuid.UUID][]event{}
		for _, e := range events {
			by[e.tenant] = append(by[e.tenant], e)
		}
		for tenant, events := range by {
			var streams []string
			var out []uint64
			for _, e := range events {
				streams = append(streams, e.stream)
				if e.out {
					out = append(out, e.seq)
				}
			}
			slices.Sort(streams)
			if err := db.putRight(ctx, tenant, slices.Compact(streams), out); err != nil {
				return fail(err)
			}
		}
		if len(events) < disownPage {
			return nil
		}
		after = int64(events[len(events)-1].seq)
	}
}

// place is a row of disownedTable: an event's id alone does not say where it stands.
type place struct {
	tenant, event uuid.UUID
	seq           uint64
}

type places []place

// ParamText implements param.Texter.
func (ps places) ParamText() string {
	return param.List(ps, func(p place) string {
		return "('" + p.tenant.String() + "','" + p.event.String() + "'," + strconv.FormatUint(p.seq, 10) + ")"
	})
}

func readPlace(scan func(...any) error) (p place, err error) {
	return p, scan(&p.tenant, &p.event, &p.seq)
}

// syncDisowned makes disownedTable what disownedView says, and returns what it took out of it.
func (db *DB) syncDisowned(ctx context.Context) (gone []place, err error) {
	const lacking = "SELECT DISTINCT tenant, event, at_seq FROM disowned_event " +
		"WHERE (tenant, event, at_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned)"
	missing, err := ask.All(ctx, db.Asker, nil, lacking, readPlace)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := db.conn.Exec(ch.Context(ctx, insertOption),
			"INSERT INTO disowned (tenant, event, at_seq) "+lacking); err != nil {
			return nil, err
		}
	}
	gone, err = ask.All(ctx, db.Asker, nil, "SELECT DISTINCT tenant, event, at_seq FROM disowned "+
		"WHERE (tenant, event, at_seq) NOT IN (SELECT tenant, event, at_seq FROM disowned_event)", readPlace)
	for part := range slices.Chunk(gone, disownPage) {
		var list []string
		for _, p := range part {
			list = append(list, "(toUUID('"+p.tenant.String()+"'), toUUID('"+p.event.String()+"'), "+
				strconv.FormatUint(p.seq, 10)+")")
		}
		if err == nil {
			err = db.conn.Exec(ctx,
				"DELETE FROM disowned WHERE (tenant, event, at_seq) IN ("+strings.Join(list, ", ")+")")
		}
	}
	return gone, err
}

// compareDisowned compares disownedTable with disownedView. It is given time to be
// put right, as rows of views are.
func (db *DB) compareDisowned(ctx context.Context) (out projections.Compared, err error) {
	type row struct {
		place
		held bool
	}
	c := &comparison{db: db, view: disownedTable, definition: true}
	var before []row
	wait := min(db.Poll, settleWait)
	for try := 1; ; try++ {
		through, _, err := c.settled(ctx)
		if err != nil {
			return out, err
		}
		rows, err := askHeavily(ctx, db, nil, `SELECT tenant, event, at_seq, max(held), count() FROM (
			SELECT DISTINCT tenant, event, at_seq, 1 AS held FROM disowned
			UNION ALL SELECT DISTINCT tenant, event, at_seq, 0 AS held FROM disowned_event)
			GROUP BY tenant, event, at_seq HAVING count() != 2 ORDER BY tenant, event, at_seq LIMIT 1000`,
			func(scan func(...any) error) (r row, err error) {
				var held uint8
				var n uint64
				err = scan(&r.tenant, &r.event, &r.seq, &held, &n)
				r.held = held != 0
				return r, err
			})
		if err != nil {
			return out, err
		}
		last, err := ask.All(ctx, db.Asker, nil,
			"SELECT max(ledger_seq), (SELECT count() FROM disowned) FROM disowned_named",
			func(scan func(...any) error) (n [2]uint64, err error) { return n, scan(&n[0], &n[1]) })
		if err != nil {
			return out, err
		}
		out.Rows = last[0][1]
		switch {
		case len(rows) == 0:
			return out, nil
		case slices.Equal(rows, before) && last[0][0] < through:
			for _, r := range rows {
				f := projections.Finding{View: disownedTable, What: projections.Missing, Tenant: r.tenant,
					Key: r.event.String()}
				if r.held {
					f.What = projections.Extra
				}
				out.Count++
				if len(out.Findings) < maxFindings {
					out.Findings = append(out.Findings, f)
				}
			}
			return out, nil
		case try == settleTries:
			out.Unsettled = uint64(len(rows))
			return out, nil
		}
		before = rows
		if retry.Wait(ctx, wait) != nil {
			return out, context.Cause(ctx)
		}
		wait = min(2*wait, settleWait)
	}
}

// putRight takes the rows of events that are out from every view, and fills it again for the
// streams, where it differs from its definition there. The rows go first: an older row under a
// newer one would be merged away.
func (db *DB) putRight(ctx context.Context, tenant uuid.UUID, streams []string, out []uint64) error {
	d, err := migrations.Define()
	if err != nil {
		return err
	}
	objects, err := db.objects(ctx)
	if err != nil {
		return err
	}
	p := partOfStreams([]uuid.UUID{tenant}, streams)
	for _, view := range d.Views() {
		f, err := familyOf(d, objects, view)
		if err != nil {
			return err
		}
		for v := range f.tables { // those that are being rebuilt too
			if selects, ok := d.Fill(view, v); !ok || !d.LeavesOut(selects) || f.mvs[v].name == "" {
				continue
			}
			c, err := db.comparison(ctx, view, f, v)
			if err != nil {
				return err
			}
			differing, err := c.candidates(ctx, p)
			if err != nil {
				return fmt.Errorf("%s: %w", view, err)
			}
			if len(differing) == 0 {
				continue
			}
			if err := c.delete(ctx, tenant, out); err != nil {
				return fmt.Errorf("%s: delete rows: %w", view, err)
			}
			list := "`" + strings.Join(c.columns, "`, `") + "`"
			err = db.conn.Exec(p.params.In(ctx, insertOption),
				"INSERT INTO "+c.table.name+" ("+list+") "+c.definitionOver(p.condition))
			if err != nil {
				return fmt.Errorf("%s: fill again: %w", view, err)
			}
		}
	}
	return nil
}

// delete takes the rows of the tenant's events out. Sequences and a uuid are the whole text:
// nothing of a user's reaches it.
func (c *comparison) delete(ctx context.Context, tenant uuid.UUID, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	var list []string
	for _, s := range seqs {
		list = append(list, strconv.FormatUint(s, 10))
	}
	return c.db.conn.Exec(ctx, "DELETE FROM "+c.table.name+" WHERE tenant = toUUID('"+tenant.String()+
		"') AND ledger_seq IN ("+strings.Join(list, ", ")+")")
}

// disowns says whether a row takes others out of the views.
func disowns(rows []projections.Row) bool {
	return slices.ContainsFunc(rows, func(r projections.Row) bool { return r.Type == disownedType })
}

// Disowned says whether the views leave an event out as disowned.
func (db *DB) Disowned(ctx context.Context, tenant, event uuid.UUID, seq uint64) (bool, error) {
	n, err := ask.All(ctx, db.Asker, params{"tenant": tenant, "event": event, "seq": seq},
		"SELECT count() FROM disowned WHERE event = {event:UUID} AND at_seq = {seq:UInt64} "+
			"AND tenant IN ({tenant:UUID}, toUUID('00000000-0000-0000-0000-000000000000'))",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return false, fmt.Errorf("whether event %s is disowned: %w", event, err)
	}
	return n[0] > 0, nil
}
