package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/projections/clickhouse/ask"
	"github.com/ledgerline/ledgerline/projections/clickhouse/migrations"
)

// RebuildConfig says how a rebuild goes.
type RebuildConfig struct {
	// Projector is the name of the projector that runs; "" says that none
	// does, and nothing else inserts.
	Projector string
	// Portion is about how many events are filled by one statement; 250,000 when zero.
	Portion uint64
	// Progress is called after each statement with how many of how many are done; it may be nil.
	Progress func(done, of uint64)
}

// ErrRebuildDiffers is wrapped when a table made anew does not hold what its definition
// makes of events. Readers go on with the old one; the new one stays for inspection and is
// filled again by the next Rebuild.
var ErrRebuildDiffers = errors.New("the rebuilt table differs from its definition")

// object is a table or view as ClickHouse describes it.
type object struct{ name, engine, selects, key, id string }

func (db *DB) objects(ctx context.Context) ([]object, error) {
	return ask.All(ctx, db.Asker, params{"database": db.database},
		"SELECT name, engine, as_select, sorting_key, toString(uuid) FROM system.tables "+
			"WHERE database = {database:String} ORDER BY name",
		func(scan func(...any) error) (o object, err error) {
			return o, scan(&o.name, &o.engine, &o.selects, &o.key, &o.id)
		})
}

// objectOf is the object of that name, or one without a name.
func objectOf(objects []object, name string) object {
	if i := slices.IndexFunc(objects, func(o object) bool { return o.name == name }); i >= 0 {
		return objects[i]
	}
	return object{}
}

// formatted returns SELECTs as ClickHouse writes them in system.tables, but
// for the database's name.
func (db *DB) formatted(ctx context.Context, selects []string) ([]string, error) {
	out, err := ask.All(ctx, db.Asker, params{"texts": selects},
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
	if err := db.restoreGenuine(ctx, d); err != nil {
		return fail("restore what fills the views", err)
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
			create = migrations.Uncompressed(create)
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
	c, err := db.comparison(ctx, view, f, to)
	if err != nil {
		return fail("look", err)
	}
	bound, err := c.fill(ctx, cfg)
	if err != nil {
		return fail("fill", err)
	}
	if err := c.equal(ctx, bound); err != nil {
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

// columns are those that a definition gives, in order. They follow from its text: each is asked
// for once.
func (db *DB) columns(ctx context.Context, selects string) ([]string, error) {
	if known, ok := db.described.Load(selects); ok {
		return known.([]string), nil
	}
	out, err := ask.All(ctx, db.Asker, nil, "DESCRIBE ("+selects+")",
		func(scan func(...any) error) (name string, err error) {
			var skip string
			return name, scan(&name, &skip, &skip, &skip, &skip, &skip, &skip)
		})
	if err == nil {
		db.described.Store(selects, out)
	}
	return out, err
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
		same, err := db.sameSelect(ctx, objectOf(objects, name).selects, d.Plain[name])
		if err == nil && !same {
			err = db.conn.Exec(ctx, "CREATE OR REPLACE VIEW "+name+" AS "+d.Plain[name])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// restoreGenuine makes again, where it is not as the program makes it, what stands between events
// and the views.
func (db *DB) restoreGenuine(ctx context.Context, d *migrations.Definitions) error {
	objects, err := db.objects(ctx)
	if err != nil {
		return err
	}
	if err := db.conn.Exec(ctx, d.Tables[migrations.Genuine]); err != nil {
		return err
	}
	const fill = migrations.GenuineFill
	same, err := db.sameSelect(ctx, objectOf(objects, fill).selects, d.Fills[migrations.Genuine])
	if err != nil || same {
		return err
	}
	return errors.Join(db.conn.Exec(ctx, "DROP VIEW IF EXISTS "+fill+" SYNC"),
		db.conn.Exec(ctx, "CREATE MATERIALIZED VIEW IF NOT EXISTS "+fill+" TO "+migrations.Genuine+" AS "+
			d.Fills[migrations.Genuine]))
}

// Upgrade rebuilds every view of which a migration has made a newer version than the one that
// readers use, and drops the tables of those that have none any more.
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
	objects, err := db.objects(ctx)
	if err != nil {
		return fmt.Errorf("upgrade views: %w", err)
	}
	for _, o := range objects {
		view, v, _, ok := migrations.ParseVersion(o.name)
		if ok && slices.Contains(d.Retired, view) {
			if err := db.dropVersion(ctx, view, v); err != nil {
				return fmt.Errorf("upgrade views: drop %s: %w", o.name, err)
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
	tick := time.NewTicker(db.Poll)
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

// fill inserts what the definition makes of the events there are, by an explicit list of columns:
// a positional INSERT … SELECT would swap columns silently. Each statement reads streams that lie
// together in events, so that all of them read each event once. It returns the highest sequence of
// events that was there.
func (c *comparison) fill(ctx context.Context, cfg RebuildConfig) (bound uint64, err error) {
	last, err := ask.All(ctx, c.db.Asker, nil, "SELECT max(ledger_seq) FROM events",
		func(scan func(...any) error) (n uint64, err error) { return n, scan(&n) })
	if err != nil {
		return 0, err
	}
	rows := cfg.Portion
	if rows == 0 {
		rows = portionRows
	}
	portions, err := c.db.portions(ctx, rows, "events")
	if err != nil {
		return 0, err
	}
	into := "INSERT INTO " + c.table.name + " (`" + strings.Join(c.columns, "`, `") + "`) "
	for i, portion := range portions {
		p := partOf(portion)
		err := c.db.conn.Exec(p.params.In(ctx, insertOption), into+c.definitionOver(p.condition))
		if err != nil {
			return 0, fmt.Errorf("portion %d of %d: %w", i+1, len(portions), err)
		}
		if cfg.Progress != nil {
			cfg.Progress(uint64(i+1), uint64(len(portions)))
		}
	}
	return last[0], nil
}

// equalTries is how often a comparison is repeated that the projector may have written under.
const equalTries = 20

// equal holds the table against its definition applied to events, portion by portion: per key the
// row of the highest sequence, of those up to bound. Rows of a view of the present are replaced
// while it looks, so it looks again before it says that they differ.
func (c *comparison) equal(ctx context.Context, bound uint64) error {
	portions, err := c.db.portions(ctx, portionRows, "events", c.table.name)
	if err != nil {
		return err
	}
	type sum struct{ count, hash uint64 }
	read := func(scan func(...any) error) (s sum, err error) { return s, scan(&s.count, &s.hash) }
	row := "sipHash64(`" + strings.Join(c.columns, "`, `") + "`)"
	tick := time.NewTicker(c.db.Poll)
	defer tick.Stop()
	for _, portion := range portions {
		part := partOf(portion)
		p := part.params.With(params{"bound": bound})
		for try := 1; ; try++ {
			want, err := ask.All(ctx, c.db.Asker, p, "SELECT count(), sum(h) FROM (SELECT argMax("+row+
				", ledger_seq) AS h, max(ledger_seq) AS seq FROM ("+c.definitionOver(part.condition)+
				") GROUP BY "+c.key+") WHERE seq <= {bound:UInt64}", read)
			if err != nil {
				return err
			}
			got, err := ask.All(ctx, c.db.Asker, p, "SELECT count(), sum("+row+") FROM "+c.table.name+
				" FINAL WHERE "+part.condition+" AND ledger_seq <= {bound:UInt64}", read)
			if err != nil {
				return err
			}
			if want[0] == got[0] {
				break
			}
			if try == equalTries {
				return fmt.Errorf("%w: of a portion %s has %d rows, its definition gives %d", ErrRebuildDiffers,
					c.table.name, got[0].count, want[0].count)
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
			}
		}
	}
	return nil
}
