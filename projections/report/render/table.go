package render

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// tableLook is how many rows are looked at before column widths are settled.
const tableLook = 200

// whole reports whether a cell of the type is never broken into lines.
func whole(t document.Type) bool { return t == document.Instant || figures(t) }

// figures reports whether a cell of the type holds figures, which stand at the right.
func figures(t document.Type) bool { return t == document.Number || t == document.Sequence }

// minColumn and maxColumn bound a column's width in a table.
const (
	minColumn = 8
	maxColumn = 60
)

// Table writes the document for a terminal or a page of width columns; width ≤ 0 is as wide as
// needed. Where the columns cannot fit, each row is written as a block of "title: value" lines.
// Control characters are shown, never sent.
func Table(w io.Writer, d *document.Document, width int) error {
	d = d.ForPeople()
	b := bufio.NewWriter(w)
	writeFacts(b, d.Header)
	_, _ = b.WriteString("\n")
	t := &table{w: b, d: d, width: width}
	none := true
	for row, err := range d.Rows {
		if err = goOn(b, err); err != nil {
			return err
		}
		t.add(row)
		none = false
	}
	t.settle()
	if none {
		_, _ = b.WriteString(d.Language.Text("document.nothing") + "\n")
	}
	_, _ = b.WriteString("\n")
	totals, _ := d.Totals()
	writeFacts(b, totals)
	return b.Flush()
}

func writeFacts(b *bufio.Writer, facts []document.Fact) {
	w := 0
	for _, f := range said(facts) {
		w = max(w, terminal.Columns(f.Label))
	}
	for _, f := range said(facts) {
		fmt.Fprintf(b, "%s  %s\n", terminal.Left(f.Label, w), terminal.Visible(f.Text))
	}
}

// table lays rows out once it has seen enough of them to know how wide columns are.
type table struct {
	w       *bufio.Writer
	d       *document.Document
	width   int
	waiting [][]string
	columns []int // widths; nil until settled
	blocks  bool
	settled bool
}

func (t *table) add(row document.Row) {
	cells := make([]string, len(t.d.Columns))
	for i, c := range t.d.Columns {
		lines := strings.Split(c.People(row.Cells[i], t.d), "\n")
		for k := range lines {
			lines[k] = terminal.Visible(lines[k])
		}
		cells[i] = shorten(strings.Join(lines, "\n"), t.d.Language)
		if c.Type == document.Instant && len(row.Cells[i]) > 0 {
			cells[i] += "\n" + row.Cells[i][0].Time.UTC().Format("2006-01-02 15:04:05 UTC")
		}
	}
	if t.settled {
		t.line(cells)
		return
	}
	t.waiting = append(t.waiting, cells)
	if len(t.waiting) == tableLook {
		t.settle()
	}
}

// maxCell is how much of a cell a table shows; the other forms have all of it.
const maxCell = 400

// shorten cuts a cell that would fill the screen, at a blank, and says how much is missing.
func shorten(s string, l *words.Language) string {
	if utf8.RuneCountInString(s) <= maxCell {
		return s
	}
	r := []rune(s)
	head := string(r[:maxCell])
	if i := strings.LastIndex(head, " "); i > len(head)/2 {
		head = head[:i]
	}
	missing := len(r) - utf8.RuneCountInString(head)
	return l.Text("document.cut", words.Args{"text": head, "count": missing})
}

func (t *table) settle() {
	if t.settled {
		return
	}
	t.settled = true
	t.measure()
	if len(t.waiting) > 0 && !t.blocks {
		heads := make([]string, len(t.d.Columns))
		rules := make([]string, len(t.d.Columns))
		for i, c := range t.d.Columns {
			heads[i], rules[i] = c.Title, strings.Repeat("─", t.columns[i])
		}
		t.line(heads)
		_, _ = t.w.WriteString(strings.Join(rules, "  ") + "\n")
	}
	for _, row := range t.waiting {
		t.line(row)
	}
	t.waiting = nil
}

// measure gives each column what its longest line needs, then takes from the widest until the row
// fits. A column is never narrower than its longest word of up to 24, so that times and numbers
// stay whole.
func (t *table) measure() {
	n := len(t.d.Columns)
	t.columns = make([]int, n)
	floor := make([]int, n)
	look := func(i int, s string) {
		for _, line := range strings.Split(s, "\n") {
			t.columns[i] = max(t.columns[i], min(terminal.Columns(line), maxColumn))
			if whole(t.d.Columns[i].Type) {
				floor[i] = t.columns[i]
				continue
			}
			for _, word := range strings.Fields(line) {
				floor[i] = max(floor[i], min(terminal.Columns(word), 24))
			}
		}
	}
	for i, c := range t.d.Columns {
		look(i, c.Title)
		floor[i] = max(floor[i], min(minColumn, t.columns[i]))
		for _, row := range t.waiting {
			look(i, row[i])
		}
	}
	total := 2 * (n - 1)
	for _, w := range t.columns {
		total += w
	}
	for t.width > 0 && total > t.width {
		widest := -1
		for i := range t.columns {
			if t.columns[i] > floor[i] && (widest < 0 || t.columns[i] > t.columns[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			t.blocks = true
			return
		}
		t.columns[widest]--
		total--
	}
}

func (t *table) line(cells []string) {
	if t.blocks {
		t.block(cells)
		return
	}
	wrapped := make([][]string, len(cells))
	height := 1
	for i, c := range cells {
		wrapped[i] = terminal.Wrap(c, t.columns[i])
		height = max(height, len(wrapped[i]))
	}
	for k := range height {
		var line strings.Builder
		for i := range cells {
			s := ""
			if k < len(wrapped[i]) {
				s = wrapped[i][k]
			}
			if i > 0 {
				line.WriteString("  ")
			}
			if figures(t.d.Columns[i].Type) {
				line.WriteString(terminal.Right(s, t.columns[i]))
			} else {
				line.WriteString(terminal.Left(s, t.columns[i]))
			}
		}
		_, _ = t.w.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func (t *table) block(cells []string) {
	label := 0
	for _, c := range t.d.Columns {
		label = max(label, terminal.Columns(c.Title))
	}
	for i, c := range t.d.Columns {
		if cells[i] == "" {
			continue
		}
		title := c.Title
		room := maxColumn
		if t.width > 0 {
			room = max(20, t.width-label-2)
		}
		for k, line := range terminal.Wrap(cells[i], room) {
			if k > 0 {
				title = ""
			}
			fmt.Fprintf(t.w, "%s  %s\n", terminal.Left(title, label), line)
		}
	}
	_, _ = t.w.WriteString(strings.Repeat("─", max(20, min(t.width, 60))) + "\n")
}
