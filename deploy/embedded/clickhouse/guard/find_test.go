package guard

import "testing"

func TestFindInLists(t *testing.T) {
	for name, want := range map[string]Who{
		"lower": Everybody, "LOWER": Everybody, "file": Nobody, "FILE": Nobody, "FiLe": Nobody, "sumIf": Everybody,
		"countDistinctIf": Everybody,
		"uniqStateMerge":  Everybody, "groupFormat": Nobody, "groupFormatIf": Nobody, "groupFormatArrayState": Nobody,
		"lowerIf": Unknown,
		"fileIf":  Unknown, "State": Unknown, "": Unknown, "nothingAtAll": Unknown, "sleep": Full,
	} {
		if e := allowed.function(name); e.who != want {
			t.Errorf("%s is %d, want %d", name, e.who, want)
		}
	}
	if allowed.tableEngines.find("file").who != Nobody || allowed.tableEngines.find("MergeTree").who != Full {
		t.Error("engines")
	}
	for _, name := range []string{"file", "url", "remote", "s3", "jdbc", "dictget", "sleep", "null",
		"groupformat", "executable"} {
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
