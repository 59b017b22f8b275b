package report

import "github.com/ledgerline/ledgerline/projections/report/content"

// Rows are made of cells in so many places that their makers have short names here.
type (
	// Value is one value in a cell: open, opened, or not shown.
	Value = content.Value
	// Cell is what stands in one column of a row: nothing, one value, or a list.
	Cell = content.Cell
)

var (
	text, number, whole = content.Text, content.Number, content.Whole
	sequence, instant   = content.Sequence, content.Instant
	of, first, named    = content.Of, content.First, content.Named
	orNull              = content.OrNull
)
