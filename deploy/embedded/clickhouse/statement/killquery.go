package statement

// Kill is a `KILL QUERY WHERE query_id = '…'`, or `IN (…)`, as clients send it to stop their
// own statements. The engine could not answer it: its ids are its own.
type Kill struct {
	IDs  map[string]bool
	Sync bool // answer when they have ended
	Test bool // stop nothing
}

// Kills says that a statement begins with KILL.
func Kills(text string) bool {
	sc := &scanner{s: text}
	return sc.next().Is("KILL")
}

// ParseKill recognises the statement by its tokens. Any other KILL is the engine's.
func ParseKill(toks []Token) (k Kill, ok bool) {
	next := func() (t Token) { // the zero token ends them
		if len(toks) > 0 {
			t, toks = toks[0], toks[1:]
		}
		return t
	}
	if !next().Is("KILL") || !next().Is("QUERY") || !next().Is("WHERE") {
		return k, false
	}
	if !next().Names("query_id") {
		return k, false
	}
	k.IDs = make(map[string]bool)
	switch t := next(); {
	case t.Punct('='):
		id := next()
		if id.Kind != String {
			return k, false
		}
		k.IDs[id.Text] = true
	case t.Is("IN") && next().Punct('('):
		for more := true; more; {
			id, after := next(), next()
			if id.Kind != String || !after.Punct(',') && !after.Punct(')') {
				return k, false
			}
			k.IDs[id.Text] = true
			more = after.Punct(',')
		}
	default:
		return k, false
	}
	t := next()
	if t.Is("SYNC") || t.Is("ASYNC") || t.Is("TEST") {
		k.Sync, k.Test = t.Is("SYNC"), t.Is("TEST")
		t = next()
	}
	if t.Is("FORMAT") {
		next() // readStatement has taken it
		t = next()
	}
	return k, t.Kind == tokEnd
}
