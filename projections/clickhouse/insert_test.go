package clickhouse_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestPositionComesBackAndTellsWhatItCovers(t *testing.T) {
	db := chtest.Start(t)
	if p, err := db.LoadPosition(t.Context(), "projector"); err != nil || p.Saved != 0 || p.Applied != 0 ||
		len(p.Next) != 0 {
		t.Fatalf("of a new database: %+v, %v", p, err)
	}
	if seq, ok, err := db.Through(t.Context()); err != nil || ok {
		t.Fatalf("through of a new database: %d, %t, %v", seq, ok, err)
	}
	rows := chtest.Rows(chtest.NewLedger(5, 1, 2).Events(40)...)
	for i := range rows {
		rows[i].Partition = fmt.Sprintf("ledger.x/%d", i%3)
	}
	rows[20].Partition = "" // came another way
	if err := db.Insert(t.Context(), slices.Concat(rows[:38], rows[5:30])); err != nil {
		t.Fatal(err)
	}
	want := projections.Position{Saved: 3, Applied: 10, Next: map[string]projections.Place{
		"ledger.x/0": {Next: 14, LastSeq: 30}, "ledger.x/1": {Next: 9, LastSeq: 22},
		"ledger.it's\t\\": {Next: 1, LastSeq: 99}},
		Skipped: map[string]projections.Foreign{"ledger.x/0": {Count: 3, First: 2, Last: 13},
			"ledger.new/0": {Count: 1}}}
	for _, p := range []projections.Position{{Saved: 2, Applied: 9}, want} {
		if err := db.SavePosition(t.Context(), "projector", p); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.LoadPosition(t.Context(), "projector")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "position", got, want)
	if seq, ok, err := db.Through(t.Context()); err != nil || !ok || seq != 9 {
		t.Errorf("through %d, %t, %v; want 9", seq, ok, err)
	}
	if err := db.WaitThrough(t.Context(), 9); err != nil {
		t.Error(err)
	}
	var covered []uint64
	for seq := uint64(10); seq < 38; seq++ {
		if seq != 20 && (seq%3 == 0 && seq <= 30 || seq%3 == 1 && seq <= 22) {
			covered = append(covered, seq)
		}
	}
	same(t, "applied above", all(t, db.AppliedAbove(t.Context(), got)), covered)
}

// What an insert writes twice, in one block or in two, is read once by each view: FINAL alone sees
// to it, for nothing is replaced when a block is written.
func TestABlockThatRepeatsItselfIsReadOnce(t *testing.T) {
	rows := chtest.Rows(chtest.NewLedger(newSeed(t), 2, 3).Events(900)...) // some of each type
	var counts [2]map[string]uint64
	for i, blocks := range [][][]projections.Row{{rows}, {slices.Concat(rows, rows), rows[100:200]}} {
		db := chtest.Start(t)
		for _, block := range blocks {
			if err := db.Insert(t.Context(), block); err != nil {
				t.Fatal(err)
			}
		}
		counts[i] = map[string]uint64{}
		for _, view := range []string{"events FINAL", "event_seq", "attribute_history", "attribute_latest",
			"attribute_current", "device_current", "event_subject", "admin_action", "admin_action_more", "refusal",
			"access", "request", "remote_action", "alert"} {
			answer, err := db.Query(t.Context(), "SELECT count() FROM "+view)
			if err != nil {
				t.Fatal(err)
			}
			var n uint64
			for answer.Next() {
				if err := answer.Scan(&n); err != nil {
					t.Fatal(err)
				}
			}
			if err := answer.Err(); err != nil || n == 0 {
				t.Fatalf("%s: %d rows, %v", view, n, err)
			}
			counts[i][view] = n
		}
	}
	same(t, "rows of the views", counts[1], counts[0])
}

// BenchmarkInsert reports events a second through all views: a fleet's mix, device
// events of some fifteen values.
func BenchmarkInsert(b *testing.B) {
	for _, size := range []int{100, 2000, 10000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			db := chtest.Start(b)
			rows := chtest.Rows(chtest.NewLedger(1, 2, 400).Events(size)...)
			n := 0
			for b.Loop() {
				if err := db.Insert(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
				for i := range rows {
					rows[i].Seq += uint64(size) // new events, not repeats
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRowOf reports what one event costs before it reaches ClickHouse.
func BenchmarkRowOf(b *testing.B) {
	events := chtest.NewLedger(1, 2, 50).Events(1000)
	i := 0
	for b.Loop() {
		projections.RowOf(events[i%len(events)].Envelope)
		i++
	}
}
