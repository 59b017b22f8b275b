package record

import (
	"regexp"
	"slices"
	"strings"
)

// Seen counts what a record holds and nobody asked for. Names only.
type Seen struct {
	Unknown map[string]int
	Decoded int // texts that held JSON, decoded
}

// Use declares which members of m the parser knows. Every other one that says something is counted
// under prefix and its name.
func (f *Seen) Use(prefix string, m Members, known ...string) {
	for name, raw := range m {
		// Most are known, and looking at what a value says costs most.
		if slices.Contains(known, name) || strings.Contains(name, "@odata.") {
			continue
		}
		if IsEmpty(raw) || string(raw) == `"None"` {
			continue
		}
		if f.Unknown == nil {
			f.Unknown = map[string]int{}
		}
		f.Unknown[SafeName(prefix+name)]++
	}
}

var nameForm = regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_]{0,63}(@?\.[A-Za-z][A-Za-z0-9_]{0,63}){0,3}$`)

// IsName reports whether a text that a source decides has the form of a member's name.
func IsName(s string) bool { return nameForm.MatchString(s) }

// SafeName returns a member's name as it may be shown: a source decides it, so it could be
// anything.
func SafeName(s string) string {
	if IsName(s) {
		return s
	}
	return "(unusual name)"
}
