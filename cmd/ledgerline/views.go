package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/reconcile"
)

func newViews(a *app) *cobra.Command {
	return group("views", "Compare the views with the ledger, and rebuild them",
		newReconcile(a), newRebuild(a))
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	var output string
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare the views with the ledger, row by row",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := terminal.NewProgress(cmd.ErrOrStderr())
			res, err := node.Reconcile(cmd.Context(), a.node(nil), deep, func(at reconcile.Progress) {
				if at.View == "events" {
					p.Show("comparing events: %s of %s", terminal.Count(at.Done), terminal.Count(at.Of))
					return
				}
				p.Show("comparing %s: part %d of %d", at.View, at.Done, at.Of)
			})
			p.Done()
			if err != nil {
				return err
			}
			text := func(w io.Writer) { res.WriteText(w, "--deep does both, origins where the vault is") }
			if err := writeOutput(cmd.OutOrStdout(), output, res, text); err != nil {
				return err
			}
			if res.Differences > 0 {
				return fmt.Errorf("PROBLEM: the views differ from the ledger; %s",
					strings.Join(res.Remedies(a.viewsAway()), "; "))
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

func newRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild VIEW…|all",
		Short: "Make views anew from the events beside the old ones, compare, then swap",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "all" {
				args = nil
			}
			p := terminal.NewProgress(cmd.ErrOrStderr())
			err := node.Rebuild(cmd.Context(), a.node(nil), args, func(view string, filled, of uint64) {
				p.Show("%s: %s of %s sequences", view, terminal.Count(filled), terminal.Count(of))
			}, func(view string) {
				p.Done()
				fmt.Fprintf(cmd.OutOrStdout(), "rebuilt %s\n", view)
			})
			p.Done()
			var none *node.NoViewError
			if errors.As(err, &none) {
				return usage("there is no view %q: name some of %s, or all", none.Name, strings.Join(none.Known, ", "))
			}
			return err
		},
	}
}

// viewsAway is how the views are removed, so that the next start makes them anew.
func (a *app) viewsAway() string {
	if a.cfg.ClickHouse.Address != "" {
		return "drop the database " + a.cfg.ClickHouse.Database
	}
	return "move " + a.node(nil).Dir().Path(embedded.ClickHouseDir) + " away"
}
