package clickhouse

import "sync"

// running are the statements that run: whose they are, what their client calls them, and the mark by which
// the engine finds them. The engine's own query ids are not the clients'.
type running struct {
	mu   sync.Mutex
	next uint64
	all  map[uint64]runningStatement
}

type runningStatement struct{ account, id, mark string }

func newRunning() *running { return &running{all: make(map[uint64]runningStatement)} }

// add notes a statement. The returned function takes it off.
func (r *running) add(account, id, mark string) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	key := r.next
	r.all[key] = runningStatement{account, id, mark}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, key)
	}
}

// find returns the marks of the statements with a client's id: the account's own, or with "" everybody's.
func (r *running) find(account, id string) (marks []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.all {
		if s.id == id && (account == "" || s.account == account) {
			marks = append(marks, s.mark)
		}
	}
	return marks
}

// killsByID recognises `KILL QUERY WHERE query_id = '…'`, with SYNC, ASYNC or TEST behind it, and nothing else.
func killsByID(toks []token) (id, how string, ok bool) {
	if len(toks) < 6 || len(toks) > 7 || !toks[0].is("KILL") || !toks[1].is("QUERY") || !toks[2].is("WHERE") ||
		!isNamed(toks[3], "query_id") || !toks[4].punct('=') || toks[5].kind != tokString {
		return "", "", false
	}
	if len(toks) == 7 {
		if how = toks[6].text; !toks[6].is("SYNC") && !toks[6].is("ASYNC") && !toks[6].is("TEST") {
			return "", "", false
		}
	}
	return toks[5].text, how, true
}

// kills says that a statement begins with KILL.
func kills(text string) bool {
	sc := &scanner{s: text}
	t := sc.next()
	return t.is("KILL")
}

func isNamed(t token, name string) bool {
	return (t.kind == tokWord || t.kind == tokQuoted) && t.text == name
}

// rewriteKill makes a KILL by a client's query id find the statement in the engine. A reader's finds its
// own statements only.
func (f *front) rewriteKill(req *request) {
	id, how, ok := killsByID(scan(req.text))
	if !ok {
		return
	}
	of := ""
	if req.account.ReadOnly {
		of = req.account.Name
	}
	text := "KILL QUERY WHERE Settings['log_comment'] IN (''"
	for _, mark := range f.ongoing.find(of, id) {
		text += ", " + literal(mark)
	}
	req.text = text + ") AND Settings['log_comment'] != '' " + how
	req.output = len(req.text)
}
