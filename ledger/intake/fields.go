package intake

import (
	"slices"
	"strings"
)

// fields counts what a record holds and nobody asked for. Names only.
type fields struct {
	unknown map[string]int
	decoded int // texts that held JSON, decoded
}

// use declares which members of m the parser knows. Every other one that says something is counted under prefix and its name.
func (f *fields) use(prefix string, m members, known ...string) {
	for name, raw := range m {
		if slices.Contains(known, name) || strings.Contains(name, "@odata.") || isEmpty(raw) || string(raw) == `"None"` {
			continue
		}
		if f.unknown == nil {
			f.unknown = map[string]int{}
		}
		f.unknown[safeName(prefix+name)]++
	}
}
