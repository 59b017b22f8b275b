package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/feed"
)

func newFleet(a *app) *cobra.Command {
	var fleet feed.Config
	return a.command(command{use: "fleet DIR",
		short: "Write a generated fleet's records, in the formats of the sources, to import or to test with",
		args:  cobra.ExactArgs(1),
		flags: func(f flags) {
			f.IntVar(&fleet.Devices, "devices", 1000, "devices on the first day")
			f.IntVar(&fleet.Days, "days", 30, "days of change")
			f.Uint64Var(&fleet.Seed, "seed", 1, "everything follows from it")
		},
		run: func(c *call) error {
			if fleet.Devices == 0 {
				return usage("--devices is 0: a fleet has at least one")
			}
			if err := fleet.Validate(); err != nil {
				return wrong(err)
			}
			sum, err := fleet.Write(c.ctx, c.out, c.args[0])
			if err != nil {
				return err
			}
			return c.tell("source tenant %s", sum.Tenant)
		}})
}
