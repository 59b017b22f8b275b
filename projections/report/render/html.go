package render

import (
	"bufio"
	_ "embed"
	"html/template"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

//go:embed frame.html
var frameHTML string

//go:embed html.html
var pageHTML string

// Frame returns what every page has in common, to add a page to: "top", from the document's type
// to the end of the style, for a page with a Lang and a Title; and "cell", for a Cell. A page
// made with it loads nothing and runs nothing.
func Frame(page string) *template.Template {
	return template.Must(template.Must(template.New("page").Parse(frameHTML)).Parse(page))
}

var page = Frame(pageHTML)

// Line is one line of a cell of a page.
type Line struct {
	Text  string
	State bool   // it stands where a value is not shown
	Says  string // with State: what a mark without words means
}

// HTML writes one self-contained page for a browser, a screen reader or a printer. When an error
// is returned the output ends early, without totals.
func HTML(w io.Writer, d *document.Document) error {
	b := bufio.NewWriter(w)
	d = d.ForPeople()
	if err := page.Execute(b, &htmlPage{Document: d, b: b}); err != nil {
		return err
	}
	return b.Flush()
}

// htmlPage is a document as the template sees it.
type htmlPage struct {
	*document.Document
	b   *bufio.Writer
	err error // of the rows: what follows them asks for it
}

func (p *htmlPage) Lang() string           { return p.Language.Code() }
func (p *htmlPage) Words() *words.Language { return p.Language }
func (p *htmlPage) Asked() []document.Fact { return said(p.Header) }

// Counted returns the totals; its error, the rows', ends the page.
func (p *htmlPage) Counted() ([]document.Fact, error) {
	totals, _ := p.Totals()
	return said(totals), p.err
}

// ClassOf is how a column is set.
func (p *htmlPage) ClassOf(c document.Column) string {
	switch {
	case figures(c.Type):
		return "num"
	case c.Type == document.Instant || c.Type == document.Reported:
		return "when"
	case c.List && !c.Parts, c.Type == document.Mixed:
		return "long"
	}
	return ""
}

// Lines yields the rows one by one, as their cells are written; it ends early where they err, or
// where nobody takes them any more. A template takes ten times as long for a row as all else.
func (p *htmlPage) Lines() iter.Seq[template.HTML] {
	return func(yield func(template.HTML) bool) {
		var b []byte
		for row, err := range p.Rows {
			if p.err = goOn(p.b, err); p.err != nil {
				return
			}
			b = b[:0]
			for i, c := range p.Columns {
				begin, end := "<td", "</td>"
				if i == 0 { // it names the row
					begin, end = `<th scope="row"`, "</th>"
				}
				b = append(b, begin...)
				if class := p.ClassOf(c); class != "" {
					b = append(append(append(b, ` class="`...), class...), '"')
				}
				b = append(p.cell(append(b, '>'), c, row.Cells[i]), end...)
			}
			if !yield(template.HTML(b)) {
				return
			}
		}
	}
}

// cell appends what stands in a cell. Its lines are written as "cell" of Frame writes them.
func (p *htmlPage) cell(b []byte, c document.Column, cell document.Cell) []byte {
	if c.Type == document.Instant {
		if len(cell) == 0 {
			return b
		}
		t := cell[0].Time
		b = escaped(append(b, `<time datetime="`...), schemas.Time(t))
		b = escaped(append(b, `">`...), words.Instant(t, p.Location))
		b = escaped(append(b, `<span class="utc">`...), t.UTC().Format(time.DateTime+" UTC"))
		return append(b, "</span></time>"...)
	}
	if c.Parts && shown(cell) {
		return htmlLine(b, Line{Text: terminal.Visible(c.People(cell, p.Document))})
	}
	for _, v := range cell {
		for _, text := range v.Lines(p.Language, p.Location) {
			line := Line{Text: terminal.Visible(text), State: v.State != document.Shown}
			if v.State == document.Masked {
				line.Says = p.Language.Text("state.masked")
			}
			b = htmlLine(b, line)
		}
	}
	return b
}

func htmlLine(b []byte, l Line) []byte {
	b = append(b, `<span class="cellline">`...)
	if !l.State {
		return append(escaped(b, l.Text), "</span>"...)
	}
	b = append(b, `<span class="state"`...)
	if l.Says != "" {
		b = append(escaped(append(b, ` role="img" aria-label="`...), l.Says), '"')
	}
	return append(escaped(append(b, '>'), l.Text), "</span></span>"...)
}

// escaped appends a text as html/template writes it, between tags and in a quoted attribute.
func escaped(b []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "\x00\"&'+<>")
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		switch s[i] {
		case 0:
			b = append(b, "\uFFFD"...)
		case '"':
			b = append(b, "&#34;"...)
		case '&':
			b = append(b, "&amp;"...)
		case '\'':
			b = append(b, "&#39;"...)
		case '+':
			b = append(b, "&#43;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		}
		s = s[i+1:]
	}
}

// shown reports whether every value of the cell is.
func shown(cell document.Cell) bool {
	for _, v := range cell {
		if v.State != document.Shown {
			return false
		}
	}
	return len(cell) > 0
}
