package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/schemas"
)

func newImport(a *app) *cobra.Command {
	var tenant, output, observed string
	var workers, batch int
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "import --tenant NAME PATH…",
		Short: "Take source records into the ledger, from files and folders",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name at least one file or folder to import")
			}
			for _, p := range args {
				if _, err := os.Stat(p); err != nil {
					return usage("cannot import: %v", err)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if workers < 0 || batch < 0 {
				return usage("--workers and --batch count from 1; 0 is the default")
			}
			at, err := observedAt(observed, a.now())
			if err != nil {
				return err
			}
			d, err := a.openDesk(cmd, tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			p := terminal.NewProgress(cmd.ErrOrStderr())
			sum, err := d.office.Import(cmd.Context(), d.who, d.tenant.ID,
				intake.Source{Paths: args, Observed: at, DryRun: dryRun, TakeNameless: yes},
				office.Pace{Workers: workers, Batch: batch}, answer.ImportShown(p))
			p.Done()
			if denied := new(access.Denied); errors.As(err, &denied) {
				return err
			}
			return errors.Join(writeSummary(cmd.OutOrStdout(), output, sum, err), importError(sum, err))
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "",
		"the tenant whose records these are; may be left out where there is only one")
	cmd.Flags().IntVar(&workers, "workers", 0, "appends at a time; default 16")
	cmd.Flags().IntVar(&batch, "batch", 0, "records a transaction of the vault; default 512")
	cmd.Flags().StringVar(&observed, "observed", "",
		"when snapshots were taken that do not tell it: 2026-09-04T08:00:00Z")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be recorded, and write nothing")
	cmd.Flags().BoolVar(&yes, "yes", false,
		"take records that name no source tenant, though others of the import name one that is not declared")
	outputFlag(cmd, &output)
	return cmd
}

// observedAt reads the time of snapshots that tell none, zero where it is not named.
func observedAt(named string, now time.Time) (time.Time, error) {
	if named == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, named)
	switch {
	case err != nil:
		return at, usage("--observed wants a time with its zone: 2026-09-04T08:00:00Z or 2026-09-04T10:00:00+02:00")
	case schemas.KnownTime(at).IsZero():
		return at, usage("--observed %s is of a year that means unknown", named)
	case at.After(now):
		return at, usage("--observed %s is in the future: nothing was observed then", named)
	}
	return at, nil
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

// writeSummary tells of every import, ended early or not.
func writeSummary(out io.Writer, output string, sum intake.Summary, ended error) error {
	doc := answer.Import{Summary: sum, Complete: ended == nil}
	var failed error
	err := writeOutput(out, output, doc, func(w io.Writer) { failed = doc.WriteText(w) })
	return errors.Join(err, failed)
}
