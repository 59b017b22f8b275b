package intake

import (
	"context"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
)

// TestABatchTakesFewTripsToTheVault counts, in imports of an invented fleet, what each transaction
// that plans asks of the vault's store: however many records it is for, that is no more than a
// handful of trips, and planning records that change nothing asks for nothing that the look before
// it has not. Records that were taken exactly so are not planned: a trip or two find many of them.
func TestABatchTakesFewTripsToTheVault(t *testing.T) {
	dir := fleetDir(t, 300, 3)
	for _, size := range []int{40, 512} {
		var counted *storetest.Counted
		w := newWorldOn(t, false, func(s store.Store) store.Store {
			counted = storetest.Count(s)
			return counted
		})
		w.config.BatchSize = size
		for _, what := range []string{"new", "unchanged", "unchanged, and nothing kept of it", "known"} {
			if what == "unchanged, and nothing kept of it" {
				w.clock.Advance(time.Minute)
			}
			if what != "new" && what != "known" {
				w.forgetKnown()
			}
			counted.Taken()
			s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			updates, all := 0, 0
			for _, trips := range counted.Taken() {
				all += trips.All
				if !trips.Write {
					continue
				}
				updates++
				if trips.Puts > 2 || trips.Fetches > 2 || trips.All > 6 {
					t.Errorf("batches of %d, %s: planning made %+v", size, what, trips)
				}
				if what != "new" && trips.Fetches > 0 { // the look before it asked
					t.Errorf("batches of %d, %s: planning what changes nothing made %+v", size, what, trips)
				}
			}
			if what == "known" {
				if most := 20 + s.Read/10; updates > 3 || all > most {
					t.Errorf("batches of %d, %s: %d transactions, %d trips for %d records", size, what, updates,
						all, s.Read)
				}
			} else if updates < s.Read/size {
				t.Errorf("batches of %d, %s: %d transactions for %d records", size, what, updates, s.Read)
			}
		}
	}
}
