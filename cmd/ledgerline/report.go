package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
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
		Long: `report answers one question, with a header that says of which tenant, period and ledger sequence the
answer is, who asked, and why. Protected values are unsealed for the purpose you give: that is an act, and is in the
ledger before the first value is shown. With --masked nothing is unsealed and no purpose is needed.`,
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
		f.StringVar(&o.from, "from", "",
			"first moment of the period: 2026-03-01 or 2026-03-01T09:00; open where left out")
		f.StringVar(&o.to, "to", "", "end of the period, not included; open where left out")
	} else {
		f.StringVar(&o.asOf, "as-of", "", "the moment; a date alone means the end of that day; now where left out")
	}
	f.Int64Var(&o.asOfSeq, "as-of-seq", -1, "compute at this ledger sequence; as far as the views are where left out")
	choiceFlag(cmd, &o.lang, "lang", "", "", strings.Join(words.Languages(), " or ")+"; the tenant's where left out",
		words.Languages()...)
	f.StringVar(&o.zone, "time-zone", "", "IANA time zone; the tenant's where left out")
	if d.Personal {
		f.StringVar(&o.purpose, "purpose", "", "why protected values are to be seen; recorded in the ledger")
		f.BoolVar(&o.masked, "masked", false, "unseal nothing: protected values are shown as "+document.Bullets)
	}
	f.IntVar(&o.sample, "sample", 0, "draw so many rows at random, for an auditor")
	f.Uint64Var(&o.seed, "seed", 0, "with --sample: the same seed draws the same rows")
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
	desk, err := a.openDesk(ctx, o.tenant)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.close()) }()
	req, err := o.request(d, desk.tenant, filters)
	if err != nil {
		return err
	}
	req.By = desk.who.Login
	if device := filters["device"]; device != "" {
		if filters["device"], err = desk.resolveDevice(ctx, device, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	if actor := filters["actor"]; actor != "" {
		if filters["actor"], err = desk.resolveActor(ctx, actor, cmd.InOrStdin()); err != nil {
			return err
		}
	}
	if err := req.Validate(); err != nil {
		return err
	}
	if req.Reveal {
		if err := desk.who.Can(access.Officer, desk.tenant.ID); err != nil {
			return err
		}
	}
	views, err := a.openReader(ctx, desk.services)
	if err != nil {
		return err
	}
	a.tellProblems(ctx, cmd.ErrOrStderr())
	if !o.noWait {
		wait, cancel := context.WithTimeout(ctx, o.waitFor)
		defer cancel()
		if _, err := waitForViews(wait, desk.ledger, views, newProgress(cmd.ErrOrStderr())); err != nil {
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
	if err := req.Check(ctx, views); err != nil {
		return err
	}
	if o.file != "" {
		to, err := newTarget("file", o.file)
		if err != nil {
			return err
		}
		return to.finish(a.answer(ctx, desk, d, o, req, views, to.f, cmd.ErrOrStderr()))
	}
	return a.answer(ctx, desk, d, o, req, views, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// answer records the access, where there is one, and writes the report.
func (a *app) answer(
	ctx context.Context, desk *desk, d report.Definition, o reportOptions, req report.Request,
	views views, out, warn io.Writer,
) error {
	var opener projections.Opener // none: protected values stay masked
	if req.Reveal {
		purpose := custody.Purpose{Tenant: desk.tenant.ID, Report: d.ID, Text: o.purpose, Filters: map[string]any{}}
		for k, f := range req.Filters {
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
	if err := o.write(out, r); err != nil {
		return err
	}
	if t, _ := r.Totals(); t.NotGenuine > 0 {
		fmt.Fprintf(warn, "warning: %s values are not genuine: %s\n", count(t.NotGenuine), findsOut)
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
	case d.Personal && !o.masked && strings.TrimSpace(o.purpose) == "":
		return &report.Problem{Field: report.FieldPurpose, Code: report.Missing}
	case d.Personal && o.masked && o.purpose != "":
		return usage("--purpose and --masked do not go together: masked, nothing is unsealed and no purpose " +
			"is recorded")
	case o.sample > 0 && !cmd.Flags().Changed("seed"):
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

// request turns flags into what the report is asked.
func (o reportOptions) request(d report.Definition, t vault.Tenant, filters map[string]string) (report.Request, error) {
	req := report.Request{Report: d.ID, Tenant: t.ID, TenantName: t.Name, Lang: o.lang, Filters: filters,
		Purpose: o.purpose, Sample: o.sample, Seed: o.seed, Reveal: d.Personal && !o.masked}
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
	for _, at := range []struct {
		field, given string
		to           *time.Time
	}{{report.FieldFrom, o.from, &req.From}, {report.FieldTo, o.to, &req.To}, {report.FieldAsOf, o.asOf, &req.AsOf}} {
		if at.given == "" {
			continue
		}
		if *at.to, err = report.ParseTime(at.field, at.given, req.Location); err != nil {
			return req, err
		}
	}
	if _, err := time.Parse(time.DateOnly, o.asOf); err == nil { // a date alone: its last moment
		req.AsOf = req.AsOf.AddDate(0, 0, 1).Add(-time.Millisecond)
	}
	if o.asOfSeq >= 0 {
		seq := uint64(o.asOfSeq)
		req.AsOfSeq = &seq
	}
	return req, nil
}

func (o reportOptions) write(out io.Writer, r *report.Report) (err error) {
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	return render.Write(o.output, w, r.Document(), terminalWidth(out))
}

// readSecret returns value, or for "-" the first line of standard input, so
// that shells keep no names.
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

// resolveDevice turns what a person calls devices into the ledger's own ids: streams or their uuids
// as a report printed them, or the devices' ids at the source. One that the tenant does not have is
// no such device.
func (d *desk) resolveDevice(ctx context.Context, given string, in io.Reader) (string, error) {
	given, err := readSecret("device", given, in)
	if err != nil {
		return "", err
	}
	var streams []string
	for part := range strings.SplitSeq(given, ",") {
		s, err := d.device(ctx, strings.TrimSpace(part))
		if err != nil {
			return "", err
		}
		streams = append(streams, string(s))
	}
	return strings.Join(streams, ","), nil
}

var errNoDevice = &report.Problem{Field: "device", Filter: true, Code: report.NoDevice}

func (d *desk) device(ctx context.Context, given string) (schemas.Stream, error) {
	s := schemas.Stream(given)
	if s.Kind() != "device" {
		var found vault.Device
		err := d.vault.View(ctx, d.tenant.ID, func(tx *vault.Tx) error {
			for _, h := range []vault.DeviceHint{{IntuneID: given}, {DirectoryID: given}} {
				dev, ok, err := tx.FindDevice(h)
				if errors.Is(err, vault.ErrErasedSubject) {
					continue
				}
				if err != nil {
					return err
				}
				if ok {
					found = dev
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		if found.Stream != "" {
			return found.Stream, nil
		}
		id, err := uuid.Parse(given)
		if err != nil {
			return "", errNoDevice
		}
		s = schemas.NewStream("device", id)
	}
	for r, err := range d.ledger.ReadStream(ctx, s, 0) {
		if err != nil {
			return "", err
		}
		if m, err := schemas.ParseMetadata(r.Metadata); err == nil && m.Tenant == d.tenant.ID {
			return s, nil
		}
	}
	return "", errNoDevice
}

// resolveActor turns what a person is called into the aliases under which they acted; aliases of
// the tenant, as a report or the stream shows them, are taken as they are.
func (d *desk) resolveActor(ctx context.Context, given string, in io.Reader) (string, error) {
	given, err := readSecret("actor", given, in)
	if err != nil {
		return "", err
	}
	var aliases []string
	err = d.vault.View(ctx, d.tenant.ID, func(tx *vault.Tx) error {
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
		if len(aliases) > 0 {
			return nil
		}
		for part := range strings.SplitSeq(given, ",") {
			id, err := uuid.Parse(strings.TrimSpace(part))
			if err != nil {
				aliases = nil
				return nil
			}
			switch _, err := tx.AliasOwner(id); {
			case errors.Is(err, vault.ErrNotFound):
				aliases = nil
				return nil
			case err != nil && !errors.Is(err, vault.ErrErased) && !errors.Is(err, vault.ErrExpired):
				return err
			}
			aliases = append(aliases, id.String())
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(aliases) == 0 {
		return "", &report.Problem{Field: "actor", Filter: true, Code: report.Nobody}
	}
	return strings.Join(aliases, ","), nil
}

// findsOut says of a value that was not sealed for its place how to learn why, and how to end it.
const findsOut = "`ledgerline ledger check` names forged events, `ledgerline ledger disown` takes them out, and " +
	"`ledgerline views reconcile --deep` names what differs in the views"
