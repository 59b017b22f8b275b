package report

import (
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/define"
)

// Rows are made of cells in so many places that their makers have short names here.
type (
	// Value is one value in a cell: open, opened, or not shown.
	Value = content.Value
	// Cell is what stands in one column of a row: nothing, one value, or a list.
	Cell = content.Cell
	// Definition describes a report.
	Definition = define.Definition
	// Column is one column of a report.
	Column = define.Column
	// Filter narrows a report.
	Filter = define.Filter
	// Row is one line of a report.
	Row = define.Row
	// Problem is one thing that is wrong with a request.
	Problem = define.Problem
	// Reader is what the reports ask of the views; projections.Reader has it.
	Reader = define.Reader

	question = define.Question
)

var (
	text, number, whole = content.Text, content.Number, content.Whole
	sequence, instant   = content.Sequence, content.Instant
	of, first, named    = content.Of, content.First, content.Named
	orNull              = content.OrNull

	isUUID, isCount, somebody = define.IsUUID, define.IsCount, define.Somebody
)

// Scopes of reports.
const (
	OverPeriod, AtMoment = define.OverPeriod, define.AtMoment
)

func cells(vs ...Cell) []Cell { return vs }
