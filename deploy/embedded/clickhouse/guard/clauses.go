package guard

import (
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// makesTable says that the statement makes or changes a table, and may have a table's settings.
func makesTable(toks []statement.Token) bool {
	if toks[0].Is("ALTER") {
		return true
	}
	table := func(t statement.Token) bool { return t.Is("TABLE") || t.Is("MATERIALIZED") }
	return toks[0].Is("CREATE") && slices.ContainsFunc(toks[:min(len(toks), 5)], table)
}

// firstWords are those that a statement may begin with; what it may be, its tree says.
var firstWords = []string{
	"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "USE", "SET", "KILL",
	"INSERT", "CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "EXCHANGE", "REPLACE", "OPTIMIZE", "DELETE",
	"UPDATE", "CHECK", "SYSTEM", "BACKUP", "RESTORE",
	// These have a tree as well, so that they are refused for what they are.
	"ATTACH", "DETACH", "UNDROP", "GRANT", "REVOKE", "EXECUTE", "WATCH", "MOVE", "BEGIN", "COMMIT", "ROLLBACK",
}

func firstText(toks []statement.Token) string {
	if len(toks) == 0 {
		return "end of query"
	}
	return toks[0].Text
}

// withoutClauses returns the text to explain: without the output format, which would be EXPLAIN's,
// and without settings, which would be in force for EXPLAIN. It returns the settings' names.
func withoutClauses(q Question, toks []statement.Token) (text string, names []string, err error) {
	type cut struct{ from, to int }
	var cuts []cut
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		switch {
		case i == 0 && t.Is("SET"):
			var end int
			if names, end = settingsAt(toks, 1); end != len(toks) || len(names) == 0 {
				return "", nil, errNotUnderstood
			}
			return q.Text, names, nil
		case t.Is("SETTING") && i > 0 && toks[i-1].Is("MODIFY"):
			more, end := settingsAt(toks, i+1)
			if len(more) == 0 {
				return "", nil, errNotUnderstood
			}
			names = append(names, more...)
			i = end - 1
		case t.Is("SETTINGS") && settingFollows(toks, i+1) && !(i > 0 && namesObject(toks[i-1])):
			more, end := settingsAt(toks, i+1)
			if len(more) == 0 {
				return "", nil, errNotUnderstood
			}
			names = append(names, more...)
			cuts = append(cuts, cut{t.Pos, toks[end-1].End})
			i = end - 1
		case !q.Insert && q.Format != "" && t.Pos == q.Output && t.Is("FORMAT") && i+1 < len(toks):
			cuts = append(cuts, cut{t.Pos, toks[i+1].End})
			i++
		}
	}
	var b strings.Builder
	at := 0
	for _, c := range cuts {
		b.WriteString(q.Text[at:c.from])
		b.WriteString(strings.Repeat(" ", c.to-c.from)) // an error's position stays true
		at = c.to
	}
	b.WriteString(q.Text[at:])
	if q.Insert {
		b.WriteString(" VALUES")
	}
	return b.String(), names, nil
}

// namesObject says that the word behind the token is the name of a table, a view or a database.
func namesObject(t statement.Token) bool {
	return t.Punct('.') || slices.ContainsFunc([]string{"DATABASE", "TABLE", "VIEW", "EXISTS"}, t.Is)
}

// settingFollows says that what follows is `name =`, so that the word before it
// began a list of settings.
func settingFollows(toks []statement.Token, i int) bool {
	for i < len(toks) && toks[i].Named() {
		if i++; i < len(toks) && toks[i].Punct('.') {
			i++
			continue
		}
		return i < len(toks) && toks[i].Punct('=')
	}
	return false
}

// settingsAt reads `name = value, …` from the i-th token on. A value is a literal. It returns the
// names, none where the list cannot be understood, and the token behind it.
func settingsAt(toks []statement.Token, i int) (names []string, end int) {
	for settingFollows(toks, i) {
		name, escaped := toks[i].Text, toks[i].Escapes
		for i++; toks[i].Punct('.'); i += 2 {
			name, escaped = name+"."+toks[i+1].Text, escaped || toks[i+1].Escapes
		}
		if escaped {
			return nil, 0
		}
		names = append(names, name)
		if i = valueEnd(toks, i+1); i < 0 {
			return nil, 0
		}
		if i >= len(toks) || !toks[i].Punct(',') || !settingFollows(toks, i+1) {
			return names, i
		}
		i++
	}
	return nil, 0
}

// valueEnd passes a literal: a number, a string, a word, or a list in brackets. It returns -1 for
// anything else, as a function.
func valueEnd(toks []statement.Token, i int) int {
	if i < len(toks) && (toks[i].Punct('-') || toks[i].Punct('+')) {
		i++
	}
	if i >= len(toks) {
		return -1
	}
	switch t := toks[i]; {
	case t.Kind == statement.String:
		return i + 1
	case t.Kind == statement.Word, t.Punct('.'):
		// 1.5 and .5 are several tokens without a space between them, and so is 1e-5.
		part := func(t statement.Token) bool { return t.Kind == statement.Word || t.Punct('.') || t.Punct('-') }
		for i++; i < len(toks) && toks[i].Pos == toks[i-1].End && part(toks[i]); i++ {
		}
		if i < len(toks) && toks[i].Punct('(') {
			return -1
		}
		return i
	case t.Punct('['), t.Punct('{'), t.Punct('('):
		depth := 0
		for ; i < len(toks); i++ {
			switch t := toks[i]; {
			case t.Punct('('), t.Punct('['), t.Punct('{'):
				if depth++; t.Punct('(') && depth > 1 && toks[i-1].Named() {
					return -1
				}
			case t.Punct(')'), t.Punct(']'), t.Punct('}'):
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	return -1
}
