//go:build conformance

package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// reasons are those for which a test may be on the list.
var reasons = []string{
	"needs the publisher's database image",
	"persistent subscriptions",
	"projections",
	"needs TLS", // on a server without: it runs in the other mode
}

// list is what does not pass, and why: mode, then test, then reason.
type list map[string]map[string]string

// parseList reads lines of mode, test and reason; # begins a comment line.
func parseList(text string) (list, error) {
	l := list{"insecure": {}, "tls": {}}
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("not-run.txt line %d: mode, test or reason is missing", i+1)
		}
		modes, name, reason := fields[:1], fields[1], strings.Join(fields[2:], " ")
		if modes[0] == "both" {
			modes = []string{"insecure", "tls"}
		}
		for _, mode := range modes {
			switch {
			case l[mode] == nil:
				return nil, fmt.Errorf("not-run.txt line %d: no mode %q", i+1, mode)
			case !slices.Contains(reasons, reason), mode == "tls" && reason == "needs TLS":
				return nil, fmt.Errorf("not-run.txt line %d: %q is no reason in mode %s", i+1, reason, mode)
			case l[mode][name] != "":
				return nil, fmt.Errorf("not-run.txt line %d: %s is there already", i+1, name)
			}
			l[mode][name] = reason
		}
	}
	return l, nil
}

// compare returns what differs from the list, with the whole output of what
// failed, and a line that says what ran.
func (l list) compare(mode string, found results) (problems []string, summary string) {
	listed, met, passes, why := l[mode], map[string]bool{}, 0, map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		r, reason := found[name], listed[name]
		met[name] = true
		if !found.leaf(name) {
			if reason != "" {
				problems = append(problems, fmt.Sprintf("%s: tests below it ran; list those", name))
			} else if r.outcome != passed && found.passedBelow(name) {
				problems = append(problems, fmt.Sprintf("%s: %s, though what is below it passed\n%s", name, r.outcome,
					r.output.String()))
			}
			continue
		}
		switch {
		case r.outcome == passed && reason != "":
			problems = append(problems, fmt.Sprintf("%s passes: remove it from the list", name))
		case r.outcome == passed:
			passes++
		case reason == "":
			problems = append(problems, fmt.Sprintf("%s: %s, and it is not on the list\n%s", name, r.outcome,
				r.output.String()))
		default:
			why[reason]++ // as listed
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if !met[name] {
			problems = append(problems, fmt.Sprintf("%s is on the list and did not run: it no longer exists, or a "+
				"panic came first", name))
		}
	}
	var parts []string
	for _, reason := range reasons {
		if why[reason] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", reason, why[reason]))
		}
	}
	return problems, fmt.Sprintf("%d passed, %d do not and are on the list (%s)", passes, len(listed),
		strings.Join(parts, ", "))
}

// passedBelow says whether all tests below name passed.
func (r results) passedBelow(name string) bool {
	for other, t := range r {
		if strings.HasPrefix(other, name+"/") && t.outcome != passed {
			return false
		}
	}
	return true
}
