package clickhouse_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestMigratingAgainChangesNothingAndOpenRefusesWhatWasNotMigrated(t *testing.T) {
	cfg := chtest.Config(t)
	if _, err := clickhouse.Open(t.Context(), cfg); err == nil {
		t.Fatal("opened a database that is not there")
	}
	for range 2 {
		if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	db := chtest.Open(t, cfg)
	if err := db.Exec(t.Context(), "INSERT INTO migration SELECT 2, 'x', 'another sum', now64(3)"); err != nil {
		t.Fatal(err)
	}
	if _, err := clickhouse.Open(t.Context(), cfg); !errors.Is(err, clickhouse.ErrMigrations) {
		t.Errorf("a changed migration: got %v, want ErrMigrations", err)
	}
	if err := clickhouse.Migrate(t.Context(), cfg); !errors.Is(err, clickhouse.ErrMigrations) {
		t.Errorf("migrating over a changed migration: got %v, want ErrMigrations", err)
	}
}

// TestADatabaseOfTheFirstVersionIsBroughtUpAndAnswersAlike fills the views as the first program
// made them, one of them rebuilt, and brings them up: every answer is the same, nothing of the old
// versions is left, and a new database is alike.
func TestADatabaseOfTheFirstVersionIsBroughtUpAndAnswersAlike(t *testing.T) {
	seed := newSeed(t)
	cfg := chtest.Config(t)
	if err := clickhouse.MigrateTo(t.Context(), cfg, 5); err != nil {
		t.Fatal(err)
	}
	old, err := clickhouse.OpenAnyhow(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := chtest.NewLedger(seed, 2, 3)
	m := model(l.Events(150))
	load(t, old, m, l.Rand)
	for _, statement := range []string{ // as a rebuild leaves it
		"CREATE TABLE access_v1r1 AS access_v1", "INSERT INTO access_v1r1 SELECT * FROM access_v1",
		"DROP VIEW access_v1_mv SYNC",
		"CREATE OR REPLACE VIEW access AS SELECT * FROM access_v1r1 FINAL", "DROP TABLE access_v1 SYNC",
		"CREATE TABLE attribute_history_v1r1 AS attribute_history_v1", // of a view that has no table any more
	} {
		if err := old.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	db := chtest.Open(t, cfg)
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 150}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Upgrade(t.Context(), clickhouse.RebuildConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	fresh := tableNames(t, chtest.Start(t))
	var names []string
	for _, n := range tableNames(t, db) {
		if strings.Contains(n, "_v1") && n != "event_seq_v1" && n != "event_seq_v1_mv" &&
			!strings.HasPrefix(n, "disowned_event_v1") {
			t.Errorf("%s is still there", n)
		}
		names = append(names, n)
	}
	if !slices.Equal(names, fresh) {
		t.Errorf("brought up: %v\na new database: %v", names, fresh)
	}
	res := mustRun(t, newReconciler(t, db, func() []chtest.Event { return m }, nil))
	if res.Differences > 0 {
		t.Errorf("%+v", res.Findings)
	}
	for _, tenant := range l.Tenants {
		for _, seq := range []uint64{149, 75} {
			checkReader(t, db, l, m, rand.New(rand.NewPCG(seed, 3)), tenant, projections.AsOf{Seq: seq},
				projections.Period{})
		}
	}
}

// TestViewsAreFilledThroughGenuineWithoutARebuild brings up a database in which each view read
// events, one of them rebuilt: the tables stay, nothing is filled again, and what comes then is in
// each view once, without what is disowned.
func TestViewsAreFilledThroughGenuineWithoutARebuild(t *testing.T) {
	seed := newSeed(t)
	cfg := chtest.Config(t)
	if err := clickhouse.MigrateTo(t.Context(), cfg, 11); err != nil {
		t.Fatal(err)
	}
	db, err := clickhouse.OpenAnyhow(cfg)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		t.Helper()
		if err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	l := chtest.NewLedger(seed, 2, 3)
	m := model(l.Events(150))
	rows := append(chtest.Rows(m...), disowning(150, uuid.Nil, at(m[7].Envelope)))
	was := text1(t, db,
		"SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = 'refusal_v2_mv'")
	for table, reader := range map[string]string{"access_v2": "access", "admin_action_v3": "admin_action",
		"admin_action_more_v2": "admin_action_more", "attribute_current_v3": "attribute_latest",
		"event_subject_v2": "event_subject", "refusal_v2": "refusal", "request_v2": "request"} {
		exec("CREATE OR REPLACE VIEW " + reader + " AS SELECT * FROM " + table + " FINAL") // as an upgrade leaves it
	}
	for _, statement := range []string{
		"DROP VIEW refusal_v2_mv SYNC", "RENAME TABLE refusal_v2 TO refusal_v2r1", // as a rebuild leaves it
		"CREATE MATERIALIZED VIEW refusal_v2r1_mv TO refusal_v2r1 AS " + was,
		"CREATE OR REPLACE VIEW refusal AS SELECT * FROM refusal_v2r1 FINAL",
	} {
		exec(statement)
	}
	if err := db.Insert(t.Context(), rows[:100]); err != nil {
		t.Fatal(err)
	}
	const filled = "SELECT arrayStringConcat(arraySort(groupArray(concat(name, ' ', toString(uuid), ' ', " +
		"toString(total_rows)))), ', ') FROM system.tables WHERE database = currentDatabase() AND " +
		"match(name, '_v[0-9]+(r[0-9]+)?$') AND NOT match(name, '^(access|alert|remote_action)_') AND " +
		"engine = 'ReplacingMergeTree'"
	before := text1(t, db, filled)
	for range 2 {
		if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	if after := text1(t, db, filled); after != before {
		t.Errorf("tables before: %s\nand after: %s", before, after)
	}
	// A later migration has another version of one view, which is rebuilt.
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 100}); err != nil {
		t.Fatal(err)
	}
	if err := db.Upgrade(t.Context(), clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	shape, err := db.Shape(t.Context())
	if err != nil || len(shape.Findings) > 0 {
		t.Fatalf("%+v, %v", shape.Findings, err)
	}
	if n := scalar(t, db, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND "+
		"engine = 'MaterializedView' AND as_select LIKE '%genuine%'"); n != 9 {
		t.Errorf("%d views are filled through genuine, want 9", n)
	}
	if err := db.Insert(t.Context(), rows[100:]); err != nil {
		t.Fatal(err)
	}
	compareAll(t, db)
	if n := scalar(t, db, "SELECT count() FROM refusal_v2r1"); n == 0 {
		t.Error("a rebuilt table got nothing")
	}
}

// Files that are searched for text are not compressed, whatever else the settings of a table say.
func TestUncompressedTablesCompressNothing(t *testing.T) {
	cfg := chtest.Config(t)
	cfg.Uncompressed = true
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	db := chtest.Open(t, cfg)
	rows := chtest.Rows(chtest.NewLedger(1, 1, 5).Events(100)...)
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	parts, err := db.Query(t.Context(), "SELECT table, default_compression_codec FROM system.parts "+
		"WHERE database = currentDatabase() AND active AND table != 'migration'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parts.Close() }()
	tables := map[string]bool{}
	for parts.Next() {
		var table, codec string
		if err := parts.Scan(&table, &codec); err != nil {
			t.Fatal(err)
		}
		tables[table] = true
		if codec != "NONE" {
			t.Errorf("a part of %s is written by %s", table, codec)
		}
	}
	if err := parts.Err(); err != nil || !tables["events"] || !tables["attribute_current_v3"] {
		t.Fatalf("%v, %v", tables, err)
	}
}
