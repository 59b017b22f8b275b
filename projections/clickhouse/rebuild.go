package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
)

// RebuildConfig says how a rebuild goes.
type RebuildConfig struct {
	// Projector is the name of the projector that runs; "" says that none
	// does, and nothing else inserts.
	Projector string
	// Chunk is how many sequences are filled by one statement; 1,000,000 when zero.
	Chunk uint64
	// Progress is called after each statement with how far it is; it may be nil.
	Progress func(filled, of uint64)
}

// ErrRebuildDiffers is wrapped when a table made anew does not hold what its definition
// makes of events. Readers go on with the old one; the new one stays for inspection and is
// filled again by the next Rebuild.
var ErrRebuildDiffers = errors.New("the rebuilt table differs from its definition")

// object is a table or view as ClickHouse describes it.
type object struct{ name, engine, create, selects, key, id string }

func (db *DB) objects(ctx context.Context) ([]object, error) {
	return collect(ctx, db, params{"database": db.database},
		"SELECT name, engine, create_table_query, as_select, sorting_key, toString(uuid) FROM system.tables "+
			"WHERE database = {database:String} ORDER BY name",
		func(scan func(...any) error) (o object, err error) {
			return o, scan(&o.name, &o.engine, &o.create, &o.selects, &o.key, &o.id)
		})
}

// formatted returns SELECTs as ClickHouse writes them in system.tables, but
// for the database's name.
func (db *DB) formatted(ctx context.Context, selects []string) ([]string, error) {
	out, err := collect(ctx, db, params{"texts": selects},
		"SELECT formatQuerySingleLine(text) FROM (SELECT arrayJoin({texts:Array(String)}) AS text)",
		func(scan func(...any) error) (s string, err error) { return s, scan(&s) })
	if err == nil && len(out) != len(selects) {
		err = fmt.Errorf("%d answers to %d", len(out), len(selects))
	}
	if err != nil {
		return nil, fmt.Errorf("format definitions: %w", err)
	}
	return out, nil
}

// unqualified takes this database's name away from what it stands before.
func (db *DB) unqualified(selects string) string {
	return strings.ReplaceAll(selects, db.database+".", "")
}

// Views returns the names of the views that Rebuild can make anew.
func (db *DB) Views(context.Context) ([]string, error) {
	d, err := migrations.Define()
	if err != nil {
		return nil, fmt.Errorf("views: %w", err)
	}
	out := append(d.Views(), disownedTable)
	slices.Sort(out)
	return out, nil
}

// family is all that belongs to one view: its tables with their materialized views, and
// the plain view that readers use.
type family struct {
	view   string
	tables map[migrations.Version]object
	mvs    map[migrations.Version]object
	plain  object // as it is in the database; no name: it is not there
	reader string // the plain view's name
	// of the table that plain reads; where it reads none, the newest that is there; zero: none is
	now migrations.Version
}

func (db *DB) family(ctx context.Context, view string) (*family, error) {
	objects, err := db.objects(ctx)
	if err != nil {
		return nil, err
	}
	d, err := migrations.Define()
	if err != nil {
		return nil, err
	}
	return familyOf(d, objects, view)
}

func familyOf(d *migrations.Definitions, objects []object, view string) (*family, error) {
	f := &family{view: view, tables: map[migrations.Version]object{}, mvs: map[migrations.Version]object{},
		reader: d.Reader(view)}
	if f.reader == "" {
		return nil, fmt.Errorf("there is no view %q", view)
	}
	for _, o := range objects {
		name, v, mv, ok := migrations.ParseVersion(o.name)
		switch {
		case o.name == f.reader && o.engine == "View":
			f.plain = o
		case !ok || name != view:
		case mv:
			f.mvs[v] = o
		default:
			f.tables[v] = o
		}
	}
	for _, name := range migrations.VersionForm.FindAllString(f.plain.selects, -1) {
		if got, v, mv, ok := migrations.ParseVersion(name); ok && got == view && !mv && f.tables[v].name != "" {
			f.now = v
			return f, nil
		}
	}
	for v := range f.tables { // what readers use was changed by hand, or dropped
		if v.Compare(f.now) > 0 {
			f.now = v
		}
	}
	return f, nil
}

// next is the version to fill: one that a migration made, or an interrupted rebuild,
// else one more of the present.
func (f *family) next(newest migrations.Version) migrations.Version {
	next := f.now.Rebuilt()
	if f.now == (migrations.Version{}) {
		return newest
	}
	top := f.now
	for v := range f.tables {
		if v.Compare(top) > 0 {
			top = v
		}
	}
	if newest.Compare(top) > 0 {
		return newest // of which not even the table is there any more
	}
	if top != f.now {
		return top
	}
	return next
}

// Rebuild makes a view anew from events, while the projector and readers go on: a new table and
// its materialized view, filled from events, compared with what the definition makes of them, then
// put in the place of the old one. It may be interrupted anywhere and called again.
func (db *DB) Rebuild(ctx context.Context, view string, cfg RebuildConfig) error {
	fail := func(step string, err error) error { return fmt.Errorf("rebuild %s: %s: %w", view, step, err) }
	if view == disownedTable {
		if err := db.Disown(ctx); err != nil {
			return fail("put right", err)
		}
		return nil
	}
	f, err := db.family(ctx, view)
	if err != nil {
		return fail("look", err)
	}
	// A materialized view whose table is gone makes every insert fail, also the one
	// that is waited for below.
	for v := range f.mvs {
		if f.tables[v].name == "" {
			if err := db.dropVersion(ctx, view, v); err != nil {
				return fail("drop what fills a table that is gone", err)
			}
			delete(f.mvs, v)
		}
	}
	// What an interrupted rebuild had already replaced.
	for v := range f.tables {
		if v.Compare(f.now) < 0 {
			if err := db.dropVersion(ctx, view, v); err != nil {
				return fail("drop what was replaced", err)
			}
		}
	}
	d, err := migrations.Define()
	if err != nil {
		return fail("definitions", err)
	}
	to := f.next(d.Newest(view))
	table := f.view + to.Suffix()
	create, known := d.Table(view, to)
	selects, filled := d.Fill(view, to)
	if !known || !filled {
		return fail("look", fmt.Errorf("this program has no definition of %s", table))
	}
	if f.tables[to].name == "" {
		if db.cfg.Uncompressed {
			create = uncompressed(create)
		}
		if err := db.conn.Exec(ctx, create); err != nil {
			return fail("create table", err)
		}
	}
	// By the program's own definition: one that was changed by hand is made anew.
	if same, err := db.sameSelect(ctx, f.mvs[to].selects, selects); err != nil {
		return fail("look", err)
	} else if !same {
		if err := db.conn.Exec(ctx, "DROP VIEW IF EXISTS "+table+"_mv SYNC"); err != nil {
			return fail("drop a materialized view that differs", err)
		}
		if err := db.conn.Exec(ctx, "CREATE MATERIALIZED VIEW IF NOT EXISTS "+table+"_mv TO "+table+" AS "+
			selects); err != nil {
			return fail("create materialized view", err)
		}
	}
	if cfg.Projector != "" {
		if err := db.waitSaved(ctx, cfg.Projector); err != nil {
			return fail("wait for the projector", err)
		}
	}
	if f, err = db.family(ctx, view); err != nil { // with the definitions as ClickHouse now has them
		return fail("look", err)
	}
	columns, err := db.columns(ctx, selects)
	if err != nil {
		return fail("columns", err)
	}
	bound, err := db.fill(ctx, table, columns, selects, cfg)
	if err != nil {
		return fail("fill", err)
	}
	if err := db.compare(ctx, f.tables[to], columns, selects, bound); err != nil {
		return fail("compare", err)
	}
	if err := db.conn.Exec(ctx, "CREATE OR REPLACE VIEW "+f.reader+" AS "+d.PlainAt(f.reader, view, to)); err != nil {
		return fail("replace the view", err)
	}
	for v := range f.tables {
		if v.Compare(to) < 0 {
			if err := db.dropVersion(ctx, view, v); err != nil {
				return fail("drop the old table", err)
			}
		}
	}
	if err := db.restorePlain(ctx, d); err != nil {
		return fail("restore the views above it", err)
	}
	if view == disownedView { // others were brought in line with what it said before
		if err := db.Disown(ctx); err != nil {
			return fail("put right", err)
		}
	}
	return nil
}

// columns are those that a definition gives, in order.
func (db *DB) columns(ctx context.Context, selects string) ([]string, error) {
	return collect(ctx, db, nil, "DESCRIBE ("+selects+")", func(scan func(...any) error) (name string, err error) {
		var skip string
		return name, scan(&name, &skip, &skip, &skip, &skip, &skip, &skip)
	})
}

// sameSelect says whether the database's SELECT is the definition.
func (db *DB) sameSelect(ctx context.Context, have, want string) (bool, error) {
	if have == "" {
		return false, nil
	}
	formatted, err := db.formatted(ctx, []string{want})
	return err == nil && db.unqualified(have) == formatted[0], err
}

// restorePlain makes those plain views again that read no table of a version and are not, or
// not as, the program makes them.
func (db *DB) restorePlain(ctx context.Context, d *migrations.Definitions) error {
	objects, err := db.objects(ctx)
	if err != nil {
		return err
	}
	for _, name := range d.Order {
		if migrations.VersionForm.MatchString(d.Plain[name]) {
			continue
		}
		var have string
		for _, o := range objects {
			if o.name == name && o.engine == "View" {
				have = o.selects
			}
		}
		same, err := db.sameSelect(ctx, have, d.Plain[name])
		if err == nil && !same {
			err = db.conn.Exec(ctx, "CREATE OR REPLACE VIEW "+name+" AS "+d.Plain[name])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Upgrade rebuilds every view of which a migration has made a newer version
// than the one that readers use.
func (db *DB) Upgrade(ctx context.Context, cfg RebuildConfig) error {
	d, err := migrations.Define()
	if err != nil {
		return fmt.Errorf("upgrade views: %w", err)
	}
	for _, view := range d.Views() {
		f, err := db.family(ctx, view)
		if err != nil {
			return fmt.Errorf("upgrade views: %w", err)
		}
		if d.Newest(view).Compare(f.now.Base()) > 0 {
			if err := db.Rebuild(ctx, view, cfg); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropVersion drops the materialized view first: an insert must not meet one whose table is gone.
func (db *DB) dropVersion(ctx context.Context, view string, v migrations.Version) error {
	table := view + v.Suffix()
	return errors.Join(db.conn.Exec(ctx, "DROP VIEW IF EXISTS "+table+"_mv SYNC"),
		db.conn.Exec(ctx, "DROP TABLE IF EXISTS "+table+" SYNC"))
}

// waitSaved returns when the projector has saved once more: every insert that began before is done
// then, and every one that begins after sees the new materialized view.
func (db *DB) waitSaved(ctx context.Context, projector string) error {
	before, err := db.LoadPosition(ctx, projector)
	if err != nil {
		return err
	}
	tick := time.NewTicker(db.poll)
	defer tick.Stop()
	for {
		now, err := db.LoadPosition(ctx, projector)
		if err != nil {
			return err
		}
		if now.Saved > before.Saved {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("projector %s saved nothing meanwhile: is it running? %w", projector, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// fill inserts what the definition makes of the events there are, by an explicit list of
// columns: a positional INSERT … SELECT would swap columns silently. It returns the highest
// sequence of events that was there.
func (db *DB) fill(
	ctx context.Context, table string, columns []string, selects string, cfg RebuildConfig,
) (bound uint64, err error) {
	last, err := collect(ctx, db, nil, "SELECT max(ledger_seq) FROM events",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return 0, err
	}
	bound = last[0]
	chunk := cfg.Chunk
	if chunk == 0 {
		chunk = 1_000_000
	}
	list := "`" + strings.Join(columns, "`, `") + "`"
	for from := uint64(0); ; from += chunk {
		to := bound
		if bound-from >= chunk {
			to = from + chunk - 1
		}
		settings := ch.Settings{"additional_table_filters": fmt.Sprintf(
			"{'%s.events': 'ledger_seq >= %d AND ledger_seq <= %d'}", db.database, from, to)}
		for k, v := range insertSettings {
			settings[k] = v
		}
		if err := db.conn.Exec(ch.Context(ctx, ch.WithSettings(settings)),
			"INSERT INTO "+table+" ("+list+") "+selects); err != nil {
			return 0, fmt.Errorf("sequences %d to %d: %w", from, to, err)
		}
		if cfg.Progress != nil {
			cfg.Progress(to+1, bound+1)
		}
		if to == bound {
			return bound, nil
		}
	}
}

// compareTries is how often a comparison is repeated that the projector may have written under.
const compareTries = 20

// compare holds the table against its definition applied to events: per key the row of the highest
// sequence, of those up to bound. Rows of a view of the present are replaced while it looks, so it
// looks again before it says that they differ.
func (db *DB) compare(ctx context.Context, table object, columns []string, selects string, bound uint64) error {
	type sum struct{ count, hash uint64 }
	read := func(scan func(...any) error) (s sum, err error) { return s, scan(&s.count, &s.hash) }
	row := "sipHash64(`" + strings.Join(columns, "`, `") + "`)"
	p := params{"bound": bound}
	tick := time.NewTicker(db.poll)
	defer tick.Stop()
	for try := 1; ; try++ {
		want, err := collect(ctx, db, p, "SELECT count(), sum(h) FROM (SELECT argMax("+row+
			", ledger_seq) AS h, max(ledger_seq) AS seq FROM ("+
			selects+") GROUP BY "+table.key+") WHERE seq <= {bound:UInt64}", read)
		if err != nil {
			return err
		}
		got, err := collect(ctx, db, p, "SELECT count(), sum("+row+") FROM "+table.name+
			" FINAL WHERE ledger_seq <= {bound:UInt64}", read)
		if err != nil {
			return err
		}
		if want[0] == got[0] {
			return nil
		}
		if try == compareTries {
			return fmt.Errorf("%w: %s has %d rows, its definition gives %d",
				ErrRebuildDiffers, table.name, got[0].count, want[0].count)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
