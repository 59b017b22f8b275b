package render_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// A family of emoji is one character to its reader: a cell that is too long breaks beside it.
func TestATableBreaksNoCharacter(t *testing.T) {
	const family = "👩\u200d👩\u200d👧"
	var rows []document.Row
	for _, name := range []string{strings.Repeat(family, 40), strings.Repeat("日本", 40), "plain"} {
		text := func(s string) document.Cell { return document.Cell{{Type: document.Text, JSON: schemas.JSON(s)}} }
		rows = append(rows, document.Row{Cells: []document.Cell{text(name), text("x")}})
	}
	columns := []document.Column{{ID: "name", Title: "Name"}, {ID: "mark", Title: "Mark"}}
	var b bytes.Buffer
	if err := render.Table(&b, of(columns, all(rows)), 45); err != nil {
		t.Fatal(err)
	}
	found, marks := 0, 0
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, "\n")
		found += strings.Count(line, family)
		if terminal.Columns(line) > 45 {
			t.Errorf("%d columns: %s", terminal.Columns(line), line)
		}
		if rest := strings.ReplaceAll(line, family, ""); strings.ContainsAny(rest, "👩👧\u200d") {
			t.Errorf("a character is cut: %q", line)
		}
		if before, ok := strings.CutSuffix(line, "x"); ok {
			marks++
			if n := terminal.Columns(before); n != 41 {
				t.Errorf("the second column stands behind %d columns: %s", n, line)
			}
		}
	}
	if found != 40 || marks != 3 {
		t.Errorf("%d families and %d rows:\n%s", found, marks, b.String())
	}
}

// The forms that leave out what only programs get are those that say so: for them it is not even
// opened.
func TestFormsForPeopleLeaveOutWhatProgramsGet(t *testing.T) {
	for _, f := range render.Forms() {
		d := &document.Document{Language: words.Default().Base(), Location: time.UTC,
			Columns: []document.Column{{ID: "shown", Title: "Shown"}, {ID: "id", Title: "Id", Machine: true}},
			Rows: func(yield func(document.Row, error) bool) {
				yield(document.Row{Cells: []document.Cell{{{JSON: schemas.JSON("a")}},
					{{JSON: schemas.JSON("for programs")}}}}, nil)
			},
			Totals: func() ([]document.Fact, bool) { return nil, true }}
		var b strings.Builder
		if err := render.Write(f.Name, &b, d, 0); err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(b.String(), "for programs"); has == render.ForPeople(f.Name) {
			t.Errorf("%s: it has what programs get: %t", f.Name, has)
		}
	}
}
