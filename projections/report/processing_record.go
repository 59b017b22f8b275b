package report

import (
	"context"
	"iter"

	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas/catalogue"
)

// processingRecord: the record of processing activities (Art. 30), item by item, as the catalogue
// has it. It tells what may be held, and of nobody.
var processingRecord = Definition{
	ID:    "processing-record",
	Scope: AtMoment,
	Columns: []Column{
		{ID: "itemNumber", Type: document.Text},
		{ID: "itemName", Type: document.Text},
		{ID: "section", Type: document.Text},
		{ID: "aim", Type: document.Text},
		{ID: "legalGround", Type: document.Text},
		{ID: "recipients", Type: document.Text},
		{ID: "retention", Type: document.Text},
		{ID: "identifiability", Type: document.Text},
		{ID: "requirement", Type: document.Text},
	},
	Filters: []Filter{
		{ID: "requirement", Attr: content.OfRequirement, Known: func() []string {
			return []string{catalogue.Required, catalogue.Optional, catalogue.Never}
		}},
	},
	Rows: processingRows,
}

func processingRows(_ context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, i := range catalogue.Default().Items() {
			if among(q.Filter["requirement"], i.Requirement) &&
				!yield(Row{Key: i.ID, Cells: content.Processing(i)}, nil) {
				return
			}
		}
	}
}
