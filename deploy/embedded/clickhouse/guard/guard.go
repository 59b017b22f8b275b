// Package guard decides which statements an account may run, by what the
// engine itself says of them.
//
// It owns the lists of names under lists/, each with who may use it and why, and what it
// has decided lately; it may lose the latter. It trusts the engine's own parser to say
// what a statement means, and nobody's text: what is not understood is refused, and so
// is a name that no list has.
package guard

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

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// Guard decides whether an account may run a statement, before the engine runs anything of it. It
// asks the engine itself what the statement says: for its tokens (tokenizeQuery) and for its tree
// (EXPLAIN AST). What they name is looked up in the lists. What cannot be understood is refused.
type Guard struct {
	dial    func() (*engine.Conn, error)
	backups bool
	desks   map[bool]chan *engine.Conn // idle connections, readers' apart: theirs being busy keeps nobody else waiting

	mu     sync.Mutex
	order  *list.List // of *ruling, the latest used first
	ruling map[string]*list.Element
	bytes  int
}

// ruling is what was decided of a statement once. The same text in the same
// account's hands stays it.
type ruling struct {
	key string
	err error
}

const (
	rulingBytes = 8 << 20 // of texts that are kept
	rulingText  = 64 << 10
	deskCount   = 2
)

var errNotUnderstood = exception.AccessDenied("The statement could not be understood well enough to allow it")

// New returns a guard that asks the engine on connections of its own. With backups, BACKUP and
// RESTORE have a directory.
func New(dial func() (*engine.Conn, error), backups bool) *Guard {
	g := &Guard{dial: dial, backups: backups, desks: make(map[bool]chan *engine.Conn),
		order: list.New(), ruling: make(map[string]*list.Element)}
	for _, writes := range []bool{false, true} {
		g.desks[writes] = make(chan *engine.Conn, deskCount)
		for range deskCount {
			g.desks[writes] <- nil // dialled by the first who needs it
		}
	}
	return g
}

// Close ends the guard's connections. No statement may be under way.
func (g *Guard) Close() {
	for _, desk := range g.desks {
		for range deskCount {
			if c := <-desk; c != nil {
				c.Close()
			}
		}
	}
}

// Question is a statement before the guard.
type Question struct {
	statement.Statement
	Params   []engine.Param
	Database string
	Writes   bool // the account may write, and the request is a POST
}

// inSystem says that names without a database are of the database system.
func (q Question) inSystem() bool { return strings.EqualFold(q.Database, "system") }

// Check returns why the statement may not be run, or nil.
func (g *Guard) Check(ctx context.Context, q Question) error {
	key := ""
	if len(q.Text) <= rulingText && !identifierParameter.MatchString(q.Text) {
		key = fmt.Sprint(q.Writes, q.Insert, q.inSystem(), q.Output, " ", q.Format, "\n", q.Text)
		if r, ok := g.known(key); ok {
			return r.err
		}
	}
	desk := g.desks[q.Writes]
	var c *engine.Conn
	select {
	case c = <-desk:
	case <-ctx.Done():
		return exception.Cancelled(ctx)
	}
	defer func() { desk <- c }() // whatever happens: a desk lost is lost for good
	err, final := g.ask(&c, q)
	if final && key != "" {
		g.keep(&ruling{key, err})
	}
	return err
}

func (g *Guard) known(key string) (*ruling, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.ruling[key]
	if !ok {
		return nil, false
	}
	g.order.MoveToFront(e)
	return e.Value.(*ruling), true
}

func (g *Guard) keep(r *ruling) {
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

// ask has the engine parse the statement and looks at what it found. final says that the answer
// will be the same next time.
func (g *Guard) ask(c **engine.Conn, q Question) (err error, final bool) {
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
	if len(toks) == 0 || !toks[0].Punct('(') && !slices.ContainsFunc(firstWords, toks[0].Is) {
		// Behind EXPLAIN AST another word could be taken for one of its settings.
		return exception.Syntax(fmt.Sprintf("Syntax error: failed at position 1 (%.40s): %.40s. Expected one of: %s",
			firstText(toks), q.Text, strings.Join(firstWords, ", "))), true
	}
	text, names, err := withoutClauses(q, toks)
	if err != nil {
		return err, true
	}
	for _, name := range names {
		if err := allowedSetting(name, q.Writes, makesTable(toks)); err != nil {
			return err, true
		}
	}
	in := &inspection{toks: toks, calls: calls, writes: q.Writes, backups: g.backups, system: q.inSystem()}
	if identifierParameter.MatchString(q.Text) {
		for _, p := range q.Params {
			in.params = append(in.params, p.Value)
		}
	}
	if len(toks) > 0 && toks[0].Is("SET") {
		// Its tree shows nothing; withoutClauses has read all of it, or refused it.
		if !q.Writes {
			return exception.New(exception.CodeReadonly, "READONLY",
				"SET is not allowed to an account that reads, nor to GET: send settings in the URL"), true
		}
		return nil, true
	}
	out, err := explain(*c, text, q.Params)
	if err != nil {
		return err, false // the engine's own words: mostly a syntax error
	}
	root, err := parseTree(string(out))
	if err != nil {
		return errNotUnderstood, true
	}
	return in.statement(root), true
}

// explain returns the statement's tree. Errors speak of the statement
// without what stands before it.
func explain(c *engine.Conn, text string, params []engine.Param) ([]byte, error) {
	before, lines := "EXPLAIN AST ", 0
	if strings.Contains(text, "\n") {
		before, lines = "EXPLAIN AST\n", 1
	}
	out, _, err := c.Exec(before+text, "TSVRaw", params)
	if e, ok := errors.AsType[*exception.Exception](err); ok && e.Code == exception.CodeSyntaxError {
		less := func(what string, by int) {
			e.Text = regexp.MustCompile(what+` \d+`).ReplaceAllStringFunc(e.Text, func(s string) string {
				n, _ := strconv.Atoi(s[len(what)+1:])
				return what + " " + strconv.Itoa(max(1, n-by))
			})
		}
		less("position", len(before))
		less("line", lines)
	}
	return out, err
}

func (g *Guard) open() (*engine.Conn, error) {
	c, err := g.dial()
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	// The statement itself runs under the limit that its session has.
	set := "SET implicit_select = 0, max_query_size = " + strconv.Itoa(2*statement.Limit)
	if _, _, err := c.Exec(set, "Null", nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
