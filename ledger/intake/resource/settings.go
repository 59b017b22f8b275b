package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// Limits of settings. What is beyond them is cut, and counted.
const (
	maxSettings = 5000    // of one record
	maxSetting  = 2 << 10 // bytes of a value
	maxPath     = 1 << 10 // bytes of a name
	maxDepth    = 16
)

// SettingMembers are those of an entry of Rest: the setting's path, its value as it is told, how
// many bytes a value had that was cut, and that one was there which is withheld. Their order is
// frozen.
var SettingMembers = []Member{{Name: "name", Field: "name", As: told}, {Name: "value", Field: "value", As: told},
	{Name: "length", Field: "length", As: told}, {Name: "withheld", Field: "withheld", As: told}}

// passed are members that only lead to a setting, and are no part of its path.
var passed = record.NamesOf("settingInstance", "choiceSettingValue", "choiceSettingCollectionValue",
	"simpleSettingValue", "simpleSettingCollectionValue", "groupSettingValue", "groupSettingCollectionValue",
	"children")

// besides are members of a setting that are none: what tells it apart, times of its own, the help
// text of its template, and where that stands.
var besides = record.NamesOf("createdDateTime", "lastModifiedDateTime", "explainText",
	"settingDefinitionId", "settingInstanceTemplateReference", "settingValueTemplateReference",
	"auditRuleInformation", "valueState")

// tellApart are members that tell entries of a list apart, the best first.
var tellApart = []string{"omaUri", "settingDefinitionId", "settingInstance.settingDefinitionId", "ruleName", "id",
	"name"}

// setting is a setting that is being read.
type setting struct {
	path   string
	names  []string // that led to it
	secret bool     // its source says that it is one
	depth  int
}

// settings reads the members of a record as settings.
type settings struct {
	*reading
	out []*record.Members
}

// tellsRest reports whether a record has all that a list of its settings takes, whole.
func tellsRest(m *record.Members, rest *Rest) bool {
	for _, name := range rest.Whole {
		if !m.Has(name) || !record.IsEmpty(m.Get(name+"@odata.nextLink")) {
			return false
		}
	}
	return true
}

// restNames are the members that are settings.
func (f *form) restNames(m *record.Members, rest *Rest) record.Names {
	except, out := record.NamesOf(rest.Except...), record.Names{}
	for name := range m.All {
		if !f.known[name] && !except[name] && !strings.ContainsAny(name, "@#") {
			out[name] = true
		}
	}
	return out
}

// settings are the members of a record that it tells as settings.
func (r *reading) settings(m *record.Members) record.Names {
	if rest := r.form.Rest(); rest != nil && tellsRest(m, rest) {
		return r.form.restNames(m, rest)
	}
	return nil
}

// rest makes entries of the settings of a record.
func (r *reading) rest(m *record.Members, rest *Rest) []*record.Members {
	s := &settings{reading: r}
	if name := rest.Entry; name != "" {
		if key, _ := keyIn(m); key == "" {
			r.in.Tally.Unnamed++
			return nil
		}
		s.list(setting{path: name, names: []string{name}, depth: 1}, []json.RawMessage{schemas.JSON(m)})
		return s.out
	}
	names := r.form.restNames(m, rest)
	for name, raw := range m.All {
		if names[name] {
			s.read(setting{path: name, names: []string{name}}, raw)
		}
	}
	return s.out
}

// read reads a member, and what stands in it. One that is empty is none.
func (s *settings) read(at setting, raw json.RawMessage) {
	if record.IsEmpty(raw) {
		return
	}
	at.depth++
	switch o, list := record.ReadMembers(raw), record.Elements(raw); {
	case at.depth > maxDepth:
		s.put(at, raw)
	case o != nil:
		s.object(at, o, "")
	case len(list) > 0 && hasObject(list):
		s.list(at, list)
	default:
		s.put(at, raw)
	}
}

func hasObject(list []json.RawMessage) bool {
	for _, e := range list {
		if record.Begins(e, '{') || record.Begins(e, '[') {
			return true
		}
	}
	return false
}

// object reads the members of an object but for the one that it is told apart by.
func (s *settings) object(at setting, o *record.Members, by string) {
	at.secret = at.secret || strings.EqualFold(o.Text("isEncrypted"), "true") ||
		strings.Contains(o.Text(odataType), "Secret")
	for name, raw := range o.All {
		if name == by || besides[name] || strings.ContainsAny(name, "@#") {
			continue
		}
		next := at
		if !passed[name] && name != "value" {
			next.path += "." + name
		}
		next.names = append(at.names[:len(at.names):len(at.names)], name)
		s.read(next, raw)
	}
}

// list reads a list's entries, each told apart by what it says, else by its place.
func (s *settings) list(at setting, list []json.RawMessage) {
	taken := map[string]bool{}
	for i, raw := range list {
		next, by, o := at, "", record.ReadMembers(raw)
		key := fmt.Sprint(i)
		if o != nil {
			if found, name := keyIn(o); found != "" {
				if by = name; taken[found] {
					found += "#" + key
				}
				key = found
			}
		}
		taken[key] = true
		next.path += "[" + key + "]"
		next.names = append(at.names[:len(at.names):len(at.names)], key)
		if next.depth++; o == nil || next.depth > maxDepth {
			s.put(next, raw)
			continue
		}
		s.object(next, o, by)
	}
}

// keyIn is what tells an entry apart, and the member of its own that holds it.
func keyIn(o *record.Members) (key, by string) {
	for _, name := range tellApart {
		first, rest, deeper := strings.Cut(name, ".")
		if !deeper {
			key = o.Text(name)
		} else if in := o.Object(first); in != nil {
			key, name = in.Text(rest), "id"
		}
		if key != "" && len(key) <= maxPath/4 && !record.SecretText(key) {
			return key, name
		}
	}
	return "", ""
}

// put adds a setting.
func (s *settings) put(at setting, raw json.RawMessage) {
	switch {
	case len(at.path) > maxPath, len(s.out) == maxSettings:
		s.in.Tally.Cut++
		return
	case s.path(at) == "":
		s.in.Tally.Withheld++
		return
	}
	m := record.NewMembers(len(SettingMembers))
	m.Set("name", schemas.JSON(at.path))
	raw = record.Compact(raw)
	switch text, single := record.AsText(raw); {
	case at.secret || s.secret(at, raw):
		s.in.Tally.Withheld++
		m.Set("withheld", schemas.JSON(true))
	case len(raw) > maxSetting:
		if !single {
			text = string(raw)
		}
		s.in.Tally.Cut++
		m.Set("value", schemas.JSON(record.Clip(text, maxSetting)))
		m.Set("length", schemas.JSON(len(raw)))
	default:
		m.Set("value", raw)
	}
	s.out = append(s.out, m)
}

// path is the setting's, "" where a part of it betrays a secret by its text.
func (s *settings) path(at setting) string {
	for _, name := range at.names {
		if strings.ContainsAny(name, " \n=:{") && record.SecretText(name) {
			return ""
		}
	}
	return at.path
}

// secret reports whether a setting's value may not be kept, by any name that leads to it or by
// what it says.
func (s *settings) secret(at setting, raw json.RawMessage) bool {
	values := record.Elements(raw)
	if values == nil {
		values = []json.RawMessage{raw}
	}
	for _, v := range values {
		text, ok := record.AsText(v)
		if !ok {
			text = string(v)
		}
		for _, name := range at.names {
			if record.Secretive(name, text) && !isQuality(name, text) {
				return true
			}
		}
	}
	return false
}

// qualities are words that say what a password has to be, of the settings that ask for it.
var qualities = record.NamesOf("deviceDefault", "alphanumeric", "numeric", "any", "required", "none",
	"lowSecurityBiometric", "atLeastAlphabetic", "atLeastAlphanumeric", "atLeastNumeric", "alphabetic",
	"numericComplex", "alphanumericWithSymbols", "customPassword", "low", "medium", "high")

func isQuality(name, text string) bool {
	return (strings.HasSuffix(name, "RequiredType") || strings.HasSuffix(name, "Complexity")) && qualities[text]
}

// withNames returns the names with others.
func withNames(known, more record.Names) record.Names {
	if len(more) == 0 {
		return known
	}
	out := maps.Clone(known)
	maps.Copy(out, more)
	return out
}
