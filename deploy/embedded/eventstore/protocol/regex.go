package protocol

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// Filters are .NET's regular expressions. They are applied by an engine that
// follows .NET, look-around, back-references and all: it backtracks, so each
// match has a time limit. Most of what clients send needs none of that; where
// RE2 provably means the same, by the pattern (sameMeaning) and by the subject
// (plainText), RE2 matches instead, in linear time and much faster.

const (
	MaxPattern     = 4096        // bytes
	maxFastPattern = 256         // bytes; with RE2's own limit on repetitions it bounds what a pattern compiles to
	matchTimeout   = time.Second // of one subject; a machine that stalls for less does not end a subscription
)

// errMatchTime says that an expression took too long for one subject. What it
// would have said is unknown, so it is no "no".
var errMatchTime = errors.New("the regular expression took too long")

// expression is a compiled filter expression.
type expression struct {
	net  *regexp2.Regexp
	fast *regexp.Regexp // nil where it might mean something else
}

func newExpression(pattern string) (e *expression, err error) {
	if len(pattern) > MaxPattern {
		return nil, fmt.Errorf("the regular expression has %d bytes, the limit is %d", len(pattern), MaxPattern)
	}
	e = &expression{}
	err = contained(func() (err error) {
		e.net, err = regexp2.Compile(pattern, regexp2.None)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.net.MatchTimeout = matchTimeout
	if sameMeaning(pattern) {
		// What follows the match does not matter, so ".*" at the end is work for nothing.
		if head, ok := strings.CutSuffix(pattern, ".*"); ok && !escapes(head) {
			pattern = head
		}
		if re, err := regexp.Compile(pattern); err == nil {
			e.fast = re
		}
	}
	return e, nil
}

// contained turns a panic of the engine into an error: patterns come from clients,
// and one that the engine stumbles over must not end the server.
func contained(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the regular expression cannot be applied")
		}
	}()
	return f()
}

// match tells whether the expression matches anywhere in the subject.
// The error is errMatchTime, or that of an engine that gave up.
func (e *expression) match(subject []byte) (matched bool, err error) {
	if e.fast != nil && plainText(subject) {
		return e.fast.Match(subject), nil
	}
	err = contained(func() error {
		var err error
		if matched, err = e.net.MatchString(string(subject)); err != nil {
			return errMatchTime // the engine's only error; its text would show the subject
		}
		return nil
	})
	return matched, err
}

// plainText tells whether all is printable ASCII. Then .NET's Unicode classes
// are RE2's ASCII ones, and there is no line end for "$" and "." to differ on.
func plainText(subject []byte) bool {
	for _, c := range subject {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// sameMeaning tells whether RE2 and .NET agree on the pattern for printable
// ASCII subjects. It knows literals, classes, groups without options, anchors
// and repetitions of what cannot be empty (a backtracking engine has its own
// ways with the others); what it does not know is left to the engine that follows .NET.
func sameMeaning(p string) bool {
	if len(p) > maxFastPattern || !plainText([]byte(p)) {
		return false
	}
	groups := []group{{}} // that are open; the first is the pattern
	for len(p) > 0 {
		g := &groups[len(groups)-1]
		n, width := 1, true // of the next term: its length, and whether it takes a character
		switch c := p[0]; c {
		case '^', '$':
			width = false
		case '|':
			g.empty, g.wide = g.empty || !g.wide, false
			p = p[1:]
			continue
		case '(':
			if strings.HasPrefix(p, "(?:") {
				n = 3
			} else if strings.HasPrefix(p, "(?") {
				return false
			}
			groups = append(groups, group{})
			p = p[n:]
			continue
		case ')':
			if len(groups) == 1 {
				return false
			}
			width = g.wide && !g.empty
			groups = groups[:len(groups)-1]
			g = &groups[len(groups)-1]
		case '[':
			if n = classLen(p); n == 0 {
				return false
			}
		case '\\':
			n = 2
			switch {
			case len(p) < 2:
				return false
			case strings.IndexByte("bB", p[1]) >= 0:
				width = false
			case !escapable(p[1]) && strings.IndexByte("dDwWsS", p[1]) < 0:
				return false
			}
		case '*', '+', '?', '{', ']', '}':
			return false // repeats nothing, or a literal in some dialects
		}
		p = p[n:]
		if len(p) > 0 && strings.IndexByte("*+?{", p[0]) >= 0 {
			n, some := repetition(p)
			if n == 0 || !width {
				return false
			}
			p, width = p[n:], some
		}
		g.wide = g.wide || width
	}
	return len(groups) == 1
}

// group is what is known of a group that is open: of the alternative under way
// whether it takes a character, and whether one before took none.
type group struct{ wide, empty bool }

// escapable tells whether a backslash makes c a literal in both. Letters and
// digits have meanings of their own, and so have \< and \' in .NET.
func escapable(c byte) bool {
	return strings.IndexByte(`\^$.|?*+()[]{}-/ #"!%&,:;=@~`, c) >= 0
}

// escapes tells whether p ends in a backslash that escapes what follows.
func escapes(p string) bool {
	return (len(p)-len(strings.TrimRight(p, `\`)))%2 == 1
}

// repetition returns the length of the quantifier at the beginning of p, lazy
// or not, 0 for none, and whether it wants its term at least once.
func repetition(p string) (n int, some bool) {
	n, some = 1, p[0] == '+'
	if p[0] == '{' {
		low := digits(p[n:])
		if low == 0 {
			return 0, false
		}
		some = strings.Trim(p[n:n+low], "0") != ""
		if n += low; n < len(p) && p[n] == ',' {
			n += 1 + digits(p[n+1:])
		}
		if n == len(p) || p[n] != '}' {
			return 0, false
		}
		n++
	}
	if n < len(p) && p[n] == '?' {
		n++
	}
	return n, some
}

// digits is the number of digits at the beginning of p, of three at most.
func digits(p string) int {
	n := 0
	for n < len(p) && n < 3 && p[n] >= '0' && p[n] <= '9' {
		n++
	}
	return n
}

// classLen is the length of the class at the beginning of p, 0 for one with anything unusual.
func classLen(p string) int {
	n := 1
	if n < len(p) && p[n] == '^' {
		n++
	}
	for first := true; n < len(p); first = false {
		switch c := p[n]; {
		case c == ']':
			if first {
				return 0 // a literal in some dialects
			}
			return n + 1
		case c == '[':
			return 0
		case c == '-': // literal at the end only
			if n+1 < len(p) && p[n+1] == ']' && !first {
				n++
				continue
			}
			return 0
		case c == '\\':
			if n+1 == len(p) || !escapable(p[n+1]) && strings.IndexByte("dDwWsS", p[n+1]) < 0 {
				return 0
			}
			n += 2
			if n < len(p) && p[n] == '-' && (n+1 == len(p) || p[n+1] != ']') {
				return 0
			}
		case n+2 < len(p) && p[n+1] == '-' && p[n+2] != ']':
			if !alphanumeric(c) || !alphanumeric(p[n+2]) || c > p[n+2] {
				return 0
			}
			n += 3
			if n < len(p) && p[n] == '-' && (n+1 == len(p) || p[n+1] != ']') {
				return 0
			}
		default:
			n++
		}
	}
	return 0
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
