package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/schemas"
)

// viewsPoll is how often a command looks whether the views have arrived.
const viewsPoll = 50 * time.Millisecond

type reportOptions struct {
	tenant, from, to, asOf, lang, zone, purpose, output, file string
	asOfSeq                                                   int64
	sample                                                    int
	seed                                                      uint64
	masked, noWait                                            bool
	waitFor                                                   time.Duration
}

func newReport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Answer an officer's question from the views",
		Long: `report answers one question, with a header that says of which tenant, period and ledger sequence the answer is, who
asked, and why. Protected values are unsealed for the purpose you give: that is an act, and is in the ledger before
the first value is shown. With --masked nothing is unsealed and no purpose is needed.`,
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
		Short: d.Title.EN + ": " + d.About.EN,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := map[string]string{}
			for id, v := range filters {
				if *v != "" {
					given[id] = *v
				}
			}
			return a.report(cmd, d, o, given)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "the tenant; may be left out where there is only one")
	if d.Scope == report.OverPeriod {
		f.StringVar(&o.from, "from", "", "first moment of the period: 2026-03-01 or 2026-03-01T09:00; open where left out")
		f.StringVar(&o.to, "to", "", "end of the period, not included; open where left out")
	} else {
		f.StringVar(&o.asOf, "as-of", "", "the moment; a date alone means the end of that day; now where left out")
	}
	f.Int64Var(&o.asOfSeq, "as-of-seq", -1, "compute at this ledger sequence; as far as the views are where left out")
	f.StringVar(&o.lang, "lang", "", "en or nl; the tenant's where left out")
	f.StringVar(&o.zone, "time-zone", "", "IANA time zone; the tenant's where left out")
	if d.Personal {
		f.StringVar(&o.purpose, "purpose", "", "why protected values are to be seen; recorded in the ledger")
		f.BoolVar(&o.masked, "masked", false, "unseal nothing: protected values are shown as "+report.Bullets)
	}
	f.IntVar(&o.sample, "sample", 0, "draw so many rows at random, for an auditor")
	f.Uint64Var(&o.seed, "seed", 0, "with --sample: the same seed draws the same rows")
	f.StringVarP(&o.output, "output", "o", "table", "table, csv (exact, for machines), csv-people (for a spreadsheet of the language) or json")
	f.StringVar(&o.file, "file", "", "write to this file, 0600, instead of standard output")
	f.BoolVar(&o.noWait, "no-wait", false, "report on what the views hold, without waiting for them to reach the ledger's end")
	f.DurationVar(&o.waitFor, "wait", time.Minute, "how long to wait for the views at most")
	for _, flt := range d.Filters {
		v := new(string)
		filters[flt.ID] = v
		f.StringVar(v, flt.ID, "", flt.Help.EN)
		if flt.Required {
			if err := cmd.MarkFlagRequired(flt.ID); err != nil {
				panic(err) // the flag was declared the line before
			}
		}
	}
	return cmd
}

func (a *app) report(cmd *cobra.Command, d report.Definition, o reportOptions, filters map[string]string) (err error) {
	ctx := cmd.Context()
	desk, err := a.openDesk(ctx, o.tenant)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.close()) }()
	v, t, l := desk.vault, desk.tenant, desk.ledger
	req, err := o.request(d, t, filters)
	if err != nil {
		return err
	}
	req.By = desk.who.Login
	if device := filters["device"]; device != "" {
		if filters["device"], err = resolveDevice(ctx, v, t, device, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	if actor := filters["actor"]; actor != "" {
		if filters["actor"], err = resolveActor(ctx, v, t, actor, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	if err := req.Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	views, err := a.openViews(ctx, desk.services)
	if err != nil {
		return err
	}
	if !o.noWait {
		wait, cancel := context.WithTimeout(ctx, o.waitFor)
		defer cancel()
		if _, err := waitForViews(wait, l, views, newProgress(cmd.ErrOrStderr())); err != nil {
			return err
		}
	}
	if req.AsOfSeq == nil { // fixed now, so that the access recorded and the header name the same sequence
		if seq, ok, err := views.Through(ctx); err != nil {
			return err
		} else if ok {
			req.AsOfSeq = &seq
		}
	}
	var opener projections.Opener // none: protected values stay masked
	if req.Reveal {
		purpose := custody.Purpose{Tenant: t.ID, Report: d.ID, Text: o.purpose, Filters: map[string]any{}}
		for k, f := range filters {
			purpose.Filters[k] = f
		}
		if req.AsOfSeq != nil {
			purpose.Seq = *req.AsOfSeq
		}
		session, err := desk.custody.Access(ctx, desk.who, purpose)
		if err != nil {
			return err
		}
		opener = sessionOpener{session}
	}
	r, err := report.Run(ctx, views, opener, req)
	if err != nil {
		return err
	}
	return o.write(cmd.OutOrStdout(), r)
}

// request turns flags into what the report is asked; errors name the flag.
func (o reportOptions) request(d report.Definition, t vault.Tenant, filters map[string]string) (report.Request, error) {
	req := report.Request{Report: d.ID, Tenant: t.ID, TenantName: t.Name, Lang: o.lang, Filters: filters, Purpose: o.purpose, Sample: o.sample, Seed: o.seed,
		Reveal: d.Personal && !o.masked}
	if req.Lang == "" {
		req.Lang = t.Language
	}
	zone := o.zone
	if zone == "" {
		zone = t.TimeZone
	}
	var err error
	if req.Location, err = time.LoadLocation(zone); err != nil {
		return req, usage("--time-zone %q is not an IANA name such as Europe/Amsterdam", zone)
	}
	if d.Personal && !o.masked && strings.TrimSpace(o.purpose) == "" {
		return req, usage("--purpose is required to see protected values; it is recorded in the ledger (or use --masked)")
	}
	for _, at := range []struct {
		flag, given string
		to          *time.Time
	}{{"from", o.from, &req.From}, {"to", o.to, &req.To}, {"as-of", o.asOf, &req.AsOf}} {
		if at.given == "" {
			continue
		}
		if *at.to, err = report.ParseTime(at.flag, at.given, req.Location); err != nil {
			return req, &exitError{exitUsage, err}
		}
	}
	if _, err := time.Parse(time.DateOnly, o.asOf); err == nil { // a date alone: its last moment
		req.AsOf = req.AsOf.AddDate(0, 0, 1).Add(-time.Millisecond)
	}
	if o.sample > 0 && o.seed == 0 {
		return req, usage("--sample needs --seed, so that an auditor can draw the same rows again")
	}
	if o.asOfSeq >= 0 {
		seq := uint64(o.asOfSeq)
		req.AsOfSeq = &seq
	}
	return req, nil
}

func (o reportOptions) write(stdout io.Writer, r *report.Report) (err error) {
	out := stdout
	if o.file != "" {
		f, openErr := os.OpenFile(o.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if openErr != nil {
			return fmt.Errorf("--file: %w", openErr)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	switch o.output {
	case "table":
		return r.WriteTable(w, terminalWidth(out))
	case "csv":
		return r.WriteCSV(w, report.Machine)
	case "csv-people":
		return r.WriteCSV(w, report.People)
	case "json":
		return r.WriteJSON(w)
	}
	return usage("--output %q is not table, csv, csv-people or json", o.output)
}

// readSecret returns value, or for "-" the first line of standard input, so that shells keep no names.
func readSecret(flag, value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	if f, ok := in.(*os.File); ok && isTerminal(f) {
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

// resolveDevice turns what a person calls a device into the ledger's own id: a stream or its uuid as a report printed it, or
// the device's id at the source.
func resolveDevice(ctx context.Context, v *vault.Vault, t vault.Tenant, given string, in io.Reader) (string, error) {
	given, err := readSecret("device", given, in)
	if err != nil {
		return "", err
	}
	if s := schemas.Stream(given); s.Kind() == "device" {
		return given, nil
	}
	var found vault.Device
	err = v.View(ctx, t.ID, func(tx *vault.Tx) error {
		for _, h := range []vault.DeviceHint{{IntuneID: given}, {DirectoryID: given}} {
			d, ok, err := tx.FindDevice(h)
			if err != nil {
				return err
			}
			if ok {
				found = d
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if found.Stream != "" {
		return string(found.Stream), nil
	}
	if id, err := uuid.Parse(given); err == nil {
		return string(schemas.NewStream("device", id)), nil
	}
	return "", usage("--device names no device: give its Intune or directory id, or its stream as a report prints it")
}

// resolveActor turns what a person is called into the aliases under which they acted; aliases as a report or the stream shows them are taken
// as they are.
func resolveActor(ctx context.Context, v *vault.Vault, t vault.Tenant, given string, in io.Reader) (string, error) {
	given, err := readSecret("actor", given, in)
	if err != nil {
		return "", err
	}
	var aliases []string
	err = v.View(ctx, t.ID, func(tx *vault.Tx) error {
		persons, err := tx.FindPersons(given)
		if err != nil {
			return err
		}
		for _, p := range persons {
			found, err := tx.Aliases(p.ID, "audit-actor")
			if err != nil {
				return err
			}
			for _, a := range found {
				if !slices.Contains(aliases, a.ID.String()) {
					aliases = append(aliases, a.ID.String())
				}
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(aliases) > 0 {
		return strings.Join(aliases, ","), nil
	}
	if first, _, _ := strings.Cut(given, ","); uuid.Validate(first) == nil {
		return given, nil
	}
	return "", usage("--actor names nobody who acted: give a UPN, an e-mail address or a directory object id (- reads it from standard input)")
}
