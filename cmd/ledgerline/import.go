package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

func newImport(a *app) *cobra.Command {
	var tenant, output, observed string
	var workers, batch int
	cmd := &cobra.Command{
		Use:   "import --tenant NAME PATH…",
		Short: "Take source records into the ledger, from files and folders",
		Long: `import reads files and folders of records as Microsoft Graph, Azure Monitor and Event Hubs write them and
recognises each by its content: Graph responses (pages, single objects, recorded request lists) of managedDevices,
with or without their detectedApps, and of auditEvents; Azure Monitor records of AuditLogs and Devices, bare, in
{"records":[…]} and as JSON lines. Anything else is counted as unrecognised, by kind; it is no error.

Of two tellings of a device the newer decides: by the device's last contact, then by the time of the snapshot. Records
of Azure Monitor tell that time. Those of Graph do not: it is --observed, or else the modification time of their file,
which proves no age, since copying changes it. Files are read in the order of those times.

Importing the same records again, in any order, appends nothing. One record's failure never stops the rest. The
summary accounts for every record once:

  read = recorded + unchanged + superseded + refused + unrecognised + failed

The summary is all that counts it: metrics are of ` + "`ledgerline up`" + `, and this is a process of its own.

The exit code is 3 where records failed; each is named with file, line, record and field, never with content. What is no
regular file, and a folder that cannot be listed, counts as one failed record. An import that ends early (Ctrl-C, a full
disk, a ledger that is gone) prints the summary so far and exits with 1: what it calls recorded is in the ledger, and
importing the same again completes the rest.`,
		Example: `  ledgerline import --tenant Contoso ./exports
  ledgerline import --tenant Contoso --output json page-1.json audit.ndjson
  ledgerline import --tenant Contoso --observed 2026-09-04T08:00:00Z devices.json`,
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
			d, err := a.openDesk(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			in, err := intake.New(intake.Config{Ledger: d.ledger, Vault: d.vault, Clock: time.Now, Logger: a.log, Workers: workers, BatchSize: batch, Hook: crashHook(a.log)})
			if err != nil {
				return err
			}
			sum, err := importPaths(cmd.Context(), cmd.ErrOrStderr(), in, d.tenant,
				intake.Source{Paths: args, Observed: at})
			return errors.Join(writeSummary(cmd.OutOrStdout(), output, sum, err), importError(sum, err))
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant whose records these are; may be left out where there is only one")
	cmd.Flags().IntVar(&workers, "workers", 0, "appends at a time; default 16")
	cmd.Flags().IntVar(&batch, "batch", 0, "records a transaction of the vault; default 512")
	cmd.Flags().StringVar(&observed, "observed", "", "when snapshots were taken that do not tell it: 2026-09-04T08:00:00Z")
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

// importDoc is a summary, and whether it is of everything that was named.
type importDoc struct {
	intake.Summary
	Complete bool `json:"complete"` // false: the import ended early, and this is how far it came
}

// writeSummary tells of every import, ended early or not.
func writeSummary(out io.Writer, output string, sum intake.Summary, ended error) error {
	var failed error
	err := writeOutput(out, output, importDoc{sum, ended == nil}, func(w io.Writer) {
		if ended != nil {
			_, failed = fmt.Fprintln(w, "The import ended early. So far:")
		}
		failed = errors.Join(failed, sum.WriteText(w))
	})
	return errors.Join(err, failed)
}

// importError is what the command ends with.
func importError(sum intake.Summary, ended error) error {
	switch {
	case errors.Is(ended, context.Canceled):
		return errors.New("the import was stopped: importing the same again completes the rest")
	case ended != nil:
		return ended
	case !sum.OK():
		return &exitError{exitPartial, fmt.Errorf("%s of %s records failed", count(sum.FailedCount), count(sum.Read))}
	}
	return nil
}

// importPaths imports and shows progress.
func importPaths(ctx context.Context, progressTo io.Writer, in *intake.Intake, t vault.Tenant, src intake.Source) (intake.Summary, error) {
	p := newProgress(progressTo)
	defer p.done()
	start := time.Now()
	return in.Import(ctx, t, src, func(s intake.Summary) {
		p.show("%s records read, %s events appended, %.0f records/s", count(s.Read), count(s.EventsAppended), float64(s.Read)/time.Since(start).Seconds())
	})
}
