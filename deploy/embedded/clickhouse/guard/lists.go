package guard

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed lists/*.txt
var listFiles embed.FS

// Who may use a name.
type Who int

const (
	Unknown   Who = iota // the list does not have the name: it is of a newer engine, or of none
	Nobody               // no account
	Full                 // accounts that may write
	Everybody            // readers too
)

// nameList is one of the files under lists/: every name of one kind that the engine has, each with
// who may use it and why. A name that is not there may be used by nobody.
type nameList struct {
	kind  string // as an error calls it
	names map[string]entry
	lower map[string]entry // of names in lower case, the strictest where several differ only in that
}

type entry struct {
	who    Who
	reason string
}

// nameLists are all of them.
type nameLists struct {
	functions, aggregates, combinators, tableFunctions, tableEngines, databaseEngines *nameList
	formats, settings, mergeTreeSettings, systemTables, codecs, indexTypes            *nameList
	dictionarySources, dictionaryLayouts, takesFunctions                              *nameList
	// suspicious are names of functions that somebody may not use, in lower case: the strictest
	// rule of each. A name that any account may use as another kind of thing is not among them.
	suspicious map[string]entry
	byFile     map[string]*nameList
}

var allowed = loadLists()

// loadLists panics on a file that cannot be read: it is part of the
// program, and a test reads it too.
func loadLists() *nameLists {
	l := &nameLists{byFile: make(map[string]*nameList)}
	for _, f := range []struct {
		to         **nameList
		file, kind string
	}{
		{&l.functions, "functions", "function"},
		{&l.aggregates, "aggregate_functions", "function"},
		{&l.combinators, "combinators", "ending of a function's name"},
		{&l.takesFunctions, "takes_functions", "function"},
		{&l.tableFunctions, "table_functions", "table function"},
		{&l.tableEngines, "table_engines", "table engine"},
		{&l.databaseEngines, "database_engines", "database engine"},
		{&l.formats, "formats", "format"},
		{&l.settings, "settings", "setting"},
		{&l.mergeTreeSettings, "merge_tree_settings", "table setting"},
		{&l.systemTables, "system_tables", "table system."},
		{&l.codecs, "codecs", "codec"},
		{&l.indexTypes, "index_types", "index type"},
		{&l.dictionarySources, "dictionary_sources", "dictionary source"},
		{&l.dictionaryLayouts, "dictionary_layouts", "dictionary layout"},
	} {
		*f.to = loadList(f.file, f.kind)
		l.byFile[f.file] = *f.to
	}
	l.suspicious = make(map[string]entry)
	for _, of := range []*nameList{l.functions, l.aggregates, l.tableFunctions} {
		for name, e := range of.lower {
			if had, ok := l.suspicious[name]; e.who != Everybody && (!ok || e.who < had.who) {
				l.suspicious[name] = e
			}
		}
	}
	for _, of := range []*nameList{l.functions, l.aggregates, l.tableFunctions} {
		for name, e := range of.lower {
			if e.who == Everybody {
				delete(l.suspicious, name)
			}
		}
	}
	return l
}

func loadList(file, kind string) *nameList {
	b, err := listFiles.ReadFile("lists/" + file + ".txt")
	if err != nil {
		panic(err)
	}
	l := &nameList{kind: kind, names: make(map[string]entry), lower: make(map[string]entry)}
	var group entry
	for line := range strings.SplitSeq(string(b), "\n") {
		switch line = strings.TrimSpace(line); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			tag, reason, _ := strings.Cut(line[1:], "] ")
			group = entry{map[string]Who{"nobody": Nobody, "full": Full, "everybody": Everybody}[tag], reason}
			if group.who == Unknown || reason == "" {
				panic(fmt.Sprintf("lists/%s.txt: %s", file, line))
			}
		default:
			if _, twice := l.names[line]; twice || group.who == Unknown {
				panic(fmt.Sprintf("lists/%s.txt: %s", file, line))
			}
			l.names[line] = group
			lower := strings.ToLower(line)
			if had, ok := l.lower[lower]; !ok || group.who < had.who {
				l.lower[lower] = group
			}
		}
	}
	return l
}

// find returns who may use a name. The engine takes some names in any case, and which is not for
// the list to know: a name in another case counts as the strictest of those that it may be.
func (l *nameList) find(name string) entry {
	if e, ok := l.names[name]; ok {
		return e
	}
	return l.lower[strings.ToLower(name)]
}

// Function finds a scalar or an aggregate function, with its endings.
func (l *nameLists) function(name string) entry {
	if e := l.functions.find(name); e.who != Unknown {
		return e
	}
	return l.aggregate(name)
}

func (l *nameLists) aggregate(name string) entry {
	if e := l.aggregates.find(name); e.who != Unknown {
		return e
	}
	for ending, e := range l.combinators.names {
		base, ok := strings.CutSuffix(name, ending)
		if !ok || base == "" {
			continue
		}
		if of := l.aggregate(base); of.who != Unknown {
			if e.who < of.who {
				return e
			}
			return of
		}
	}
	return entry{}
}

// Lists returns who may use each name, by the file under lists/ that has it, without its ending.
func Lists() map[string]map[string]Who {
	out := make(map[string]map[string]Who)
	for file, l := range allowed.byFile {
		out[file] = make(map[string]Who, len(l.names))
		for name, e := range l.names {
			out[file][name] = e.who
		}
	}
	return out
}

// Function is who may use a scalar or an aggregate function, with its endings.
func Function(name string) Who { return allowed.function(name).who }

// Suspicious says that some account may not use a function, of whatever kind,
// by this name in any case.
func Suspicious(name string) bool {
	_, ok := allowed.suspicious[strings.ToLower(name)]
	return ok
}
