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
// handful of trips, and planning records that are known asks for nothing that the look before it
// has not.
func TestABatchTakesFewTripsToTheVault(t *testing.T) {
	dir := fleetDir(t, 300, 3)
	for _, size := range []int{40, 512} {
		var counted *storetest.Counted
		w := newWorldOn(t, false, func(s store.Store) store.Store {
			counted = storetest.Count(s)
			return counted
		})
		w.config.BatchSize = size
		for _, what := range []string{"new", "known", "known, and nothing kept of it"} {
			if what == "known, and nothing kept of it" {
				w.clock.Advance(time.Minute)
			}
			counted.Taken()
			s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			updates := 0
			for _, trips := range counted.Taken() {
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
			if updates < s.Read/size {
				t.Errorf("batches of %d, %s: %d transactions for %d records", size, what, updates, s.Read)
			}
		}
	}
}
