package report

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/heading"
)

// sieve says of a row, as far as it can be read, whether it belongs to the report.
type sieve func(row Row) bool

// sieves are what only the readable row tells: the definition's own, and filters on what columns
// say.
func (r *Report) sieves() (out []sieve) {
	if r.def.Keep != nil {
		out = append(out, func(row Row) bool { return r.def.Keep(row, r.Header) })
	}
	for _, g := range r.Header.Filters {
		f, _ := r.def.Filter(g.ID)
		if !f.Sought(g.Values) {
			continue
		}
		var columns []int
		for i, c := range r.Columns {
			if slices.Contains(f.In, c.ID) {
				columns = append(columns, i)
			}
		}
		out = append(out, func(row Row) bool {
			return slices.ContainsFunc(columns, func(i int) bool { return r.says(row.Cells[i], g.Values) })
		})
	}
	return out
}

// says reports whether a cell holds one of the texts, as people read it or as programs do, upper
// and lower case alike.
func (r *Report) says(c Cell, texts []string) bool {
	read := []string{peopleRead(c, r.Header)}
	for _, v := range c {
		read = append(read, string(v.JSON))
	}
	return slices.ContainsFunc(read, func(s string) bool {
		s = strings.ToLower(s)
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(s, strings.ToLower(t)) })
	})
}

// peopleRead is what a cell shows to people, its values side by side.
func peopleRead(c Cell, h heading.Header) string {
	texts := make([]string, len(c))
	for i, v := range c {
		texts[i] = v.People(h.Language, h.Location)
	}
	return strings.Join(texts, " ")
}

// sifted are the rows that every sieve lets pass, as they came. Rows are looked into aside, so
// that those that stay are opened as if nothing had been, and the others never.
func (r *Report) sifted(ctx context.Context, rows iter.Seq2[Row, error], sieves []sieve) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for chunk, err := range chunks(rows) {
			aside := make([]Row, len(chunk))
			for i, row := range chunk {
				aside[i] = cloned(row)
			}
			if err == nil {
				err = r.unseal(ctx, aside, looking{r.opener})
			}
			if err != nil {
				yield(Row{}, err)
				return
			}
			for i, row := range aside {
				stops := func(s sieve) bool { return !s(row) }
				if !slices.ContainsFunc(sieves, stops) && !yield(chunk[i], nil) {
					return
				}
			}
			clear(aside) // plaintext does not outlive its chunk
		}
	}
}

// looking opens by searching.
type looking struct{ projections.Searcher }

func (l looking) Open(ctx context.Context, tokens []projections.Sealed) ([]projections.Opened, error) {
	return l.Search(ctx, tokens)
}

func cloned(r Row) Row {
	r.Cells = slices.Clone(r.Cells)
	for i, c := range r.Cells {
		r.Cells[i] = slices.Clone(c)
	}
	return r
}
