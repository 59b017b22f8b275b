package report

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// refusedCollection: what the ledger was offered and refused to hold. A refusal stream's count is
// a state: the latest one in the period counts, and is shown once.
var refusedCollection = Definition{
	ID:    "refused-collection",
	Scope: OverPeriod,
	Columns: []Column{
		{ID: "time", Type: document.Instant},
		{ID: "rule", Type: document.Text},
		{ID: "category", Type: document.Text},
		{ID: "source", Type: document.Text},
		{ID: "count", Type: document.Number},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{{ID: "rule", Attr: "refusal.rule", Known: rules}},
	Rows:    refusedRows,
}

func refusedRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		// One entry a stream, not one an event: as many as things that were refused.
		latest := map[schemas.Stream]projections.Refusal{}
		for r, err := range q.Reader.Refusals(ctx, q.Tenant, q.In, q.Filter["rule"], q.AsOf) {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if have, ok := latest[r.Stream]; !ok || r.Seq > have.Seq {
				latest[r.Stream] = r
			}
		}
		rows := make([]projections.Refusal, 0, len(latest))
		for _, r := range latest {
			rows = append(rows, r)
		}
		slices.SortFunc(rows, func(a, b projections.Refusal) int {
			return cmp.Or(a.Occurred.Compare(b.Occurred), cmp.Compare(a.Seq, b.Seq))
		})
		for _, r := range rows {
			row := Row{Key: r.EventID.String(), Seq: r.Seq,
				Cells: cells(instant(r.Occurred), of("refusal.rule", projections.Text(r.Rule), r.EventID),
					of("refusal.category", projections.Text(r.Category), r.EventID),
					named(content.NameOfSource, r.Source),
					number(r.Count), sequence(r.Seq))}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// rules are those by which something can be refused: each has its word.
func rules() []string { return words.Default().Under("enum.refusal.rule.") }
