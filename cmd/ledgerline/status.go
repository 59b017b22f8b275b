package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/node"
)

func newStatus(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "status", Short: "Say where each part stands: sequence, relay, views, lag",
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			doc, err := node.AskStatus(c.Ctx, a.node(nil))
			if err := c.Print(doc, err); err != nil {
				return err
			}
			return doc.Problem()
		}})
}
