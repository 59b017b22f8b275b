package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// of is a document with these columns and rows; its totals count the rows.
func of(columns []document.Column, rows iter.Seq2[document.Row, error]) *document.Document {
	n, done := 0, false
	d := &document.Document{
		Language: words.Default().Base(), Location: time.UTC, Title: "A title", About: "About it.", Columns: columns,
		Header: []document.Fact{{Label: "Purpose", Text: "a purpose"}},
		Totals: func() ([]document.Fact, bool) {
			return []document.Fact{{Label: "Rows", Text: strconv.Itoa(n)}}, done
		},
	}
	d.Rows = func(yield func(document.Row, error) bool) {
		for row, err := range rows {
			n++
			if !yield(row, err) || err != nil {
				return
			}
		}
		done = true
	}
	return d
}

func all(rows []document.Row) iter.Seq2[document.Row, error] {
	return func(yield func(document.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// texts are what anybody may have called a thing.
var texts = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
	"<script>alert(1)</script>", `" onload="x`, "</td></tr></table>", "</style>", "<!--", "&lt;", "a & b", "\x00",
	"\u202e",
	"]]>", "'", "{{.}}", "plain",
}))

func value(t *rapid.T, as document.Type) document.Value {
	if state := document.State(rapid.IntRange(0, 6).Draw(t, "state")); state > 0 && as != document.Instant {
		return document.Value{Type: as, State: state}
	}
	v := document.Value{Type: as}
	switch as {
	case document.Instant:
		v.Time = time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "time"))
	case document.Number, document.Sequence, document.Bytes:
		v.JSON = schemas.JSON(rapid.Uint32().Draw(t, "number"))
	case document.Boolean:
		v.JSON = schemas.JSON(rapid.Bool().Draw(t, "bool"))
	case document.Changes:
		v.JSON = schemas.JSON([]map[string]any{{"name": texts.Draw(t, "name"), "old": texts.Draw(t, "old")},
			{"name": "b", "withheld": true}})
	default:
		v.JSON = schemas.JSON(texts.Draw(t, "text"))
	}
	return v
}

// Whatever values say, the page is well formed, stands alone, has as many rows as its totals say
// and each of them in every column, and says every value as text.
func TestThePageIsWellFormedAndHoldsEveryRow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var columns []document.Column
		for i := range rapid.IntRange(1, 6).Draw(rt, "columns") {
			as := document.Type(rapid.IntRange(0, int(document.Changes)).Draw(rt, "type"))
			columns = append(columns, document.Column{ID: fmt.Sprint("c", i), Title: texts.Draw(rt, "title"), Type: as,
				List: as == document.Text, Parts: as == document.Text && i%2 == 0})
		}
		var rows []document.Row
		var said []string
		for range rapid.IntRange(0, 8).Draw(rt, "rows") {
			row := document.Row{Cells: make([]document.Cell, len(columns))}
			for i, c := range columns {
				most := 1
				if c.List {
					most = 3
				}
				for range rapid.IntRange(0, most).Draw(rt, "values") {
					v := value(rt, c.Type)
					row.Cells[i] = append(row.Cells[i], v)
					said = append(said, v.Lines(words.Default().Base(), time.UTC)...)
				}
			}
			rows = append(rows, row)
		}
		d := of(columns, all(rows))
		d.Title, d.Organisation = texts.Draw(rt, "title"), texts.Draw(rt, "organisation")
		d.Header[0].Text = texts.Draw(rt, "purpose")
		d.Notes = []string{texts.Draw(rt, "note")}
		var b bytes.Buffer
		if err := render.HTML(&b, d); err != nil {
			rt.Fatal(err)
		}
		page := wellFormed(rt, b.Bytes())
		if page.rows != len(rows) || page.cells != len(rows)*len(columns) || page.totals != strconv.Itoa(len(rows)) {
			rt.Errorf("%d rows with %d cells, totals say %s; want %d of %d columns\n%s", page.rows, page.cells,
				page.totals, len(rows), len(columns), b.String())
		}
		for _, s := range said {
			if s = strings.TrimSpace(norm(render.Visible(s))); !strings.Contains(page.text, s) {
				rt.Errorf("the page does not say %q\n%s", s, b.String())
			}
		}
	})
}

// norm is text as a parser of HTML reads it.
func norm(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

var void = []string{"meta", "br", "hr", "input", "img", "link"}

// judge is what wellFormed tells its faults to.
type judge interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

type read struct {
	rows, cells  int
	totals, text string
}

// wellFormed reads a page as it stands, without a browser's leniency: what is opened is closed,
// an id is given once and what names one finds it, nothing is loaded or run. Of a page that has
// none, no row is counted.
func wellFormed(t judge, page []byte) read {
	if !bytes.HasPrefix(page, []byte("<!DOCTYPE html>\n<html lang=\"")) ||
		!bytes.HasSuffix(bytes.TrimSpace(page), []byte("</html>")) {
		t.Errorf("the page begins or ends in the middle")
	}
	z := html.NewTokenizer(bytes.NewReader(page))
	var open, named []string
	var text strings.Builder
	ids, seen, out := map[string]bool{}, map[string]int{}, read{}
	empty, last := false, ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
			for _, n := range named {
				if !ids[n] {
					t.Errorf("nothing has the id %q", n)
				}
			}
			for _, one := range []string{"html", "head", "title", "body", "main", "h1", "header", "footer", "table",
				"caption"} {
				if seen[one] != 1 {
					t.Errorf("%d of %s, want 1", seen[one], one)
				}
			}
			for _, never := range []string{"script", "link", "img", "iframe", "form", "object", "embed", "base"} {
				if seen[never] > 0 {
					t.Errorf("the page has a %s", never)
				}
			}
			out.rows = seen["tr"] - 1
			if empty {
				out.rows, out.cells = 0, 0
			}
			out.totals, out.text = last, text.String()
			return out
		case html.StartTagToken:
			n := z.Token()
			seen[n.Data]++
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src":
					t.Errorf("<%s> has %s", n.Data, a.Key)
				case a.Key == "id" && ids[a.Val]:
					t.Errorf("the id %q is given twice", a.Val)
				case a.Key == "id":
					ids[a.Val] = true
				case a.Key == "href":
					to, here := strings.CutPrefix(a.Val, "#")
					if !here {
						t.Errorf("a link leads out of the page: %s", a.Val)
					}
					named = append(named, to)
				case a.Key == "aria-labelledby":
					named = append(named, a.Val)
				case a.Key == "class" && a.Val == "none":
					empty = true
				case a.Key == "aria-label":
					text.WriteString(a.Val + "\n")
				}
				if n.Data == "th" && a.Key == "scope" && a.Val == "row" {
					out.cells++
				}
			}
			if n.Data == "td" {
				out.cells++
			}
			if !slices.Contains(void, n.Data) {
				open = append(open, n.Data)
			}
		case html.EndTagToken:
			n := z.Token()
			if len(open) == 0 || open[len(open)-1] != n.Data {
				t.Fatalf("</%s> closes nothing: open are %v\n%s", n.Data, open, page)
			}
			open = open[:len(open)-1]
		case html.TextToken:
			s := z.Token().Data
			text.WriteString(s)
			if len(open) > 0 && open[len(open)-1] == "dd" {
				last = s
			}
		}
	}
}

// Rows go out while later ones come in, nothing is asked for once nobody reads, and an error ends
// the page before its totals.
func TestThePageIsWrittenWhileRowsAreRead(t *testing.T) {
	columns := []document.Column{{ID: "a", Title: "A"}}
	row := document.Row{Cells: []document.Cell{{{JSON: schemas.JSON(strings.Repeat("x", 100))}}}}
	endless := func(asked *int) iter.Seq2[document.Row, error] {
		return func(yield func(document.Row, error) bool) {
			for yield(row, nil) {
				*asked++
			}
		}
	}
	for _, form := range render.Names() {
		if form == "table" { // it looks at its first rows
			continue
		}
		asked := 0
		w := &closing{after: 1 << 17}
		if err := render.Write(form, w, of(columns, endless(&asked)), 0); !errors.Is(err, errClosed) {
			t.Errorf("%s: %v", form, err)
		}
		if asked > (1<<17)/100+100 || w.n < 1<<16 {
			t.Errorf("%s: %d rows were asked for and %d bytes written", form, asked, w.n)
		}
	}
	broken := func(yield func(document.Row, error) bool) {
		if yield(row, nil) {
			yield(document.Row{}, errClosed)
		}
	}
	for _, form := range render.Names() {
		var b bytes.Buffer
		if err := render.Write(form, &b, of(columns, broken), 0); !errors.Is(err, errClosed) {
			t.Errorf("%s: %v", form, err)
		}
		if s := b.String(); strings.Contains(s, "Totals") || strings.Contains(s, "</html>") ||
			strings.Contains(s, `"totals"`) {
			t.Errorf("%s: totals stand below rows that are not all: %s", form, s)
		}
	}
	if err := render.Write("xlsx", &closing{}, of(columns, all(nil)), 0); err == nil {
		t.Error("a form that does not exist was written")
	}
}

var errClosed = errors.New("closed")

// closing is a writer that somebody closes.
type closing struct{ n, after int }

func (c *closing) Write(p []byte) (int, error) {
	if c.n >= c.after {
		return 0, errClosed
	}
	c.n += len(p)
	return len(p), nil
}

// TestContrast: every text colour of a page on every ground it stands on reaches 4.5 : 1.
func TestContrast(t *testing.T) {
	style, err := os.ReadFile("frame.html")
	if err != nil {
		t.Fatal(err)
	}
	css := string(style)
	variable := func(name string) string {
		m := regexp.MustCompile(`--` + name + `: (#[0-9a-f]{3,6})`).FindStringSubmatch(css)
		if m == nil {
			t.Fatalf("the page has no colour %s", name)
		}
		return m[1]
	}
	for _, c := range [][2]string{
		{variable("ink"), variable("paper")}, {variable("soft"), variable("paper")},
		{variable("accent"), variable("paper")},
		{variable("soft"), variable("wash")},
		{variable("ink"), variable("wash")}, {"#4a4035", "#f4efe6"}, {"#b3541e", variable("paper")},
	} {
		if !strings.Contains(css, c[0]) || !strings.Contains(css, c[1]) {
			t.Errorf("%v are not the page's colours any more", c)
		}
		a, b := luminance(t, c[0]), luminance(t, c[1])
		if ratio := (max(a, b) + .05) / (min(a, b) + .05); ratio < 4.5 {
			t.Errorf("%s on %s has a contrast of %.2f", c[0], c[1], ratio)
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	h := hex[1:]
	if len(h) == 3 {
		h = fmt.Sprintf("%c%c%c%c%c%c", h[0], h[0], h[1], h[1], h[2], h[2])
	}
	var l float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(h[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		l += weight * v
	}
	return l
}
