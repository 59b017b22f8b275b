//go:build unix

package clickhouse

import (
	"net/http"
	"strings"
	"testing"
)

// Whatever a client sends, the guard answers; and what it lets through calls nothing that is refused. The
// engine's own formatter, which writes every part of a statement, is the judge.
func FuzzGuard(f *testing.F) {
	for _, p := range positions {
		f.Add(strings.NewReplacer("CALL", "file('x')", "NAME", "file").Replace(p.statement))
		f.Add(strings.NewReplacer("CALL", "\"fi\\x6ce\" /* */ ('x')", "NAME", "`f\\x69le`").Replace(p.statement))
	}
	for _, s := range corpus(f) {
		f.Add(s.statement)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		if len(statement) > 2000 || strings.Contains(strings.ToUpper(statement), "KILL") {
			return
		}
		for _, account := range []string{"reader", "ledger"} {
			method := http.MethodPost
			if account == "ledger" {
				method = http.MethodGet // so that nothing it writes stays
			}
			a := ask(t, account, method, statement, "max_execution_time", "1")
			if refusedByFront(a) {
				continue
			}
			formatted := scalar[string](t, open(t, shared, nil), "SELECT ifNull(formatQueryOrNull({q:String}), '')", named("q", parameterEscape.Replace(statement)))
			toks := scan(formatted)
			for i, tok := range toks {
				if i+1 == len(toks) || !toks[i+1].punct('(') || !isName(tok) {
					continue
				}
				if e, ok := allowed.suspicious[strings.ToLower(tok.text)]; ok {
					t.Errorf("%s: %q calls %s, which is for %d: %d %s", account, statement, tok.text, e.who, a.status, a.body)
				}
			}
		}
	})
}

// The parts of the guard that read what others wrote neither panic nor loop nor point outside their text.
func FuzzGuardParts(f *testing.F) {
	for _, s := range []string{"SELECT 1 SETTINGS a = 1, b.c = -1.5e3, d = {'a': [1]} FORMAT X", "SET a = disk(x)", "Function f (alias x) (children 1)\n ExpressionList", "A (children 2)\n B\n C"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		toks := scan(s)
		for i := range toks {
			if names, end := settingsAt(toks, i); len(names) > 0 && (end <= i || end > len(toks)) {
				t.Errorf("%q at %d: %v, %d", s, i, names, end)
			}
			if toks[i].pos < 0 || toks[i].end > len(s) || toks[i].pos >= toks[i].end {
				t.Errorf("%q: token %+v", s, toks[i])
			}
		}
		parseKill(toks)
		if text, _, err := withoutClauses(question{statement: statement{text: s}}, toks); err == nil && len(text) != len(s) {
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
