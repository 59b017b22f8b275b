package clickhouse_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// TestViewsSurviveKillsOfTheEngine kills the engine while it inserts: the base may be
// written and some views not. The projector goes on by itself when the engine is
// back, and every view is exact.
func TestViewsSurviveKillsOfTheEngine(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 4))
	dir := t.TempDir()
	server := chtest.Serve(t, dir, "")
	cfg := clickhouse.Config{Addrs: []string{server.Addr()}, Username: chtest.Writer, Password: chtest.WriterPassword,
		Poll: 10 * time.Millisecond}
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	db, err := clickhouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := chtest.NewLedger(seed, 2, 4)
	topics := chtest.NewTopics(2)
	m := model(l.Events(300))
	topics.Publish(m...)
	// Every insert past the first wakes the killer, which strikes while that insert runs.
	inserting := make(chan struct{}, 1)
	p, err := projections.New(projections.Config{Source: topics, Sink: db, Positions: db,
		Log:       slog.New(slog.DiscardHandler),
		BatchRows: 20, BatchWait: 10 * time.Millisecond, BackoffMin: 5 * time.Millisecond,
		BackoffMax: 50 * time.Millisecond,
		Hook: func(point string) error {
			if point == projections.HookBeforeInsert {
				select {
				case inserting <- struct{}{}:
				default:
				}
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for range 3 {
		<-inserting
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond) // anywhere in the insert; a random moment, not a wait
		child, err := os.FindProcess(server.PID())
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Kill(); err != nil {
			t.Fatal(err)
		}
		<-server.Done()
		_ = server.Stop(t.Context()) // gives the address free; its error is the kill
		server = chtest.Serve(t, dir, server.Addr())
	}
	if err := db.WaitThrough(t.Context(), uint64(len(m)-1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkEvents(t, db, m)
	for _, tenant := range l.Tenants {
		checkReader(t, db, l, m, r, tenant, projections.AsOf{Seq: uint64(len(m) - 1)}, projections.Period{})
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	stop, end := context.WithTimeout(context.Background(), time.Minute)
	defer end()
	if err := server.Stop(stop); err != nil {
		t.Error(err)
	}
}
