package clickhouse_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestViewsAreRebuiltUnderContinuousWrites(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 4)
	topics := chtest.NewTopics(2)
	m := model(l.Events(150))
	topics.Publish(m...)
	p, err := projections.New(projections.Config{Source: topics, Sink: db, Positions: db,
		Log:       slog.New(slog.DiscardHandler),
		BatchRows: 25, BatchWait: 10 * time.Millisecond, Heartbeat: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()

	views, err := db.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"access", "admin_action", "admin_action_more", "alert", "attribute_current", "disowned",
		"disowned_event", "event_seq", "event_subject", "refusal", "remote_action", "request"}
	if !slices.Equal(views, want) {
		t.Fatalf("views %v, want %v", views, want)
	}
	for _, view := range views {
		more := l.Events(20)
		m = append(m, more...)
		topics.Publish(more...) // being applied while the view is rebuilt
		if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{Projector: "projector",
			Portion: 20}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.WaitThrough(t.Context(), uint64(len(m)-1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, tenant := range l.Tenants {
		checkReader(t, db, l, m, rand.New(rand.NewPCG(seed, 9)), tenant, projections.AsOf{Seq: uint64(len(m) - 1)},
			projections.Period{})
	}
	for _, name := range tableNames(t, db) {
		if strings.HasSuffix(name, "_v2") || strings.HasSuffix(name, "_v2_mv") {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestARebuildRepairsAViewAndRefusesOneThatDiffers(t *testing.T) {
	db := chtest.Start(t)
	events := chtest.NewLedger(3, 1, 3).Events(120)
	rows := chtest.Rows(events...)
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		t.Helper()
		if err := db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	count := func(what string) (n uint64) {
		t.Helper()
		rows, err := db.Query(t.Context(), "SELECT count() FROM "+what)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count("admin_action")
	exec("TRUNCATE TABLE admin_action_v3")
	// An interrupted rebuild had filled a table with what no event has: it
	// is found and stays unused.
	exec("CREATE TABLE admin_action_v3r1 AS admin_action_v3")
	exec("INSERT INTO admin_action_v3r1 (tenant, ledger_seq, occurred_at) SELECT generateUUIDv4(), 3, now64(3)")
	err := db.Rebuild(t.Context(), "admin_action", clickhouse.RebuildConfig{})
	if !errors.Is(err, clickhouse.ErrRebuildDiffers) {
		t.Fatalf("got %v, want ErrRebuildDiffers", err)
	}
	if n := count("admin_action"); n != 0 {
		t.Errorf("readers see %d rows of a table that differs", n)
	}
	exec("TRUNCATE TABLE admin_action_v3r1")
	if err := db.Rebuild(t.Context(), "admin_action", clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	if n := count("admin_action"); n != before || n == 0 {
		t.Errorf("%d admin actions, want %d", n, before)
	}
	if err := db.Rebuild(t.Context(), "admin_action", clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	if names := tableNames(t, db); !slices.Contains(names, "admin_action_v3r2") ||
		slices.Contains(names, "admin_action_v3r1") {
		t.Errorf("tables: %v", names)
	}
	// A table that somebody dropped leaves its materialized view, by which every insert fails:
	// it goes with the rebuild.
	exec("DROP TABLE admin_action_v3r2 SYNC")
	if err := db.Rebuild(t.Context(), "admin_action", clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	if names := tableNames(t, db); slices.Contains(names, "admin_action_v3r2_mv") &&
		!slices.Contains(names, "admin_action_v3r2") {
		t.Errorf("what filled a table that is gone is still there: %v", names)
	}
	if err := db.Insert(t.Context(), rows[:1]); err != nil {
		t.Errorf("an insert after the rebuild: %v", err)
	}
	if err := db.Rebuild(t.Context(), "no_such_view", clickhouse.RebuildConfig{}); err == nil {
		t.Error("rebuilt a view that is not there")
	}
	// A projector that does not run saves nothing: the rebuild waits until it is told to
	// stop, and can be done again.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- db.Rebuild(ctx, "refusal", clickhouse.RebuildConfig{Projector: "projector"}) }()
	for !slices.Contains(tableNames(t, db), "refusal_v2r1_mv") {
		select {
		case err := <-done:
			t.Fatalf("did not wait for a projector that does not run: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was canceled", err)
	}
	before = count("refusal")
	if err := db.Rebuild(t.Context(), "refusal", clickhouse.RebuildConfig{}); err != nil {
		t.Fatal(err)
	}
	if n := count("refusal"); n != before || n == 0 {
		t.Errorf("%d refusals, want %d", n, before)
	}
}

func tableNames(t *testing.T, db *clickhouse.DB) (out []string) {
	t.Helper()
	rows, err := db.Query(t.Context(), "SHOW TABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
