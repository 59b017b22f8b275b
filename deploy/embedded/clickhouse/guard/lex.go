package guard

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/engine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// lexQuery asks for the tokens, and for the names that the engine's parser takes for functions,
// of all kinds and in places that its tree does not show. It is kept simple: the engine plans
// it for each new statement.
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

// lex returns the statement's tokens where the engine's lexer and the front's scanner agree on
// them, and nil where they do not; and those of them which are called.
func lex(c *engine.Conn, q Question) (toks, calls []statement.Token, err error) {
	text, whole := q.Text, q.Text
	if q.Insert {
		whole += " VALUES"
	}
	out, _, err := c.Exec(lexQuery, "TSVRaw", []engine.Param{
		{Name: "q", Value: parameterEscape.Replace(text)}, {Name: "h", Value: parameterEscape.Replace(whole)},
	})
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
	ours := statement.Scan(text)
	next := 0
	for _, t := range theirs {
		if t.kind == "Whitespace" || t.kind == "Comment" {
			continue
		}
		first := next
		for next < len(ours) && ours[next].End <= t.to {
			next++
		}
		if first == next || ours[first].Pos != t.from || ours[next-1].End != t.to ||
			!agrees(t.kind, ours[first:next]) {
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
		i, ok := slices.BinarySearchFunc(ours, h.from, func(t statement.Token, at int) int {
			return cmp.Compare(t.Pos, at)
		})
		if !ok || ours[i].End != h.to || !ours[i].Named() || ours[i].Escapes {
			return nil, nil, nil
		}
		calls = append(calls, ours[i])
	}
	return ours, calls, nil
}

// parameterEscape writes a value as query parameters are read: as a field of TSV.
var parameterEscape = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\x00", "\\0")

// agrees says that some of the front's tokens are one of the engine's.
func agrees(kind string, ours []statement.Token) bool {
	one := len(ours) == 1
	switch kind {
	case "BareWord":
		return one && ours[0].Kind == statement.Word
	case "QuotedIdentifier":
		return one && ours[0].Kind == statement.Quoted && !isControl(ours[0].Text)
	case "HereDoc":
		return one && ours[0].Kind == statement.String
	case "StringLiteral":
		if len(ours) == 2 && ours[0].Kind == statement.Word && slices.Contains([]string{"x", "X", "b", "B"},
			ours[0].Text) {
			return ours[1].Kind == statement.String // x'41'
		}
		return one && ours[0].Kind == statement.String
	}
	if strings.HasPrefix(kind, "Error") || strings.HasPrefix(kind, "Semicolon") {
		return false
	}
	for _, t := range ours {
		if t.Kind != statement.Punctuation && t.Kind != statement.Word ||
			t.Kind == statement.Word && kind != "Number" {
			return false
		}
	}
	return true
}

// isControl says that a name has a byte that is no part of a line. The tree is lines.
func isControl(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}
