package render

import (
	"bufio"
	"io"

	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// JSON writes one object: header, columns, rows and totals, in this order. A row is an object by
// column id; a value is exact, a list an array; an instant has "local" and "utc"; what is not
// shown is {"state":"masked"}, "erased" or "expired". When an error is returned the output ends
// early and is no JSON.
func JSON(w io.Writer, d *document.Document) error {
	b := bufio.NewWriter(w)
	put := func(s string) { _, _ = b.WriteString(s) } // an error stays in b until Flush
	put(`{"header":`)
	putFacts(b, d.Header)
	put(`,"columns":[`)
	for i, c := range d.Columns {
		if i > 0 {
			put(",")
		}
		put(string(schemas.JSON(struct {
			ID    string `json:"id"`
			Title string `json:"title"`
		}{c.ID, c.Title})))
	}
	put("],\"rows\":[")
	begun := false
	for row, err := range d.Rows {
		if err = goOn(b, err); err != nil {
			return err
		}
		if begun {
			put(",")
		}
		begun = true
		put("\n{")
		n := 0
		for i, c := range d.Columns {
			cell := row.Cells[i]
			if len(cell) == 0 {
				continue
			}
			if n > 0 {
				put(",")
			}
			n++
			put(string(schemas.JSON(c.ID)) + ":")
			if c.Type == document.Instant {
				put(string(schemas.JSON(instant{d.Local(cell[0].Time), schemas.Time(cell[0].Time)})))
				continue
			}
			put(string(cell.Raw()))
		}
		put("}")
	}
	put("\n],\"totals\":")
	totals, _ := d.Totals()
	putFacts(b, totals)
	put("}\n")
	return b.Flush()
}

type instant struct {
	Local string `json:"local"`
	UTC   string `json:"utc"`
}

// putFacts writes what machines read of facts as one object.
func putFacts(b *bufio.Writer, facts []document.Fact) {
	sep := "{"
	for _, f := range facts {
		for _, m := range f.Members {
			_, _ = b.WriteString(sep + string(schemas.JSON(m.ID)) + ":")
			_, _ = b.Write(m.JSON)
			sep = ","
		}
	}
	if sep == "{" {
		_, _ = b.WriteString(sep)
	}
	_, _ = b.WriteString("}")
}
