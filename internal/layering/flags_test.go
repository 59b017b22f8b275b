package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// domain are the folders whose code knows no command line: what is wrong there is a code and a
// field, and cmd/ledgerline alone says which flag that is.
var domain = []string{"schemas", "ledger", "consumers", "projections", "deploy", "internal/access",
	"internal/accounts", "internal/datadir", "internal/flow", "internal/node", "internal/office", "internal/restore",
	"internal/retry", "internal/settings", "internal/terminal"}

// otherPrograms are the files that start another program, and so write its arguments. Only
// literals that are an argument and nothing else are let through there.
var otherPrograms = []string{
	"deploy/embedded/clickhouse/fetch.go", // npm
	"deploy/embedded/clickhouse/child.go", // the engine
}

var (
	flagForm     = regexp.MustCompile(`(^|[^\w-])--[a-z]`)
	argumentForm = regexp.MustCompile(`^--[a-z_.-]+(=…?)?$`)
	// A way out is a whole command that can be typed as it stands.
	wayOut     = "ledgerline( [a-z]+)+( --[a-z-]+( [A-Z]+)?)*"
	quotedForm = regexp.MustCompile("`" + wayOut + "`")
	wayOutForm = regexp.MustCompile("^" + wayOut + "$")
)

// flagsIn returns the texts in a file that name a flag, each with its line. Allowed are a whole
// command in back-quotes, a constant …Command that is a whole command, to be printed in such, and
// the arguments of another program.
func flagsIn(fset *token.FileSet, f *ast.File, startsOther bool) (out []string) {
	judge := func(n ast.Node, text string) {
		if startsOther && argumentForm.MatchString(text) {
			return
		}
		if flagForm.MatchString(quotedForm.ReplaceAllString(text, "")) {
			out = append(out, strconv.Itoa(fset.Position(n.Pos()).Line)+": "+strconv.Quote(text))
		}
	}
	var look func(ast.Node) bool
	// join puts a sum of literals together; what else is in it stands for itself.
	var join func(ast.Expr) string
	join = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				return s
			}
		case *ast.BinaryExpr:
			if e.Op == token.ADD {
				return join(e.X) + join(e.Y)
			}
		case *ast.ParenExpr:
			return join(e.X)
		}
		ast.Inspect(e, look)
		return "…"
	}
	look = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // a tag is no text
			ast.Inspect(n.Type, look)
			return false
		case *ast.ValueSpec:
			if len(n.Names) == 1 && len(n.Values) == 1 && strings.HasSuffix(n.Names[0].Name, "Command") {
				if l, ok := n.Values[0].(*ast.BasicLit); ok && wayOutForm.MatchString(strings.Trim(l.Value, `"`)) {
					return false
				}
			}
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				judge(n, join(n))
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				judge(n, join(n))
			}
			return false
		}
		return true
	}
	ast.Inspect(f, look)
	return out
}

func TestDomainPackagesNameNoFlag(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	for _, dir := range domain {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files++
			for _, found := range flagsIn(fset, f, slices.Contains(otherPrograms, name)) {
				t.Errorf("%s:%s names a flag: return a code and a field, and let cmd/ledgerline say it", name, found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

func TestAFlagInATextIsFound(t *testing.T) {
	for _, tc := range []struct {
		code  string
		other bool
		found int
	}{
		{`var e = errors.New("give another --data")`, false, 1},
		{`var e = errors.New("--purpose is required")`, false, 1},
		{`var e = errors.New("give " + "(--data) " + f("or --dir"))`, false, 2},
		{"var e = `ledgerline` + ` needs --yes`", false, 1},
		{"var e = \"run `ledgerline restore vault\" + \" --yes`\"", false, 0},
		{"var e = \"run `ledgerline restore vault --from FOLDER`\"", false, 0},
		{"var e = \"run `ledgerline restore vault`, or give --from\"", false, 1},
		{`const refillCommand = "ledgerline relay refill --everything"`, false, 0},
		{`const refill = "ledgerline relay refill --everything"`, false, 1},
		{`const refillCommand = "refill takes --everything"`, false, 1},
		{`var all = RefillCommand + " --everything"`, false, 1},
		{`var arg = "--path=" + dir`, false, 1},
		{`var arg = f("--silent")`, true, 0},
		{`var e = errors.New("--silent is missing")`, true, 1},
		{`const q = "SELECT 1 -- why"`, false, 0},
		{"type t struct { A int `x:\" --a\"` }", false, 0},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", "package x\n"+tc.code, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := flagsIn(fset, f, tc.other); len(got) != tc.found {
			t.Errorf("%s: found %q, want %d", tc.code, got, tc.found)
		}
	}
}
