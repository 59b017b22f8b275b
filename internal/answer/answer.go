// Package answer owns what commands print of what the use cases came to: documents for programs,
// whose members stay, and texts for people. What an act for a tenant came to is told in the
// language of the answer.
//
// It keeps no state, and shows no more than the office handed out. It names no person but by what
// was opened for the one who reads.
package answer

import (
	"fmt"
	"io"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// WaitingForViews returns what shows that the views are awaited.
func WaitingForViews(p *terminal.Progress, in *words.Language) func() {
	return func() { p.Show("%s", in.Text("answer.waiting-for-views")) }
}

// fact is a line of an answer: what it is, and what that comes to.
type fact struct{ label, value string }

// writeFacts writes facts in two columns.
func writeFacts(w io.Writer, facts []fact) {
	wide := 0
	for _, f := range facts {
		wide = max(wide, terminal.Columns(f.label))
	}
	for _, f := range facts {
		fmt.Fprintf(w, "%s  %s\n", terminal.Left(f.label, wide), f.value)
	}
}

// notGenuine says that values are not, and how to find out why; "" for none.
func notGenuine(in *words.Language, key string, n int) string {
	if n == 0 {
		return ""
	}
	return in.Text(key, words.Args{"count": n, "number": in.Count(n), "findsOut": in.Text("answer.finds-out")})
}
