package reconcile

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections"
)

// WriteText says for a person what was compared, and nothing more. deeper is what to say of how
// more would be.
func (res Result) WriteText(w io.Writer, deeper string) {
	resumed := ""
	if res.Resumed {
		resumed = ", going on with an interrupted run"
	}
	fmt.Fprintf(w, "compared from %s to %s%s:\n", res.Started.Local().Format(time.DateTime),
		res.Finished.Local().Format(time.DateTime), resumed)
	fmt.Fprintf(w, "  %s events of the ledger, through sequence %d, with their rows in events, each column of them\n",
		terminal.Count(res.Events), res.Through)
	if res.Above > 0 {
		fmt.Fprintf(w, "  rows of events above that when it began: %s; compared with %s further events of the "+
			"ledger\n",
			terminal.Count(res.Above), terminal.Count(res.Checked))
	}
	var names []string
	for _, v := range res.Views {
		names = append(names, fmt.Sprintf("%s (%s rows)", v.Name, terminal.Count(v.Rows)))
	}
	fmt.Fprintf(w, "  with what its definition makes of events: %s\n", strings.Join(names, ", "))
	fmt.Fprintf(w, "  the definitions of: %s\n", strings.Join(res.Plain, ", "))
	leaves := "were not recomputed in ClickHouse"
	origins := "were not checked (" + deeper + ")"
	if res.Leaves {
		leaves = "were recomputed in ClickHouse from the bytes it stores"
	}
	if res.Origins {
		origins = "were checked with the vault"
	}
	fmt.Fprintf(w, "  leaves %s; origins %s\n", leaves, origins)
	for _, u := range res.NotCompared {
		fmt.Fprintf(w, "  not compared: %s, %s\n", u.Name, u.Why)
	}
	if res.Disowned > 0 {
		fmt.Fprintf(w, "  events whose origin is wrong, disowned and so in no view but events: %s\n",
			terminal.Count(res.Disowned))
	}
	if res.Unsettled > 0 {
		fmt.Fprintf(w, "  rows that could not be judged, since their events were not through for too long: %s\n",
			terminal.Count(res.Unsettled))
	}
	for _, f := range res.Findings {
		fmt.Fprintln(w, findingText(f))
	}
	if res.Differences > uint64(len(res.Findings)) {
		fmt.Fprintf(w, "… and more: %s differences in %s\n",
			terminal.Count(res.Differences), strings.Join(slices.Sorted(maps.Keys(res.Differing)), ", "))
	}
	if res.Differences == 0 {
		fmt.Fprintln(w, "no difference in what was compared")
	}
}

// Remedies say what ends the differences that were found; away is how the views are removed.
func (res Result) Remedies(away string) (out []string) {
	rebuilt := func(name string) bool {
		return slices.ContainsFunc(res.Views, func(v ViewResult) bool { return v.Name == name })
	}
	forged, base := false, false
	for _, f := range res.Findings {
		forged = forged || f.What == projections.Forged // a difference of the ledger, which no view mends
		base = base || f.What != projections.Forged && !rebuilt(f.View)
	}
	var views []string
	for _, name := range slices.Sorted(maps.Keys(res.Differing)) {
		if rebuilt(name) {
			views = append(views, name)
		}
	}
	if forged {
		out = append(out, "`ledgerline ledger check` names the forged events, `ledgerline ledger disown` takes them "+
			"out of views and reports")
	}
	switch {
	case base:
		out = append(out, "what all views are made of differs too: stop `ledgerline up`, "+away+
			" and start it again, which makes every view anew")
	case len(views) > 0:
		out = append(out, fmt.Sprintf("`ledgerline views rebuild %s` makes them anew", strings.Join(views, " ")))
	}
	return out
}

func findingText(f projections.Finding) string {
	if f.What == projections.Definition {
		return fmt.Sprintf("%s: it is not there, or not defined as this program defines it", f.View)
	}
	what := map[projections.What]string{
		projections.Missing:     "missing",
		projections.Extra:       "there, and made from no event",
		projections.Other:       "another row than its event makes",
		projections.OtherEvent:  "another event than the ledger's",
		projections.Unrefreshed: "read by another version of the catalogue",
		projections.BrokenLeaf:  "its stored bytes do not give its stored leaf",
		projections.Forged:      "in the ledger with a wrong origin: it was not written through a vault, or not here",
	}[f.What]
	if f.View == "events" && f.What == projections.Extra {
		what = "there, and not in the ledger"
	}
	line := fmt.Sprintf("%s: sequence %d of tenant %s: %s", f.View, f.Seq, f.Tenant, what)
	if f.Key != "" {
		line += fmt.Sprintf(", key %q", f.Key)
	}
	return line
}
