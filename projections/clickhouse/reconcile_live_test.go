package clickhouse_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/reconcile"
)

// TestReconcileRaisesNoFalseAlarmWhileTheProjectorWrites compares again and again under continuous
// writes, repeats, disowning and a rebuild.
func TestReconcileRaisesNoFalseAlarmWhileTheProjectorWrites(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 2) // few devices: their present state is always moving
	topics := chtest.NewTopics(2)
	var mu sync.Mutex
	var m []chtest.Event
	events := func() []chtest.Event {
		mu.Lock()
		defer mu.Unlock()
		return m
	}
	more := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		fresh := l.Events(n)
		m = append(m, fresh...)
		topics.Publish(fresh...)
	}
	more(100)
	p, err := projections.New(projections.Config{Source: topics, Sink: db, Positions: db,
		Log:       slog.New(slog.DiscardHandler),
		BatchRows: 10, BatchWait: time.Millisecond, Heartbeat: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 2)
	go func() { done <- p.Run(ctx) }()
	if err := db.WaitThrough(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-tick.C:
				more(4)
			}
		}
	}()
	rec := newReconciler(t, db, events, func(c *reconcile.Config) {
		c.Deep, c.Portion = true, 64
		c.Judge = nil
	})
	for round := range 3 {
		rebuilt := make(chan error, 1)
		go func() {
			if round == 1 {
				rebuilt <- db.Rebuild(t.Context(), "attribute_current",
					clickhouse.RebuildConfig{Projector: "projector", Portion: 1000})
				return
			}
			rebuilt <- db.Disown(t.Context())
		}()
		res := mustRun(t, rec)
		if err := <-rebuilt; err != nil {
			t.Fatal(err)
		}
		if res.Differences > 0 || res.Unsettled > 0 {
			t.Fatalf("round %d: a false alarm: %+v", round, res)
		}
		if res.Events != res.Through+1 || len(res.Views) != 12 || !res.Leaves || res.Origins {
			t.Errorf("round %d: what was compared: %+v", round, res)
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// TestBindAndAnchorKnowTheLedger binds once, refuses another ledger, and gives the
// event at which the views are.
func TestBindAndAnchorKnowTheLedger(t *testing.T) {
	db := chtest.Start(t)
	if _, ok, err := db.Anchor(t.Context()); err != nil || ok {
		t.Errorf("of a new database: %t, %v", ok, err)
	}
	s := chtest.NewStory(t)
	chtest.Load(t, db, s.Events...)
	if err := db.Bind(t.Context(), uuid.New()); !isOther(err) {
		t.Errorf("events of another ledger: %v", err)
	}
	for range 2 {
		if err := db.Bind(t.Context(), chtest.ID("ledger")); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Bind(t.Context(), uuid.New()); !isOther(err) {
		t.Errorf("bound to another ledger: %v", err)
	}
	leaf := s.Events[0].Leaf()
	a, ok, err := db.Anchor(t.Context())
	if err != nil || !ok || a.LedgerID != chtest.ID("ledger") || a.Seq != 0 ||
		a.EventID != s.Events[0].ID || a.Leaf != leaf {
		t.Errorf("anchor %+v, %t, %v", a, ok, err)
	}
	if err := db.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := db.Anchor(t.Context()); err != nil || ok {
		t.Errorf("cleared: %t, %v", ok, err)
	}
	if err := db.Bind(t.Context(), chtest.ID("another")); err != nil {
		t.Errorf("cleared, bound to another: %v", err)
	}
}

func isOther(err error) bool { return err != nil && errors.Is(err, clickhouse.ErrOtherLedger) }
