// Package wordstest makes a language out of English, for tests that nothing people read is
// written in code: each text stands between marks, so whatever is read outside them came from
// elsewhere.
//
// It owns no state and may lose nothing; it is for tests alone.
package wordstest

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// Code is the language's.
const Code = "fy"

// Marks stand around each of the language's texts.
const (
	Begin = "⟦"
	End   = "⟧"
)

// forms are what the language writes otherwise than English, and without marks: none of it is a
// word.
var forms = map[string]string{
	"format.time-zone": "Europe/Paris", "format.decimal": ",", "format.thousands": ".", "format.csv-separator": ";",
	"format.size": "{number} {unit}", "format.date": "{day} {month} {year}", "format.clock": "{hour}:{minute}",
	"format.moment": "{date}, {clock}", "format.moment-twice": "{date}, {clock} ({offset})",
	"dsar.file": "02-marked.html",
}

// Marked returns the program's languages and the marked one beside them, loaded from files as any
// other.
func Marked() (*words.Set, error) {
	raw, err := fs.ReadFile(words.Files(), words.Base+".yaml")
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(raw, &root); err != nil {
		return nil, err
	}
	mark("", root.Content[0])
	marked, err := yaml.Marshal(&root)
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{Code + ".yaml": {Data: marked}}
	names, err := fs.Glob(words.Files(), "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, err := fs.ReadFile(words.Files(), name)
		if err != nil {
			return nil, err
		}
		files[name] = &fstest.MapFile{Data: raw}
	}
	return words.Load(files)
}

func mark(group string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := group+n.Content[i].Value, n.Content[i+1]
		switch other, is := forms[key]; {
		case is:
			value.Value = other
		case value.Kind == yaml.MappingNode:
			mark(key+".", value)
		default:
			value.Style, value.Value = 0, Begin+value.Value+End
		}
	}
}

// Outside returns the words of s that stand outside marks, each once, sorted, but for those of
// which allowed has a part. Its error says that marks do not match.
func Outside(s string, allowed ...string) ([]string, error) {
	depth := 0
	rest := strings.Map(func(r rune) rune {
		switch string(r) {
		case Begin:
			depth++
			return ' '
		case End:
			depth--
			return ' '
		}
		if depth > 0 {
			return ' '
		}
		return r
	}, s)
	if depth != 0 {
		return nil, fmt.Errorf("%d marks are not closed", depth)
	}
	for _, a := range allowed {
		rest = strings.ReplaceAll(rest, a, " ")
	}
	out := word.FindAllString(rest, -1)
	slices.Sort(out)
	return slices.Compact(out), nil
}

var word = regexp.MustCompile(`\p{L}{2,}`)
