//go:build bench && unix

package clickhouse_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/block"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// Run with: make bench-views. A fleet's mix, some 13 values and 4.6 KB an event. Nothing is
// asserted.

func print(name string, value float64, unit string) { fmt.Printf("%s %.4g %s\n", name, value, unit) }

// TestBenchProjector puts the projector beside ClickHouse alone, that is the same blocks out of
// memory, into all views and into a table that has none; by turns, since a machine's other load
// changes.
func TestBenchProjector(t *testing.T) {
	db := chtest.Start(t)
	if err := db.Exec(t.Context(), "CREATE TABLE bare AS events"); err != nil {
		t.Fatal(err)
	}
	l := chtest.NewLedger(1, 2, 400)
	for _, size := range []int{2000, 10_000} {
		const rounds = 3
		n := max(size, 6000)
		projector, alone, bare := time.Duration(0), time.Duration(0), time.Duration(0)
		for round := range rounds + 1 {
			took := [3]time.Duration{project(t, db, l, size, n, fmt.Sprint("bench ", size, round)),
				insertBlocks(t, db, l, "events", size, n), insertBlocks(t, db, l, "bare", size, n)}
			if round > 0 { // the first one warms up
				projector, alone, bare = projector+took[0], alone+took[1], bare+took[2]
			}
		}
		perSecond := func(d time.Duration) float64 { return float64(rounds*n) / d.Seconds() }
		print(fmt.Sprint("projector-", size), perSecond(projector), "events/s")
		print(fmt.Sprint("clickhouse-alone-", size), perSecond(alone), "events/s")
		print(fmt.Sprint("clickhouse-without-views-", size), perSecond(bare), "events/s")
		print(fmt.Sprint("projector-to-clickhouse-", size), 100*alone.Seconds()/projector.Seconds(), "%")
		print(fmt.Sprint("all-views-to-none-", size), 100*bare.Seconds()/alone.Seconds(), "%")
	}
}

// project lets a projector take n new events from topics in memory.
func project(t *testing.T, db *clickhouse.DB, l *chtest.Ledger, size, n int, name string) time.Duration {
	t.Helper()
	topics := chtest.NewTopics(4)
	topics.Publish(l.Events(n)...)
	p, err := projections.New(projections.Config{Name: name, Source: topics, Sink: db, Positions: db,
		Log: slog.New(slog.DiscardHandler), BatchRows: size, BatchBytes: 1 << 30, BatchWait: 100 * time.Millisecond,
		Stall: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- p.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.Status().Rows < uint64(n) {
		<-tick.C
	}
	took := time.Since(began)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return took
}

func insertBlocks(t *testing.T, db *clickhouse.DB, l *chtest.Ledger, table string, size, n int) (took time.Duration) {
	t.Helper()
	for range n / size {
		bytes, err := io.ReadAll(block.Reader(chtest.Rows(l.Events(size)...)))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := db.InsertBlock(t.Context(), table, bytes); err != nil {
			t.Fatal(err)
		}
		took += time.Since(began)
	}
	return took
}

// TestBenchRowOf prints the processor time of one event → row, its leaf known.
func TestBenchRowOf(t *testing.T) {
	events := chtest.NewLedger(1, 2, 50).Events(1000)
	chtest.Rows(events...) // hashes the leaves
	const rounds = 20
	began := cputime.Used()
	for range rounds {
		for _, e := range events {
			projections.RowOf(e.Envelope)
		}
	}
	print("row-of", float64((cputime.Used()-began).Nanoseconds())/1000/float64(rounds*len(events)), "µs")
}

// TestBenchAge prints at which rate views are compared and made anew, with BENCH_EVENTS events and
// with a third of them, and what is left of the rate where the ledger is larger.
func TestBenchAge(t *testing.T) {
	most := 60_000
	if s := os.Getenv("BENCH_EVENTS"); s != "" {
		var err error
		if most, err = strconv.Atoi(s); err != nil || most < 3 {
			t.Fatalf("BENCH_EVENTS %q", s)
		}
	}
	db := chtest.Start(t)
	l := chtest.NewLedger(1, 2, 400)
	var events []schemas.Envelope
	var rates [2][2]float64
	for i, size := range []int{most / 3, most} {
		for len(events) < size {
			more := l.Events(min(2000, size-len(events)))
			if err := db.Insert(t.Context(), chtest.Rows(more...)); err != nil {
				t.Fatal(err)
			}
			for _, e := range more {
				events = append(events, e.Envelope)
			}
		}
		if err := db.SavePosition(t.Context(), "projector",
			projections.Position{Saved: uint64(i + 1), Applied: uint64(size)}); err != nil {
			t.Fatal(err)
		}
		rates[i] = [2]float64{compared(t, db, events), rebuilt(t, db, size)}
		print(fmt.Sprint("reconcile-", size), rates[i][0], "events/s")
		print(fmt.Sprint("rebuild-", size), rates[i][1], "events/s")
	}
	print("reconcile-age", 100*rates[1][0]/rates[0][0], "%")
	print("rebuild-age", 100*rates[1][1]/rates[0][1], "%")
}

func compared(t *testing.T, db *clickhouse.DB, events []schemas.Envelope) float64 {
	t.Helper()
	r, err := reconcile.New(reconcile.Config{Name: "bench", Ledger: chtest.ID("bench"), Views: db,
		Log: slog.New(slog.DiscardHandler),
		Events: func(_ context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
			return func(yield func(schemas.Envelope, error) bool) {
				for _, e := range events[from:] {
					if !yield(e, nil) {
						return
					}
				}
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	res, err := r.Run(t.Context())
	if err != nil || res.Differences > 0 || res.Events != uint64(len(events)) {
		t.Fatalf("%+v, %v", res, err)
	}
	return float64(len(events)) / time.Since(began).Seconds()
}

func rebuilt(t *testing.T, db *clickhouse.DB, events int) float64 {
	t.Helper()
	views, err := db.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, view := range views {
		if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	return float64(events) / time.Since(began).Seconds()
}
