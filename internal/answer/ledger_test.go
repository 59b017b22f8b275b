package answer

import (
	"testing"

	"github.com/ledgerline/ledgerline/ledger"
)

// However much others wrote, what is told of it is bounded; all of it is counted.
func TestACheckTellsABoundedNumberOfFindings(t *testing.T) {
	var doc LedgerCheck
	for range maxFindings + 5 {
		doc.Add(ledger.Found{Verdict: ledger.Foreign})
	}
	if len(doc.Findings) != maxFindings || !doc.More || doc.Foreign != maxFindings+5 {
		t.Errorf("%d findings of %d, more: %v", len(doc.Findings), doc.Foreign, doc.More)
	}
}
