package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas/words"
)

type reportOptions struct {
	office.Asked
	tenant, output, file string
	asOfSeq              int64
	noWait               bool
	waitFor              time.Duration
}

func newReport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Answer an officer's question from the views",
	}
	for _, d := range report.Definitions() {
		cmd.AddCommand(newReportOf(a, d))
	}
	return cmd
}

func newReportOf(a *app, d report.Definition) *cobra.Command {
	o := reportOptions{}
	filters := map[string]*string{}
	cmd := &cobra.Command{
		Use:   d.ID,
		Short: d.Title(words.Default().Base()) + ": " + d.About(words.Default().Base()),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := map[string]string{}
			for id, v := range filters {
				if *v != "" || cmd.Flags().Changed(id) {
					given[id] = *v
				}
			}
			return a.report(cmd, d, o, given)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "the tenant; may be left out where there is only one")
	if d.Scope == report.OverPeriod {
		f.StringVar(&o.From, "from", "",
			"first moment of the period: 2026-03-01 or 2026-03-01T09:00; open where left out")
		f.StringVar(&o.To, "to", "", "end of the period, not included; open where left out")
	} else {
		f.StringVar(&o.AsOf, "as-of", "", "the moment; a date alone means the end of that day; now where left out")
	}
	f.Int64Var(&o.asOfSeq, "as-of-seq", -1, "compute at this ledger sequence; as far as the views are where left out")
	choiceFlag(cmd, &o.Lang, "lang", "", "", strings.Join(words.Languages(), " or ")+"; the tenant's where left out",
		words.Languages()...)
	f.StringVar(&o.Zone, "time-zone", "", "IANA time zone; the tenant's where left out")
	if d.Personal {
		f.StringVar(&o.Purpose, "purpose", "", "why protected values are to be seen; recorded in the ledger")
		f.BoolVar(&o.Masked, "masked", false, "unseal nothing: protected values are shown as "+document.Bullets)
	}
	f.IntVar(&o.Sample, "sample", 0, "draw so many rows at random, for an auditor")
	f.Uint64Var(&o.Seed, "seed", 0, "with --sample: the same seed draws the same rows")
	choiceFlag(cmd, &o.output, "output", "o", "table",
		render.Help(), render.Names()...)
	f.StringVar(&o.file, "file", "", "write to this file, 0600, instead of standard output")
	f.BoolVar(&o.noWait, "no-wait", false,
		"report on what the views hold, without waiting for them to reach the ledger's end")
	f.DurationVar(&o.waitFor, "wait", time.Minute, "how long to wait for the views at most")
	for _, flt := range d.Filters {
		v := new(string)
		filters[flt.ID] = v
		f.StringVar(v, flt.ID, "", flt.Help(words.Default().Base()))
		if flt.Required {
			if err := cmd.MarkFlagRequired(flt.ID); err != nil {
				panic(err) // the flag was declared the line before
			}
		}
	}
	return cmd
}

// report answers. Everything that can be refused is refused before the access is recorded: the
// arguments, what they name, the file that the answer goes to.
func (a *app) report(cmd *cobra.Command, d report.Definition, o reportOptions, filters map[string]string) (err error) {
	ctx := cmd.Context()
	if err := o.check(cmd, d, filters); err != nil {
		return err
	}
	desk, err := a.openDesk(cmd, o.tenant)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.Close()) }()
	o.Filters = filters
	if o.asOfSeq >= 0 {
		seq := uint64(o.asOfSeq)
		o.Seq = &seq
	}
	req, err := o.Request(d, desk.tenant)
	if err != nil {
		return err
	}
	for _, id := range []string{"device", "actor"} {
		if filters[id] != "" {
			if filters[id], err = readSecret(id, filters[id], cmd.InOrStdin()); err != nil {
				return err
			}
		}
	}
	p := terminal.NewProgress(cmd.ErrOrStderr())
	wait := office.Patience{Longest: o.waitFor, Waiting: answer.WaitingForViews(p)}
	if o.noWait {
		wait.Longest = 0
	}
	q, err := desk.office.Ask(ctx, desk.who, desk.tenant.ID, req, wait)
	p.Done()
	if err != nil {
		return err
	}
	if o.file == "" {
		return o.answer(ctx, q, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	to, err := newTarget("file", o.file)
	if err != nil {
		return err
	}
	return to.Finish(o.answer(ctx, q, to.File, cmd.ErrOrStderr()))
}

// answer writes the report.
func (o reportOptions) answer(ctx context.Context, q *office.Question, out, warn io.Writer) error {
	r, err := q.Answer(ctx)
	if err != nil {
		return err
	}
	if err := o.write(out, r); err != nil {
		return err
	}
	if t, _ := r.Totals(); t.NotGenuine > 0 {
		fmt.Fprintf(warn, "warning: %s values are not genuine: %s\n", terminal.Count(t.NotGenuine), refusal.FindsOut)
	}
	return nil
}

// check refuses what is wrong whatever the tenant.
func (o reportOptions) check(cmd *cobra.Command, d report.Definition, filters map[string]string) error {
	fromInput := 0
	for _, v := range filters {
		if v == "-" {
			fromInput++
		}
	}
	switch {
	case fromInput > 1:
		return usage("one filter at most can be read from standard input")
	case d.Personal && !o.Masked && strings.TrimSpace(o.Purpose) == "":
		return &report.Problem{Field: report.FieldPurpose, Code: report.Missing}
	case d.Personal && o.Masked && o.Purpose != "":
		return usage("--purpose and --masked do not go together: masked, nothing is unsealed and no purpose " +
			"is recorded")
	case o.Sample > 0 && !cmd.Flags().Changed("seed"):
		return usage("--sample needs --seed, so that an auditor can draw the same rows again")
	case o.waitFor <= 0:
		return usage("--wait %s is not longer than nothing: --no-wait does not wait", o.waitFor)
	case cmd.Flags().Changed("as-of-seq") && o.asOfSeq < 0:
		return usage("--as-of-seq %d is no ledger sequence: they count from 0", o.asOfSeq)
	}
	for id := range filters {
		if v, err := cmd.Flags().GetString(id); err == nil && strings.TrimSpace(v) == "" {
			return &report.Problem{Field: id, Filter: true, Code: report.Empty}
		}
	}
	if o.file == "" {
		return nil
	}
	if _, err := os.Lstat(o.file); err == nil {
		return usage("--file: %s exists: move it away, or name another", o.file)
	}
	if info, err := os.Stat(filepath.Dir(o.file)); err != nil {
		return usage("--file: %w", err)
	} else if !info.IsDir() {
		return usage("--file: %s is no folder", filepath.Dir(o.file))
	}
	return nil
}

func (o reportOptions) write(out io.Writer, r *report.Report) (err error) {
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	return render.Write(o.output, w, r.Document(), terminal.Width(out))
}

// readSecret returns value, or for "-" the first line of standard input, so
// that shells keep no names.
func readSecret(flag, value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	if f, ok := in.(*os.File); ok && terminal.Is(f) {
		fmt.Fprintf(os.Stderr, "%s: ", flag)
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("--%s -: %w", flag, err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usage("--%s -: standard input holds no name", flag)
	}
	return line, nil
}
