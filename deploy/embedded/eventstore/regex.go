package eventstore

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
	maxPattern     = 4096        // bytes
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
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the regular expression has %d bytes, the limit is %d", len(pattern), maxPattern)
	}
	e = &expression{}
	err = guard(func() (err error) {
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

// guard turns a panic of the engine into an error: patterns come from clients,
// and one that the engine stumbles over must not end the server.
func guard(f func() error) (err error) {
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
	err = guard(func() error {
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
// and repetitions; what it does not know is left to the engine that follows .NET.
func sameMeaning(p string) bool {
	if len(p) > maxFastPattern || !plainText([]byte(p)) {
		return false
	}
	depth, repeatable := 0, false
	for len(p) > 0 {
		n := 1
		switch c := p[0]; c {
		case '^', '$', '|':
			repeatable = false
		case '(':
			depth++
			if strings.HasPrefix(p, "(?:") {
				n = 3
			} else if strings.HasPrefix(p, "(?") {
				return false
			}
			repeatable = false
		case ')':
			depth--
			if depth < 0 {
				return false
			}
			repeatable = true
		case '[':
			if n = classLen(p); n == 0 {
				return false
			}
			repeatable = true
		case '*', '+', '?', '{':
			if n = repetitionLen(p); n == 0 || !repeatable {
				return false
			}
			repeatable = false
		case '\\':
			n = 2
			switch {
			case len(p) < 2:
				return false
			case strings.IndexByte("bB", p[1]) >= 0:
				repeatable = false
			case escapable(p[1]) || strings.IndexByte("dDwWsS", p[1]) >= 0:
				repeatable = true
			default:
				return false
			}
		case ']', '}':
			return false
		default:
			repeatable = true
		}
		p = p[n:]
	}
	return depth == 0
}

// escapable tells whether a backslash makes c a literal in both. Letters and
// digits have meanings of their own, and so have \< and \' in .NET.
func escapable(c byte) bool {
	return strings.IndexByte(`\^$.|?*+()[]{}-/ #"!%&,:;=@~`, c) >= 0
}

// escapes tells whether p ends in a backslash that escapes what follows.
func escapes(p string) bool {
	return (len(p)-len(strings.TrimRight(p, `\`)))%2 == 1
}

// repetitionLen is the length of the quantifier at the beginning of p, lazy or not, 0 for none.
func repetitionLen(p string) int {
	n := 1
	if p[0] == '{' {
		digits := 0
		for n < len(p) && (p[n] >= '0' && p[n] <= '9') {
			n, digits = n+1, digits+1
		}
		if digits == 0 || digits > 3 || n == len(p) {
			return 0
		}
		if p[n] == ',' {
			n, digits = n+1, 0
			for n < len(p) && (p[n] >= '0' && p[n] <= '9') {
				n, digits = n+1, digits+1
			}
		}
		if n == len(p) || p[n] != '}' || digits > 3 {
			return 0
		}
		n++
	}
	if n < len(p) && p[n] == '?' {
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
