package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

func newViews(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "views",
		Short: "Compare the views with the ledger, and rebuild them",
	}
	cmd.AddCommand(newReconcile(a), newRebuild(a))
	return cmd
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	var output string
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare the views with the ledger, row by row",
		Long: `reconcile reads the whole ledger and compares each event with its row, and then each view with what its
definition makes of the events. It names what differs: the view, the event or key, and whether it is missing, there in
vain, or another one. With --deep ClickHouse also recomputes each leaf from the bytes it stores, and where the vault
is at hand each event's origin is checked. An interrupted run goes on where it was. The exit code is 1 where anything
differs; what ends it is told.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			v, err := a.vaultForOrigins(cmd.Context(), s, deep)
			if err != nil {
				return err
			}
			l, err := a.openLedger(cmd.Context(), s, v)
			if err != nil {
				return err
			}
			views, err := a.openViews(cmd.Context(), s)
			if err != nil {
				return err
			}
			p := newProgress(cmd.ErrOrStderr())
			cfg := reconcileConfig(l, views, a.log)
			if v != nil {
				cfg.Judge = judge(l)
			}
			cfg.Name, cfg.Deep, cfg.Progress = "command", deep, func(at reconcile.Progress) {
				if at.View == "events" {
					p.show("comparing events: %s of %s", count(at.Done), count(at.Of))
					return
				}
				p.show("comparing %s: part %d of %d", at.View, at.Done, at.Of)
			}
			r, err := reconcile.New(cfg)
			if err != nil {
				return err
			}
			res, err := r.Run(cmd.Context())
			p.done()
			if err != nil {
				return err
			}
			text := func(w io.Writer) { reconcileText(w, res) }
			if err := writeOutput(cmd.OutOrStdout(), output, res, text); err != nil {
				return err
			}
			if res.Differences > 0 {
				return fmt.Errorf("PROBLEM: the views differ from the ledger; %s", strings.Join(a.remedies(res), "; "))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false,
		"let ClickHouse recompute each leaf from the bytes it stores, and check each origin with the vault, "+
			"where there is one")
	outputFlag(cmd, &output)
	return cmd
}

// vaultForOrigins opens the vault for a deep comparison; nil where the data directory has none, as
// on a machine that only knows the servers.
func (a *app) vaultForOrigins(ctx context.Context, s *services, deep bool) (*vault.Vault, error) {
	if !deep {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(a.cfg.Data, vaultFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return a.openVault(ctx, s, false)
}

func judge(l *ledger.Ledger) func(context.Context, schemas.Envelope) (bool, error) {
	return func(ctx context.Context, r schemas.Envelope) (bool, error) {
		verdict, err := l.Judge(ctx, r)
		return verdict == ledger.Genuine, err
	}
}

// reconcileConfig is what the command and a running `up` have in common.
func reconcileConfig(l *ledger.Ledger, views *clickhouse.DB, log *slog.Logger) reconcile.Config {
	return reconcile.Config{Ledger: l.ID(), Views: views, Log: log.With("part", "reconcile"), Now: time.Now,
		Events: func(ctx context.Context, from uint64) iter.Seq2[schemas.Envelope, error] {
			return func(yield func(schemas.Envelope, error) bool) {
				for r, err := range l.Events(ctx) {
					if err == nil && r.Seq < from {
						continue // read, but not compared again
					}
					if !yield(r, err) || err != nil {
						return
					}
				}
			}
		}}
}

// reconcileText says what was compared, and nothing more.
func reconcileText(w io.Writer, res reconcile.Result) {
	resumed := ""
	if res.Resumed {
		resumed = ", going on with an interrupted run"
	}
	fmt.Fprintf(w, "compared from %s to %s%s:\n", res.Started.Local().Format(time.DateTime),
		res.Finished.Local().Format(time.DateTime), resumed)
	fmt.Fprintf(w, "  %s events of the ledger, through sequence %d, with their rows in events, each column of them\n",
		count(res.Events), res.Through)
	if res.Above > 0 {
		fmt.Fprintf(w, "  rows of events above that when it began: %s; compared with %s further events of the ledger\n",
			count(res.Above), count(res.Checked))
	}
	var names []string
	for _, v := range res.Views {
		names = append(names, fmt.Sprintf("%s (%s rows)", v.Name, count(v.Rows)))
	}
	fmt.Fprintf(w, "  with what its definition makes of events: %s\n", strings.Join(names, ", "))
	fmt.Fprintf(w, "  the definitions of: %s\n", strings.Join(res.Plain, ", "))
	leaves := "were not recomputed in ClickHouse"
	origins := "were not checked (--deep does both, origins where the vault is)"
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
			count(res.Disowned))
	}
	if res.Unsettled > 0 {
		fmt.Fprintf(w, "  rows that could not be judged, since their events were not through for too long: %s\n",
			count(res.Unsettled))
	}
	for _, f := range res.Findings {
		fmt.Fprintln(w, findingText(f))
	}
	if res.Differences > uint64(len(res.Findings)) {
		fmt.Fprintf(w, "… and more: %s differences in %s\n",
			count(res.Differences), strings.Join(slices.Sorted(maps.Keys(res.Differing)), ", "))
	}
	if res.Differences == 0 {
		fmt.Fprintln(w, "no difference in what was compared")
	}
}

// remedies say what ends the differences that were found.
func (a *app) remedies(res reconcile.Result) (out []string) {
	rebuilt := func(name string) bool {
		return slices.ContainsFunc(res.Views, func(v reconcile.ViewResult) bool { return v.Name == name })
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
		out = append(out, "`ledgerline ledger check` names the forged events, `ledgerline ledger disown` takes them out of "+
			"views and reports")
	}
	switch {
	case base:
		away := "move " + a.dir().Path(embedded.ClickHouseDir) + " away"
		if a.cfg.ClickHouse.Address != "" {
			away = "drop the database " + a.cfg.ClickHouse.Database
		}
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

func newRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild VIEW…|all",
		Short: "Make views anew from the events beside the old ones, compare, then swap",
		Long: `rebuild makes a view anew while everything goes on: a new table is filled from events, compared with
what its definition makes of them, and put in the old one's place. It may be interrupted anywhere and called again.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.connect()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			views, err := a.openViews(cmd.Context(), s)
			if err != nil {
				return err
			}
			all, err := views.Views(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 && args[0] == "all" {
				args = all
			}
			for _, name := range args {
				if !slices.Contains(all, name) {
					return usage("there is no view %q: name some of %s, or all", name, strings.Join(all, ", "))
				}
			}
			p := newProgress(cmd.ErrOrStderr())
			for _, name := range args {
				err := views.Rebuild(cmd.Context(), name,
					clickhouse.RebuildConfig{Projector: projectorName,
						Progress: func(filled, of uint64) {
							p.show("%s: %s of %s sequences", name, count(filled), count(of))
						}})
				p.done()
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "rebuilt %s\n", name)
			}
			return nil
		},
	}
}

// prepareViews makes sure that the views are this ledger's, and as this program defines them,
// before the projector goes on.
func (n *runningNode) prepareViews(ctx context.Context, out io.Writer) (err error) {
	if err := n.views.Bind(ctx, n.ledger.ID()); err != nil {
		return err
	}
	p := newProgress(out)
	defer p.done()
	if err := n.views.Upgrade(ctx, clickhouse.RebuildConfig{Progress: func(filled, of uint64) {
		p.show("views of an older version are made anew: %s of %s sequences", count(filled), count(of))
	}}); err != nil {
		return err
	}
	if err := n.views.Disown(ctx); err != nil {
		return err
	}
	cfg := reconcileConfig(n.ledger, n.views, n.a.log)
	cfg.Name, cfg.Gentle = "up", true
	n.compare, err = reconcile.New(cfg)
	return err
}

// keepViews reads again what another version of the catalogue has read, and then compares the views
// with the ledger: at once after a stop that was not in order, else once a day.
func (n *runningNode) keepViews(ctx context.Context) error {
	if err := n.views.Refresh(ctx, nil); err != nil && ctx.Err() == nil {
		n.a.log.Warn("events read by another version of the catalogue could not be read again", "error", err)
	}
	return n.compare.Daily(ctx, !n.clean)
}

// comparisonStatus is what the last comparison of the views with the ledger came to.
type comparisonStatus struct {
	reconcile.Status
	Problem string `json:"problem,omitempty"`
}

func (n *runningNode) comparison() comparisonStatus {
	s := comparisonStatus{Status: n.compare.Status()}
	switch {
	case s.LastError != "":
		s.Problem = "the views could not be compared with the ledger: " + s.LastError
	case s.Last != nil && s.Last.Differences > 0:
		s.Problem = fmt.Sprintf("%s differences in %s; `ledgerline views reconcile` names them, `ledgerline views "+
			"rebuild` makes views anew",
			count(s.Last.Differences), strings.Join(slices.Sorted(maps.Keys(s.Last.Differing)), ", "))
	}
	return s
}

func (s comparisonStatus) text(w io.Writer) {
	switch {
	case s.Running != nil:
		fmt.Fprintf(w, "         being compared with the ledger: %s, %s of %s\n",
			s.Running.View, count(s.Running.Done), count(s.Running.Of))
	case s.Last == nil:
		fmt.Fprintf(w, "         not compared with the ledger yet\n")
	}
	if s.Last != nil {
		fmt.Fprintf(w, "         compared on %s: %s events through sequence %d, %d views; %s differences\n",
			s.Last.Finished.Local().Format(time.DateTime),
			count(s.Last.Events), s.Last.Through, len(s.Last.Views), count(s.Last.Differences))
	}
}
