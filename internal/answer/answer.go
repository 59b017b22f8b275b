// Package answer owns what commands print of what the use cases came to: documents for programs,
// whose members stay, and texts for people.
//
// It keeps no state, and shows no more than the office handed out. It names no person but by what
// was opened for the one who reads.
package answer

import "github.com/ledgerline/ledgerline/internal/terminal"

// WaitingForViews returns what shows that the views are awaited.
func WaitingForViews(p *terminal.Progress) func() {
	return func() { p.Show("waiting for the views to reach the ledger's end") }
}
