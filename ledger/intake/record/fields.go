package record

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Seen counts what a record holds and nobody asked for. Names only.
type Seen struct {
	Unknown map[string]int
	Decoded int  // texts that held JSON, decoded
	Columns bool // the record's members are named by the header of a table
}

// Names are members' names that a parser knows.
type Names map[string]bool

// NamesOf returns the names.
func NamesOf(names ...string) Names {
	n := make(Names, len(names))
	for _, name := range names {
		n[name] = true
	}
	return n
}

// Use declares which members of m the parser knows. Every other one that says something is counted
// under prefix and its name.
func (f *Seen) Use(prefix string, m *Members, known Names) {
	for name, raw := range m.All {
		// Most are known, and looking at what a value says costs most.
		if known[name] || strings.Contains(name, "@odata.") {
			continue
		}
		if IsEmpty(raw) || string(raw) == `"None"` {
			continue
		}
		if f.Unknown == nil {
			f.Unknown = map[string]int{}
		}
		if f.Columns {
			f.Unknown[SafeHeader(prefix+name)]++
		} else {
			f.Unknown[SafeName(prefix+name)]++
		}
	}
}

// IsName reports whether a text that a source decides has the form of a member's name: an @, and
// up to four parts apart by dots, before each of which an @ may stand. A part is a letter and up
// to 63 letters, digits and underscores.
func IsName(s string) bool {
	s = strings.TrimPrefix(s, "@")
	for range 4 {
		n := 0
		for n < len(s) && (isLetter(s[n]) || n > 0 && (s[n] == '_' || isDigit(s[n]))) {
			n++
		}
		if n == 0 || n > 64 {
			return false
		}
		if s = s[n:]; s == "" {
			return true
		}
		rest, dot := strings.CutPrefix(strings.TrimPrefix(s, "@"), ".")
		if !dot {
			return false
		}
		s = rest
	}
	return false
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// SafeName returns a member's name as it may be shown: a source decides it, so it could be
// anything.
func SafeName(s string) string {
	if IsName(s) {
		return strings.Clone(s) // without the record around it
	}
	return unusualName
}

const unusualName = "(unusual name)"

// maxHeader is the longest header of a column that is shown, in bytes.
const maxHeader = 48

// SafeHeader returns the header of a column as it may be shown: up to six words of letters, digits
// and a few signs, that begins with a letter and is no number, address or id.
func SafeHeader(s string) string {
	words := strings.Fields(s)
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case !unicode.IsLetter(r) && !strings.ContainsRune(" -_/().", r):
			return unusualName
		}
	}
	first, _ := utf8.DecodeRuneInString(s)
	if len(words) == 0 || len(words) > 6 || len(s) > maxHeader || digits > 2 || !unicode.IsLetter(first) {
		return unusualName
	}
	return strings.Join(words, " ")
}
