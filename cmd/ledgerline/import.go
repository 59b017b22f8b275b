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
)

func newImport(a *app) *cobra.Command {
	var tenant, output string
	var workers, batch int
	cmd := &cobra.Command{
		Use:   "import --tenant NAME PATH…",
		Short: "Take source records into the ledger, from files and folders",
		Long: `import reads files and folders of records as Microsoft Graph, Azure Monitor and Event Hubs write them and
recognises each by its content: Graph responses (pages, single objects, recorded request lists) of managedDevices,
with or without their detectedApps, and of auditEvents; Azure Monitor records of AuditLogs and Devices, bare, in
{"records":[…]} and as JSON lines. Anything else is counted as unrecognised, by kind; it is no error.

Importing the same records again, in any order, appends nothing. One record's failure never stops the rest. The
summary accounts for every record once:

  read = recorded + unchanged + superseded + refused + unrecognised + failed

The summary is all that counts it: metrics are of ` + "`ledgerline up`" + `, and this is a process of its own.

The exit code is 3 where records failed; each is named with file, line, record and field, never with content.`,
		Example: `  ledgerline import --tenant Contoso ./exports
  ledgerline import --tenant Contoso --output json page-1.json audit.ndjson`,
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
			d, err := a.openDesk(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			in, err := intake.New(intake.Config{Ledger: d.ledger, Vault: d.vault, Clock: time.Now, Logger: a.log, Workers: workers, BatchSize: batch, Hook: crashHook(a.log)})
			if err != nil {
				return err
			}
			sum, err := importPaths(cmd.Context(), cmd.ErrOrStderr(), in, d.tenant, args)
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, sum, func(w io.Writer) { err = sum.WriteText(w) }); err != nil {
				return err
			}
			if !sum.OK() {
				return &exitError{exitPartial, fmt.Errorf("%s of %s records failed", count(sum.FailedCount), count(sum.Read))}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant whose records these are; may be left out where there is only one")
	cmd.Flags().IntVar(&workers, "workers", 0, "appends at a time; default 16")
	cmd.Flags().IntVar(&batch, "batch", 0, "records a transaction of the vault; default 512")
	outputFlag(cmd, &output)
	return cmd
}

// importPaths imports and shows progress.
func importPaths(ctx context.Context, progressTo io.Writer, in *intake.Intake, t vault.Tenant, paths []string) (intake.Summary, error) {
	p := newProgress(progressTo)
	defer p.done()
	start := time.Now()
	return in.Import(ctx, t, intake.Source{Paths: paths}, func(s intake.Summary) {
		p.show("%s records read, %s events appended, %.0f records/s", count(s.Read), count(s.EventsAppended), float64(s.Read)/time.Since(start).Seconds())
	})
}
