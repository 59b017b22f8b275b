// Package words holds every text that people read, by language and key: labels of the catalogue,
// words for values, reports, access packages. A language is one file here, and nothing else:
// adding one touches no code.
//
// It owns no state and may lose nothing. It trusts its files as the program is built with them: a
// set in which a language lacks a text, or fills in other places than English, does not load, and
// a test loads the program's own. What machines read (ids, codes, exact values) has no language
// and stands elsewhere.
package words

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a language's time zone must not depend on which zones a machine knows

	"golang.org/x/text/language"
)

//go:embed *.yaml
var files embed.FS

// Files returns the files of the program's languages, as Load reads them: to load them with
// others beside.
func Files() fs.FS { return files }

// Base is the language that the others are held against, and the one in which the command line
// speaks.
const Base = "en"

// Set is the languages that there are. It is immutable after loading.
type Set struct {
	languages []*Language // Base first, the others by code
}

// Default returns the languages compiled into the program. It panics when they are broken, which
// a test excludes.
var Default = sync.OnceValue(func() *Set {
	s, err := Load(files)
	if err != nil {
		panic(err)
	}
	return s
})

// Languages returns the codes of the languages compiled into the program, Base first.
func Languages() []string { return Default().Codes() }

// In returns a text of the program's own languages, in Base where lang is none of them.
func In(lang, key string) string {
	l, ok := Default().Language(lang)
	if !ok {
		l = Default().Base()
	}
	return l.Text(key)
}

// Load reads <code>.yaml of each language. The error joins every fault found and names file and
// key: a language has the keys of Base, each with the same places to fill in, and the plural
// forms that it needs.
func Load(files fs.FS) (*Set, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("words: %w", err)
	}
	s := &Set{}
	var errs []error
	for _, name := range names {
		l, err := load(files, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("words: %s: %w", name, err))
			continue
		}
		s.languages = append(s.languages, l)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(s.languages, func(l *Language) bool { return l.code == Base })
	if at < 0 {
		return nil, fmt.Errorf("words: there is no %s.yaml", Base)
	}
	base := s.languages[at]
	s.languages = slices.Insert(slices.Delete(s.languages, at, at+1), 0, base)
	for _, l := range s.languages {
		for _, err := range l.against(base) {
			errs = append(errs, fmt.Errorf("words: %s.yaml: %w", l.code, err))
		}
	}
	return s, errors.Join(errs...)
}

// Codes returns the languages' BCP 47 codes, Base first and the others in order.
func (s *Set) Codes() []string {
	out := make([]string, len(s.languages))
	for i, l := range s.languages {
		out[i] = l.code
	}
	return out
}

// Languages returns the languages in the order of Codes.
func (s *Set) Languages() []*Language { return slices.Clone(s.languages) }

// Language returns the language of that code.
func (s *Set) Language(code string) (*Language, bool) {
	for _, l := range s.languages {
		if l.code == code {
			return l, true
		}
	}
	return nil, false
}

// Base returns the language of that name.
func (s *Set) Base() *Language { return s.languages[0] }

// Keys returns the keys that begin with prefix, sorted: every language has the same.
func (s *Set) Keys(prefix string) []string {
	var out []string
	for key := range s.Base().texts {
		if strings.HasPrefix(key, prefix) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// Under returns what follows prefix in the keys that begin with it, sorted: the values of a
// vocabulary.
func (s *Set) Under(prefix string) []string {
	out := s.Keys(prefix)
	for i, key := range out {
		out[i] = strings.TrimPrefix(key, prefix)
	}
	return out
}

// Language is the texts of one language, and how it writes numbers, dates and lists.
type Language struct {
	code     string
	tag      language.Tag
	texts    map[string]text
	location *time.Location
}

// text is one text, or one for each plural form.
type text map[string]string

// only is the form of a text without plurals.
const only = ""

// Code returns the language's BCP 47 code, the name of its file.
func (l *Language) Code() string { return l.code }

// Tag returns Code parsed.
func (l *Language) Tag() language.Tag { return l.tag }

// Location returns where the language's people live where nobody says otherwise.
func (l *Language) Location() *time.Location { return l.location }

// Args are what stands in the places of a text, by name. A text with plural forms is chosen by
// "count".
type Args map[string]any

// Text returns the text of a key with its places filled in. A key that does not exist is returned
// itself: a test looks for those.
func (l *Language) Text(key string, args ...Args) string {
	s, ok := l.Find(key, args...)
	if !ok {
		return key
	}
	return s
}

// Find returns the text of a key that may not exist, as that of a value of an open vocabulary.
func (l *Language) Find(key string, args ...Args) (string, bool) {
	t, ok := l.texts[key]
	if !ok {
		return "", false
	}
	given := Args{}
	if len(args) > 0 {
		given = args[0]
	}
	s, single := t[only]
	if !single {
		s = t[l.form(given["count"])]
	}
	return fill(s, given), true
}

// fill puts args into the places of s. What it puts there is not looked at again.
func fill(s string, args Args) string {
	if !strings.Contains(s, "{") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		v, given := args[name]
		if !closed || !given {
			b.WriteByte('{')
			s = rest
			continue
		}
		fmt.Fprint(&b, v)
		s = after
	}
}

// places returns the names of the places of s, sorted, each once.
func places(s string) []string {
	seen := map[string]bool{}
	for {
		_, rest, found := strings.Cut(s, "{")
		if !found {
			return slices.Sorted(maps.Keys(seen))
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return slices.Sorted(maps.Keys(seen))
		}
		seen[name], s = true, after
	}
}

// code of a file, as BCP 47 writes it.
func codeOf(name string) (string, language.Tag, error) {
	code := strings.TrimSuffix(path.Base(name), ".yaml")
	tag, err := language.Parse(code)
	if err != nil {
		return "", tag, fmt.Errorf("a file is named by the code of its language: %w", err)
	}
	if tag.String() != code {
		return "", tag, fmt.Errorf("the language's code is written %s", tag)
	}
	return code, tag, nil
}
