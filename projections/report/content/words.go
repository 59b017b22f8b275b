package content

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Vocabularies of names in the catalogue, as Value.Attr: what changed, by which kind of event, and
// where it comes from.
const (
	NameOfAttribute = "attribute"
	NameOfType      = "type"
	NameOfSource    = "source"
)

// What a history says by one row: that a device was first seen, and that its apps changed. Each
// is named like an attribute; its words are the texts "history.<name>.…".
const (
	FirstSeen   = "first-seen"
	AppsChanged = "apps-changed"
)

// Vocabularies of our own, whose words are the texts "told.<vocabulary>.…".
const (
	OfRequestState = "request-state"
	OfCompliance   = "compliance" // states of compliance that are none of device.compliance-state
	OfAccount      = "account"    // what became of a leaver's account
	OfRole         = "role"       // in which events name persons
)

// NameOfItem is what a row of a device's exposure is about that is no attribute; its words are the
// texts "exposure.<id>".
const NameOfItem = "exposure"

// ResultOfRequest is the result of what was asked of a device: a success of the service that took
// the request is none of the device. Its values are those of action.result.
const ResultOfRequest = "remote.result"

// OfLeading is what leads an event: an object of open values by attribute, in the order in which
// people tell events of the type apart. Where nothing leads it, what it tells of, each null.
const OfLeading = "leading"

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
	if attr == OfRetention {
		return kept(l, value)
	}
	if ofItems[attr] {
		return l.Find("processing." + attr + "." + value)
	}
	switch attr {
	case OfItem:
		return l.Find("item." + value)
	case OfRequestState, OfCompliance, OfAccount, OfRole:
		return l.Find("told." + attr + "." + value)
	case "access.report":
		return l.Find("report." + value + ".title")
	case NameOfAttribute, NameOfType:
		if w, ok := l.Find(attr + "." + value); ok {
			return w, true
		}
		return l.Find("history." + value + ".name") // what a history tells by one row
	case ResultOfRequest:
		if value == "success" {
			return l.Text("remote.accepted"), true
		}
		return l.Find("enum.action.result." + value)
	case NameOfItem:
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

// leadingWord writes what leads an event: each value by its word, behind what it is.
func leadingWord(l *words.Language, raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	var out []string
	for _, err := d.Token(); err == nil && d.More(); {
		attr, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return ""
		}
		id, _ := attr.(string)
		told := AttributeName(l, id)
		if string(value) != "null" {
			told += ": " + Value{Attr: id, Type: TypeOf(id), JSON: value}.People(l, l.Location())
		}
		out = append(out, told)
	}
	return strings.Join(out, "; ")
}

// filtersWord writes the filters of a report that was run, each by its title. Aliases of a
// person stand for that person: nobody knows them.
func filtersWord(l *words.Language, raw json.RawMessage) string {
	var given map[string]any // a text, or true where what was sought is not kept
	if json.Unmarshal(raw, &given) != nil {
		return ""
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(given)) {
		title, ok := l.Find("filter." + id)
		if !ok {
			title = id
		}
		value := fmt.Sprint(given[id])
		switch ids := strings.Split(value, ","); {
		case given[id] == true:
			value = l.Text("change.withheld")
		case id != "device" && !slices.ContainsFunc(ids, isNoUUID):
			value = l.Text("filter.somebody")
		case value == Set:
			value = l.Text("value.yes")
		case id == "device":
			value = strings.ReplaceAll(value, "device-", "") // as reports show a device's id
		}
		out = append(out, title+": "+value)
	}
	return strings.Join(out, "; ")
}

func isNoUUID(s string) bool {
	_, err := schemas.ParseUUID(s)
	return err != nil
}

// Set is the value of a filter that is given or not.
const Set = "yes"

// AttributeName is what an attribute is called.
func AttributeName(l *words.Language, id string) string {
	return schemas.Label("attribute." + id).Of(l)
}
