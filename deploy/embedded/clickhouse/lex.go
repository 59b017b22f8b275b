package clickhouse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// lexQuery asks for the tokens, and for the names that the engine's parser takes for functions, of all kinds
// and in places that its tree does not show. It is kept simple: the engine plans it for each new statement.
const lexQuery = "SELECT tokenizeQuery({q:String}), highlightQuery({h:String})"

// span is a part of a statement and what the engine takes it for.
type span struct {
	from, to int
	kind     string
}

// spans reads `[(0,6,'BareWord'),(6,7,'Whitespace')]`.
func spans(s string) (out []span, err error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return nil, errors.New("the engine's tokens could not be read")
	}
	s = s[1 : len(s)-1]
	for s != "" {
		var one string
		one, s, _ = strings.Cut(strings.TrimPrefix(s, ","), ")")
		fields := strings.Split(strings.TrimPrefix(one, "("), ",")
		if len(fields) != 3 {
			return nil, errors.New("the engine's tokens could not be read")
		}
		from, err1 := strconv.Atoi(fields[0])
		to, err2 := strconv.Atoi(fields[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("read the engine's tokens: %w", err)
		}
		out = append(out, span{from, to, strings.Trim(fields[2], "'")})
	}
	return out, nil
}

// lex returns the statement's tokens where the engine's lexer and the front's scanner agree on them, and nil
// where they do not; and those of them which are called.
func lex(c *conn, q question) (toks, calls []token, err error) {
	text, whole := q.text, q.text
	if q.insert {
		whole += " VALUES"
	}
	out, _, err := c.exec(lexQuery, "TSVRaw", []param{
		{"q", parameterEscape.Replace(text)}, {"h", parameterEscape.Replace(whole)}})
	if err != nil {
		return nil, nil, err
	}
	lexed, marked, _ := strings.Cut(string(out), "\t")
	theirs, err := spans(lexed)
	if err != nil {
		return nil, nil, err
	}
	highlights, err := spans(marked)
	if err != nil {
		return nil, nil, err
	}
	ours := scan(text)
	next := 0
	for _, t := range theirs {
		if t.kind == "Whitespace" || t.kind == "Comment" {
			continue
		}
		first := next
		for next < len(ours) && ours[next].end <= t.to {
			next++
		}
		if first == next || ours[first].pos != t.from || ours[next-1].end != t.to || !agrees(t.kind, ours[first:next]) {
			return nil, nil, nil
		}
	}
	if next != len(ours) {
		return nil, nil, nil
	}
	for _, h := range highlights {
		if h.kind != "function" {
			continue
		}
		i, ok := slices.BinarySearchFunc(ours, h.from, func(t token, at int) int { return cmp.Compare(t.pos, at) })
		if !ok || ours[i].end != h.to || !isName(ours[i]) || ours[i].escapes {
			return nil, nil, nil
		}
		calls = append(calls, ours[i])
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
		if len(ours) == 2 && ours[0].kind == tokWord && slices.Contains([]string{"x", "X", "b", "B"}, ours[0].text) {
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
