package intake

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// What intake says of a record or a file is told in every language: each sentence in its code that
// becomes a reason, a notice or what a file looks like is found, filled in, and told again.
func TestWhatIsSaidOfARecordIsToldInEveryLanguage(t *testing.T) {
	said := saidInCode(t)
	if len(said) < 55 {
		t.Errorf("only %d sentences were found in the code: the test looks past them", len(said))
	}
	for half, ends := range halves {
		if said[half+"77"] == "" {
			t.Errorf("%q is no longer said", half)
		}
		for _, end := range ends {
			said[half+end] = said[half+"77"]
		}
		delete(said, half+"77")
	}
	english := words.Default().Base()
	for text, place := range said {
		if got := Retold(english, text); got != text {
			t.Errorf("%s: %q is told as %q in English", place, text, got)
		}
		for _, in := range words.Default().Languages()[1:] {
			got := Retold(in, text)
			if got == text && !slices.Contains(sameEverywhere, text) {
				t.Errorf("%s: %q has no sentence in schemas/words (answer.import.told)", place, text)
			}
			if n := strings.Count(text, "77"); strings.Count(got, "77") != n {
				t.Errorf("%s: %q is told as %q: what stood in its places is lost", place, text, got)
			}
		}
	}
	if got := Retold(english, "is odd"); got != "is odd" {
		t.Errorf("what has no sentence is told as %q", got)
	}
}

// halves are sentences that are put together, and what they end with.
var halves = map[string][]string{"is not ": {"an object", "a list of objects", "a list of texts"},
	"a comma ": {"stands where no record is before it"}}

// sameEverywhere are names that no language translates.
var sameEverywhere = []string{"gzip", "Avro", "Parquet", "bzip2", "zstd", "xz", "PDF", "XML", "CSV"}

var verb = regexp.MustCompile(`%[a-z]`)

// saidInCode returns the sentences of the packages of intake that are told of records and files,
// with 77 for what they fill in, and where each stands.
func saidInCode(t *testing.T) map[string]string {
	said := map[string]string{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		note := func(e ast.Expr) {
			if call, ok := e.(*ast.CallExpr); ok && len(call.Args) > 0 { // fmt.Sprintf
				e = call.Args[0]
			}
			if s, ok := text(e); ok && s != "" {
				said[verb.ReplaceAllString(s, "77")] = fset.Position(e.Pos()).String()
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr: // Reason: "…"
				if name, ok := n.Key.(*ast.Ident); ok && name.Name == "Reason" {
					note(n.Value)
				}
			case *ast.AssignStmt: // e.reason = "…"
				for i, to := range n.Lhs {
					if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "reason" && i < len(n.Rhs) {
						note(n.Rhs[i])
					}
				}
			case *ast.CompositeLit: // Looks{"…", "…"}, malformed{"…"}, FieldError{field, "…"}
				name, ok := n.Type.(*ast.Ident)
				if !ok || !slices.Contains([]string{"Looks", "malformed", "FieldError"}, name.Name) {
					return true
				}
				for i, e := range n.Elts {
					if name.Name != "FieldError" || i == 1 {
						note(e)
					}
				}
			case *ast.CallExpr: // fail(…, "…"), notice(line, "…"); damage(err, "…"), fault(field, "…")
				if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "damage" || name.Name == "fault") &&
					len(n.Args) > 1 {
					note(n.Args[1])
				}
				to, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || len(n.Args) < 2 || !slices.Contains([]string{"fail", "notice"}, to.Sel.Name) {
					return true
				}
				note(n.Args[len(n.Args)-1])
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// text is what an expression of literals comes to; what is none of them is 77.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		return constant.StringVal(constant.MakeFromLiteral(e.Value, e.Kind, 0)), true
	case *ast.ParenExpr:
		return text(e.X)
	case *ast.BinaryExpr:
		left, ok := text(e.X)
		if !ok {
			return "", false
		}
		right, ok := text(e.Y)
		if !ok {
			right = "77"
		}
		return left + right, true
	}
	return "", false
}
