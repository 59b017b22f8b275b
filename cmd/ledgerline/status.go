package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/node"
)

func newStatus(a *app) *cobra.Command {
	return a.command(command{use: "status", short: "Say where each part stands: sequence, relay, views, lag",
		flags: flags.output,
		run: func(c *call) error {
			doc, err := node.AskStatus(c.ctx, c.node(nil))
			if err := c.print(doc, err); err != nil {
				return err
			}
			if n := len(doc.Problems); n > 0 {
				return fmt.Errorf("%d problems stand", n)
			}
			return nil
		}})
}
