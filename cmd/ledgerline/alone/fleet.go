package alone

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/feed"
)

// Fleet returns the command that writes a generated fleet.
func Fleet() *cobra.Command {
	var fleet feed.Config
	return cli.New(cli.Command{Use: "fleet DIR",
		Short: "Write a generated fleet's records, in the formats of the sources, to import or to test with",
		Args:  cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			f.IntVar(&fleet.Devices, "devices", 1000, "devices on the first day")
			f.IntVar(&fleet.Days, "days", 30, "days of change")
			f.Uint64Var(&fleet.Seed, "seed", 1, "everything follows from it")
		},
		Run: func(c *cli.Call) error {
			if fleet.Devices == 0 {
				return cli.Usage("--devices is 0: a fleet has at least one")
			}
			if err := fleet.Validate(); err != nil {
				return cli.Exit(cli.Wrong, err)
			}
			sum, err := fleet.Write(c.Ctx, c.Out, c.Args[0])
			return c.Tell(err, "source tenant %s", sum.Tenant)
		}})
}
