package words

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/feature/plural"
)

// pluralTag marks a map of plural forms; any other map is a group of keys.
const pluralTag = "!plural"

// load reads a language's file.
func load(files fs.FS, name string) (*Language, error) {
	code, tag, err := codeOf(name)
	if err != nil {
		return nil, err
	}
	raw, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(raw, &root); err != nil {
		return nil, err
	}
	l := &Language{code: code, tag: tag, texts: map[string]text{}}
	if len(root.Content) != 1 {
		return nil, fmt.Errorf("the file holds no map of texts")
	}
	if err := l.read("", root.Content[0]); err != nil {
		return nil, err
	}
	if l.location, err = time.LoadLocation(l.Text("format.time-zone")); err != nil {
		return nil, fmt.Errorf("format.time-zone: %w", err)
	}
	return l, nil
}

// read takes the texts of a group; the names of groups within groups are joined by dots.
func (l *Language) read(group string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %q is no map of texts", n.Line, group)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if group != "" {
			key = group + "." + key
		}
		switch {
		case value.Kind == yaml.MappingNode && value.Tag != pluralTag:
			if err := l.read(key, value); err != nil {
				return err
			}
			continue
		case l.texts[key] != nil:
			return fmt.Errorf("line %d: %q stands twice", value.Line, key)
		case value.Kind == yaml.ScalarNode && value.Value != "":
			l.texts[key] = text{only: value.Value}
			continue
		case value.Kind != yaml.MappingNode:
			return fmt.Errorf("line %d: %q is neither a text nor a group of texts", value.Line, key)
		}
		forms := text{}
		if err := value.Decode(&forms); err != nil {
			return fmt.Errorf("line %d: %q: %w", value.Line, key, err)
		}
		l.texts[key] = forms
	}
	return nil
}

// against says in what the language differs from base: keys, places, plural forms.
func (l *Language) against(base *Language) (errs []error) {
	for _, key := range slices.Sorted(maps.Keys(base.texts)) {
		t, want := l.texts[key], base.texts[key]
		if t == nil {
			errs = append(errs, fmt.Errorf("%q is missing", key))
			continue
		}
		if (t[only] == "") != (want[only] == "") {
			errs = append(errs, fmt.Errorf("%q: one language has plural forms, the other has none", key))
			continue
		}
		errs = append(errs, l.forms(key, t)...)
		var most []string // places of the form that fills in most: one without the number is a text too
		for _, s := range want {
			if p := places(s); len(p) > len(most) {
				most = p
			}
		}
		for form, s := range t {
			have := places(s)
			if form == only && !slices.Equal(have, most) ||
				slices.ContainsFunc(have, func(p string) bool { return !slices.Contains(most, p) }) {
				errs = append(errs, fmt.Errorf("%q fills in %v, and %s fills in %v", key, have, base.code, most))
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.texts)) {
		if base.texts[key] == nil {
			errs = append(errs, fmt.Errorf("%q is no text of %s", key, base.code))
		}
	}
	return errs
}

// forms says which plural forms of a text are missing, or are none.
func (l *Language) forms(key string, t text) (errs []error) {
	if t[only] != "" {
		return nil
	}
	needed := map[string]bool{"other": true}
	for n := range 1000 {
		needed[l.form(n)] = true
	}
	for form := range needed {
		if t[form] == "" {
			errs = append(errs, fmt.Errorf("%q has no plural form %s", key, form))
		}
	}
	for form := range t {
		if !needed[form] {
			errs = append(errs, fmt.Errorf("%q has a plural form %s, which no number takes", key, form))
		}
	}
	return errs
}

// form returns the plural form that a whole number takes; "other" for anything else.
func (l *Language) form(count any) string {
	var n int
	switch c := count.(type) {
	case int:
		n = c
	case uint64:
		n = int(c % 1_000_000_000)
	default:
		return "other"
	}
	switch plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}
