package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
)

// Each text belongs to a command, which shows it, and fits a screen.
func TestEachHelpTextBelongsToACommand(t *testing.T) {
	texts, err := fs.Glob(helpTexts, "help/*")
	if err != nil || len(texts) < 10 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	root := newRoot(&app{})
	for _, file := range texts {
		raw, err := fs.ReadFile(helpTexts, file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if utf8.RuneCountInString(line) > 119 || strings.Contains(line, "\t") {
				t.Errorf("%s:%d is wider than 119 columns, or holds a tab", file, i+1)
			}
		}
		path := strings.Split(strings.TrimSuffix(strings.TrimPrefix(file, "help/"), ".txt"), "-")
		if path[0] == root.Name() {
			path = path[1:]
		}
		cmd, rest, err := root.Find(path)
		if err != nil || len(rest) > 0 || cmd.Long == "" || !strings.HasPrefix(string(raw), cmd.Long) {
			t.Errorf("%s belongs to no command: %v", file, err)
		}
	}
}

// What a text names is what the program knows.
func TestHelpNamesWhatThereIs(t *testing.T) {
	root := newRoot(&app{})
	for command, names := range map[string][]string{
		"ledger disown":   custody.DisownGrounds,
		"dsar erase":      custody.Grounds,
		"officer":         {rolesTable()},
		"eventstore user": {node.ReadersGroup, node.WritersGroup, "DATA/keys/" + node.UsersFile},
		"connect": {datadir.Reader, datadir.Ledger, datadir.Consumer, datadir.Relay, datadir.Operator,
			"DATA/keys/accounts.json"},
	} {
		cmd, _, err := root.Find(strings.Fields(command))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(cmd.Long, name) {
				t.Errorf("the text of %q does not name %s", command, name)
			}
		}
	}
}

// rolesTable is the table of actions by roles, a line for each role.
func rolesTable() string {
	var b strings.Builder
	for _, r := range access.Roles() {
		var may []string
		for _, l := range access.Table() {
			if slices.Contains(l.Roles, r) && l.Action != access.OwnPassword {
				may = append(may, string(l.Action))
			}
		}
		if may == nil {
			may = []string{"(nothing yet)"}
		}
		lines := terminal.Wrap(strings.Join(may, ", "), 100)
		fmt.Fprintf(&b, "  %-12s  %s\n", r, strings.Join(lines, "\n                "))
	}
	return b.String()
}
