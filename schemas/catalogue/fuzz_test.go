package catalogue

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/internal/looks"
)

// What is told apart by a text alone is told whatever its letters.
func FuzzTextsAreToldApartAsEver(f *testing.F) {
	for _, s := range []string{"", "a", `a"\`, "<&>", "\u2028", "\xff", "é\x7f", "\n",
		"00000000-0000-0000-0000-000000000000",
		"[REDACTED]", "unknowN", "K\u212a", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0f", "Latitude", "{0:0}",
		" null "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := readCollected()
		trimmed := strings.TrimSpace(s)
		if c.nothing[strings.ToLower(trimmed)] != Nothing(s) || c.never.fields[PlainName(s)] != NeverCollected(s) {
			t.Errorf("%q: nothing %v, never %q", s, Nothing(s), NeverCollected(s))
		}
		v := looks.LowerASCII(trimmed)
		digits := strings.NewReplacer("-", "", "{", "", "}", "", ":", "", ".", "", " ", "").Replace(v)
		junk := c.junk[v] || strings.Trim(digits, "0") == "" || len(digits) == 32 && strings.Trim(digits,
			"f") == ""
		if junk != Junk(s) {
			t.Errorf("%q: junk %v", s, Junk(s))
		}
	})
}
