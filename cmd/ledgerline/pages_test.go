package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	typedLine = regexp.MustCompile(`(?m)^ {2,}(?:bin/|(?:echo|LEDGERLINE_\w+=)\S*.* )?ledgerline .*$`)
	typedText = regexp.MustCompile("`(?:bin/)?ledgerline\\s[^`]*`")
	anyFlag   = regexp.MustCompile(`^--([a-z][a-z-]*)`)
	subName   = regexp.MustCompile(`^[a-z]+(?:-[a-z]+)*$`)
)

// notBuilt are commands that pages name as planned.
var notBuilt = map[string]bool{"verify": true}

// typedIn returns the command lines of this program that a page or a help text shows.
func typedIn(text string) (out []string) {
	for _, found := range append(typedLine.FindAllString(text, -1), typedText.FindAllString(text, -1)...) {
		found = strings.Join(strings.Fields(strings.Trim(found, "`")), " ")
		_, line, _ := strings.Cut(found, "ledgerline ")
		for _, end := range []string{" #", " |", " >", " ;", "$("} {
			line, _, _ = strings.Cut(line, end)
		}
		out = append(out, line)
	}
	return out
}

// wrongIn returns what a command line names that the program does not know, or "".
func wrongIn(root *cobra.Command, line string) string {
	cmd := root
	words := strings.Fields(line)
	for len(words) > 0 && subName.MatchString(words[0]) && cmd.HasSubCommands() {
		sub, _, err := cmd.Find(words[:1])
		if err != nil || sub == cmd {
			if notBuilt[words[0]] {
				return ""
			}
			return words[0]
		}
		cmd, words = sub, words[1:]
	}
	for _, w := range words {
		m := anyFlag.FindStringSubmatch(w)
		if m != nil && m[1] != "help" && cmd.Flags().Lookup(m[1]) == nil && cmd.InheritedFlags().Lookup(m[1]) == nil {
			return m[0]
		}
	}
	return ""
}

// Whoever types what a page or a help text shows is understood.
func TestPagesShowCommandsThatThereAre(t *testing.T) {
	root := newRoot(&app{})
	shown := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); strings.HasPrefix(n, ".") && len(n) > 2 || n == "node_modules" || n == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		help := strings.HasPrefix(filepath.ToSlash(path), "../../cmd/ledgerline/help/")
		if filepath.Ext(path) != ".md" && !help {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, line := range typedIn(string(text)) {
			shown++
			if wrong := wrongIn(root, line); wrong != "" {
				t.Errorf("%s shows `ledgerline %s`: there is no %s", path, line, wrong)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if shown < 60 {
		t.Errorf("only %d command lines were found: the test looks past them", shown)
	}
}

func TestACommandThatIsNotThereIsFound(t *testing.T) {
	root := newRoot(&app{})
	for text, want := range map[string]string{
		"run `ledgerline status`, then":                       "",
		"`bin/ledgerline up --fleet 10`":                      "",
		"    bin/ledgerline tail --from-start # all of it":    "",
		"  echo x | ledgerline dsar open --subject - --right": "",
		"`ledgerline relay refill TOPIC`":                     "",
		"run `ledgerline\nviews rebuilt`":                     "rebuilt",
		"run `ledgerline views rebuilt`":                      "rebuilt",
		"`ledgerline statu`":                                  "statu",
		"`ledgerline up --fleets 10`":                         "--fleets",
		"    bin/ledgerline tail --from-begin # all of it":    "--from-begin",
	} {
		got := ""
		for _, line := range typedIn(text) {
			got += wrongIn(root, line)
		}
		if got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}
