package clickhouse_test

import (
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

func TestDigestsAndLeavesComputedInSQLAreThoseOfTheLedger(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 3, 3)
	events := l.Events(400)
	load(t, db, events, l.Rand) // some rows are there twice
	want := projections.Digests{}
	for _, e := range events[:300] {
		want.Add(e.Draft.Tenant, e.Seq, e.Leaf())
	}
	got, err := db.Digest(t.Context(), 299)
	if err != nil {
		t.Fatal(err)
	}
	if d := want.Differ(got); len(d) > 0 || len(got) != 4 {
		t.Fatalf("buckets that differ: %v of %d", d, len(got))
	}
	differences, err := db.DeepCheck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(differences) > 0 {
		t.Fatalf("%d leaves differ, the first: %+v", len(differences), differences[0])
	}

	// One byte of one event, one subject of another, one stored leaf: each is found, and nothing
	// else.
	rows := chtest.Rows(events[7], events[91], events[200])
	rows[0].Data = append([]byte(nil), append(rows[0].Data, ' ')...)
	rows[1].Subjects = append(rows[1].Subjects, projections.Subject{Alias: events[8].ID, Role: "user"})
	rows[2].Leaf[31] ^= 1
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if differences, err = db.DeepCheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(differences) != 3 || differences[0].Seq != 7 || differences[1].Seq != 91 || differences[2].Seq != 200 {
		t.Fatalf("differences: %+v", differences)
	}
	if got, err = db.Digest(t.Context(), 299); err != nil {
		t.Fatal(err)
	}
	d := want.Differ(got)
	if len(d) != 1 || d[0] != projections.BucketOf(rows[2].Tenant, 200) {
		t.Fatalf("buckets that differ: %v", d)
	}
	ledger := map[uint64][32]byte{}
	for _, e := range events[:300] {
		ledger[e.Seq] = e.Leaf()
	}
	var wrong []uint64
	for _, leaf := range all(t, db.Leaves(t.Context(), d[0], 299)) {
		if ledger[leaf.Seq] != leaf.Leaf {
			wrong = append(wrong, leaf.Seq)
		}
	}
	if len(wrong) != 1 || wrong[0] != 200 {
		t.Errorf("leaves that differ: %v", wrong)
	}
}
