package report

import (
	"context"
	"iter"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// dataAccess: who made protected values readable, when and why; each time is one row.
var dataAccess = Definition{
	ID:    "data-access",
	Scope: OverPeriod, Personal: true,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "officer", Type: document.Text},
		{ID: "report", Type: document.Text},
		{ID: "purpose", Type: document.Text},
		{ID: "purposeWords", Type: document.Text},
		{ID: "filters", Type: document.Object},
		{ID: "persons", Type: document.Number},
		{ID: "computedAt", Type: document.Sequence, Machine: true},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "officer", Check: isUUID, Shown: somebody},
		{ID: "person", Check: isUUID, Shown: somebody},
		{ID: "report", Attr: "access.report", Known: viewable},
	},
	Rows: dataAccessRows,
}

// viewable is whatever protected values are made readable for: reports and access packages, each
// of which has a title.
func viewable() (out []string) {
	for _, key := range words.Default().Under("report.") {
		if id, ok := strings.CutSuffix(key, ".title"); ok {
			out = append(out, id)
		}
	}
	return out
}

func dataAccessRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f := projections.AccessFilter{Reports: q.Filter["report"]}
		var err error
		if f.Officers, err = q.Aliases("officer"); err == nil {
			f.Persons, err = q.Aliases("person")
		}
		if err != nil {
			yield(Row{}, err)
			return
		}
		for a, err := range q.Reader.Access(ctx, q.Tenant, q.In, f, q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			in := func(attr string, t projections.Text) Cell { return of(attr, t, a.EventID) }
			row := Row{Key: string(a.Stream), Seq: a.Seq, Cells: cells(
				instant(a.Occurred), in("access.officer", a.OfficerName), in("access.report", a.Report),
				in("access.purpose-code", a.PurposeCode), in("access.purpose", a.Purpose),
				in("access.filters", a.Filters), number(a.Persons), sequence(a.Sequence), sequence(a.Seq),
			)}
			if !yield(row, nil) {
				return
			}
		}
	}
}
