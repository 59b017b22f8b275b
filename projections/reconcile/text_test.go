package reconcile

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
)

// What ends a difference is told: a view is rebuilt, what all are made of is made anew, what is
// forged is disowned.
func TestADifferenceOfTheViewsNamesWhatEndsIt(t *testing.T) {
	const rebuild, anew = "`ledgerline views rebuild admin_action refusal`", "clickhouse away"
	const disown = "`ledgerline ledger disown`"
	found := func(view string, what projections.What) projections.Finding {
		return projections.Finding{View: view, What: what}
	}
	for name, c := range map[string]struct {
		findings []projections.Finding
		want     []string
	}{
		"views": {[]projections.Finding{found("refusal", projections.Other),
			found("admin_action", projections.Missing)}, []string{rebuild}},
		"the base": {[]projections.Finding{found("events", projections.Missing),
			found("refusal", projections.Extra)}, []string{anew}},
		"a definition": {[]projections.Finding{found("device_current", projections.Definition)}, []string{anew}},
		"forged":       {[]projections.Finding{found("events", projections.Forged)}, []string{disown}},
		"forged and a row": {[]projections.Finding{found("events", projections.Forged),
			found("events", projections.Other)}, []string{disown, anew}},
		"forged and a view": {[]projections.Finding{found("events", projections.Forged),
			found("refusal", projections.Other), found("admin_action", projections.Other)},
			[]string{disown, rebuild}},
		"no more than these": {nil, nil},
	} {
		res := Result{Findings: c.findings, Differing: map[string]uint64{},
			Views: []ViewResult{{Name: "admin_action"}, {Name: "refusal"}}}
		for _, f := range c.findings {
			res.Differing[f.View]++
		}
		got := res.Remedies("move clickhouse away")
		said := strings.Join(got, "\n")
		for _, text := range []string{rebuild, anew, disown} {
			want := false
			for _, w := range c.want {
				want = want || w == text
			}
			if strings.Contains(said, text) != want {
				t.Errorf("%s: %q, want of it: %q", name, said, c.want)
			}
		}
	}
}
