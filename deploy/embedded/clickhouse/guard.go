package clickhouse

import (
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
	g := &guard{dial: dial, backups: backups, desks: make(map[bool]chan *conn),
		order: list.New(), ruling: make(map[string]*list.Element)}
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

// inSystem says that names without a database are of the database system.
func (q question) inSystem() bool { return strings.EqualFold(q.database, "system") }

// check returns why the statement may not be run, or nil.
func (g *guard) check(ctx context.Context, q question) error {
	key := ""
	if len(q.text) <= rulingText && !identifierParameter.MatchString(q.text) {
		key = fmt.Sprint(q.writes, q.insert, q.inSystem(), q.output, " ", q.format, "\n", q.text)
		if r, ok := g.known(key); ok {
			return r.err
		}
	}
	desk := g.desks[q.writes]
	var c *conn
	select {
	case c = <-desk:
	case <-ctx.Done():
		return cancelled(ctx)
	}
	defer func() { desk <- c }() // whatever happens: a desk lost is lost for good
	err, final := g.ask(&c, q)
	if final && key != "" {
		g.keep(&ruling{key, err})
	}
	return err
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
	in := &inspection{toks: toks, calls: calls, writes: q.writes, backups: g.backups, system: q.inSystem()}
	if identifierParameter.MatchString(q.text) {
		for _, p := range q.params {
			in.params = append(in.params, p.value)
		}
	}
	if len(toks) > 0 && toks[0].is("SET") {
		// Its tree shows nothing; withoutClauses has read all of it, or refused it.
		if !q.writes {
			return newException(codeReadonly, "READONLY",
				"SET is not allowed to an account that reads, nor to GET: send settings in the URL"), true
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
	set := "SET implicit_select = 0, max_query_size = " + strconv.Itoa(2*statementLimit)
	if _, _, err := c.exec(set, "Null", nil); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}
