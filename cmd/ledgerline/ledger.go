package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
)

func newLedger(a *app) *cobra.Command {
	return cli.Group("ledger", "Find events that are not the ledger's own, and disown them",
		newLedgerCheck(a), newLedgerDisown(a))
}

func newLedgerCheck(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "check", Short: "Read the whole event store and name what is not the ledger's own",
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Acts, func(d *desk.Desk) error {
				p, doc := c.Progress(), answer.NewLedgerCheck()
				err := d.Office.CheckLedger(c.Ctx, d.Who, doc.Adding(p))
				p.Done()
				if err := c.Print(doc, err); err != nil {
					return err
				}
				return doc.Problem()
			})
		}})
}

func newLedgerDisown(a *app) *cobra.Command {
	var tenant, ground string
	var yes bool
	return cli.New(cli.Command{Use: "disown EVENT…",
		Short: "Take events that are not the ledger's own out of views, reports and packages",
		Args:  cobra.ArbitraryArgs, // custody says that one is missing
		Flags: func(f cli.Flags) {
			f.StringVar(&tenant, "tenant", "",
				"disown as this tenant; without it, as the operator of the whole ledger")
			f.StringVar(&ground, "ground", "", "how they came there: "+strings.Join(custody.DisownGrounds, ", "))
			f.BoolVar(&yes, "yes", false, "yes, disown them")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			ids, err := office.ParseEvents(c.Args)
			if err != nil {
				return err
			}
			if err := custody.CheckDisown(ids, ground); err != nil {
				return err
			}
			if !yes {
				return cli.Usage("disowning cannot be undone: add --yes to disown %s events", terminal.Count(len(ids)))
			}
			return a.at(c, desk.Config.Acts, func(d *desk.Desk) error {
				if tenant != "" {
					if err := d.Choose(c.Ctx, tenant); err != nil {
						return err
					}
				}
				p := c.Progress()
				done, err := d.Office.Disown(c.Ctx, d.Who, d.Tenant.ID, ids, ground, func(read uint64) {
					p.Show("reading the ledger: %s events", terminal.Count(read))
				})
				p.Done()
				return c.Print(answer.NewDisowned(done), err)
			})
		}})
}
