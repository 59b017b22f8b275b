//go:build acceptance

package catalogue

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The items are those of the list that the ledger was conceived from, in its order, and say of
// each what the list says.
func TestAcceptanceItemsAreThoseOfTheList(t *testing.T) {
	records := os.Getenv("LEDGERLINE_RECORDS")
	if records == "" {
		t.Fatal("LEDGERLINE_RECORDS names no folder of records")
	}
	f, err := os.Open(filepath.Join(records, "..", "..", "seed", "data-items.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	items := Default().Items()
	if len(items) != len(rows)-1 {
		t.Fatalf("%d items, and the list has %d", len(items), len(rows)-1)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	for n, row := range rows[1:] {
		i := items[n]
		for column, have := range map[string]string{
			"id": i.ID, "label_en": i.Label.In("en"), "label_nl": i.Label.In("nl"), "requirement": i.Requirement,
			"identifiability": i.Identifiability, "data_subject": i.Subject, "owner_rule": i.Owner,
			"retention_class": i.Class, "in_access_copy": yes[i.AccessCopy], "portable": yes[i.Portable],
		} {
			if at := slices.Index(rows[0], column); at < 0 || row[at] != have {
				t.Errorf("item %s: %s is %q, and the list has it otherwise", i.ID, column, have)
			}
		}
	}
}
