package report

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
)

// refusedCollection: what the ledger was offered and refused to hold. A refusal stream's count is a
// state: the latest one in the period counts, and is shown once.
var refusedCollection = Definition{
	ID:    "refused-collection",
	Title: schemas.Label{EN: "Collection refused", NL: "Geweigerde verzameling"},
	About: schemas.Label{
		EN: "What was offered and not collected, by rule: the latest count for each device or record concerned.",
		NL: "Wat werd aangeboden en niet is verzameld, per regel: de laatste telling voor elk apparaat of gegeven.",
	},
	Scope: OverPeriod,
	Columns: []Column{
		{"time", schemas.Label{EN: "Time", NL: "Tijd"}, Instant},
		{"rule", schemas.Label{EN: "Rule", NL: "Regel"}, Words},
		{"category", schemas.Label{EN: "Category", NL: "Categorie"}, Words},
		{"source", schemas.Label{EN: "Source", NL: "Bron"}, Words},
		{"count", schemas.Label{EN: "Count", NL: "Aantal"}, Number},
		{"sequence", schemas.Label{EN: "Seq.", NL: "Volgnr."}, Sequence},
	},
	Filters: []Filter{
		{ID: "rule", Title: schemas.Label{EN: "Rule", NL: "Regel"}, Attr: "refusal.rule", known: rules,
			Help: schemas.Label{
				EN: "only these rules, as in apps-on-personal-device",
				NL: "alleen deze regels, zoals apps-on-personal-device"}},
	},
	rows: refusedRows,
}

func refusedRows(ctx context.Context, q *question) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		// One entry a stream, not one an event: as many as things that were refused.
		latest := map[schemas.Stream]projections.Refusal{}
		for r, err := range q.reader.Refusals(ctx, q.tenant, q.in, q.filter["rule"], q.asOf) {
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
					of("refusal.category", projections.Text(r.Category), r.EventID), named(nameOfSource, r.Source),
					number(r.Count), number(r.Seq))}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// rules are those by which something can be refused: each has its word.
func rules() []string { return slices.Sorted(maps.Keys(words["refusal.rule"])) }
