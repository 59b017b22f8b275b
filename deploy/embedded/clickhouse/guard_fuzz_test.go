//go:build unix

package clickhouse

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// asParameter writes a value as query parameters are read: as a field of TSV.
var asParameter = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

// Whatever a client sends, the guard answers; and what it lets through calls nothing that is
// refused. The engine's own formatter, which writes every part of a statement, is the judge.
func FuzzGuard(f *testing.F) {
	for _, p := range positions {
		f.Add(strings.NewReplacer("CALL", "file('x')", "NAME", "file").Replace(p.statement))
		f.Add(strings.NewReplacer("CALL", "\"fi\\x6ce\" /* */ ('x')", "NAME", "`f\\x69le`").Replace(p.statement))
	}
	for _, s := range corpus(f) {
		f.Add(s.statement)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 2000 || strings.Contains(strings.ToUpper(sql), "KILL") {
			return
		}
		for _, account := range []string{"reader", "ledger"} {
			method := http.MethodPost
			if account == "ledger" {
				method = http.MethodGet // so that nothing it writes stays
			}
			a := ask(t, account, method, sql, "max_execution_time", "1")
			if refusedByFront(a) {
				continue
			}
			formatted := scalar[string](t, open(t, shared, nil), "SELECT ifNull(formatQueryOrNull({q:String}), '')",
				named("q", asParameter.Replace(sql)))
			toks := statement.Scan(formatted)
			for i, tok := range toks {
				if i+1 == len(toks) || !toks[i+1].Punct('(') || !tok.Named() {
					continue
				}
				if guard.Suspicious(tok.Text) {
					t.Errorf("%s: %q calls %s: %d %s", account, sql, tok.Text, a.status, a.body)
				}
			}
		}
	})
}
