package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/intake"
)

func newImport(a *app) *cobra.Command {
	var asked office.AskedImport
	return a.command(command{use: "import --tenant NAME PATH…",
		short: "Take source records into the ledger, from files and folders", args: existingPaths,
		flags: func(f flags) {
			f.StringVar(&f.c.tenant, "tenant", "",
				"the tenant whose records these are; may be left out where there is only one")
			f.IntVar(&asked.Pace.Workers, "workers", 0, "appends at a time; default 16")
			f.IntVar(&asked.Pace.Batch, "batch", 0, "records a transaction of the vault; default 512")
			f.StringVar(&asked.Observed, "observed", "",
				"when snapshots were taken that do not tell it: 2026-09-04T08:00:00Z")
			f.BoolVar(&asked.DryRun, "dry-run", false, "say what would be recorded, and write nothing")
			f.BoolVar(&asked.TakeNameless, "yes", false,
				"take records that name no source tenant, though others of the import name one that is not declared")
			f.output()
		},
		run: func(c *call) error {
			asked.Paths = c.args
			src, err := asked.Source(c.places.Now())
			if err != nil {
				return err
			}
			return c.forTenant(func(d *desk.Desk) error {
				p := c.progress()
				sum, err := d.Office.Import(c.ctx, d.Who, d.Tenant.ID, src, asked.Pace, answer.ImportShown(p))
				p.Done()
				if denied := new(access.Denied); errors.As(err, &denied) {
					return err
				}
				return errors.Join(c.summary(sum, err), importError(sum, err))
			})
		}})
}

func existingPaths(_ *cobra.Command, paths []string) error {
	if len(paths) == 0 {
		return usage("name at least one file or folder to import")
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return usage("cannot import: %v", err)
		}
	}
	return nil
}

// summary tells of every import, ended early or not.
func (c *call) summary(sum intake.Summary, ended error) (failed error) {
	doc := answer.Import{Summary: sum, Complete: ended == nil}
	err := c.write(doc, func(w io.Writer) { failed = doc.WriteText(w) })
	return errors.Join(err, failed)
}

// importError is what the command ends with.
func importError(sum intake.Summary, ended error) error {
	switch {
	case errors.Is(ended, context.Canceled):
		return errors.New("the import was stopped: importing the same again completes the rest")
	case ended != nil:
		return ended
	case sum.FailedCount > 0:
		return &exitError{exitPartial, errors.New(answer.ImportFailed(sum))}
	case !sum.OK():
		return &exitError{exitPartial, errors.New(answer.ImportUnknown(sum))}
	}
	return nil
}
