package layering

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const root = "../.."

// pages are the pages that comments name without a path: "FORMATS §3".
var pages = []string{"ARCHITECTURE", "CLICKHOUSE", "COMPONENTS", "DESIGN", "FIELD", "FORMATS", "OFFICER",
	"PERFORMANCE"}

var (
	pagePath = regexp.MustCompile(`\bdocs/[A-Za-z0-9_./-]*[A-Za-z0-9_-]`)
	address  = regexp.MustCompile(`https?://\S+`)
	beside   = regexp.MustCompile(`(?:\.\./)*(?:[a-z]+/)*DESIGN\.md\b`)
	numbers  = `((?:[0-9]+(?:, | and | to )?)+)`
	section  = regexp.MustCompile(`\b((?:[a-z]+/)*)(` + strings.Join(pages, "|") + `)(?:\.md)?(?: page)?,? §{1,2}\s?` +
		numbers)
	number  = regexp.MustCompile(`[0-9]+`)
	heading = regexp.MustCompile(`(?m)^## ([0-9]+)\. `)
)

// everyFile calls f with each of our files by its slashed path below the root.
func everyFile(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && name != "."
			if hidden || name == "bin" || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		switch path.Ext(name) {
		case ".go", ".md", ".yaml", ".sql", ".sh", ".html", ".txt":
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			f(name, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// prose returns what a file says to its reader, each piece in one line: a Go file's comments, else
// all of it.
func prose(name string, text []byte) (out []string, err error) {
	if path.Ext(name) != ".go" {
		marks := strings.NewReplacer("\n# ", " ", "\n-- ", " ", "\n//", " ")
		return []string{strings.Join(strings.Fields(marks.Replace(string(text))), " ")}, nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var groups []*ast.CommentGroup = file.Comments
	for _, g := range groups {
		out = append(out, strings.Join(strings.Fields(g.Text()), " "))
	}
	return out, nil
}

// dangling returns what a text in the folder dir names and is not there. read reads a page by its
// slashed path below the root.
func dangling(dir, text string, read func(name string) ([]byte, error)) (out []string) {
	text = address.ReplaceAllString(text, "")
	for _, p := range pagePath.FindAllString(text, -1) {
		if _, err := read(p); err != nil {
			out = append(out, p+" is not there")
		}
	}
	for _, p := range beside.FindAllString(text, -1) {
		if p == "DESIGN.md" && dir == "." {
			continue // pages at the root speak of every folder's
		}
		_, err := read(p)
		for d := dir; err != nil && d != "."; d = path.Dir(d) {
			_, err = read(path.Join(d, p))
		}
		if err != nil {
			out = append(out, p+" is neither beside it, nor in a folder above, nor below the root")
		}
	}
	for _, m := range section.FindAllStringSubmatch(text, -1) {
		page := "docs/" + m[2] + ".md"
		if m[1] != "" && m[1] != "docs/" {
			page = m[1] + m[2] + ".md"
		}
		raw, err := read(page)
		if err != nil {
			out = append(out, page+" is not there")
			continue
		}
		there := map[string]bool{}
		for _, h := range heading.FindAllStringSubmatch(string(raw), -1) {
			there[h[1]] = true
		}
		for _, n := range number.FindAllString(m[3], -1) {
			if !there[n] {
				out = append(out, fmt.Sprintf("%s has no heading %q", page, "## "+n+"."))
			}
		}
	}
	return out
}

func readPage(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
}

// A reader who follows a reference finds what it names.
func TestReferencesLeadToPages(t *testing.T) {
	found := 0
	everyFile(t, func(name string, text []byte) {
		pieces, err := prose(name, text)
		if err != nil {
			t.Error(err)
			return
		}
		for _, p := range pieces {
			found += len(section.FindAllString(p, -1))
			if strings.HasPrefix(name, "internal/layering/") {
				continue // names pages that are not there, to be found
			}
			for _, d := range dangling(path.Dir(name), p, readPage) {
				t.Errorf("%s: %s", name, d)
			}
		}
	})
	if found < 50 {
		t.Errorf("only %d references to sections were found: the test looks past them", found)
	}
}

func TestADanglingReferenceIsFound(t *testing.T) {
	there := map[string]string{"docs/FORMATS.md": "## 1. One\n## 2. Two\n", "ledger/DESIGN.md": "# ledger\n",
		"docs/DESIGN.md": "## 4. Keys\n"}
	read := func(name string) ([]byte, error) {
		if s, ok := there[name]; ok {
			return []byte(s), nil
		}
		return nil, fs.ErrNotExist
	}
	for text, want := range map[string]int{
		"the rules are FORMATS §1":                        0,
		"docs/FORMATS.md §§1 and 2, and ledger/DESIGN.md": 0,
		"See DESIGN.md beside this file, and DESIGN §4":   0,
		"FORMATS §§1 to 3":                                1,
		"docs/FORMAT.md":                                  1,
		"docs/FORMATS.md, §§3 and 4":                      2,
		"OFFICER §1":                                      1,
		"see vault/DESIGN.md":                             1,
		"see https://example.org/docs/x":                  0,
	} {
		if got := dangling("ledger", text, read); len(got) != want {
			t.Errorf("%q: found %q, want %d", text, got, want)
		}
	}
}

// maxProse is how many columns a line of prose may have.
const maxProse = 119

// onlyLinkOrCode matches a cell of a table that is nothing but links or code.
var onlyLinkOrCode = regexp.MustCompile("^(?:(?:\\[[^]]*\\]\\([^)]*\\)|`[^`]*`)(?:, | )?)+$")

// wideLines returns the numbers of the lines of a page that are too wide. Code in fences is held
// to the same width. A row of a table is measured without the cells that are links or code.
func wideLines(text string) (out []int) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, "\t", "    ")
		if row := strings.TrimSpace(line); strings.HasPrefix(row, "|") {
			cells := strings.Split(strings.Trim(row, "|"), "|")
			for j, c := range cells {
				if onlyLinkOrCode.MatchString(strings.TrimSpace(c)) {
					cells[j] = ""
				}
			}
			line = "|" + strings.Join(cells, "|") + "|"
		}
		if utf8.RuneCountInString(line) > maxProse {
			out = append(out, i+1)
		}
	}
	return out
}

func TestPagesAreNarrow(t *testing.T) {
	looked := 0
	everyFile(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" {
			return
		}
		looked++
		if lines := wideLines(string(text)); len(lines) > 0 {
			t.Errorf("%s: lines %v have more than %d columns", name, lines, maxProse)
		}
	})
	if looked < 20 {
		t.Errorf("only %d pages were looked at", looked)
	}
}

func TestAWideLineIsFound(t *testing.T) {
	long := strings.Repeat("x", maxProse)
	code := "`" + long + "`"
	for text, want := range map[string]int{
		long:                     0,
		long + "x":               1,
		"\t" + long[4:]:          0,
		"\t" + long[3:]:          1,
		"| a | " + code + " |":   0,
		"| a " + code + " | b |": 1,
		"| [" + long + "](u) | " + strings.Repeat("y", 100) + " |": 0,
		strings.Repeat("é", maxProse):                              0,
	} {
		if got := wideLines(text); len(got) != want {
			t.Errorf("%.40q…: lines %v, want %d", text, got, want)
		}
	}
}
