package guard

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// The parts of the guard that read what others wrote neither panic nor loop nor
// point outside their text.
func FuzzGuardParts(f *testing.F) {
	for _, s := range []string{"SELECT 1 SETTINGS a = 1, b.c = -1.5e3, d = {'a': [1]} FORMAT X", "SET a = disk(x)",
		"Function f (alias x) (children 1)\n ExpressionList", "A (children 2)\n B\n C"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		toks := statement.Scan(s)
		for i := range toks {
			if names, end := settingsAt(toks, i); len(names) > 0 && (end <= i || end > len(toks)) {
				t.Errorf("%q at %d: %v, %d", s, i, names, end)
			}
			if toks[i].Pos < 0 || toks[i].End > len(s) || toks[i].Pos >= toks[i].End {
				t.Errorf("%q: token %+v", s, toks[i])
			}
		}
		statement.ParseKill(toks)
		if text, _, err := withoutClauses(Question{Statement: statement.Statement{Text: s}}, toks); err == nil &&
			len(text) != len(s) {
			t.Errorf("%q became %q", s, text)
		}
		if n, err := parseTree(s); err == nil {
			lines := 0
			n.any(func(*node) bool { lines++; return false })
			if want := strings.Count(strings.TrimSuffix(s, "\n"), "\n") + 1; lines != want {
				t.Errorf("%q: %d nodes of %d lines", s, lines, want)
			}
		}
	})
}
