package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/refusal"
)

func newStatus(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "status", Short: "Say where each part stands: sequence, relay, views, lag",
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			n := a.node(nil)
			doc, err := node.AskStatus(c.Ctx, n)
			if errors.Is(err, datadir.ErrNotUp) {
				return errors.New(refusal.NoStatus(n.Settings.Data, a.commandLine("up"), n.Holds()))
			}
			if err := c.Print(answer.Status{Status: doc}, err); err != nil {
				return err
			}
			return doc.Problem()
		}})
}
