package vaulttest

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
)

// testIDs: ids that are minted are random UUIDv4, lie together by transaction and kind, and those
// of one kind tell nothing of another.
func testIDs(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	type begin = [2]byte
	of := func(id uuid.UUID) begin { return begin(id[:2]) }
	const transactions, each = 12, 5
	seen := map[begin]int{} // what the ids of one kind and transaction begin with
	all := map[uuid.UUID]bool{}
	for n := range transactions {
		kinds := map[string]map[begin]bool{"person": {}, "device": {}, "key": {}}
		e.Update(func(tx *vault.Tx) {
			for i := range each {
				person, _, err := tx.Person(e.hint(n*each + i))
				if err != nil {
					t.Fatal(err)
				}
				device, _, err := tx.Device(vault.DeviceHint{At: e.Clock.Now(),
					IntuneID: fmt.Sprintf("22222222-2222-4333-8444-%012d", n*each+i+1)})
				if err != nil {
					t.Fatal(err)
				}
				keys, err := tx.SubjectKeys(person)
				if err != nil || len(keys) == 0 {
					t.Fatal(len(keys), err)
				}
				kinds["person"][of(person)], kinds["device"][of(device.ID)] = true, true
				for _, k := range keys {
					kinds["key"][of(k)] = true
				}
				for _, id := range append(keys, person, device.ID) {
					if id.Version() != 4 || id.Variant() != uuid.RFC4122 || all[id] {
						t.Errorf("%s is no UUIDv4, or was minted before", id)
					}
					all[id] = true
				}
			}
		})
		for kind, begins := range kinds {
			if len(begins) != 1 {
				t.Errorf("the ids of %ss of one transaction begin in %d ways", kind, len(begins))
			}
			for b := range begins {
				seen[b]++
			}
		}
	}
	// 36 draws of 65,536: three that meet are one run in 200,000.
	if len(seen) < 3*transactions-2 {
		t.Errorf("%d beginnings of %d kinds and transactions", len(seen), 3*transactions)
	}
}
