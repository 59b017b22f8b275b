package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newDSAR(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dsar",
		Short: "Answer a data subject: open a request, export a person's package, erase a person",
		Long: `dsar handles the requests of data subjects (GDPR Art. 15 and 17). A request is opened first, by an
identifier of the person that is read from standard input, so that no shell keeps it; everything after that names only
the request.

  echo anna.devries@contoso.example | ledgerline dsar open --subject - --right access --identity-method call-back
  ledgerline dsar export REQUEST
  ledgerline dsar erase REQUEST --ground no-longer-necessary`,
	}
	cmd.AddCommand(newDSAROpen(a), newDSARExport(a), newDSARErase(a))
	return cmd
}

type requestDoc struct {
	Request  uuid.UUID `json:"request"`
	Right    string    `json:"right"`
	Received string    `json:"received"`
	Due      string    `json:"due"`
}

func newDSAROpen(a *app) *cobra.Command {
	var tenant, subject, right, received, method, output string
	var person int
	cmd := &cobra.Command{
		Use:   "open --subject -",
		Short: "Record a request, and find the person it is about",
		Long: `open records a request in the ledger and prints its number. The subject is an e-mail address, a UPN or
a directory object id, as the person gave it; "-" reads it from standard input. Where several persons held the
identifier, each in a period of their own, they are listed and one must be chosen.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if _, err := time.Parse(time.DateOnly, received); received != "" && err != nil {
				return usage("--received %q is not a day in the form 2026-03-01", received)
			}
			if person < 0 {
				return usage("--person %d is none of those listed: they count from 1", person)
			}
			if err := a.readAsPassword(cmd); err != nil {
				return err
			}
			if subject, err = readSecret("subject", subject, cmd.InOrStdin()); err != nil {
				return err
			}
			d, err := a.openDesk(cmd, tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			at, err := receipt(received, a.now(), d.tenant)
			if err != nil {
				return err
			}
			r, err := d.office.OpenRequest(cmd.Context(), d.who, d.tenant.ID, custody.NewRequest{Right: right,
				Identifier: subject, Person: person, Received: at, Method: method})
			var p *custody.Problem
			if errors.As(err, &p) {
				listMatches(cmd.ErrOrStderr(), p.Persons)
			}
			if err != nil {
				return err
			}
			doc := requestDoc{r.ID, r.Right, r.Received.Format(time.DateOnly), r.Due.Format(time.DateOnly)}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "request   %s\nright     %s\nreceived  %s\nanswer by %s (public holidays not counted)\n",
					doc.Request, doc.Right, doc.Received, doc.Due)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "the tenant; may be left out where there is only one")
	f.StringVar(&subject, "subject", "-", "who asks, as they gave it; - reads it from standard input")
	choiceFlag(cmd, &right, "right", "", "access", "access or erasure", "access", "erasure")
	f.StringVar(&received, "received", "", "the day the request came in, where the tenant is; today where left out")
	choiceFlag(cmd, &method, "identity-method", "", "",
		"how identity was checked: sign-in, call-back, in-person or other; never a copy of a document",
		"sign-in", "call-back", "in-person", "other")
	f.IntVar(&person, "person", 0, "which of several persons, as listed")
	outputFlag(cmd, &output)
	return cmd
}

// receipt is the day on which a request came in, as the tenant's calendar has it; today where none
// is given.
func receipt(day string, now time.Time, t vault.Tenant) (time.Time, error) {
	loc, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return time.Time{}, err
	}
	if day == "" {
		return now.In(loc), nil
	}
	at, err := time.ParseInLocation(time.DateOnly, day, loc)
	if err != nil || at.After(now) {
		return time.Time{}, usage("--received %q is not a day up to today (%s in %s)",
			day, now.In(loc).Format(time.DateOnly), loc)
	}
	return at, nil
}

func listMatches(w io.Writer, persons [][]vault.PersonMatch) {
	for i, matches := range persons {
		for _, m := range matches {
			to := "now"
			if !m.Current {
				to = m.To.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%3d  known by it as %s from %s to %s\n", i+1, m.Kind, m.From.Format(time.DateOnly), to)
		}
	}
}

func newDSARExport(a *app) *cobra.Command {
	var tenant, dir, lang, output string
	cmd := &cobra.Command{
		Use:   "export REQUEST",
		Short: "Make the package of what the ledger links to the person",
		Long: `export writes dsar-REQUEST.zip: pages to read in English and Dutch, the data itself, what is withheld
and why, and a manifest of hashes. Others in it get stable labels. Making it is an access to personal data and is
recorded as one, and so is the package. The file is readable by you alone; hand it over encrypted.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			id, err := parseRequestID(args[0])
			if err != nil {
				return err
			}
			path := filepath.Join(dir, dsar.Person{Request: id}.FileName())
			to, err := newTarget("dir", path)
			if err != nil {
				return err
			}
			defer func() { err = to.finish(err) }() // where export did not
			d, err := a.openDesk(cmd, tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			p := terminal.NewProgress(cmd.ErrOrStderr())
			m, err := d.office.Export(cmd.Context(), d.who, d.tenant.ID, id,
				office.Package{To: to.f, Lang: lang, Waiting: waitingForViews(p)})
			p.Done()
			if err == nil {
				err = to.finish(nil)
			}
			if err != nil {
				return err
			}
			doc := exportDoc{to.path, m.Hash, m}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.text)
		},
	}
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "the tenant; may be left out where there is only one")
	f.StringVar(&dir, "dir", ".", "directory to write the package to")
	choiceFlag(cmd, &lang, "lang", "", "", strings.Join(words.Languages(), " or ")+
		", the language that comes first; the tenant's where left out", words.Languages()...)
	outputFlag(cmd, &output)
	return cmd
}

type exportDoc struct {
	File     string        `json:"file"`
	Manifest string        `json:"manifestSHA256"`
	Package  dsar.Manifest `json:"package"`
}

func (d exportDoc) text(w io.Writer) {
	fmt.Fprintf(w, "package   %s\nmanifest  SHA-256 %s\n", d.File, d.Manifest)
	fmt.Fprintf(w, "searched  what this ledger links to the person, through sequence %d; not texts that others wrote\n",
		d.Package.Sequence)
	for _, c := range []dsar.Category{dsar.Devices, dsar.Apps, dsar.ActionsAbout, dsar.ActionsBy, dsar.Refusals,
		dsar.Requests, dsar.Views, dsar.Other} {
		if n := d.Package.Events[c]; n > 0 {
			fmt.Fprintf(w, "%10s  events: %s\n", terminal.Count(n), c)
		}
	}
	v := d.Package.Values
	fmt.Fprintf(w, "values: %s shown, %s withheld (05-withheld.csv says why), %s erased, %s expired\n",
		terminal.Count(v.Shown), terminal.Count(v.Withheld), terminal.Count(v.Erased), terminal.Count(v.Expired))
	if v.Lost > 0 {
		fmt.Fprintf(w, "%s values are lost: their keys went with a part of the vault\n", terminal.Count(v.Lost))
	}
	if v.NotGenuine > 0 {
		fmt.Fprintf(w, "%s values are not genuine: %s\n", terminal.Count(v.NotGenuine), findsOut)
	}
}

func newDSARErase(a *app) *cobra.Command {
	var tenant, ground, output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase REQUEST --ground GROUND",
		Short: "Erase the person of a request: destroy their keys, for good",
		Long: `erase destroys the person's keys, under which what is sealed about the person can be read, and the
entries by which the vault finds the person: marked in the vault, ordered in the ledger, destroyed, recorded as done.
An act that a crash cut is carried on by the next call, and at the next start of ` + "`ledgerline up`" + `. The
ledger's events stay as they are. What remains: times, also of when somebody looked, kinds of action and random numbers,
by which somebody with data from outside this ledger may still be able to link them to the person; and what was copied
before, in packages, reports and backups.

It cannot be undone. It takes half a minute, for the time that a process may still hold a derived key.
Grounds: ` + strings.Join(custody.Grounds, ", ") + `.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			id, err := parseRequestID(args[0])
			if err != nil {
				return err
			}
			if err := custody.CheckGround(ground); err != nil {
				return err
			}
			if !yes {
				return usage("erasing cannot be undone: add --yes")
			}
			d, err := a.openDesk(cmd, tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			done, err := d.office.Erase(cmd.Context(), d.who, d.tenant.ID, id, ground, func(w time.Duration) {
				fmt.Fprintf(cmd.ErrOrStderr(),
					"keys are destroyed; waiting %s, the time that a process may hold a derived one\n", w)
			})
			if err != nil {
				return err
			}
			doc := eraseDoc{id, done.Keys, done.Order, done.Completion, done.Completed}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "erased: %d keys destroyed\norder      %s\ncompletion %s\n",
					doc.Keys, doc.Order, doc.Completion)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "the tenant; may be left out where there is only one")
	choiceFlag(cmd, &ground, "ground", "", "",
		"why, in the words of Art. 17(1): "+strings.Join(custody.Grounds, ", "), custody.Grounds...)
	f.BoolVar(&yes, "yes", false, "really")
	outputFlag(cmd, &output)
	return cmd
}

type eraseDoc struct {
	Request    uuid.UUID `json:"request"`
	Keys       int       `json:"keysDestroyed"`
	Order      uuid.UUID `json:"order"`
	Completion uuid.UUID `json:"completion"`
	Completed  time.Time `json:"completed"`
}

func parseRequestID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, usage("request %q is not a uuid, as `ledgerline dsar open` printed it", s)
	}
	return id, nil
}
