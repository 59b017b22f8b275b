package clickhouse

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// guard decides whether an account may run a statement, before the engine runs anything of it. It asks the
// engine itself what the statement says: for its tokens (tokenizeQuery) and for its tree (EXPLAIN AST). What
// they name is looked up in the lists. What cannot be understood is refused.
type guard struct {
	dial    func() (*conn, error)
	backups bool
	desks   map[bool]chan *conn // idle connections, readers' apart: theirs being busy keeps nobody else waiting

	mu     sync.Mutex
	order  *list.List // of *ruling, the latest used first
	ruling map[string]*list.Element
	bytes  int
}

// ruling is what was decided of a statement once. The same text in the same account's hands stays it.
type ruling struct {
	key string
	err error
}

const (
	rulingBytes = 8 << 20 // of texts that are kept
	rulingText  = 64 << 10
	deskCount   = 2
)

var errNotUnderstood = accessDenied("The statement could not be understood well enough to allow it")

func newGuard(dial func() (*conn, error), backups bool) *guard {
	g := &guard{dial: dial, backups: backups, order: list.New(), ruling: make(map[string]*list.Element), desks: make(map[bool]chan *conn)}
	for _, writes := range []bool{false, true} {
		g.desks[writes] = make(chan *conn, deskCount)
		for range deskCount {
			g.desks[writes] <- nil // dialled by the first who needs it
		}
	}
	return g
}

// close ends the guard's connections. No statement may be under way.
func (g *guard) close() {
	for _, desk := range g.desks {
		for range deskCount {
			if c := <-desk; c != nil {
				c.close()
			}
		}
	}
}

// question is a statement before the guard.
type question struct {
	statement
	params   []param
	database string
	writes   bool // the account may write, and the request is a POST
}

// check returns why the statement may not be run, or nil.
func (g *guard) check(ctx context.Context, q question) error {
	key := ""
	if len(q.text) <= rulingText && !identifierParameter.MatchString(q.text) {
		key = fmt.Sprint(q.writes, q.insert, strings.EqualFold(q.database, "system"), q.output, " ", q.format, "\n", q.text)
		if r, ok := g.known(key); ok {
			return r.err
		}
	}
	desk := g.desks[q.writes]
	select {
	case c := <-desk:
		err, final := g.ask(&c, q)
		desk <- c
		if final && key != "" {
			g.keep(&ruling{key, err})
		}
		return err
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

func (g *guard) known(key string) (*ruling, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.ruling[key]
	if !ok {
		return nil, false
	}
	g.order.MoveToFront(e)
	return e.Value.(*ruling), true
}

func (g *guard) keep(r *ruling) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.ruling[r.key]; ok {
		return
	}
	g.ruling[r.key] = g.order.PushFront(r)
	g.bytes += cost(r)
	for g.bytes > rulingBytes {
		last := g.order.Back()
		old := g.order.Remove(last).(*ruling)
		delete(g.ruling, old.key)
		g.bytes -= cost(old)
	}
}

// cost is about what a ruling takes in memory.
func cost(r *ruling) int { return len(r.key) + 512 }

// identifierParameter finds `{name:Identifier}`, whose value is part of what the statement says.
var identifierParameter = regexp.MustCompile(`(?i)\bIdentifier\b`)

// ask has the engine parse the statement and looks at what it found. final says that the answer will be the
// same next time.
func (g *guard) ask(c **conn, q question) (err error, final bool) {
	if *c == nil {
		if *c, err = g.open(); err != nil {
			return err, false
		}
	}
	toks, calls, err := lex(*c, q)
	if err != nil {
		return err, false
	}
	if toks == nil {
		return errNotUnderstood, true
	}
	if len(toks) == 0 || !toks[0].punct('(') && !slices.ContainsFunc(firstWords, toks[0].is) {
		// Behind EXPLAIN AST another word could be taken for one of its settings.
		return syntaxError(fmt.Sprintf("Syntax error: failed at position 1 (%.40s): %.40s. Expected one of: %s",
			firstText(toks), q.text, strings.Join(firstWords, ", "))), true
	}
	text, names, err := withoutClauses(q, toks)
	if err != nil {
		return err, true
	}
	for _, name := range names {
		if err := allowedSetting(name, q.writes, makesTable(toks)); err != nil {
			return err, true
		}
	}
	in := &inspection{toks: toks, calls: calls, writes: q.writes, backups: g.backups, system: strings.EqualFold(q.database, "system")}
	if identifierParameter.MatchString(q.text) {
		for _, p := range q.params {
			in.params = append(in.params, p.value)
		}
	}
	if len(toks) > 0 && toks[0].is("SET") {
		// Its tree shows nothing; withoutClauses has read all of it, or refused it.
		if !q.writes {
			return newException(codeReadonly, "READONLY", "SET is not allowed to an account that reads, nor to GET: send settings in the URL"), true
		}
		return nil, true
	}
	out, err := explain(*c, text, q.params)
	if err != nil {
		return err, false // the engine's own words: mostly a syntax error
	}
	root, err := parseTree(string(out))
	if err != nil {
		return errNotUnderstood, true
	}
	return in.statement(root), true
}

// explain returns the statement's tree. Errors speak of the statement without what stands before it.
func explain(c *conn, text string, params []param) ([]byte, error) {
	before, lines := "EXPLAIN AST ", 0
	if strings.Contains(text, "\n") {
		before, lines = "EXPLAIN AST\n", 1
	}
	out, _, err := c.exec(before+text, "TSVRaw", params)
	if e, ok := errors.AsType[*exception](err); ok && e.code == codeSyntaxError {
		less := func(what string, by int) {
			e.text = regexp.MustCompile(what+` \d+`).ReplaceAllStringFunc(e.text, func(s string) string {
				n, _ := strconv.Atoi(s[len(what)+1:])
				return what + " " + itoa(max(1, n-by))
			})
		}
		less("position", len(before))
		less("line", lines)
	}
	return out, err
}

func (g *guard) open() (*conn, error) {
	c, err := g.dial()
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	// The statement itself runs under the limit that its session has.
	if _, _, err := c.exec("SET implicit_select = 0, max_query_size = "+strconv.Itoa(2*statementLimit), "Null", nil); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// makesTable says that the statement makes or changes a table, and may have a table's settings.
func makesTable(toks []token) bool {
	if toks[0].is("ALTER") {
		return true
	}
	return toks[0].is("CREATE") && slices.ContainsFunc(toks[:min(len(toks), 5)], func(t token) bool { return t.is("TABLE") || t.is("MATERIALIZED") })
}

// firstWords are those that a statement may begin with; what it may be, its tree says.
var firstWords = []string{
	"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "USE", "SET", "KILL", "INSERT", "CREATE", "ALTER",
	"DROP", "TRUNCATE", "RENAME", "EXCHANGE", "REPLACE", "OPTIMIZE", "DELETE", "UPDATE", "CHECK", "SYSTEM", "BACKUP", "RESTORE",
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
		for i++; i < len(toks) && toks[i].pos == toks[i-1].end && (toks[i].kind == tokWord || toks[i].punct('.') || toks[i].punct('-')); i++ {
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

// lexQuery asks for the tokens, and for the names that the engine's parser takes for functions, of all kinds
// and in places that its tree does not show.
const lexQuery = `SELECT t.1, t.2, t.3 FROM (SELECT arrayJoin(arrayConcat(
	arrayFilter(t -> t.3 NOT IN ('Whitespace', 'Comment'), tokenizeQuery({q:String})),
	arrayFilter(t -> t.3 = 'function', arrayMap(t -> (t.1, t.2, toString(t.3)), highlightQuery({h:String}))))) AS t)`

// lex returns the statement's tokens where the engine's lexer and the front's scanner agree on them, and nil
// where they do not; and those of them which are called.
func lex(c *conn, q question) (toks, calls []token, err error) {
	text, whole := q.text, q.text
	if q.insert {
		whole += " VALUES"
	}
	out, _, err := c.exec(lexQuery, "TSVRaw", []param{{"q", parameterEscape.Replace(text)}, {"h", parameterEscape.Replace(whole)}})
	if err != nil {
		return nil, nil, err
	}
	ours := scan(text)
	next := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			return nil, nil, errors.New("the engine's tokens could not be read")
		}
		from, err1 := strconv.Atoi(fields[0])
		to, err2 := strconv.Atoi(fields[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, nil, fmt.Errorf("read the engine's tokens: %w", err)
		}
		kind := fields[2]
		if kind == "function" {
			i, ok := slices.BinarySearchFunc(ours, from, func(t token, at int) int { return cmp.Compare(t.pos, at) })
			if !ok || ours[i].end != to || !isName(ours[i]) || ours[i].escapes {
				return nil, nil, nil
			}
			calls = append(calls, ours[i])
			continue
		}
		first := next
		for next < len(ours) && ours[next].end <= to {
			next++
		}
		if first == next || ours[first].pos != from || ours[next-1].end != to || !agrees(kind, ours[first:next]) {
			return nil, nil, nil
		}
	}
	if next != len(ours) {
		return nil, nil, nil
	}
	return ours, calls, nil
}

// parameterEscape writes a value as query parameters are read: as a field of TSV.
var parameterEscape = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

// agrees says that some of the front's tokens are one of the engine's.
func agrees(kind string, ours []token) bool {
	one := len(ours) == 1
	switch kind {
	case "BareWord":
		return one && ours[0].kind == tokWord
	case "QuotedIdentifier":
		return one && ours[0].kind == tokQuoted && !isControl(ours[0].text)
	case "HereDoc":
		return one && ours[0].kind == tokString
	case "StringLiteral":
		if len(ours) == 2 && ours[0].kind == tokWord && strings.ContainsAny(ours[0].text, "xXbB") && len(ours[0].text) == 1 {
			return ours[1].kind == tokString // x'41'
		}
		return one && ours[0].kind == tokString
	}
	if strings.HasPrefix(kind, "Error") || strings.HasPrefix(kind, "Semicolon") {
		return false
	}
	for _, t := range ours {
		if t.kind != tokPunct && t.kind != tokWord || t.kind == tokWord && kind != "Number" {
			return false
		}
	}
	return true
}

// isControl says that a name has a byte that is no part of a line. The tree is lines.
func isControl(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// scan returns all tokens of the front's own scanner.
func scan(text string) (toks []token) {
	sc := &scanner{s: text}
	for t := sc.next(); t.kind != tokEnd; t = sc.next() {
		toks = append(toks, t)
	}
	return toks
}
