package clickhouse

import (
	"strings"
)

// The front must know four things about a statement before the engine sees it: whether it is an INSERT
// whose data follows (and where the data starts), which output format it names, whether more than one
// statement was sent, and whether it begins or ends in a file of the server's machine. Everything else is
// left to the engine's own parser. So this is a scanner of tokens, not a parser of SQL; the guard compares its
// tokens with the engine's own.

type tokenKind byte

const (
	tokEnd    tokenKind = iota
	tokWord             // bare word: keyword, identifier, number
	tokQuoted           // quoted identifier, text is the name without quotes
	tokString           // string literal
	tokPunct            // any other single byte
)

type token struct {
	kind     tokenKind
	text     string
	pos, end int
	escapes  bool // written with backslashes: text is then not always what the engine makes of it
}

func (t token) is(word string) bool { return t.kind == tokWord && strings.EqualFold(t.text, word) }

func (t token) punct(c byte) bool { return t.kind == tokPunct && t.text[0] == c }

type scanner struct {
	s   string
	pos int
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// The engine's lexer takes typographic quotes for strings and names too.
const (
	leftSingle, rightSingle = "\u2018", "\u2019"
	leftDouble, rightDouble = "\u201c", "\u201d"
)

func (sc *scanner) next() token {
	sc.skip()
	s, p := sc.s, sc.pos
	if p >= len(s) {
		return token{kind: tokEnd, pos: len(s), end: len(s)}
	}
	c := s[p]
	switch {
	case wordByte(c):
		e := p
		for e < len(s) && wordByte(s[e]) {
			e++
		}
		sc.pos = e
		return token{kind: tokWord, text: s[p:e], pos: p, end: e}
	case c == '\'':
		return sc.quoted(p, c, tokString)
	case c == '"' || c == '`':
		return sc.quoted(p, c, tokQuoted)
	case strings.HasPrefix(s[p:], leftSingle):
		return sc.until(p, len(leftSingle), rightSingle, tokString)
	case strings.HasPrefix(s[p:], leftDouble):
		return sc.until(p, len(leftDouble), rightDouble, tokQuoted)
	case c == '$':
		// $tag$ … $tag$
		e := p + 1
		for e < len(s) && wordByte(s[e]) {
			e++
		}
		if e < len(s) && s[e] == '$' {
			tag := s[p : e+1]
			return sc.until(p, len(tag), tag, tokString)
		}
	}
	sc.pos = p + 1
	return token{kind: tokPunct, text: s[p : p+1], pos: p, end: p + 1}
}

func (sc *scanner) until(p, open int, closing string, kind tokenKind) token {
	if i := strings.Index(sc.s[p+open:], closing); i >= 0 {
		sc.pos = p + open + i + len(closing)
		return token{kind: kind, text: sc.s[p+open : p+open+i], pos: p, end: sc.pos}
	}
	sc.pos = len(sc.s)
	return token{kind: kind, text: sc.s[p+open:], pos: p, end: sc.pos}
}

func (sc *scanner) quoted(p int, q byte, kind tokenKind) token {
	var b strings.Builder
	s := sc.s
	i := p + 1
	for i < len(s) {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			b.WriteByte(s[i+1])
			i += 2
			continue
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			b.WriteByte(q)
			i += 2
			continue
		case s[i] == q:
			sc.pos = i + 1
			return token{kind: kind, text: b.String(), pos: p, end: sc.pos, escapes: strings.Contains(s[p:sc.pos], "\\")}
		}
		b.WriteByte(s[i])
		i++
	}
	sc.pos = len(s)
	return token{kind: kind, text: b.String(), pos: p, end: sc.pos, escapes: strings.Contains(s[p:sc.pos], "\\")}
}

// skip passes white space and comments.
func (sc *scanner) skip() {
	s := sc.s
	for sc.pos < len(s) {
		rest := s[sc.pos:]
		switch {
		case rest[0] == ' ' || rest[0] >= '\t' && rest[0] <= '\r':
			sc.pos++
		case strings.HasPrefix(rest, "\u00a0") || strings.HasPrefix(rest, "\ufeff"):
			sc.pos += len(rest) - len(strings.TrimLeft(rest, "\u00a0\ufeff"))
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			sc.pos += indexOrEnd(rest, "\n", 1)
		case strings.HasPrefix(rest, "/*"):
			sc.pos += 2 + indexOrEnd(rest[2:], "*/", 2)
		default:
			return
		}
	}
}

func indexOrEnd(s, sub string, past int) int {
	if i := strings.Index(s, sub); i >= 0 {
		return i + past
	}
	return len(s)
}

// statement is what the front knows about one statement.
type statement struct {
	text   string // what the engine gets; for an insert with data without FORMAT and data
	format string // the output format it names, or for an insert the input format; "" if none
	insert bool   // an INSERT whose data is sent beside it
	data   int    // offset of an insert's data in the source text
	reads  bool   // a SELECT, whose result can be streamed
	output int    // offset of the FORMAT clause of a SELECT, or of its end
	// The statement reads or writes a file of this machine.
	outfile, infile bool
}

// parseStatement looks at one statement. Text that ends early (a prefix of an INSERT's data) is fine.
func parseStatement(src string) (statement, error) {
	sc := &scanner{s: src}
	first := sc.next()
	if first.kind == tokEnd || first.punct(';') {
		return statement{}, syntaxError("Syntax error: Empty query")
	}
	if first.is("INSERT") {
		if st, ok := parseInsert(sc, src); ok {
			return st, nil
		}
		sc = &scanner{s: src, pos: first.end}
	}
	st := statement{reads: first.is("SELECT") || first.is("WITH") || first.is("FROM") || first.punct('(')}
	depth := 0
	if first.punct('(') {
		depth = 1
	}
	prev, cur := token{}, first
	end := len(src)
	st.output = -1
	for {
		next := sc.next()
		switch {
		case depth == 0 && cur.is("INTO") && next.is("OUTFILE"):
			st.outfile = true
		case depth == 0 && cur.is("FROM") && next.is("INFILE"):
			st.infile = true
		case depth == 0 && cur.is("INSERT"):
			st.reads = false
		case depth == 0 && prev.is("FORMAT") && (cur.kind == tokWord || cur.kind == tokQuoted) && (next.kind == tokEnd || next.punct(';') || next.is("SETTINGS") || next.is("INTO")):
			st.format, st.output = cur.text, prev.pos
		}
		if next.kind == tokEnd {
			break
		}
		if next.punct(';') {
			end = next.pos
			if after := sc.next(); after.kind != tokEnd && !after.punct(';') {
				return statement{}, syntaxError("Syntax error (Multi-statements are not allowed): failed at position " + itoa(next.pos+1) + " (end of query)")
			}
			break
		}
		switch {
		case next.punct('('), next.punct('['), next.punct('{'):
			depth++
		case next.punct(')'), next.punct(']'), next.punct('}'):
			depth--
		}
		prev, cur = cur, next
	}
	st.text = src[:end]
	if st.output < 0 {
		st.output = end
	}
	return st, nil
}

// parseInsert finds where an INSERT's data starts. ok is false for INSERT … SELECT and the like, which
// carry none.
func parseInsert(sc *scanner, src string) (st statement, ok bool) {
	depth, names := 0, 0
	for {
		t := sc.next()
		switch {
		case t.kind == tokEnd, t.punct(';') && depth == 0:
			return statement{text: src[:t.pos], insert: true, data: len(src)}, names > 0
		case t.punct('('):
			depth++
		case t.punct(')'):
			depth--
		case depth > 0:
		case names > 0 && (t.is("SELECT") || t.is("WITH") || t.is("FROM") || t.is("WATCH")):
			return statement{}, false
		case names > 0 && t.is("VALUES"):
			return statement{text: src[:t.pos], insert: true, format: "Values", data: t.end}, true
		case names > 0 && t.is("FORMAT"):
			f := sc.next()
			if f.kind != tokWord && f.kind != tokQuoted {
				return statement{}, false
			}
			st = statement{text: src[:t.pos], insert: true, format: f.text}
			mark := f.end
			if s := sc.next(); s.is("SETTINGS") {
				mark = settingsEnd(sc, s.end)
				st.text += src[s.pos:mark]
			}
			st.data = dataStart(src, mark)
			return st, true
		case !t.is("INTO") && !t.is("TABLE"):
			names++
		}
	}
}

// settingsEnd passes `name = value, …` and returns the offset behind the last value.
func settingsEnd(sc *scanner, end int) int {
	for {
		if n := sc.next(); n.kind != tokWord {
			return end
		}
		if !sc.next().punct('=') {
			return end
		}
		v := sc.next()
		if v.punct('-') {
			v = sc.next()
		}
		end = v.end
		if !sc.next().punct(',') {
			return end
		}
	}
}

// dataStart passes what the engine's parser passes between a format's name and its data.
func dataStart(src string, p int) int {
	for p < len(src) && (src[p] == ' ' || src[p] == '\t' || src[p] == '\f') {
		p++
	}
	if p < len(src) && src[p] == ';' {
		p++
	}
	if p < len(src) && src[p] == '\r' {
		p++
	}
	if p < len(src) && src[p] == '\n' {
		p++
	}
	return p
}
