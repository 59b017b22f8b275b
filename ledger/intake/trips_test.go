package intake

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/schemas"
)

// tripsOf adds up the trips of transactions; Write tells that one of them wrote.
func tripsOf(all []storetest.Trips) (s storetest.Trips) {
	for _, t := range all {
		s.Write = s.Write || t.Write
		s.All, s.Fetches, s.Puts = s.All+t.All, s.Fetches+t.Fetches, s.Puts+t.Puts
	}
	return s
}

// entries reads the records of a folder.
func (w *world) entries(in *Intake, dir string) (out []*entry) {
	w.t.Helper()
	found, done := make(chan *entry), make(chan error, 1)
	go func() {
		done <- in.walk(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil, found)
		close(found)
	}()
	for e := range found {
		if e.outcome == pending && e.record != nil {
			out = append(out, e)
		}
	}
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestABatchTakesFewTripsToTheVault counts, in an invented fleet, what looking at a batch, reading
// its streams and planning it ask of the vault's store: however many records it is for, that is no
// more than a handful of trips each, and planning records that are known asks for nothing that the
// look before it has not, and takes no lock.
func TestABatchTakesFewTripsToTheVault(t *testing.T) {
	dir := fleetDir(t, 300, 3)
	for _, size := range []int{40, 512} {
		var counted *storetest.Counted
		w := newWorldOn(t, false, func(s store.Store) store.Store {
			counted = storetest.Count(s)
			return counted
		})
		for _, what := range []string{"new", "known", "known, and nothing kept of it"} {
			if what == "known, and nothing kept of it" {
				w.clock.Advance(time.Minute)
			}
			in, ctx := w.intake(), context.Background()
			left, err := in.begin(ctx, w.tenant)
			if err != nil {
				t.Fatal(err)
			}
			before, err := in.remember(ctx, w.tenant, left, false)
			if err != nil {
				t.Fatal(err)
			}
			for entries := range slices.Chunk(w.entries(in, dir), size) {
				b := &batch{entries: entries, touched: map[schemas.Stream]bool{}}
				counted.Taken()
				open := inOrder(entries)
				if b.known, err = in.know(ctx, w.tenant, left, open, map[schemas.Stream]bool{}, nil); err != nil {
					t.Fatal(err)
				}
				for _, trips := range counted.Taken() { // a look, and views in which up to 64 streams are folded
					if trips.Write || trips.Fetches > 2 || trips.All > 10 {
						t.Errorf("batches of %d, %s: looking and reading made %+v", size, what, trips)
					}
				}
				if _, err := in.round(ctx, w.tenant, left, before, open, b.known, 0); err != nil {
					t.Fatal(err)
				}
				trips := tripsOf(counted.Taken())
				if trips.Puts > 1 || trips.Fetches > 2 || trips.All > 10 {
					t.Errorf("batches of %d, %s: planning made %+v", size, what, trips)
				}
				// The look before it asked. What is known of streams that were read whole is kept.
				if what != "new" && (trips.Fetches > 0 || trips.Write && len(b.known.memories) == 0) {
					t.Errorf("batches of %d, %s: planning what changes nothing made %+v", size, what, trips)
				}
				// Records that need a stream that was not looked for are planned once more.
				b.known, err = in.know(ctx, w.tenant, left, inOrder(entries), map[schemas.Stream]bool{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := in.take(ctx, w.tenant, left, before, b); err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					// A compliance row may say no more than the device's own.
					news := e.of == nil && e.kind != "DeviceComplianceOrg"
					if e.outcome == pending || news && (e.outcome == recorded) != (what == "new") {
						t.Fatalf("batches of %d, %s: a record of %s became %v", size, what, e.kind, e.outcome)
					}
				}
			}
		}
	}
}
