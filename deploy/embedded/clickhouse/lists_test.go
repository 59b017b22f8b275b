//go:build unix

package clickhouse

import (
	"testing"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/guard"
)

// Each name that the engine has is in its list once, and each list has no name that the engine has
// not: a new version of the engine cannot bring a name that nobody has looked at.
func TestListsAreTheEngine(t *testing.T) {
	c := open(t, shared, nil)
	judged := guard.Lists()
	for query, file := range map[string]string{
		"SELECT name FROM system.functions WHERE NOT is_aggregate": "functions",
		"SELECT name FROM system.functions WHERE is_aggregate":     "aggregate_functions",
		"SELECT name FROM system.functions WHERE higher_order":     "takes_functions",
		"SELECT name FROM system.aggregate_function_combinators":   "combinators",
		"SELECT name FROM system.table_functions":                  "table_functions",
		"SELECT name FROM system.table_engines":                    "table_engines",
		"SELECT name FROM system.database_engines":                 "database_engines",
		"SELECT name FROM system.formats":                          "formats",
		"SELECT name FROM system.settings":                         "settings",
		"SELECT name FROM system.merge_tree_settings":              "merge_tree_settings",
		"SELECT name FROM system.tables WHERE database = 'system'": "system_tables",
		"SELECT name FROM system.codecs":                           "codecs",
		"SELECT name FROM system.data_skipping_index_types":        "index_types",
		"SELECT name FROM system.dictionary_sources":               "dictionary_sources",
		"SELECT name FROM system.dictionary_layouts":               "dictionary_layouts",
	} {
		var names []string
		rows, err := c.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		engine := make(map[string]bool)
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names, engine[name] = append(names, name), true
		}
		if err := rows.Err(); err != nil || len(names) == 0 {
			t.Fatal(query, err)
		}
		for _, name := range names {
			if _, ok := judged[file][name]; !ok {
				t.Errorf("%s: the engine's %q is not in the list", query, name)
			}
		}
		for name := range judged[file] {
			if !engine[name] && name != "lambda" && name != "grouping" && name != "exists" { // the parser's own
				t.Errorf("%s: the list's %q is not in the engine", query, name)
			}
		}
	}
	// What is an alias may not do more than what it stands for.
	rows, err := c.Query(t.Context(), "SELECT name, alias_to FROM system.functions WHERE alias_to != ''")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name, of string
		if err := rows.Scan(&name, &of); err != nil {
			t.Fatal(err)
		}
		if a, b := guard.Function(name), guard.Function(of); a != b {
			t.Errorf("%s is %v, and another name of %s, which is %v", name, a, of, b)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
