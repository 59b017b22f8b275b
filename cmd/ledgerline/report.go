package main

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/document"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newReport(a *app) *cobra.Command {
	cmd := cli.Group("report", "Answer an officer's question from the views")
	for _, d := range report.Definitions() {
		cmd.AddCommand(newReportOf(a, d))
	}
	return cmd
}

// reportOptions are the flags of a report.
type reportOptions struct {
	office.Asked
	file    string
	tenant  string
	seq     int64
	sample  int
	seed    uint64
	filters map[string]*string
	set     map[string]*bool // filters that are given or not
}

func newReportOf(a *app, d report.Definition) *cobra.Command {
	o := reportOptions{filters: map[string]*string{}, set: map[string]*bool{}}
	return cli.New(cli.Command{Use: d.ID,
		Short: d.Title(words.Default().Base()) + ": " + d.About(words.Default().Base()),
		Flags: func(f cli.Flags) { o.flags(f, d) },
		Run:   func(c *cli.Call) error { return a.report(c, d, o) }})
}

func (o *reportOptions) flags(f cli.Flags, d report.Definition) {
	tenantFlag(f, &o.tenant)
	if d.Scope == report.OverPeriod {
		f.StringVar(&o.From, "from", "",
			"first moment of the period: 2026-03-01 or 2026-03-01T09:00; open where left out")
		f.StringVar(&o.To, "to", "", "end of the period, not included; open where left out")
	} else {
		f.StringVar(&o.AsOf, "as-of", "", "the moment; a date alone means the end of that day; now where left out")
	}
	f.Int64Var(&o.seq, "as-of-seq", -1, "compute at this ledger sequence; as far as the views are where left out")
	f.Choice(&o.Lang, "lang", "", "", strings.Join(words.Languages(), " or ")+"; the tenant's where left out",
		words.Languages()...)
	f.StringVar(&o.Zone, "time-zone", "", "IANA time zone; the tenant's where left out")
	if d.Personal {
		f.StringVar(&o.Purpose, "purpose", "", "why protected values are to be seen: "+
			strings.Join(report.Purposes(), ", ")+"; words of your own behind a colon; recorded in the ledger")
		f.BoolVar(&o.Masked, "masked", false, "unseal nothing: protected values are shown as "+document.Bullets)
	}
	f.IntVar(&o.sample, "sample", 0, "draw so many rows at random, for an auditor")
	f.Uint64Var(&o.seed, "seed", 0, "with --sample: the same seed draws the same rows")
	f.Form("table", render.Help(), render.Names()...)
	f.StringVar(&o.file, "file", "", "write to this file, 0600, instead of standard output")
	f.BoolVar(&o.NoWait, "no-wait", false,
		"report on what the views hold, without waiting for them to reach the ledger's end")
	f.DurationVar(&o.Wait, "wait", time.Minute, "how long to wait for the views at most")
	for _, flt := range d.Filters {
		if flt.Flag {
			o.set[flt.ID] = f.Bool(flt.ID, false, flt.Help(words.Default().Base()))
			continue
		}
		o.filters[flt.ID] = f.String(flt.ID, "", flt.Help(words.Default().Base()))
	}
}

// asked is what the flags say.
func (o reportOptions) asked(c *cli.Call) office.Asked {
	o.Filters = map[string]string{}
	for id, v := range o.filters {
		if c.Changed(id) {
			o.Filters[id] = *v
		}
	}
	for id, v := range o.set {
		if *v {
			o.Filters[id] = define.Set
		}
	}
	if c.Changed("sample") {
		o.Sample = &o.sample
	}
	if c.Changed("seed") {
		o.Seed = &o.seed
	}
	if c.Changed("as-of-seq") {
		o.Seq = &o.seq
	}
	return o.Asked
}

// report answers. Everything that can be refused is refused before the access is recorded: the
// arguments, what they name, the file that the answer goes to.
func (a *app) report(c *cli.Call, d report.Definition, o reportOptions) error {
	asked := o.asked(c)
	from := slices.DeleteFunc(slices.Collect(maps.Values(asked.Filters)), func(v string) bool { return v != "-" })
	wrong := asked.Check(d)
	if len(from) > 1 {
		wrong = &refusal.Typed{Key: "standard-input"}
	}
	if wrong == nil && o.file != "" {
		wrong = answer.CheckTarget("--file", o.file)
	}
	return a.forTenant(c, o.tenant, o.Lang, wrong, func(at *desk.Desk) error {
		req, err := asked.Request(d, at.Tenant)
		if err != nil {
			return err
		}
		req.ForPeople = render.ForPeople(c.Output)
		for id, given := range req.Filters {
			if req.Filters[id], err = a.secret(c, id, given, "filter."+id); err != nil {
				return err
			}
		}
		p := c.Progress()
		q, err := at.Office.Ask(c.Ctx, at.Who, at.Tenant.ID, req, asked.Patience(answer.WaitingForViews(p, a.in())))
		p.Done()
		if err != nil {
			return err
		}
		if o.file == "" {
			return a.answered(c, q, c.Out)
		}
		to, err := answer.NewTarget("--file", o.file)
		if err != nil {
			return err
		}
		return to.Finish(a.answered(c, q, to.File))
	})
}

func (a *app) answered(c *cli.Call, q *office.Question, out io.Writer) error {
	r, err := q.Answer(c.Ctx)
	if err != nil {
		return err
	}
	return answer.WriteReport(out, c.Err, a.in(), c.Output, r)
}
