package clickhouse_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestEventsOfAnotherCatalogueAreReadAgainFromTheirBytes(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 1, 3)
	m := model(l.Events(120))
	rows := chtest.Rows(m...)
	var outdated uint64
	for i := range rows {
		rows[i].Partition = "ledger.x/0"
		if i%2 == 0 { // an older program knew none of these types
			rows[i].Values, rows[i].Catalogue = nil, [8]byte{0, 1, 0xfe}
			outdated++
		}
	}
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 120,
		Next: map[string]projections.Place{"ledger.x/0": {Next: 120, LastSeq: 119}}}); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Outdated(t.Context()); err != nil || n != outdated {
		t.Fatalf("outdated: %d, %v; want %d", n, err, outdated)
	}
	var told uint64
	if err := db.Refresh(t.Context(), func(seq, _ uint64) { told = seq }); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Outdated(t.Context()); err != nil || n != 0 || told != 118 {
		t.Fatalf("outdated afterwards: %d, %v; progress %d", n, err, told)
	}
	checkEvents(t, db, m)
	checkReader(t, db, l, m, rand.New(rand.NewPCG(seed, 5)), l.Tenants[0], projections.AsOf{Seq: 119},
		projections.Period{})

	if err := db.ClearPosition(t.Context(), "projector"); err != nil {
		t.Fatal(err)
	}
	if p, err := db.LoadPosition(t.Context(), "projector"); err != nil || p.Applied != 0 ||
		len(p.Next) != 0 || p.Saved != 2 {
		t.Errorf("cleared position: %+v, %v", p, err)
	}
}
