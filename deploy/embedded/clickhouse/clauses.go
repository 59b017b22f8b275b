package clickhouse

import (
	"slices"
	"strings"
)

// makesTable says that the statement makes or changes a table, and may have a table's settings.
func makesTable(toks []token) bool {
	if toks[0].is("ALTER") {
		return true
	}
	table := func(t token) bool { return t.is("TABLE") || t.is("MATERIALIZED") }
	return toks[0].is("CREATE") && slices.ContainsFunc(toks[:min(len(toks), 5)], table)
}

// firstWords are those that a statement may begin with; what it may be, its tree says.
var firstWords = []string{
	"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "USE", "SET", "KILL", "INSERT", "CREATE",
	"ALTER", "DROP", "TRUNCATE", "RENAME", "EXCHANGE", "REPLACE", "OPTIMIZE", "DELETE", "UPDATE", "CHECK", "SYSTEM",
	"BACKUP", "RESTORE",
	// These have a tree as well, so that they are refused for what they are.
	"ATTACH", "DETACH", "UNDROP", "GRANT", "REVOKE", "EXECUTE", "WATCH", "MOVE", "BEGIN", "COMMIT", "ROLLBACK",
}

func firstText(toks []token) string {
	if len(toks) == 0 {
		return "end of query"
	}
	return toks[0].text
}

// withoutClauses returns the text to explain: without the output format, which would be EXPLAIN's, and
// without settings, which would be in force for EXPLAIN. It returns the settings' names.
func withoutClauses(q question, toks []token) (text string, names []string, err error) {
	type cut struct{ from, to int }
	var cuts []cut
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		switch {
		case i == 0 && t.is("SET"):
			var end int
			if names, end = settingsAt(toks, 1); end != len(toks) || len(names) == 0 {
				return "", nil, errNotUnderstood
			}
			return q.text, names, nil
		case t.is("SETTING") && i > 0 && toks[i-1].is("MODIFY"):
			more, end := settingsAt(toks, i+1)
			if len(more) == 0 {
				return "", nil, errNotUnderstood
			}
			names = append(names, more...)
			i = end - 1
		case t.is("SETTINGS") && settingFollows(toks, i+1) && !(i > 0 && namesObject(toks[i-1])):
			more, end := settingsAt(toks, i+1)
			if len(more) == 0 {
				return "", nil, errNotUnderstood
			}
			names = append(names, more...)
			cuts = append(cuts, cut{t.pos, toks[end-1].end})
			i = end - 1
		case !q.insert && q.format != "" && t.pos == q.output && t.is("FORMAT") && i+1 < len(toks):
			cuts = append(cuts, cut{t.pos, toks[i+1].end})
			i++
		}
	}
	var b strings.Builder
	at := 0
	for _, c := range cuts {
		b.WriteString(q.text[at:c.from])
		b.WriteString(strings.Repeat(" ", c.to-c.from)) // an error's position stays true
		at = c.to
	}
	b.WriteString(q.text[at:])
	if q.insert {
		b.WriteString(" VALUES")
	}
	return b.String(), names, nil
}

// namesObject says that the word behind the token is the name of a table, a view or a database.
func namesObject(t token) bool {
	return t.punct('.') || slices.ContainsFunc([]string{"DATABASE", "TABLE", "VIEW", "EXISTS"}, t.is)
}

// settingFollows says that what follows is `name =`, so that the word before it began a list of settings.
func settingFollows(toks []token, i int) bool {
	for i < len(toks) && isName(toks[i]) {
		if i++; i < len(toks) && toks[i].punct('.') {
			i++
			continue
		}
		return i < len(toks) && toks[i].punct('=')
	}
	return false
}

func isName(t token) bool { return t.kind == tokWord || t.kind == tokQuoted }

// settingsAt reads `name = value, …` from the i-th token on. A value is a literal. It returns the names, none
// where the list cannot be understood, and the token behind it.
func settingsAt(toks []token, i int) (names []string, end int) {
	for settingFollows(toks, i) {
		name, escaped := toks[i].text, toks[i].escapes
		for i++; toks[i].punct('.'); i += 2 {
			name, escaped = name+"."+toks[i+1].text, escaped || toks[i+1].escapes
		}
		if escaped {
			return nil, 0
		}
		names = append(names, name)
		if i = valueEnd(toks, i+1); i < 0 {
			return nil, 0
		}
		if i >= len(toks) || !toks[i].punct(',') || !settingFollows(toks, i+1) {
			return names, i
		}
		i++
	}
	return nil, 0
}

// valueEnd passes a literal: a number, a string, a word, or a list in brackets. It returns -1 for anything
// else, as a function.
func valueEnd(toks []token, i int) int {
	if i < len(toks) && (toks[i].punct('-') || toks[i].punct('+')) {
		i++
	}
	if i >= len(toks) {
		return -1
	}
	switch t := toks[i]; {
	case t.kind == tokString:
		return i + 1
	case t.kind == tokWord, t.punct('.'):
		// 1.5 and .5 are several tokens without a space between them, and so is 1e-5.
		part := func(t token) bool { return t.kind == tokWord || t.punct('.') || t.punct('-') }
		for i++; i < len(toks) && toks[i].pos == toks[i-1].end && part(toks[i]); i++ {
		}
		if i < len(toks) && toks[i].punct('(') {
			return -1
		}
		return i
	case t.punct('['), t.punct('{'), t.punct('('):
		depth := 0
		for ; i < len(toks); i++ {
			switch t := toks[i]; {
			case t.punct('('), t.punct('['), t.punct('{'):
				if depth++; t.punct('(') && depth > 1 && isName(toks[i-1]) {
					return -1
				}
			case t.punct(')'), t.punct(']'), t.punct('}'):
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	return -1
}
