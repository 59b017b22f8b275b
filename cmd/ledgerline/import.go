package main

import (
	"cmp"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

func newImport(a *app) *cobra.Command {
	var asked office.AskedImport
	var tenant string
	return cli.New(cli.Command{Use: "import --tenant NAME PATH…",
		Short: "Take source records into the ledger, from files and folders",
		Args:  cobra.ArbitraryArgs,
		Flags: func(f cli.Flags) {
			f.StringVar(&tenant, "tenant", "",
				"the tenant whose records these are; may be left out where there is only one")
			f.IntVar(&asked.Pace.Workers, "workers", 0, "appends at a time; default 512")
			f.IntVar(&asked.Pace.Batch, "batch", 0, "records a transaction of the vault; default 512")
			f.StringVar(&asked.Observed, "observed", "",
				"when snapshots were taken that do not tell it: 2026-09-04T08:00:00Z")
			f.BoolVar(&asked.DryRun, "dry-run", false, "say what would be recorded, and write nothing")
			f.BoolVar(&asked.TakeNameless, "yes", false,
				"take records that name no source tenant, though others of the import name one that is not declared")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			asked.Paths = c.Args
			src, wrong := asked.Source(a.places.Now())
			wrong = cmp.Or(office.CheckPaths(c.Args), wrong)
			return a.forTenant(c, tenant, "", wrong, func(d *desk.Desk) error {
				p := c.Progress()
				sum, err := d.Office.Import(c.Ctx, d.Who, d.Tenant.ID, src, asked.Pace, answer.ImportShown(p, a.in()))
				p.Done()
				if denied := new(access.Denied); errors.As(err, &denied) {
					return err
				}
				return a.summary(c, sum, err)
			})
		}})
}

// summary tells of every import, ended early or not.
func (a *app) summary(c *cli.Call, sum intake.Summary, ended error) (failed error) {
	doc := answer.Import{Summary: sum, Complete: ended == nil}
	err := c.Write(doc, func(w io.Writer) { failed = doc.WriteText(w, a.in()) })
	problem, partial := doc.Problem(a.in(), ended)
	if partial {
		problem = cli.Exit(cli.Partial, problem)
	}
	return errors.Join(err, failed, problem)
}
