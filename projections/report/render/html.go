package render

import (
	"bufio"
	_ "embed"
	"html/template"
	"io"
	"iter"
	"time"

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

// htmlCell is a cell as the template sees it.
type htmlCell struct {
	Lines []Line
	Time  *htmlTime // of an instant
	Class string
	Head  bool // it names the row
}

type htmlTime struct{ Exact, Local, UTC string }

// Lines yields the rows one by one; it ends early where they err, or where nobody takes them any
// more.
func (p *htmlPage) Lines() iter.Seq[[]htmlCell] {
	return func(yield func([]htmlCell) bool) {
		for row, err := range p.Rows {
			if p.err = goOn(p.b, err); p.err != nil {
				return
			}
			cells := make([]htmlCell, len(p.Columns))
			for i, c := range p.Columns {
				cells[i] = p.cell(c, row.Cells[i])
				cells[i].Head = i == 0
			}
			if !yield(cells) {
				return
			}
		}
	}
}

func (p *htmlPage) cell(c document.Column, cell document.Cell) htmlCell {
	out := htmlCell{Class: p.ClassOf(c)}
	if c.Type == document.Instant {
		if len(cell) > 0 {
			t := cell[0].Time
			out.Time = &htmlTime{schemas.Time(t), words.Instant(t, p.Location), t.UTC().Format(time.DateTime + " UTC")}
		}
		return out
	}
	if c.Parts && shown(cell) {
		out.Lines = []Line{{Text: Visible(c.People(cell, p.Document))}}
		return out
	}
	for _, v := range cell {
		for _, text := range v.Lines(p.Language, p.Location) {
			line := Line{Text: Visible(text), State: v.State != document.Shown}
			if v.State == document.Masked {
				line.Says = p.Language.Text("state.masked")
			}
			out.Lines = append(out.Lines, line)
		}
	}
	return out
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
