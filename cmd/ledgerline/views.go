package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/node"
)

func newViews(a *app) *cobra.Command {
	return cli.Group("views", "Compare the views with the ledger, and rebuild them", newReconcile(a), newRebuild(a))
}

func newReconcile(a *app) *cobra.Command {
	var deep bool
	return cli.New(cli.Command{Use: "reconcile", Short: "Compare the views with the ledger, row by row",
		Flags: func(f cli.Flags) {
			f.BoolVar(&deep, "deep", false, "let ClickHouse recompute each leaf from the bytes it stores, and check "+
				"each origin with the vault, where there is one")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			res, err := node.Reconcile(c.Ctx, a.node(c.Err), deep)
			if err != nil {
				return err
			}
			text := func(w io.Writer) { res.WriteText(w, "--deep does both, origins where the vault is") }
			if err := c.Write(res, text); err != nil {
				return err
			}
			if res.Differences > 0 {
				return fmt.Errorf("PROBLEM: the views differ from the ledger; %s",
					strings.Join(res.Remedies(a.node(nil).ViewsAway()), "; "))
			}
			return nil
		}})
}

func newRebuild(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "rebuild VIEW…|all",
		Short: "Make views anew from the events beside the old ones, compare, then swap", Args: cobra.MinimumNArgs(1),
		Run: func(c *cli.Call) error {
			views := c.Args
			if len(views) == 1 && views[0] == "all" {
				views = nil
			}
			err := node.Rebuild(c.Ctx, a.node(c.Err), views,
				func(view string) { fmt.Fprintf(c.Out, "rebuilt %s\n", view) })
			if none := new(node.NoViewError); errors.As(err, &none) {
				return cli.Exit(cli.Wrong, err)
			}
			return err
		}})
}
