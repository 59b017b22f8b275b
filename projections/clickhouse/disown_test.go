package clickhouse_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

// without is the model of a ledger without the events of those sequences.
func without(m model, out map[uint64]bool) (rest model) {
	for _, e := range m {
		if !out[e.Seq] {
			rest = append(rest, e)
		}
	}
	return rest
}

// compareAll holds every view against its definition.
func compareAll(t *testing.T, db *clickhouse.DB) {
	t.Helper()
	views, err := db.Views(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range views {
		portions, err := db.Portions(t.Context(), view)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range portions {
			if c, err := db.CompareView(t.Context(), view, p); err != nil || c.Count+c.Unsettled > 0 {
				t.Fatalf("%s: %+v, %v", view, c, err)
			}
		}
	}
}

// TestWhatIsDisownedIsOutOfEveryAnswerAndItsBytesStay disowns events by their own tenant's
// and by the ledger's own event, before they come, with them and behind them, and asks
// everything: as if they had never been.
func TestWhatIsDisownedIsOutOfEveryAnswerAndItsBytesStay(t *testing.T) {
	seed := newSeed(t)
	r := rand.New(rand.NewPCG(seed, 12))
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 3)
	m := model(l.Events(240))
	out := map[uint64]bool{}
	var byTenant, byLedger, vain []named
	for _, e := range m[1:] {
		switch {
		case r.IntN(6) > 0:
		case e.Draft.Tenant == l.Tenants[0] && r.IntN(2) == 0:
			byTenant, out[e.Seq] = append(byTenant, at(e.Envelope)), true
		case r.IntN(2) == 0:
			byLedger, out[e.Seq] = append(byLedger, at(e.Envelope)), true
		case e.Draft.Tenant == l.Tenants[1]:
			vain = append(vain, at(e.Envelope)) // named by another tenant, which may not
		}
	}
	rows := chtest.Rows(m...)
	voided := disowning(243, l.Tenants[0], at(m[1].Envelope), at(m[2].Envelope), at(m[3].Envelope), at(m[4].Envelope))
	rows = append(rows, disowning(240, l.Tenants[0], append(byTenant, vain...)...),
		disowning(241, uuid.Nil, byLedger...),
		voided, disowning(242, uuid.Nil, named{voided.EventID, voided.Seq}), // forged, and disowned
		disowning(246, uuid.Nil, named{m[6].ID, m[7].Seq}, named{m[7].ID, 300}), // the same ids, repeated elsewhere
		disowning(244, l.Tenants[1], byTenant...))                               // another tenant's: disowns nothing
	elsewhere := disowning(245, l.Tenants[0], at(m[5].Envelope))
	elsewhere.Stream = "device-" + elsewhere.Stream[len("ledger-"):] // not the ledger's stream
	rows = append(rows, elsewhere)
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for part := range slices.Chunk(rows, 1+r.IntN(120)) {
		if err := db.Insert(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 247}); err != nil {
		t.Fatal(err)
	}
	rest := without(m, out)
	asOf := projections.AsOf{Seq: 239}
	for _, tenant := range l.Tenants {
		checkReader(t, db, l, rest, r, tenant, asOf, projections.Period{})
	}
	compareAll(t, db)
	for range 2 { // nothing is left to do, and what comes again is out again
		if err := db.Disown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.Insert(t.Context(), rows[:100]); err != nil {
			t.Fatal(err)
		}
	}
	compareAll(t, db)
	checkReader(t, db, l, rest, r, l.Tenants[0], asOf, projections.Period{})
	var want []schemas.Envelope
	kept := uint64(0)
	for _, e := range m {
		if e.Draft.Tenant == l.Tenants[0] {
			want = append(want, e.Envelope)
			if !out[e.Seq] {
				kept++
			}
		}
	}
	sameRaw(t, all(t, db.RawEvents(t.Context(), l.Tenants[0], 0, 240)), want) // the bytes stay
	c, err := db.Counts(t.Context(), l.Tenants[0], asOf)
	if err != nil || c.Events != kept {
		t.Errorf("counted %d, want %d (%v)", c.Events, kept, err)
	}
}

// TestDisowningGoesOnAfterACrashAnywhere ends the acts of one call at every
// statement, and calls again.
func TestDisowningGoesOnAfterACrashAnywhere(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 1, 2)
	m := model(l.Events(80))
	rows := chtest.Rows(m...)
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 80}); err != nil {
		t.Fatal(err)
	}
	out := map[uint64]bool{}
	for crash := 0; ; crash++ {
		if crash == len(m)-1 {
			t.Fatal("no call came to its end")
		}
		e := m[len(m)-1-crash] // one more, so that each round has something to do
		out[e.Seq] = true
		ctx, cancel := context.WithCancelCause(t.Context())
		left := crash
		restore := db.BeforeExec(func(string) {
			if left--; left < 0 {
				cancel(errors.New("crash"))
			}
		})
		err := db.Insert(ctx, []projections.Row{disowning(80+uint64(crash), uuid.Nil, at(e.Envelope))})
		restore()
		if ended := ctx.Err() == nil; ended && err != nil {
			t.Fatal(err)
		} else if err := db.Disown(t.Context()); err != nil { // at the next start
			t.Fatal(err)
		} else {
			cancel(nil)
			// The row itself may not have arrived: it comes again.
			if err := db.Insert(t.Context(), []projections.Row{disowning(80+uint64(crash), uuid.Nil,
				at(e.Envelope))}); err != nil {
				t.Fatal(err)
			}
			checkReader(t, db, l, without(m, out), rand.New(rand.NewPCG(seed, 13)), l.Tenants[0],
				projections.AsOf{Seq: 79}, projections.Period{})
			if ended {
				return
			}
		}
	}
}

// What a damaged list of disowned events did to the other views is put right when the list is
// rebuilt, in whatever order the views are named.
func TestRebuildingWhatIsDisownedPutsTheOtherViewsRight(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 1, 2)
	m := model(l.Events(80))
	rows := chtest.Rows(m...)
	if err := db.Insert(t.Context(), append(rows, disowning(80, uuid.Nil, named{m[20].ID, m[20].Seq},
		named{m[40].ID, m[40].Seq}))); err != nil {
		t.Fatal(err)
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: 81}); err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]string{{"disowned_event", "disowned"}, {"disowned", "disowned_event"}} {
		found, err := db.Query(t.Context(), `SELECT name FROM system.tables WHERE database = currentDatabase()
			AND startsWith(name, 'disowned_event_v') AND engine LIKE '%MergeTree'`)
		if err != nil {
			t.Fatal(err)
		}
		table := ""
		for found.Next() {
			if err := found.Scan(&table); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(found.Err(), found.Close(), db.Exec(t.Context(),
			"DELETE FROM "+table+" WHERE 1")); err != nil {
			t.Fatal(err)
		}
		for _, view := range order {
			if err := db.Rebuild(t.Context(), view, clickhouse.RebuildConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		compareAll(t, db)
	}
}
