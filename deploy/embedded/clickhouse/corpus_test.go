//go:build unix

package clickhouse

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

type told struct{ account, statement string }

// corpus reads testdata/clients.sql.
func corpus(t testing.TB) (out []told) {
	t.Helper()
	b, err := os.ReadFile("testdata/clients.sql")
	if err != nil {
		t.Fatal(err)
	}
	account, statement := "", ""
	section := regexp.MustCompile(`^-- \[(\w+)\]`)
	for line := range strings.Lines(string(b)) {
		if m := section.FindStringSubmatch(line); m != nil {
			account = m[1]
			continue
		}
		if statement == "" && (strings.HasPrefix(line, "--") || strings.TrimSpace(line) == "") {
			continue
		}
		statement += line
		if text, ok := strings.CutSuffix(strings.TrimRight(statement, "\n"), ";"); ok {
			out = append(out, told{account, text})
			statement = ""
		}
	}
	if statement != "" {
		t.Fatalf("a statement without an end: %s", statement)
	}
	return out
}

// What clients send by themselves works, and so does SQL of many kinds.
func TestClientsStatements(t *testing.T) {
	for _, q := range []string{
		"CREATE DATABASE clients ENGINE = Atomic",
		"CREATE TABLE clients.t (a UInt64, b String, d DateTime) ENGINE = MergeTree ORDER BY (a, intHash32(a)) " +
			"SAMPLE BY intHash32(a)",
		"INSERT INTO clients.t VALUES (1, 'x', '2026-01-01 00:00:00'), (2, 'y', '2026-01-02 00:00:00')",
		"CREATE VIEW clients.v AS SELECT a FROM clients.t",
	} {
		if a := ask(t, "ledger", http.MethodPost, q); a.status != 200 {
			t.Fatal(q, a)
		}
	}
	n := 0
	for _, s := range corpus(t) {
		if a := ask(t, s.account, http.MethodPost, s.statement); a.status != 200 {
			t.Errorf("%s: %s: %d %s", s.account, s.statement, a.status, a.body)
		}
		n++
		if s.account == "ledger" {
			continue
		}
		for how, a := range map[string]httpAnswer{"ledger by POST": ask(t, "ledger", http.MethodPost, s.statement),
			"reader by GET": ask(t, "reader", http.MethodGet, s.statement)} {
			if a.status != 200 {
				t.Errorf("%s: %s: %d %s", how, s.statement, a.status, a.body)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d statements", n)
	}
	// As clients send parameters and settings with a request.
	for _, c := range []struct {
		query, want string
		params      []string
	}{
		{"SELECT {a:UInt64} + {b:Int32}", "3\n", []string{"param_a", "1", "param_b", "2"}},
		{"SELECT {i:Identifier} FROM {db:Identifier}.{t:Identifier} ORDER BY a", "1\n2\n",
			[]string{"param_i", "a", "param_db", "clients", "param_t", "t"}},
		{"SELECT {s:String}", "file(\\'/etc/passwd\\')\n", []string{"param_s", "file('/etc/passwd')"}},
		{"SELECT a FROM t ORDER BY a", "1\n2\n", []string{"database", "clients"}},
		{"SELECT count() FROM one", "1\n", []string{"database", "system"}},
		{"SELECT 1", "1\n", []string{"max_execution_time", "30", "max_result_rows", "100000", "max_threads", "4",
			"session_timezone", "UTC", "send_progress_in_http_headers", "1",
			"http_headers_progress_interval_ms", "120000", "wait_end_of_query", "1", "date_time_output_format", "iso",
			"output_format_json_quote_64bit_integers", "0", "log_comment", "mine", "result_overflow_mode", "throw",
			"cancel_http_readonly_queries_on_client_close", "1", "enable_http_compression", "1", "join_use_nulls", "1",
			"use_query_cache", "1", "max_block_size", "65536", "readonly", "1"}},
	} {
		for _, account := range []string{"reader", "ledger"} {
			if a := ask(t, account, http.MethodPost, c.query, c.params...); a.body != c.want {
				t.Errorf("%s: %s: %+v", account, c.query, a)
			}
		}
	}
	if a := ask(t, "ledger", http.MethodPost, "SELECT a FROM clients.t", "additional_table_filters",
		"{'clients.t': 'a >= 2 AND a <= 5'}"); a.body != "2\n" {
		t.Errorf("a filter of the ledger's: %+v", a)
	}
}
