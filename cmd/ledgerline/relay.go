package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/restore"
)

func newRelay(a *app) *cobra.Command {
	return group("relay", "Fill topics again that the broker has lost", newRefill(a))
}

func newRefill(a *app) *cobra.Command {
	everything := false
	return a.command(command{use: "refill [TOPIC…]",
		short: "Recreate topics that lost something and fill them from the ledger", args: cobra.ArbitraryArgs,
		flags: func(f flags) {
			f.BoolVar(&everything, "everything", false,
				"empty all topics, whatever they hold; the next up fills them")
		},
		run: func(c *call) error {
			done, err := restore.Topics(c.ctx, c.node(c.out), everything, c.args)
			return c.print(done, err)
		}})
}
