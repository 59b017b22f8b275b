package clickhouse_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// eventsOf is a ledger of those events.
func eventsOf(events func() []chtest.Event) func(context.Context, uint64) iter.Seq2[schemas.Envelope, error] {
	return func(_ context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
		return func(yield func(schemas.Envelope, error) bool) {
			all := events()
			for _, e := range all[min(from, uint64(len(all))):] {
				if !yield(e.Envelope, nil) {
					return
				}
			}
		}
	}
}

func newReconciler(
	t testing.TB, db reconcile.Views, events func() []chtest.Event, change func(*reconcile.Config),
) *reconcile.Reconciler {
	t.Helper()
	cfg := reconcile.Config{Name: "test", Ledger: chtest.ID("ledger"), Events: eventsOf(events), Views: db,
		Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	r, err := reconcile.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRun(t testing.TB, r *reconcile.Reconciler) reconcile.Result {
	t.Helper()
	res, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// column is a column of a table, and whether the table is ordered by it.
type column struct {
	name, kind string
	key        bool
}

func columnsOf(t testing.TB, db *clickhouse.DB, table string) (out []column) {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT name, type, is_in_sorting_key FROM system.columns WHERE database = "+
		"currentDatabase() AND table = '"+table+"' ORDER BY position")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c column
		var key uint8
		if err := rows.Scan(&c.name, &c.kind, &key); err != nil {
			t.Fatal(err)
		}
		c.key = key != 0
		out = append(out, c)
	}
	return out
}

// altered is an expression of another value of that type, and a condition
// under which there is one.
func altered(name, kind string) (expression, where string) {
	if inner, ok := strings.CutPrefix(kind, "Array("); ok {
		e, _ := altered("x", strings.TrimSuffix(inner, ")"))
		return "arrayMap(x -> " + e + ", " + name + ")", "notEmpty(" + name + ")"
	}
	switch {
	case kind == "UUID":
		return "reinterpretAsUUID(bitXor(reinterpretAsUInt128(" + name + "), 1))", "1"
	case kind == "UInt8":
		return "toUInt8(1 - " + name + ")", "1"
	case strings.HasPrefix(kind, "UInt"):
		return name + " + 1", "1"
	case strings.HasPrefix(kind, "DateTime64"):
		return "addMilliseconds(" + name + ", 1)", "1"
	case strings.HasPrefix(kind, "FixedString"):
		return "reinterpretAsFixedString(bitXor(reinterpretAsUInt256(" + name + "), 1))", "1"
	}
	return "concat(" + name + ", 'x')", "1"
}

// TestAnyChangeOfAnyTableIsFoundAndNamed changes one table or view at random (a row deleted, one
// column of one row altered, a row invented, a part lost, all rows lost, a definition replaced),
// and asks reconcile, which must name that view.
func TestAnyChangeOfAnyTableIsFoundAndNamed(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 11))
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 3)
	m := l.Events(160)
	rows := chtest.Rows(m...)
	rows = append(rows, disowning(160, uuid.Nil, at(m[5].Envelope)), disowning(161, l.Tenants[0], at(m[9].Envelope)))
	// Their events stand in the ledger too, as this catalogue reads them:
	// two differences, told each time.
	for _, row := range rows[160:] {
		r := schemas.RecordedEvent{Event: schemas.Event{ID: row.EventID, Stream: row.Stream,
			Type: row.Type, Data: row.Data}, Seq: row.Seq}
		for _, other := range m {
			if other.Draft.Tenant == row.Tenant {
				r.Metadata = other.Metadata
			}
		}
		m = append(m, chtest.Event{Envelope: schemastest.Envelope(r)})
	}
	end := uint64(len(m) - 1)
	fill := func() {
		t.Helper()
		for part := range slices.Chunk(rows, 60) { // several parts
			if err := db.Insert(t.Context(), part); err != nil {
				t.Fatal(err)
			}
		}
	}
	exec := func(statement string, args ...any) {
		t.Helper()
		if err := db.Exec(t.Context(), fmt.Sprintf(statement, args...)); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: end + 1}); err != nil {
		t.Fatal(err)
	}
	rec := newReconciler(t, db, func() []chtest.Event { return m }, nil)
	check := func(what string, names ...string) {
		t.Helper()
		res := mustRun(t, rec)
		got := slices.Sorted(maps.Keys(res.Differing))
		if res.Unsettled > 0 {
			t.Fatalf("%s: %d rows unsettled", what, res.Unsettled)
		}
		if n := res.Differing["events"]; n < 2 || n == 2 && !slices.Contains(names, "events") {
			got = slices.DeleteFunc(got, func(s string) bool { return s == "events" })
		}
		if len(names) == 0 && len(got) > 0 || len(names) > 0 && !slices.Contains(got, names[0]) {
			t.Fatalf("%s: found %v (%v), want %v\n%+v", what, got, res.Differing, names, res.Findings)
		}
		if len(names) > 0 && names[0] != "events" && !strings.HasPrefix(names[0], "disowned") &&
			len(got) != len(names) {
			t.Fatalf("%s: found %v, want %v alone", what, got, names)
		}
	}
	check("nothing")
	views, err := db.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := func(view string) string {
		if view == "events" || view == "disowned" {
			return view
		}
		for _, name := range tableNames(t, db) {
			if strings.HasPrefix(name, view+"_v") && !strings.HasSuffix(name, "_mv") {
				return name
			}
		}
		t.Fatalf("no table of %s", view)
		return ""
	}
	for round := range 1 {
		for _, view := range append(views, "events") {
			name := table(view)
			columns := columnsOf(t, db, name)
			var keys []string
			for _, c := range columns {
				if c.key {
					keys = append(keys, c.name)
				}
			}
			one := func(where string) string { // a row of the table, by its key
				k := "(" + strings.Join(keys, ", ") + ")"
				if view == "disowned" {
					return fmt.Sprintf("event = (SELECT event FROM disowned ORDER BY cityHash64(event, %d) LIMIT 1)",
						r.Uint64())
				}
				return fmt.Sprintf("%s IN (SELECT %s FROM %s FINAL WHERE ledger_seq < 160 AND %s ORDER BY "+
					"cityHash64(%s, %d) LIMIT 1)",
					k, strings.Join(keys, ", "), name, where, strings.Join(keys, ", "), r.Uint64())
			}
			if view == "disowned_event" {
				one = func(string) string { return "1" }
			}
			what := ""
			switch kind := r.IntN(10); {
			case kind < 2:
				what = "a row deleted"
				exec("DELETE FROM %s WHERE %s", name, one("1"))
			case kind < 7:
				// What is of no event is not compared, and the engine lets
				// nobody alter a row's version.
				unfit := func(c column) bool {
					return view == "events" && (c.name == "partition" || c.name == "catalogue") ||
						c.name == "ledger_seq" && !c.key
				}
				c := columns[r.IntN(len(columns))]
				for unfit(c) {
					c = columns[r.IntN(len(columns))]
				}
				what = "column " + c.name + " altered"
				expression, where := altered("`"+c.name+"`",
					strings.ReplaceAll(strings.ReplaceAll(c.kind, "LowCardinality(String)",
						"String"), "(3, 'UTC')", ""))
				before := scalar(t, db, fmt.Sprintf("SELECT count() FROM %s FINAL WHERE %s", name, where))
				if before == 0 {
					t.Logf("%s: %s: no row has one", view, what)
					continue
				}
				if c.key {
					exec("INSERT INTO %s SELECT * REPLACE(%s AS `%s`) FROM (SELECT * FROM %s FINAL WHERE %s)",
						name, expression, c.name, name, one(where))
				} else {
					exec("ALTER TABLE %s UPDATE `%s` = %s WHERE %s SETTINGS mutations_sync = 2",
						name, c.name, expression, one(where))
				}
			case kind < 8:
				what = "a row invented"
				exec("INSERT INTO %s SELECT * REPLACE(generateUUIDv4() AS tenant) FROM (SELECT * FROM %s "+
					"FINAL WHERE %s)", name, name, one("1"))
			case kind < 9:
				what = "a part lost"
				// One with a row that no other has: what is put right stands twice until a merge.
				part := text1(t, db, fmt.Sprintf("SELECT any(_part) AS part FROM %s GROUP BY %s HAVING "+
					"uniqExact(_part) = 1 ORDER BY cityHash64(part, %d) LIMIT 1",
					name, strings.Join(keys, ", "), r.Uint64()))
				exec("ALTER TABLE %s DROP PART '%s'", name, part)
			default:
				what = "all rows lost"
				exec("TRUNCATE TABLE %s", name)
			}
			t.Logf("%s: %s", view, what)
			check(view+": "+what, view)
			if view != "events" && r.IntN(3) == 0 { // the way out
				if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{}); err != nil {
					t.Fatal(err)
				}
			} else {
				exec("TRUNCATE TABLE events")
				for _, v := range views {
					exec("TRUNCATE TABLE %s", table(v))
				}
				fill()
			}
		}
		check(fmt.Sprintf("healed %d", round))
	}

	// Definitions: what names them is the same for every run, so most are looked at alone.
	defined := func(what string, names ...string) {
		t.Helper()
		shape, err := db.Shape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range shape.Findings {
			got = append(got, f.View)
		}
		if !slices.Equal(got, names) {
			t.Fatalf("%s: found %v, want %v", what, got, names)
		}
	}
	shape, err := db.Shape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range shape.Plain {
		was := text1(t, db, "SELECT as_select FROM system.tables WHERE database = "+
			"currentDatabase() AND name = '"+plain+
			"'")
		exec("CREATE OR REPLACE VIEW %s AS SELECT * FROM (%s) WHERE cityHash64(tenant) %% 2 = 0", plain, was)
		defined(plain+" replaced", plain)
		exec("CREATE OR REPLACE VIEW %s AS %s", plain, was)
	}
	mv := table("access") + "_mv"
	was := text1(t, db, "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = '"+mv+"'")
	exec("DROP VIEW %s SYNC", mv)
	defined(mv+" dropped", mv)
	exec("CREATE MATERIALIZED VIEW %s TO %s AS %s AND ledger_seq < 100", mv, table("access"), was)
	exec("DROP VIEW device_current SYNC")
	exec("DROP VIEW request SYNC")
	defined("three at once", mv, "device_current", "request")
	check("three at once", mv, "device_current", "request")
	for _, view := range []string{"access", "request"} {
		if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE genuine_mv MODIFY QUERY SELECT ledger_seq, tenant FROM events")
	defined("what fills the views replaced", "genuine_mv")
	exec("DROP VIEW genuine_mv SYNC")
	defined("what fills the views dropped", "genuine_mv")
	exec("DROP TABLE genuine SYNC")
	exec("DROP TABLE %s SYNC", table("refusal"))
	defined("a table gone, and what fills the views", "genuine", "refusal")
	if err := db.Rebuild(t.Context(), "refusal", clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	check("rebuilt")

	// Whatever is in the database is compared, or named with a reason.
	told := map[string]bool{"events": true, "genuine_mv": true}
	if shape, err = db.Shape(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range shape.Plain {
		told[name] = true
	}
	for _, u := range shape.NotCompared {
		if u.Why == "" || u.Why == "not this program's" {
			t.Errorf("%s is not compared: %q", u.Name, u.Why)
		}
		told[u.Name] = true
	}
	for _, view := range shape.Views {
		told[table(view)], told[table(view)+"_mv"] = true, true
	}
	for _, name := range tableNames(t, db) {
		if !told[name] {
			t.Errorf("%s is neither compared nor named as not compared", name)
		}
	}
	exec("CREATE TABLE a_strangers (x UInt8) ENGINE = MergeTree ORDER BY x")
	if shape, err = db.Shape(t.Context()); err != nil ||
		!slices.Contains(shape.NotCompared, projections.Uncompared{Name: "a_strangers", Why: "not this program's"}) {
		t.Errorf("a stranger's table is not told: %+v, %v", shape.NotCompared, err)
	}
}

func scalar(t testing.TB, db *clickhouse.DB, question string) (n uint64) {
	t.Helper()
	rows, err := db.Query(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func text1(t testing.TB, db *clickhouse.DB, question string) (s string) {
	t.Helper()
	rows, err := db.Query(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// named is an event that is disowned where it stands.
type named struct {
	id  uuid.UUID
	seq uint64
}

func at(r schemas.Envelope) named { return named{r.ID, r.Seq} }

// disowning is the row of an event that disowns others, as the catalogue will read it.
func disowning(seq uint64, tenant uuid.UUID, events ...named) projections.Row {
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	r := projections.Row{Seq: seq, Tenant: tenant, Stream: schemas.NewStream("ledger", tenant),
		EventID: chtest.ID(fmt.Sprint("disowning", seq)),
		Type:    "ledger.disowned.v1", Occurred: at, Recorded: at, Source: "custody", Data: []byte("{}"),
		Metadata: []byte("{}"), Catalogue: schemas.Default().Version()}
	for i, e := range events {
		r.Values = append(r.Values, projections.Value{Attribute: "disowned.event", Element: fmt.Sprint(i),
			Text: e.id.String(), Observed: at},
			projections.Value{Attribute: "disowned.sequence", Element: fmt.Sprint(i),
				Text: fmt.Sprint(e.seq), Observed: at})
	}
	r.Values = append(r.Values, projections.Value{Attribute: "disowned.ground", Text: "forged", Observed: at})
	return r
}
