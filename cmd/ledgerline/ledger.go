package main

import (
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas"
)

func newLedger(a *app) *cobra.Command {
	return group("ledger", "Find events that are not the ledger's own, and disown them",
		newLedgerCheck(a), newLedgerDisown(a))
}

func newLedgerCheck(a *app) *cobra.Command {
	return a.command(command{use: "check", short: "Read the whole event store and name what is not the ledger's own",
		flags: flags.output,
		run: func(c *call) error {
			return c.at(desk.Config.Acts, func(d *desk.Desk) error {
				p, doc := c.progress(), answer.NewLedgerCheck()
				err := d.Office.CheckLedger(c.ctx, d.Who, doc.Adding(p))
				p.Done()
				if err := c.print(doc, err); err != nil {
					return err
				}
				return doc.Problem()
			})
		}})
}

func newLedgerDisown(a *app) *cobra.Command {
	var ground string
	var yes bool
	return a.command(command{use: "disown EVENT…",
		short: "Take events that are not the ledger's own out of views, reports and packages",
		args:  cobra.ArbitraryArgs, // custody says that one is missing
		flags: func(f flags) {
			f.StringVar(&f.c.tenant, "tenant", "",
				"disown as this tenant; without it, as the operator of the whole ledger")
			f.StringVar(&ground, "ground", "", "how they came there: "+strings.Join(custody.DisownGrounds, ", "))
			f.BoolVar(&yes, "yes", false, "yes, disown them")
			f.output()
		},
		run: func(c *call) error {
			ids, err := parseEventIDs(c.args)
			if err != nil {
				return err
			}
			if err := custody.CheckDisown(ids, ground); err != nil {
				return err
			}
			if !yes {
				return usage("disowning cannot be undone: add --yes to disown %s events", terminal.Count(len(ids)))
			}
			return c.at(desk.Config.Acts, func(d *desk.Desk) error {
				if c.tenant != "" {
					if err := d.Choose(c.ctx, c.tenant); err != nil {
						return err
					}
				}
				p := c.progress()
				done, err := d.Office.Disown(c.ctx, d.Who, d.Tenant.ID, ids, ground, func(read uint64) {
					p.Show("reading the ledger: %s events", terminal.Count(read))
				})
				p.Done()
				return c.print(answer.NewDisowned(done), err)
			})
		}})
}

func parseEventIDs(args []string) (ids []uuid.UUID, err error) {
	for _, arg := range args {
		id, err := schemas.ParseUUID(arg)
		if err != nil {
			return nil, usage("event %q is not a uuid, as `ledgerline ledger check` prints it", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
