package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// This file asserts that what comments and pages name is there under that name: what a comment
// describes, identifiers, files, targets of make.

var (
	twoPartName = regexp.MustCompile(`[a-z][A-Z]`)
	saysWhatIs  = regexp.MustCompile(`^(is|are|returns|reports|holds|says|reads|writes|makes|gives|has|takes)$`)
	// noNames begin sentences that call nothing by a name.
	noNames   = []string{"What", "Nothing", "It"}
	plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// misnamed returns the word by which a comment calls what it describes, where that is another name
// than it has. A comment that begins with a sentence of its own calls it by none.
func misnamed(doc *ast.CommentGroup, name string) string {
	words := strings.Fields(doc.Text())
	if len(words) < 2 {
		return ""
	}
	first := strings.TrimRight(words[0], ".,:;")
	if ast.IsExported(name) && first != name && strings.EqualFold(first, name) {
		return first // as it was called before it was exported
	}
	named := plainWord.MatchString(first) && (twoPartName.MatchString(first) || saysWhatIs.MatchString(words[1]))
	if !named || first == name || slices.Contains(noNames, first) {
		return ""
	}
	return first
}

// misnamedIn returns what a file's comments call by another name, as "name: other".
func misnamedIn(f *ast.File) (out []string) {
	judge := func(doc *ast.CommentGroup, name string) {
		if doc == nil {
			return
		}
		if other := misnamed(doc, name); other != "" {
			out = append(out, name+": "+other)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && len(field.Names) == 1 && field.Doc != nil {
			judge(field.Doc, field.Names[0].Name)
		}
		return true
	})
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil || !strings.HasPrefix(d.Name.Name, "Test") {
				judge(d.Doc, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				doc := d.Doc
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Doc != nil || len(d.Specs) > 1 {
						doc = s.Doc
					}
					judge(doc, s.Name.Name)
				case *ast.ValueSpec:
					if s.Doc != nil || len(d.Specs) > 1 {
						doc = s.Doc
					}
					if len(s.Names) == 1 {
						judge(doc, s.Names[0].Name)
					}
				}
			}
		}
	}
	return out
}

// A comment calls what it describes by its name, and not by one that it had.
func TestCommentsNameWhatTheyDescribe(t *testing.T) {
	files := 0
	everyFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".go" {
			return
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, m := range misnamedIn(f) {
			t.Errorf("%s: the comment calls it otherwise: %s", name, m)
		}
	})
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

func TestAnotherNameInACommentIsFound(t *testing.T) {
	for code, want := range map[string]int{
		"// oldName does it.\nfunc newName() {}":          1,
		"// old returns it.\nfunc newer() {}":             1,
		"// newer returns it.\nfunc newer() {}":           0,
		"// What it returns is new.\nfunc newer() {}":     0,
		"// deviceForms are all.\nvar forms = 1":          1,
		"const (\n// aThing is\nb = 1\n// c is\nc = 2\n)": 1,
		"// kinds is one.\ntype kind struct{}":            1,
		"// However it may be.\ntype kind struct{}":       0,
		"type kind struct{\n// at is when.\nAt int\n}":    1,
		"type kind struct{\n// At most one.\nAt int\n}":   0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+code, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := misnamedIn(f); len(got) != want {
			t.Errorf("%s: found %q, want %d", code, got, want)
		}
	}
}

var (
	fence      = regexp.MustCompile("(?s)```.*?```")
	quoted     = regexp.MustCompile("`([^`]+)`")
	indented   = regexp.MustCompile(`\n\n(?:    .*\n)+`)
	ofPackage  = regexp.MustCompile(`^([a-z]+)\.([A-Z][A-Za-z0-9]*)(?:\.([A-Za-z0-9]+))?$`)
	goFile     = regexp.MustCompile(`^(?:[a-z0-9_.]+/)*[a-z0-9_]+\.go$`)
	makeTarget = regexp.MustCompile(`\bmake ([a-z]+(?:-[a-z]+)*)`)
	targetLine = regexp.MustCompile(`(?m)^([a-z-]+):`)
)

// inventory is what can be named.
type inventory struct {
	names   map[string]map[string]bool // package → what it declares, with fields and methods
	files   []string
	targets map[string]bool
}

func takeInventory(t *testing.T) inventory {
	t.Helper()
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	inv := inventory{names: map[string]map[string]bool{}, targets: map[string]bool{}}
	for _, m := range targetLine.FindAllSubmatch(makefile, -1) {
		inv.targets[string(m[1])] = true
	}
	everyFile(t, func(name string, text []byte) {
		inv.files = append(inv.files, name)
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		declared := inv.names[f.Name.Name]
		if declared == nil {
			declared = map[string]bool{}
			inv.names[f.Name.Name] = declared
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				declared[n.Name.Name] = true
				return false
			case *ast.TypeSpec:
				declared[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, i := range n.Names {
					declared[i.Name] = true
				}
			case *ast.Field:
				for _, i := range n.Names {
					declared[i.Name] = true
				}
			}
			return true
		})
	})
	return inv
}

// missing returns what a page names in back-quotes and is not there: identifiers of our packages,
// Go files (by their path, or its end), targets of make. Those stand in indented lines too.
func (inv inventory) missing(text string) (out []string) {
	text = fence.ReplaceAllString(text, "")
	said := indented.FindAllString(text, -1)
	for _, q := range quoted.FindAllStringSubmatch(text, -1) {
		said = append(said, q[1])
	}
	for _, what := range said {
		what = strings.TrimSuffix(what, "()")
		if m := ofPackage.FindStringSubmatch(what); m != nil {
			if declared, ours := inv.names[m[1]]; ours && (!declared[m[2]] || m[3] != "" && !declared[m[3]]) {
				out = append(out, what)
			}
		}
		if goFile.MatchString(what) && !slices.ContainsFunc(inv.files, func(f string) bool {
			return f == what || strings.HasSuffix(f, "/"+what)
		}) {
			out = append(out, what)
		}
		for _, m := range makeTarget.FindAllStringSubmatch(what, -1) {
			if !inv.targets[m[1]] {
				out = append(out, "make "+m[1])
			}
		}
	}
	return out
}

// otherPeoples are names of other people's that look like ours.
var otherPeoples = map[string]bool{"containers_test.go": true, "kafka.Writer": true}

func TestPagesNameWhatIsThere(t *testing.T) {
	inv := takeInventory(t)
	named := 0
	everyFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" {
			return
		}
		named += len(quoted.FindAll(text, -1))
		for _, what := range inv.missing(string(text)) {
			if !otherPeoples[what] {
				t.Errorf("%s names `%s`, which is not there", name, what)
			}
		}
	})
	if named < 500 {
		t.Errorf("pages name only %d things: the test looks past them", named)
	}
}

func TestWhatIsNotThereIsFound(t *testing.T) {
	inv := inventory{files: []string{"ledger/store.go"}, targets: map[string]bool{"test": true, "crash-all": true},
		names: map[string]map[string]bool{"ledger": {"Store": true, "Append": true}}}
	for text, want := range map[string]int{
		"`ledger.Store`, `ledger.Store.Append` and `ledger.Append()`": 0,
		"`ledger.Stores`, `ledger.Store.Read`":                        2,
		"`http.Handler` is another's":                                 0,
		"`store.go`, `ledger/store.go`":                               0,
		"`tore.go`, `vault/store.go`":                                 2,
		"`make test`, `make crash-all ROUNDS=3`":                      0,
		"`make tests`, `make crash`":                                  2,
		"as follows:\n\n    make tests     # all\n":                   1,
		"```\na `\n```\nto make things":                               0,
	} {
		if got := inv.missing(text); len(got) != want {
			t.Errorf("%s: found %q, want %d", text, got, want)
		}
	}
}

// staleRules returns what allowed.txt says in vain: a package twice, one that is not there, or an
// import that it does not make.
func staleRules(lines []string, imports map[string][]string) (out []string) {
	seen := map[string]bool{}
	for _, line := range lines {
		name, list, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if lib, only := strings.CutPrefix(name, "only "); only {
			for _, p := range strings.Fields(list) {
				if !slices.ContainsFunc(imports[p], func(i string) bool { return strings.HasPrefix(i, lib) }) {
					out = append(out, p+" does not import "+lib)
				}
			}
			continue
		}
		made, there := imports[name]
		switch {
		case seen[name]:
			out = append(out, name+" stands there twice")
		case !there:
			out = append(out, name+" is not there")
		}
		seen[name] = true
		for _, p := range strings.Fields(list) {
			if p != "*" && !slices.Contains(made, module+"/"+p) {
				out = append(out, name+" does not import "+p)
			}
		}
	}
	return out
}

// The table of imports is the picture that a reader has of the rooms: it says no more than is so.
func TestNoImportIsAllowedInVain(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range listPackages(t) {
		imports[strings.TrimPrefix(p.ImportPath, module+"/")] = p.Imports
	}
	text, err := os.ReadFile("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range staleRules(strings.Split(string(text), "\n"), imports) {
		t.Error("allowed.txt: " + what)
	}
}

func TestARuleInVainIsFound(t *testing.T) {
	imports := map[string][]string{"a": {module + "/b", "example.org/x/y"}, "b": nil}
	got := staleRules([]string{"# why", "a: b", "a: b", "b: a", "c:", "only example.org/x: a b"}, imports)
	want := []string{"a stands there twice", "b does not import a", "c is not there",
		"b does not import example.org/x"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

var (
	roomLine = regexp.MustCompile(`(?m)^[a-z]\S*(?: \S+)*`)
	braces   = regexp.MustCompile(`^(.*)\{(.*)\}(.*)$`)
)

// roomsOf returns the packages that the list of rooms names at the beginning of its lines.
func roomsOf(list string) map[string]bool {
	out := map[string]bool{}
	for _, line := range roomLine.FindAllString(list, -1) {
		for name := range strings.SplitSeq(line, ", ") { // a comma within braces has no blank behind it
			ends := []string{name}
			if m := braces.FindStringSubmatch(name); m != nil {
				ends = nil
				for _, part := range strings.Split(m[2], ",") {
					ends = append(ends, m[1]+part+m[3])
				}
			}
			for _, e := range ends {
				out[strings.TrimSuffix(e, "/")] = true
			}
		}
	}
	return out
}

// Every room stands in DESIGN §3 with what it owns; a suite that tests alone use is named by its
// package.
func TestEveryRoomIsInTheDesign(t *testing.T) {
	page, err := readPage("docs/DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "## 3. ")
	_, list, _ = strings.Cut(list, "```\n")
	list, _, _ = strings.Cut(list, "```")
	rooms := roomsOf(list)
	if len(rooms) < 40 {
		t.Fatalf("the list has only %d rooms", len(rooms))
	}
	there := readRules(t).may
	for _, name := range slices.Sorted(maps.Keys(there)) {
		onlyTests := strings.HasSuffix(name, "test") || name == "deploy/embedded/eventstore/semantics"
		if !rooms[name] && !onlyTests {
			t.Errorf("docs/DESIGN.md §3 does not list %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		if _, ok := there[name]; !ok {
			t.Errorf("docs/DESIGN.md §3 lists %s, which is not there", name)
		}
	}
}

func TestRoomsAreReadFromTheList(t *testing.T) {
	list := "a/   one\nb/{c,d}/   two, three/four\n     more of e/f\ng/h/, g/i/   both\n"
	got := slices.Sorted(maps.Keys(roomsOf(list)))
	if want := []string{"a", "b/c", "b/d", "g/h", "g/i"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

var (
	runOption = regexp.MustCompile(`-run ('[^']*'|\S+)`)
	ourFolder = regexp.MustCompile(`\./[a-z][a-z0-9/]*`)
	testName  = regexp.MustCompile(`(?m)^func (Test\w+)`)
)

// runsNothing returns which tests a Makefile's line runs that are in none of the folders it names:
// `go test` says of those that all is well.
func runsNothing(line string, testsOf func(folder string) []string) (out []string) {
	m := runOption.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	names := strings.ReplaceAll(strings.Trim(m[1], "'"), "$$", "$")
	if _, initial, ok := strings.Cut(names, "$(or $(RUN),"); ok {
		names = strings.TrimSuffix(initial, ")")
	}
	if names == "^$" { // benchmarks alone
		return nil
	}
	for _, folder := range ourFolder.FindAllString(line, -1) {
		for _, name := range strings.Split(names, "|") {
			if !slices.ContainsFunc(testsOf(folder), regexp.MustCompile(name).MatchString) {
				out = append(out, name+" in "+folder)
			}
		}
	}
	return out
}

func TestTheMakefileRunsTestsThatThereAre(t *testing.T) {
	tests := map[string][]string{}
	everyFile(t, func(name string, text []byte) {
		for _, m := range testName.FindAllSubmatch(text, -1) {
			folder := "./" + path.Dir(name)
			tests[folder] = append(tests[folder], string(m[1]))
		}
	})
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, line := range strings.Split(string(makefile), "\n") {
		if runOption.MatchString(line) {
			named++
		}
		for _, what := range runsNothing(line, func(folder string) []string { return tests[folder] }) {
			t.Error("the Makefile runs no " + what)
		}
	}
	if named < 5 {
		t.Errorf("only %d lines run tests by name", named)
	}
}

func TestALineThatRunsNothingIsFound(t *testing.T) {
	there := func(string) []string { return []string{"TestCrashes", "TestKill"} }
	for line, want := range map[string]int{
		"go test -run TestCrash ./internal/e2e -v":                          0,
		"go test -run 'TestKill$$' ./a":                                     0,
		"go test -run '$(or $(RUN),TestCrash|TestRestored)' ./internal/e2e": 1,
		"go test -run 'TestKil$$' ./a ./b":                                  2,
		"go test -run '^$$' -bench . ./...":                                 0,
		"go test ./...":                                                     0,
	} {
		if got := runsNothing(line, there); len(got) != want {
			t.Errorf("%s: found %q, want %d", line, got, want)
		}
	}
}

var (
	viewMade  = regexp.MustCompile(`(?m)^CREATE OR REPLACE VIEW ([a-z_]+) AS`)
	madeToday = regexp.MustCompile("Events of `([a-z ]+)` are made today")
)

// The page of the views lists each, and FORMATS each kind of which events are made.
func TestViewsAndKindsAreOnTheirPages(t *testing.T) {
	views, err := readPage("projections/clickhouse/DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	formats, err := readPage("docs/FORMATS.md")
	if err != nil {
		t.Fatal(err)
	}
	said := madeToday.FindStringSubmatch(strings.Join(strings.Fields(string(formats)), " "))
	if said == nil {
		t.Fatal("docs/FORMATS.md does not say which events are made")
	}
	made, seen := map[string]bool{}, 0
	everyFile(t, func(name string, text []byte) {
		if path.Dir(name) == "schemas/catalogue/types" {
			kind, _, _ := strings.Cut(path.Base(name), ".")
			made[kind] = true
		}
		if path.Dir(name) != "projections/clickhouse/migrations" {
			return
		}
		for _, m := range viewMade.FindAllSubmatch(text, -1) {
			seen++
			if !strings.Contains(string(views), "`"+string(m[1])+"`") {
				t.Errorf("projections/clickhouse/DESIGN.md does not name the view %s", m[1])
			}
		}
	})
	if seen < 10 {
		t.Errorf("only %d views were found", seen)
	}
	got := slices.Sorted(strings.SplitSeq(said[1], " "))
	if want := slices.Sorted(maps.Keys(made)); !slices.Equal(got, want) {
		t.Errorf("docs/FORMATS.md §3 says that events of %q are made, but there are types of %q", got, want)
	}
}

var ruleNamed = regexp.MustCompile(`(?m)^\t[Rr]ule[A-Z]\w* += "([a-z-]+)"$`)

// Whoever adds a rule that refuses gives it words: a report names it to people.
func TestEachRuleThatRefusesHasItsWords(t *testing.T) {
	rules := 0
	everyFile(t, func(name string, text []byte) {
		if !strings.HasPrefix(name, "ledger/intake/") || strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, m := range ruleNamed.FindAllSubmatch(text, -1) {
			rules++
			if _, ok := words.Default().Base().Find("enum.refusal.rule." + string(m[1])); !ok {
				t.Errorf("%s: the rule %s has no words in schemas/words", name, m[1])
			}
		}
	})
	if rules < 6 {
		t.Errorf("only %d rules were found", rules)
	}
}
