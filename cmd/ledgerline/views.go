package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/reconcile"
)

func newViews(a *app) *cobra.Command {
	return group("views", "Compare the views with the ledger, and rebuild them", newReconcile(a), newRebuild(a))
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	return a.command(command{use: "reconcile", short: "Compare the views with the ledger, row by row",
		flags: func(f flags) {
			f.BoolVar(&deep, "deep", false, "let ClickHouse recompute each leaf from the bytes it stores, and check "+
				"each origin with the vault, where there is one")
			f.output()
		},
		run: func(c *call) error {
			p := c.progress()
			res, err := node.Reconcile(c.ctx, c.node(nil), deep, func(at reconcile.Progress) { p.Show("%s", at) })
			p.Done()
			if err != nil {
				return err
			}
			text := func(w io.Writer) { res.WriteText(w, "--deep does both, origins where the vault is") }
			if err := c.write(res, text); err != nil {
				return err
			}
			if res.Differences > 0 {
				return fmt.Errorf("PROBLEM: the views differ from the ledger; %s",
					strings.Join(res.Remedies(c.node(nil).ViewsAway()), "; "))
			}
			return nil
		}})
}

func newRebuild(a *app) *cobra.Command {
	return a.command(command{use: "rebuild VIEW…|all",
		short: "Make views anew from the events beside the old ones, compare, then swap", args: cobra.MinimumNArgs(1),
		run: func(c *call) error {
			if len(c.args) == 1 && c.args[0] == "all" {
				c.args = nil
			}
			p := c.progress()
			err := node.Rebuild(c.ctx, c.node(nil), c.args, func(view string, filled, of uint64) {
				p.Show("%s: %s of %s sequences", view, terminal.Count(filled), terminal.Count(of))
			}, func(view string) {
				p.Done()
				fmt.Fprintf(c.out, "rebuilt %s\n", view)
			})
			p.Done()
			if none := new(node.NoViewError); errors.As(err, &none) {
				return usage("%w: name some of %s, or all", none, strings.Join(none.Known, ", "))
			}
			return err
		}})
}
