package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

// TestAnActionIsOneRowWithWhatItsOtherEventsSay: further targets, what was supplied later under
// its own event, and what is disputed stand in the action's row; samples and populations count it
// once.
func TestAnActionIsOneRowWithWhatItsOtherEventsSay(t *testing.T) {
	s := chtest.NewStory(t)
	stream := schemas.NewStream("adminaction", id("wipe of many"))
	path := func(i int) []string { return []string{fmt.Sprint(i)} }
	target := func(i, n int) []val {
		return []val{{Attr: "action.target-type", Path: path(i), V: "ManagedDevice"},
			{Attr: "action.target-name", Path: path(i), V: fmt.Sprint("LT-", n), Alias: fatima}}
	}
	const when = "2026-10-01T08:00:00Z"
	first := append([]val{{Attr: "action.verb", V: "action"}, {Attr: "action.result", V: "success"},
		{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna}}, target(0, 0)...)
	s.Add("adminaction.recorded.v1", stream, when, "", actorAnna, first...)
	var more []val
	for i := range 89 {
		more = append(more, target(i, i+1)...)
	}
	s.Add("adminaction.continued.v1", stream, when, "", actorAnna,
		append([]val{{Attr: "action.verb", V: "action"},
			{Attr: "action.actor-upn", V: "anna@example.test", Alias: anna}}, more...)...)
	s.Add("adminaction.supplemented.v1", stream, when, "", actorAnna,
		val{Attr: "action.actor-ip", V: "192.0.2.7", Alias: anna},
		val{Attr: "action.target-index", Path: path(0), V: 5},
		val{Attr: "action.changes", Path: path(0), V: []map[string]any{{"name": "Size", "new": "2"}, {"more": 870}},
			Alias: fatima})
	s.Add("adminaction.disputed.v1", stream, when, "", actorAnna, val{Attr: "action.form", V: "AuditLogs"},
		val{Attr: "action.disputed-attribute", Path: path(0), V: "action.result"},
		val{Attr: "action.disputed-value", Path: path(0), V: "failure", Alias: anna})
	db := s.Load()
	for _, sample := range []int{0, 5} {
		r := request("admin-actions", "en")
		r.Sample = sample
		rep, err := report.Run(t.Context(), db, s, r)
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for row, err := range rep.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			rows++
			var texts []string
			for _, c := range row.Cells {
				var all []string
				for _, v := range c {
					all = append(all, v.People(english, time.UTC))
				}
				texts = append(texts, strings.Join(all, "; "))
			}
			line := strings.Join(texts, " | ")
			for _, want := range []string{"LT-0; LT-1; ", "LT-89", "192.0.2.7", "Size: (none) → 2; (and 870 more",
				"| Result |"} {
				if !strings.Contains(line, want) {
					t.Errorf("the row lacks %q: %s", want, line)
				}
			}
		}
		if tot, _ := rep.Totals(); rows != 1 || tot.Population != 1 || tot.Masked != 0 {
			t.Errorf("%d rows of a population of %d, %d masked", rows, tot.Population, tot.Masked)
		}
	}
}
