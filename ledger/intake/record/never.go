package record

import "github.com/ledgerline/ledgerline/schemas/catalogue"

// Categories of what no record may bring into the ledger, whoever adds it to one.
const (
	CategoryLocation = "location"
	CategoryContent  = "content"
)

// DropNever takes out of the record what is never collected, and counts it by category.
func (m *Members) DropNever() map[string]int {
	counts := map[string]int{}
	for name, raw := range m.All {
		if c := catalogue.NeverCollected(name); c != "" && !IsEmpty(raw) {
			counts[c]++
			m.Delete(name)
		}
	}
	return counts
}
