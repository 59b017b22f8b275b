package report

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report/content"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/schemas"
)

// sourceDisagreements: which sources contradict one another, on what, and how often. A fact that
// two of its records tell otherwise was found by intake. Of a state the ledger keeps what differs
// from what it had, so that two sources disagree where one's value follows the other's too soon
// for it to have changed.
var sourceDisagreements = Definition{
	ID:    "source-disagreements",
	Scope: OverPeriod,
	Columns: []Column{
		{ID: "kind", Type: document.Text},
		{ID: "attribute", Type: document.Text},
		{ID: "toldBy", Type: document.Text},
		{ID: "against", Type: document.Text},
		{ID: "times", Type: document.Number},
		{ID: "records", Type: document.Number},
		{ID: "first", Type: document.Instant},
		{ID: "last", Type: document.Instant},
		{ID: "sequence", Type: document.Sequence},
	},
	Filters: []Filter{
		{ID: "kind", Attr: content.OfKind, Known: kindsTold},
		{ID: "attribute", Check: isAttributeOrTime, Shown: attributeNames},
	},
	Rows: disagreementRows,
}

// goesOn are attributes that say how far something has come, which sources tell one after another,
// or which source tells it.
var goesOn = []string{"remoteaction.form", "remoteaction.state", "remoteaction.completed-at",
	"remoteaction.failure", "remoteaction.error-code", "remoteaction.withheld"}

// kindsTold are those of which sources may contradict one another.
func kindsTold() []string { return append(projections.StateKinds(), "adminaction") }

func disagreementRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		but := slices.Clone(goesOn)
		for _, a := range schemas.Default().Attributes() {
			if a.Volatile {
				but = append(but, a.ID)
			}
		}
		found, err := q.Reader.Disagreements(ctx, q.Tenant, q.In, but, q.AsOf)
		if err != nil {
			yield(Row{}, err)
			return
		}
		for _, d := range found {
			if among(q.Filter["kind"], d.Kind) && among(q.Filter["attribute"], d.Attribute) &&
				!yield(disagreementRow(d), nil) {
				return
			}
		}
	}
}

func disagreementRow(d projections.Disagreement) Row {
	return Row{
		Key: strings.Join([]string{d.Kind, d.Attribute, d.Told, d.Against}, "/"), Seq: d.LastSeq, Recorded: d.Last,
		Cells: cells(named(content.OfKind, d.Kind), named(content.NameOfAttribute, d.Attribute), teller(d.Told),
			teller(d.Against), number(d.Times), number(d.Records), instant(d.First), instant(d.Last),
			sequence(d.LastSeq)),
	}
}

// teller names a form, else a source. Forms of one name are one's own.
func teller(id string) Cell {
	if shape := schemas.Default().MustAttribute("remoteaction.form").Shape; slices.Contains(shape.Values, id) {
		return named("remoteaction.form", id)
	}
	if id == "" {
		return nil
	}
	return named(content.NameOfSource, id)
}
