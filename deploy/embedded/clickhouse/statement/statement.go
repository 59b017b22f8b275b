// Package statement reads what a client sent as far as the front must know it before the
// engine sees it: the tokens, where an INSERT's data begins, the format that is named,
// what becomes of a session.
//
// It keeps nothing and so can lose nothing. It trusts no text, and nobody trusts it with more than
// it knows: it is a scanner of tokens and no parser of SQL. What it cannot place, the engine
// parses as it stands; package guard compares its tokens with the engine's own.
package statement

import (
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// The front must know four things about a statement before the engine sees it: whether it is an
// INSERT whose data follows (and where the data starts), which output format it names, whether
// more than one statement was sent, and whether it begins or ends in a file of the server's
// machine. Everything else is left to the engine's own parser.

// Kind is what a token is.
type Kind byte

// The kinds of token.
const (
	tokEnd      Kind = iota
	Word             // bare word: keyword, identifier, number
	Quoted           // quoted identifier, text is the name without quotes
	String           // string literal
	Punctuation      // any other single byte
)

// Token is a piece of a statement that the engine reads as one.
type Token struct {
	Kind     Kind
	Text     string // without quotes
	Pos, End int    // offsets in the statement, in bytes
	Escapes  bool   // written with backslashes: text is then not always what the engine makes of it
}

// Is says that the token is this keyword, in any case.
func (t Token) Is(word string) bool { return t.Kind == Word && strings.EqualFold(t.Text, word) }

// Punct says that the token is this one byte.
func (t Token) Punct(c byte) bool { return t.Kind == Punctuation && t.Text[0] == c }

// Named says that the token may be a name.
func (t Token) Named() bool { return t.Kind == Word || t.Kind == Quoted }

// Names says that the token is this name.
func (t Token) Names(name string) bool { return t.Named() && t.Text == name }

type scanner struct {
	s   string
	pos int
}

// WordByte says that a bare word may have this byte.
func WordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// The engine's lexer takes typographic quotes for strings and names too.
const (
	leftSingle, rightSingle = "\u2018", "\u2019"
	leftDouble, rightDouble = "\u201c", "\u201d"
)

func (sc *scanner) next() Token {
	sc.skip()
	s, p := sc.s, sc.pos
	if p >= len(s) {
		return Token{Kind: tokEnd, Pos: len(s), End: len(s)}
	}
	c := s[p]
	switch {
	case WordByte(c):
		e := p
		for e < len(s) && WordByte(s[e]) {
			e++
		}
		sc.pos = e
		return Token{Kind: Word, Text: s[p:e], Pos: p, End: e}
	case c == '\'':
		return sc.quoted(p, c, String)
	case c == '"' || c == '`':
		return sc.quoted(p, c, Quoted)
	case strings.HasPrefix(s[p:], leftSingle):
		return sc.until(p, len(leftSingle), rightSingle, String)
	case strings.HasPrefix(s[p:], leftDouble):
		return sc.until(p, len(leftDouble), rightDouble, Quoted)
	case c == '$':
		// $tag$ … $tag$
		e := p + 1
		for e < len(s) && WordByte(s[e]) {
			e++
		}
		if e < len(s) && s[e] == '$' {
			tag := s[p : e+1]
			return sc.until(p, len(tag), tag, String)
		}
	}
	sc.pos = p + 1
	return Token{Kind: Punctuation, Text: s[p : p+1], Pos: p, End: p + 1}
}

func (sc *scanner) until(p, open int, closing string, kind Kind) Token {
	if i := strings.Index(sc.s[p+open:], closing); i >= 0 {
		sc.pos = p + open + i + len(closing)
		return Token{Kind: kind, Text: sc.s[p+open : p+open+i], Pos: p, End: sc.pos}
	}
	sc.pos = len(sc.s)
	return Token{Kind: kind, Text: sc.s[p+open:], Pos: p, End: sc.pos}
}

func (sc *scanner) quoted(p int, q byte, kind Kind) Token {
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
			return Token{Kind: kind, Text: b.String(), Pos: p, End: sc.pos,
				Escapes: strings.Contains(s[p:sc.pos], "\\")}
		}
		b.WriteByte(s[i])
		i++
	}
	sc.pos = len(s)
	return Token{Kind: kind, Text: b.String(), Pos: p, End: sc.pos, Escapes: strings.Contains(s[p:sc.pos], "\\")}
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

// Limit is how many bytes a statement may have, its data apart. It is read whole.
const Limit = 64 << 20

// Statement is what is known of one.
type Statement struct {
	Text   string // what the engine gets; for an insert with data without FORMAT and data
	Format string // the output format it names, or for an insert the input format; "" if none
	Insert bool   // an INSERT whose data is sent beside it
	Data   int    // offset of an insert's data in the source text
	Reads  bool   // a SELECT, whose result can be streamed
	Output int    // offset of the FORMAT clause of a SELECT, or of its end
	// The statement reads or writes a file of this machine.
	Outfile, Infile bool
}

// Parse looks at one statement. Text that ends early (a prefix of an INSERT's data) is fine.
func Parse(src string) (Statement, error) {
	sc := &scanner{s: src}
	first := sc.next()
	if first.Kind == tokEnd || first.Punct(';') {
		return Statement{}, exception.Syntax("Syntax error: Empty query")
	}
	if first.Is("INSERT") {
		if st, ok := parseInsert(sc, src); ok {
			return st, nil
		}
		sc = &scanner{s: src, pos: first.End}
	}
	st := Statement{Reads: first.Is("SELECT") || first.Is("WITH") || first.Is("FROM") || first.Punct('(')}
	depth := 0
	if first.Punct('(') {
		depth = 1
	}
	prev, cur := Token{}, first
	end := len(src)
	st.Output = -1
	for {
		next := sc.next()
		switch {
		case depth == 0 && cur.Is("INTO") && next.Is("OUTFILE"):
			st.Outfile = true
		case depth == 0 && cur.Is("FROM") && next.Is("INFILE"):
			st.Infile = true
		case depth == 0 && cur.Is("INSERT"):
			st.Reads = false
		case depth == 0 && prev.Is("FORMAT") && (cur.Kind == Word || cur.Kind == Quoted) &&
			(next.Kind == tokEnd || next.Punct(';') || next.Is("SETTINGS") || next.Is("INTO")):
			st.Format, st.Output = cur.Text, prev.Pos
		}
		if next.Kind == tokEnd {
			break
		}
		if next.Punct(';') {
			end = next.Pos
			if after := sc.next(); after.Kind != tokEnd && !after.Punct(';') {
				return Statement{}, exception.Syntax("Syntax error (Multi-statements are not allowed): " +
					"failed at position " + strconv.Itoa(next.Pos+1) + " (end of query)")
			}
			break
		}
		switch {
		case next.Punct('('), next.Punct('['), next.Punct('{'):
			depth++
		case next.Punct(')'), next.Punct(']'), next.Punct('}'):
			depth--
		}
		prev, cur = cur, next
	}
	st.Text = src[:end]
	if st.Output < 0 {
		st.Output = end
	}
	return st, nil
}

// parseInsert finds where an INSERT's data starts. ok is false for INSERT … SELECT and
// the like, which carry none.
func parseInsert(sc *scanner, src string) (st Statement, ok bool) {
	depth, names := 0, 0
	for {
		t := sc.next()
		switch {
		case t.Kind == tokEnd, t.Punct(';') && depth == 0:
			return Statement{Text: src[:t.Pos], Insert: true, Data: len(src)}, names > 0
		case t.Punct('('):
			depth++
		case t.Punct(')'):
			depth--
		case depth > 0:
		case names > 0 && (t.Is("SELECT") || t.Is("WITH") || t.Is("FROM") || t.Is("WATCH")):
			return Statement{}, false
		case names > 0 && t.Is("VALUES"):
			return Statement{Text: src[:t.Pos], Insert: true, Format: "Values", Data: t.End}, true
		case names > 0 && t.Is("FORMAT"):
			f := sc.next()
			if f.Kind != Word && f.Kind != Quoted {
				return Statement{}, false
			}
			st = Statement{Text: src[:t.Pos], Insert: true, Format: f.Text}
			mark := f.End
			if s := sc.next(); s.Is("SETTINGS") {
				mark = settingsEnd(sc, s.End)
				st.Text += src[s.Pos:mark]
			}
			st.Data = dataStart(src, mark)
			return st, true
		case !t.Is("INTO") && !t.Is("TABLE"):
			names++
		}
	}
}

// settingsEnd passes `name = value, …` and returns the offset behind the last value.
func settingsEnd(sc *scanner, end int) int {
	for {
		if n := sc.next(); n.Kind != Word {
			return end
		}
		if !sc.next().Punct('=') {
			return end
		}
		v := sc.next()
		if v.Punct('-') {
			v = sc.next()
		}
		end = v.End
		if !sc.next().Punct(',') {
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
