package tenants

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
)

func newPolicy(h Host) *cobra.Command {
	return cli.Group("policy", "Show and change what a tenant holds of what its sources tell, and for how long",
		newPolicyShow(h), newPolicySet(h), newPolicyHistory(h))
}

func newPolicyShow(h Host) *cobra.Command {
	return cli.New(cli.Command{Use: "show NAME", Short: "Show the policy that holds", Args: cobra.ExactArgs(1),
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			return h.ForTenant(c, c.Args[0], "", nil, func(d *desk.Desk) error {
				return c.Print(answer.PolicyOf(h.Words(), d.Tenant.Policy), nil)
			})
		}})
}

func newPolicySet(h Host) *cobra.Command {
	var asked office.AskedPolicy
	return cli.New(cli.Command{
		Use:   "set NAME [--diagnostics in|out] [--refuse-item ITEM…|none] [--retention CLASS=PERIOD… --ground TEXT]",
		Short: "Give a tenant a new version of its policy, from the next record on", Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			f.Choice(&asked.Diagnostics, "diagnostics", "", "", "optional diagnostics: in or out",
				office.In, office.Out)
			f.StringSliceVar(&asked.Items, "refuse-item", nil,
				"item of `ledgerline schema catalogue` that is not to be held (repeatable), or none")
			f.StringSliceVar(&asked.Retention, "retention", nil,
				"CLASS=PERIOD, as in apps=30d or support=6m (repeatable); CLASS=default takes it back")
			f.StringVar(&asked.Ground, "ground", "", "on which ground the periods of --retention hold")
		},
		Run: func(c *cli.Call) error {
			change, wrong := asked.Change()
			if wrong == nil && strings.TrimSpace(c.Args[0]) == "" {
				return cli.Usage("name the tenant: `ledgerline tenant list` shows them")
			}
			return h.ForTenant(c, c.Args[0], "", cli.Exit(cli.Wrong, wrong), func(d *desk.Desk) error {
				t, err := d.Office.SetPolicy(c.Ctx, d.Who, d.Tenant.ID, change)
				return c.Tell(err, "%s", answer.PolicySet(h.Words(), d.Tenant.Policy, t))
			})
		}})
}

func newPolicyHistory(h Host) *cobra.Command {
	return cli.New(cli.Command{Use: "history NAME", Short: "List the versions of a policy, and since when each holds",
		Args: cobra.ExactArgs(1), Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			return h.ForTenant(c, c.Args[0], "", nil, func(d *desk.Desk) error {
				all, err := d.Office.PolicyHistory(c.Ctx, d.Who, d.Tenant.ID)
				return c.Print(answer.PolicyVersions(h.Words(), all), err)
			})
		}})
}
