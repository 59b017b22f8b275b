package intake

import (
	"regexp"
	"slices"
	"strings"
)

// fields counts what a record holds and nobody asked for. Names only.
type fields struct {
	unknown map[string]int
	decoded int // texts that held JSON, decoded
}

// use declares which members of m the parser knows. Every other one that says something is counted
// under prefix and its name.
func (f *fields) use(prefix string, m members, known ...string) {
	for name, raw := range m {
		says := !isEmpty(raw) && string(raw) != `"None"`
		if !says || slices.Contains(known, name) || strings.Contains(name, "@odata.") {
			continue
		}
		if f.unknown == nil {
			f.unknown = map[string]int{}
		}
		f.unknown[safeName(prefix+name)]++
	}
}

var nameForm = regexp.MustCompile(`^@?[A-Za-z][A-Za-z0-9_]{0,63}(@?\.[A-Za-z][A-Za-z0-9_]{0,63}){0,3}$`)

// isName reports whether a text that a source decides has the form of a member's name.
func isName(s string) bool { return nameForm.MatchString(s) }

// safeName returns a member's name as it may be shown: a source decides it, so it could be
// anything.
func safeName(s string) string {
	if isName(s) {
		return s
	}
	return "(unusual name)"
}
