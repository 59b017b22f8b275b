//go:build unix

package clickhouse

import "testing"

// Each name that the engine has is in its list once, and each list has no name that the engine has not: a new
// version of the engine cannot bring a name that nobody has looked at.
func TestListsAreTheEngine(t *testing.T) {
	c := open(t, shared, nil)
	for query, l := range map[string]*nameList{
		"SELECT name FROM system.functions WHERE NOT is_aggregate": allowed.functions,
		"SELECT name FROM system.functions WHERE is_aggregate":     allowed.aggregates,
		"SELECT name FROM system.functions WHERE higher_order":     allowed.takesFunctions,
		"SELECT name FROM system.aggregate_function_combinators":   allowed.combinators,
		"SELECT name FROM system.table_functions":                  allowed.tableFunctions,
		"SELECT name FROM system.table_engines":                    allowed.tableEngines,
		"SELECT name FROM system.database_engines":                 allowed.databaseEngines,
		"SELECT name FROM system.formats":                          allowed.formats,
		"SELECT name FROM system.settings":                         allowed.settings,
		"SELECT name FROM system.merge_tree_settings":              allowed.mergeTreeSettings,
		"SELECT name FROM system.tables WHERE database = 'system'": allowed.systemTables,
		"SELECT name FROM system.codecs":                           allowed.codecs,
		"SELECT name FROM system.data_skipping_index_types":        allowed.indexTypes,
		"SELECT name FROM system.dictionary_sources":               allowed.dictionarySources,
		"SELECT name FROM system.dictionary_layouts":               allowed.dictionaryLayouts,
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
			if _, ok := l.names[name]; !ok {
				t.Errorf("%s: the engine's %q is not in the list", query, name)
			}
		}
		for name := range l.names {
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
		if a, b := allowed.function(name), allowed.function(of); a.who != b.who {
			t.Errorf("%s is %v, and another name of %s, which is %v", name, a, of, b)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestFindInLists(t *testing.T) {
	for name, want := range map[string]who{
		"lower": everybody, "LOWER": everybody, "file": nobody, "FILE": nobody, "FiLe": nobody, "sumIf": everybody, "countDistinctIf": everybody,
		"uniqStateMerge": everybody, "groupFormat": nobody, "groupFormatIf": nobody, "groupFormatArrayState": nobody, "lowerIf": unknown,
		"fileIf": unknown, "State": unknown, "": unknown, "nothingAtAll": unknown, "sleep": full,
	} {
		if e := allowed.function(name); e.who != want {
			t.Errorf("%s is %d, want %d", name, e.who, want)
		}
	}
	if allowed.tableEngines.find("file").who != nobody || allowed.tableEngines.find("MergeTree").who != full {
		t.Error("engines")
	}
	for _, name := range []string{"file", "url", "remote", "s3", "jdbc", "dictget", "sleep", "null", "groupformat", "executable"} {
		if _, ok := allowed.suspicious[name]; !ok {
			t.Errorf("%s is not suspicious", name)
		}
	}
	for _, name := range []string{"lower", "view", "values", "format", "if", "replace"} {
		if _, ok := allowed.suspicious[name]; ok {
			t.Errorf("%s is suspicious", name)
		}
	}
}
