package clickhouse

import (
	"context"
	"errors"
	"strings"
)

// killQuery is a `KILL QUERY WHERE query_id = '…'`, or `IN (…)`, as clients send it to stop their
// own statements. The engine could not answer it: its ids are its own.
type killQuery struct {
	ids  map[string]bool
	sync bool // answer when they have ended
	test bool // stop nothing
}

// mayStop is whose statements the request may stop, "" for everybody's.
func (req *request) mayStop() string {
	if req.account.ReadOnly {
		return req.account.Name
	}
	return ""
}

// kills says that a statement begins with KILL.
func kills(text string) bool {
	sc := &scanner{s: text}
	return sc.next().is("KILL")
}

// parseKill recognises the statement by its tokens. Any other KILL is the engine's.
func parseKill(toks []token) (k killQuery, ok bool) {
	next := func() (t token) { // the zero token ends them
		if len(toks) > 0 {
			t, toks = toks[0], toks[1:]
		}
		return t
	}
	if !next().is("KILL") || !next().is("QUERY") || !next().is("WHERE") {
		return k, false
	}
	if !isNamed(next(), "query_id") {
		return k, false
	}
	k.ids = make(map[string]bool)
	switch t := next(); {
	case t.punct('='):
		id := next()
		if id.kind != tokString {
			return k, false
		}
		k.ids[id.text] = true
	case t.is("IN") && next().punct('('):
		for more := true; more; {
			id, after := next(), next()
			if id.kind != tokString || !after.punct(',') && !after.punct(')') {
				return k, false
			}
			k.ids[id.text] = true
			more = after.punct(',')
		}
	default:
		return k, false
	}
	t := next()
	if t.is("SYNC") || t.is("ASYNC") || t.is("TEST") {
		k.sync, k.test = t.is("SYNC"), t.is("TEST")
		t = next()
	}
	if t.is("FORMAT") {
		next() // readStatement has taken it
		t = next()
	}
	return k, t.kind == tokEnd
}

// kill stops the statements and answers with a server's columns. Stopping one is what happens when
// its client goes: it is killed in the engine until it has ended, and also if it had not begun.
func (f *front) kill(ctx context.Context, k killQuery, req *request, a *answer) error {
	status := "waiting"
	switch {
	case k.test:
		status = "unknown_status"
	case k.sync:
		status = "finished"
	}
	var rows []string
	for _, s := range f.ongoing.find(req.mayStop(), k.ids) {
		if !k.test {
			s.cancel(errKilled)
		}
		if k.sync {
			select {
			case <-s.gone:
			case <-ctx.Done():
				return cancelled(ctx)
			}
		}
		row := []string{literal(status), literal(s.id), literal(s.account), literal(s.text)}
		rows = append(rows, "("+strings.Join(row, ",")+")")
	}
	c, err := f.session(req)
	if err != nil {
		return err
	}
	defer c.close()
	// The engine formats the answer. A parameter may be larger than a statement.
	const text = "SELECT t.1 AS kill_status, t.2 AS query_id, t.3 AS user, t.4 AS query " +
		"FROM (SELECT arrayJoin({rows:Array(Tuple(String, String, String, String))}) AS t)"
	res, err := c.whole(text, req.format, []param{{"rows", "[" + strings.Join(rows, ",") + "]"}})
	if err != nil {
		return err
	}
	defer res.release()
	if _, err := a.Write(res.bytes()); err != nil {
		return err
	}
	return a.finish(res.stats)
}

var errKilled = errors.New("by KILL QUERY")

func isNamed(t token, name string) bool {
	return (t.kind == tokWord || t.kind == tokQuoted) && t.text == name
}
