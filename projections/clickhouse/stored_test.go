package clickhouse_test

import (
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// Every row of a sequence is told, also where two events claim it.
func TestStoredTellsEveryRowOfASequence(t *testing.T) {
	db := chtest.Start(t)
	rows := chtest.Rows(chtest.NewLedger(1, 2, 3).Events(50)...)
	other := rows[7]
	other.Stream, other.Leaf, other.Partition = rows[20].Stream, [32]byte{9}, "ledger.x/1#b"
	for i := range rows {
		rows[i].Partition = "ledger.x/0#a"
	}
	for range 2 { // a row that is inserted again is one
		if err := db.Insert(t.Context(), append(slices.Clone(rows), other)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.Stored(t.Context(), []uint64{3, 7, 7, 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !slices.Equal(got[3], []projections.Stored{{Leaf: rows[3].Leaf, Partition: "ledger.x/0#a"}}) {
		t.Errorf("%v", got)
	}
	if len(got[7]) != 2 || !slices.Contains(got[7], projections.Stored{Leaf: other.Leaf,
		Partition: other.Partition}) ||
		!slices.Contains(got[7], projections.Stored{Leaf: rows[7].Leaf, Partition: "ledger.x/0#a"}) {
		t.Errorf("of two events: %v", got[7])
	}
	if got, err := db.Stored(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}
