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
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

func newImport(a *app) *cobra.Command {
	var tenant, output, observed string
	var workers, batch int
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "import --tenant NAME PATH…",
		Short: "Take source records into the ledger, from files and folders",
		Long: `import reads files and folders of records and recognises each by its content. What is understood:

  Graph          managedDevices, with or without their detectedApps, and auditEvents: pages, single objects, $batch
                 answers and recorded request lists; what PowerShell's SDK writes (Get-Mg… | ConvertTo-Json -Depth 10)
  Azure Monitor  AuditLogs and Devices of Intune: bare, in {"records":[…]}, as JSON lines, in blobs and messages
  Log Analytics  rows of IntuneAuditLogs and IntuneDevices, as objects or as the tables of its API
  around these   one JSON object or text that holds such a record or batch (Event Hubs Capture's Body, filebeat's
                 message, Wazuh's ms-graph)

in UTF-8 or UTF-16. A record that says it is of another kind is counted as unrecognised, by kind; that is no error. A
file none of whose records has a known name (CSV, gzip, a workbook, JSON of something else) is named, with what it looks
like.

Of two tellings of a device the newer decides: by the device's last contact, then by the time of the snapshot. Records
of Azure Monitor tell that time. Those of Graph do not: it is --observed, or else the modification time of their file,
which proves no age, since copying changes it. Files are read in the order of those times.

Importing the same records again, in any order, appends nothing. One record's failure never stops the rest. The
summary accounts for every record once:

  read = recorded + unchanged + superseded + refused + unrecognised + failed

The summary is all that counts it: metrics are of ` + "`ledgerline up`" + `, and this is a process of its own.

What a record tells is kept for good, so look first: --dry-run says what would be recorded, by kind and by the source
tenant that records name, and writes nothing. It compares each batch with the ledger as it stands: a device or action
that is in the files more than once may count as recorded more than once. A record of a source tenant that is not
declared fails (` + "`ledgerline tenant set`" + ` changes what is declared). Graph's records name no tenant: where others of the
import name one that is not declared, they fail too, unless --yes says that they are this tenant's.

Exit codes: 0 all was understood; 1 the import ended early; 2 wrong command line; 3 records failed, or files hold no
record of a known name: each is named, with file, line, record and field, never with content. What is no regular file,
and a folder that cannot be listed, counts as one failed record. An import that ends early (Ctrl-C, a full disk, a
ledger that is gone) prints the summary so far: what it calls recorded is in the ledger, and importing the same again
completes the rest.`,
		Example: `  ledgerline import --tenant Contoso --dry-run ./exports
  ledgerline import --tenant Contoso ./exports
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
			in, err := intake.New(intake.Config{Kinds: kinds.All(schemas.Default()), Ledger: d.ledger, Vault: d.vault, Clock: time.Now, Logger: a.log, Workers: workers, BatchSize: batch, Hook: crashHook(a.log)})
			if err != nil {
				return err
			}
			sum, err := importPaths(cmd.Context(), cmd.ErrOrStderr(), in, d.tenant,
				intake.Source{Paths: args, Observed: at, DryRun: dryRun, TakeNameless: yes})
			return errors.Join(writeSummary(cmd.OutOrStdout(), output, sum, err), importError(sum, err))
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the tenant whose records these are; may be left out where there is only one")
	cmd.Flags().IntVar(&workers, "workers", 0, "appends at a time; default 16")
	cmd.Flags().IntVar(&batch, "batch", 0, "records a transaction of the vault; default 512")
	cmd.Flags().StringVar(&observed, "observed", "", "when snapshots were taken that do not tell it: 2026-09-04T08:00:00Z")
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
	case sum.FailedCount > 0:
		return &exitError{exitPartial, errors.New(failedText(sum))}
	case !sum.OK():
		return &exitError{exitPartial, errors.New(unknownText(sum))}
	}
	return nil
}

// failedText says how many records failed, and what to do about a source tenant that is not declared.
func failedText(sum intake.Summary) string {
	text := fmt.Sprintf("%s of %s records failed", count(sum.FailedCount), count(sum.Read))
	if sum.DryRun {
		text = fmt.Sprintf("%s of %s records would fail", count(sum.FailedCount), count(sum.Read))
	}
	if sum.HeldBack > 0 {
		text += fmt.Sprintf("; %s of them name no source tenant, beside others that name one that is not declared. "+
			"--dry-run names it. Should it be this tenant's too: `ledgerline tenant set`. Should only the records that "+
			"name none be this tenant's: --yes", count(sum.HeldBack))
	}
	if sum.UnknownCount > 0 {
		text += "; " + unknownText(sum)
	}
	return text
}

func unknownText(sum intake.Summary) string {
	return fmt.Sprintf("in %s files no record has a known name", count(sum.UnknownCount))
}

// importPaths imports and shows progress.
func importPaths(
	ctx context.Context, progressTo io.Writer, in *intake.Intake, t vault.Tenant, src intake.Source,
) (intake.Summary, error) {
	p := newProgress(progressTo)
	defer p.done()
	var began time.Time // of taking records
	return in.Import(ctx, t, src, func(s intake.Summary) {
		if s.Looked > 0 {
			p.show("looking whose records they are: %s of %s", bytesText(s.Looked), bytesText(s.BytesTotal))
			return
		}
		if began.IsZero() {
			began = time.Now()
		}
		p.show("%s", importProgress(s, time.Since(began)))
	})
}

// importProgress says how far an import is after it has taken records for so long.
func importProgress(s intake.Summary, took time.Duration) string {
	line := fmt.Sprintf("%s of %s, %s records read, %s events appended", bytesText(s.Bytes), bytesText(s.BytesTotal),
		count(s.Read), count(s.EventsAppended))
	if took <= 0 {
		return line
	}
	line += fmt.Sprintf(", %.0f records/s", float64(s.Read)/took.Seconds())
	if took >= time.Second && s.Bytes > 0 && s.Bytes < s.BytesTotal {
		left := time.Duration(float64(took) / float64(s.Bytes) * float64(s.BytesTotal-s.Bytes))
		line += ", " + left.Round(time.Second).String() + " left"
	}
	return line
}
