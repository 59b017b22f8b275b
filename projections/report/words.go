package report

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// verbs begin operations, alone or joined with the resource: "Create MobileApp", "createMobileApp
// MobileApp". Each has the word of a verb of actions.
var verbs = []struct{ prefix, verb string }{
	{"create", "create"}, {"delete", "delete"}, {"patch", "update"}, {"update", "update"}, {"assign", "assign"},
	{"get", "get"},
}

// technical are changed properties that Intune's own interface adds and nobody changed.
var technical = []string{"DeviceManagementAPIVersion"}

// operation writes an operation of the source, "<what> <resource>", in words; false where it has
// none.
func operation(l *words.Language, value string) (string, bool) {
	what, resource, _ := strings.Cut(value, " ")
	what = strings.ToLower(what)
	if task, ok := l.Find("operation." + what); ok {
		return task, resource == "" || resource == "ManagedDevice"
	}
	r, known := l.Find("resource." + resource)
	if !known {
		return "", false
	}
	for _, v := range verbs {
		if rest, ok := strings.CutPrefix(what, v.prefix); ok && (rest == "" || rest == strings.ToLower(resource)) {
			return l.Text("enum.action.verb."+v.verb) + ": " + r, true
		}
	}
	return "", false
}

// Word returns a value of a closed vocabulary as people read it; a value that has no word is
// returned as it is.
func Word(l *words.Language, attr, value string) string {
	if w, ok := word(l, attr, value); ok {
		return w
	}
	return value
}

func word(l *words.Language, attr, value string) (string, bool) {
	if w, ok := l.Find("enum." + attr + "." + value); ok {
		return w, true
	}
	switch attr {
	case ofRequestState, ofCompliance, ofAccount, ofRole:
		return l.Find("told." + attr + "." + value)
	case "access.report":
		return l.Find("report." + value + ".title")
	case nameOfAttribute, nameOfType:
		if w, ok := l.Find(attr + "." + value); ok {
			return w, true
		}
		return l.Find("history." + value + ".name") // what a history tells by one row
	case resultOfRequest:
		if value == "success" {
			return l.Text("remote.accepted"), true
		}
		return l.Find("enum.action.result." + value)
	case nameOfItem:
		return l.Find("exposure." + value)
	case "action.operation", "action.activity-type", "action.display-name":
		if w, ok := operation(l, value); ok {
			return w, true
		}
	case "action.target-type":
		return l.Find("resource." + value)
	case "action.category":
		if _, err := strconv.ParseUint(value, 10, 32); err == nil {
			return l.Text("category-number", words.Args{"number": value}), true
		}
	case "action.details":
		return details(value), true
	}
	return lines(value)
}

// countedWord writes a value that counts: what of each there is, the others not.
func countedWord(l *words.Language, of string, raw json.RawMessage) string {
	var counts map[string]int
	if json.Unmarshal(raw, &counts) != nil {
		return ""
	}
	var out []string
	for _, what := range []string{"values", "added", "removed", "changed"} {
		if n := counts[what]; n > 0 {
			out = append(out, l.Text("history."+of+"."+what, words.Args{"count": n}))
		}
	}
	return strings.Join(out, ", ")
}

// lines writes a text with the line ends of people's machines; false where it has them.
func lines(value string) (string, bool) {
	if !strings.Contains(value, "\r") {
		return "", false
	}
	return strings.TrimRight(strings.ReplaceAll(value, "\r\n", "\n"), "\n"), true
}

// detail is a line of Intune's additional details: "Key = TargetGroupIDsValue = …", no blank
// between the name and the word.
var detail = regexp.MustCompile(`^Key = (.+?)Value = (.*)$`)

// details writes additional details as "name: value", each line once.
func details(value string) string {
	var out []string
	for line := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if m := detail.FindStringSubmatch(line); m != nil {
			line = strings.TrimSpace(m[1]) + ": " + m[2]
		}
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
