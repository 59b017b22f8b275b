package render

import (
	"bufio"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// dialect says for whom CSV is written.
type dialect int

const (
	machine dialect = iota
	people
)

// MachineCSV writes exact CSV: RFC 4180 with commas and CRLF, UTF-8 without a byte order mark,
// column ids in the first line and then rows alone. Several values of a cell are lines of it, and
// so are the changed properties of a value: no cell holds JSON. What is not shown stands as
// (masked), (erased) or (expired); Header writes the header apart.
func MachineCSV(w io.Writer, d *document.Document) error {
	b := bufio.NewWriter(w)
	out := CSV{To: b}
	if err := out.table(b, d, machine); err != nil {
		return err
	}
	return b.Flush()
}

// PeopleCSV writes CSV that opens in a spreadsheet of the language: byte order mark, CRLF, the
// list separator of the locale, header and totals in the file, words for values, and every cell
// that a spreadsheet would take for a formula guarded.
func PeopleCSV(w io.Writer, d *document.Document) error {
	d = d.ForPeople()
	b := bufio.NewWriter(w)
	out := CSVForPeople(b, d.Language)
	for _, f := range said(d.Header) {
		out.Record(f.Label, f.Text)
	}
	out.Record("")
	if err := out.table(b, d, people); err != nil {
		return err
	}
	out.Record("")
	totals, _ := d.Totals()
	for _, f := range said(totals) {
		out.Record(f.Label, f.Text)
	}
	return b.Flush()
}

// table writes the columns' heads and the rows.
func (c *CSV) table(b *bufio.Writer, d *document.Document, to dialect) error {
	var heads []string
	for _, col := range d.Columns {
		heads = append(heads, headsOf(col, to, d.Language)...)
	}
	c.Record(heads...)
	for row, err := range d.Rows {
		if err = goOn(b, err); err != nil {
			return err
		}
		var out []string
		for i, col := range d.Columns {
			out = append(out, cellsOf(col, row.Cells[i], to, d)...)
		}
		c.Record(out...)
	}
	return nil
}

// headsOf are the column's heads: an instant has two columns, local time and UTC.
func headsOf(c document.Column, to dialect, l *words.Language) []string {
	switch {
	case to == machine && c.Type == document.Instant:
		return []string{c.ID, c.ID + "Utc"}
	case to == machine:
		return []string{c.ID}
	case c.Type == document.Instant:
		return InstantHeads(c.Title, l)
	}
	return []string{c.Title}
}

// InstantHeads are the heads of an instant's two columns in CSV for people.
func InstantHeads(title string, l *words.Language) []string {
	in := words.Args{"title": title}
	return []string{l.Text("document.local", in), l.Text("document.utc", in)}
}

// InstantCells are an instant's two cells in CSV for people: local time with its offset, and UTC.
func InstantCells(t time.Time, loc *time.Location) []string {
	return []string{words.Instant(t, loc), t.UTC().Format("2006-01-02 15:04:05Z")}
}

func cellsOf(c document.Column, cell document.Cell, to dialect, d *document.Document) []string {
	switch {
	case c.Type == document.Instant && len(cell) == 0:
		return []string{"", ""}
	case c.Type == document.Instant && to == machine:
		return []string{d.Local(cell[0].Time), schemas.Time(cell[0].Time)}
	case c.Type == document.Instant:
		return InstantCells(cell[0].Time, d.Location)
	case to == people:
		return []string{c.People(cell, d)}
	}
	var lines []string
	for _, v := range cell {
		lines = append(lines, v.ExactLines()...)
	}
	return []string{strings.Join(lines, "\n")}
}

// CSV writes records. Errors are those of To, which keeps them.
type CSV struct {
	To        *bufio.Writer
	Separator string // "" is a comma
	Guarded   bool   // a spreadsheet takes no cell for a formula; without it, cells are exact
}

// CSVForPeople begins CSV that opens in a spreadsheet of the language: a byte order mark, the list
// separator of the locale, and every cell that it would take for a formula guarded.
func CSVForPeople(to *bufio.Writer, l *words.Language) *CSV {
	_, _ = to.WriteString("\ufeff") // an error stays in it until Flush
	return &CSV{To: to, Separator: l.Text("format.csv-separator"), Guarded: true}
}

// Record writes one record. A cell is quoted where it holds what any reader could take for the
// end of it.
func (c *CSV) Record(cells ...string) {
	sep := c.Separator
	if sep == "" {
		sep = ","
	}
	for i, cell := range cells {
		if i > 0 {
			_, _ = c.To.WriteString(sep)
		}
		if c.Guarded {
			cell = Guard(cell)
		}
		if strings.ContainsAny(cell, "\",;\r\n\t") || strings.HasPrefix(cell, " ") || strings.HasSuffix(cell, " ") {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		_, _ = c.To.WriteString(cell)
	}
	_, _ = c.To.WriteString("\r\n")
}

// Guard puts an apostrophe before a cell that a spreadsheet would take for a formula: one that
// begins, blanks and invisible characters aside, with = + - @, tab or carriage return, or with
// the full-width form of the first four.
func Guard(cell string) string {
	for _, r := range cell {
		switch r {
		case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '﹢', '﹣', '﹦', '﹫', '−':
			return "'" + cell
		}
		if unicode.IsSpace(r) || unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf) {
			continue // a spreadsheet may trim it and look at the next
		}
		return cell
	}
	return cell
}
