package report

import (
	"bufio"
	"io"
	"strings"
	"unicode"

	"github.com/ledgerline/ledgerline/schemas"
)

// Dialect says for whom CSV is written.
type Dialect int

// Dialects of CSV.
const (
	// Machine is exact: RFC 4180 with commas and CRLF, UTF-8 without a byte order mark, column ids in the first line and
	// then rows alone. What is not shown stands as (masked), (erased) or (expired); WriteHeader writes the header apart.
	Machine Dialect = iota
	// People opens in a spreadsheet of the language: byte order mark, CRLF, the list separator of the locale, header and
	// totals in the file, words for values, and every cell that a spreadsheet would take for a formula guarded.
	People
)

// WriteCSV writes the report as CSV.
func (r *Report) WriteCSV(w io.Writer, d Dialect) error {
	b := bufio.NewWriter(w)
	sep := ","
	if d == People && r.Header.Lang == "nl" {
		sep = ";" // the comma is the decimal sign there
	}
	line := func(cells ...string) { writeRecord(b, sep, d == People, cells) }
	if d == People {
		_, _ = b.WriteString("\ufeff") // an error stays in b until Flush
		for _, l := range r.Header.Lines() {
			line(l.Label, l.Text)
		}
		line("")
	}
	var head []string
	for _, c := range r.Columns {
		head = append(head, c.heads(d, r.Header.Lang)...)
	}
	line(head...)
	for row, err := range r.Rows() {
		if err = goOn(b, err); err != nil {
			return err
		}
		var out []string
		for i, c := range r.Columns {
			out = append(out, c.texts(row.Cells[i], d, r.Header)...)
		}
		line(out...)
	}
	if d == People {
		line("")
		for _, l := range r.totals.Lines(r.Header) {
			line(l.Label, l.Text)
		}
	}
	return b.Flush()
}

// goOn returns err, or the error of a writer that takes no more: nothing further is unsealed for nobody.
func goOn(b *bufio.Writer, err error) error {
	if err != nil {
		return err
	}
	_, err = b.Write(nil)
	return err
}

// heads are the column's headers: an instant has two columns, local time and UTC.
func (c Column) heads(d Dialect, lang string) []string {
	id, title := c.ID, c.Title.In(lang)
	if d == Machine {
		if c.Kind == Instant {
			return []string{id, id + "Utc"}
		}
		return []string{id}
	}
	if c.Kind == Instant {
		return []string{title + say(lang, " (local)", " (lokaal)"), title + " (UTC)"}
	}
	return []string{title}
}

func (c Column) texts(cell Cell, d Dialect, h Header) []string {
	if c.Kind == Instant {
		if len(cell) == 0 {
			return []string{"", ""}
		}
		t := cell[0].Time
		if d == Machine {
			return []string{t.In(h.Location).Format("2006-01-02T15:04:05.000-07:00"), schemas.Time(t)}
		}
		return []string{LocalTime(t, h.Location), t.UTC().Format("2006-01-02 15:04:05Z")}
	}
	if d == People {
		return []string{c.people(cell, h)}
	}
	switch len(cell) {
	case 0:
		return []string{""}
	case 1:
		return []string{cell[0].exact()}
	}
	// Several values are one JSON array, so that none can be mistaken for two.
	return []string{string(cellJSON(cell))}
}

// people writes a cell for people; values that belong together ("Apple" "iPhone 16") are joined as one reads them.
func (c Column) people(cell Cell, h Header) string {
	sep := "; "
	if c.ID == "model" || c.ID == "os" {
		sep = " "
	}
	parts := make([]string, len(cell))
	for i, v := range cell {
		parts[i] = v.People(h.Lang, h.Location)
	}
	return strings.Join(parts, sep)
}

func writeRecord(b *bufio.Writer, sep string, guard bool, cells []string) {
	for i, c := range cells {
		if i > 0 {
			_, _ = b.WriteString(sep)
		}
		if guard {
			c = Guard(c)
		}
		if strings.ContainsAny(c, "\",;\r\n\t") || strings.HasPrefix(c, " ") || strings.HasSuffix(c, " ") {
			c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		_, _ = b.WriteString(c)
	}
	_, _ = b.WriteString("\r\n")
}

// Guard puts an apostrophe before a cell that a spreadsheet would take for a formula: one that begins, blanks and
// invisible characters aside, with = + - @, tab or carriage return, or with the full-width form of the first four.
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
