package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// This file asserts that texts for people stand in schemas/words, each used, and that no code
// knows which languages there are.

// texted is what the program's code and pages say about texts.
type texted struct {
	literals map[string][]string // string → the places where it stands
	begins   map[string]bool     // "category." of "category." + c
	ends     map[string]bool     // ".caption" of key + ".caption"
	asked    map[string]string   // first argument of Text, say and find → a place
}

var (
	askers  = []string{"Text", "Find", "say", "find"}
	inPages = regexp.MustCompile(`Words\.Text "([^"]+)"`)
)

func (x *texted) read(t *testing.T, path, name string) {
	if strings.HasSuffix(path, ".html") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inPages.FindAllStringSubmatch(string(raw), -1) {
			x.literals[m[1]], x.asked[m[1]] = append(x.literals[m[1]], name), name
		}
		return
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	literal := func(n ast.Node) (string, bool) {
		l, ok := n.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(l.Value)
		return s, err == nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		place := func() string { return name + ":" + strconv.Itoa(fset.Position(n.Pos()).Line) }
		switch n := n.(type) {
		case *ast.BasicLit:
			if s, ok := literal(n); ok {
				x.literals[s] = append(x.literals[s], place())
			}
		case *ast.BinaryExpr:
			if s, ok := literal(n.X); ok && strings.HasSuffix(s, ".") {
				x.begins[s] = true
			}
			if s, ok := literal(n.Y); ok && strings.HasPrefix(s, ".") {
				x.ends[s] = true
			}
		case *ast.CallExpr:
			to, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(askers, to.Sel.Name) || len(n.Args) == 0 {
				return true
			}
			if s, ok := literal(n.Args[0]); ok {
				x.asked[s] = place()
			}
		}
		return true
	})
}

func readTexted(t *testing.T) *texted {
	x := &texted{literals: map[string][]string{}, begins: map[string]bool{}, ends: map[string]bool{},
		asked: map[string]string{}}
	root := filepath.Join("..", "..")
	for _, dir := range []string{"schemas", "ledger", "consumers", "projections", "internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
			switch {
			case err != nil:
				return err
			case d.IsDir() && (strings.HasSuffix(name, "test") || d.Name() == "testdata"), name == "schemas/words":
				return filepath.SkipDir
			case strings.HasSuffix(name, "_test.go"), !strings.HasSuffix(name, ".go") &&
				!strings.HasSuffix(name, ".html"):
				return nil
			}
			x.read(t, path, name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// uses reports whether the code asks for the key, whole or put together.
func (x *texted) uses(key string) bool {
	if _, ok := x.literals[key]; ok {
		return true
	}
	for i := range key {
		if key[i] != '.' {
			continue
		}
		if x.begins[key[:i+1]] {
			return true
		}
		if _, ok := x.literals[key[:i]]; ok && x.ends[key[i:]] {
			return true
		}
	}
	return false
}

// families are keys that follow from something else: a test beside that asks whether each is of
// something. Of words/ itself are the forms of numbers and dates; what a source calls operations
// and resources has no list.
var families = []string{"attribute.", "type.", "enum.", "report.", "column.", "filter.", "format.", "operation.",
	"resource.", "state.", "dsar.column.", "dsar.glossary.of."}

func TestEveryTextIsUsedAndEveryKeyIsThere(t *testing.T) {
	x, set := readTexted(t), words.Default()
	for _, key := range set.Keys("") {
		family := slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(key, f) })
		short, ours := strings.CutPrefix(key, "dsar.") // projections/dsar leaves it out
		if !family && !x.uses(key) && !(ours && x.uses(short)) {
			t.Errorf("no code asks for the text %q", key)
		}
	}
	for key, place := range x.asked {
		if strings.HasSuffix(key, ".") || !strings.HasPrefix(place, "projections/") &&
			!strings.HasPrefix(place, "cmd/") {
			continue
		}
		_, whole := set.Base().Find(key)
		_, ours := set.Base().Find("dsar." + key)
		if !whole && !(ours && strings.HasPrefix(place, "projections/dsar/")) {
			t.Errorf("%s asks for the text %q, which is not in schemas/words", place, key)
		}
	}
}

// A language is a file. Code that names one would have to be touched for the next. The generated
// fleet's organisation speaks one: that is data.
func TestNoCodeNamesALanguage(t *testing.T) {
	x := readTexted(t)
	for _, code := range words.Languages() {
		for _, place := range x.literals[code] {
			if !strings.Contains(place, "/feed.go:") {
				t.Errorf("%s names the language %q: ask schemas/words", place, code)
			}
		}
	}
}
