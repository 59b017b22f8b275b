package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas"
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
			if subject, err = readSecret("subject", subject, cmd.InOrStdin()); err != nil {
				return err
			}
			d, err := a.openDesk(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			at, err := receipt(received, a.now(), d.tenant)
			if err != nil {
				return err
			}
			r, err := d.custody.OpenRequest(cmd.Context(), d.who, custody.NewRequest{Tenant: d.tenant.ID, Right: right,
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
			d, err := a.openDesk(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			views, err := a.openReader(cmd.Context(), d.services)
			if err != nil {
				return err
			}
			a.tellProblems(cmd.Context(), cmd.ErrOrStderr())
			doc, err := d.export(cmd.Context(), cmd.ErrOrStderr(), views, id, to, lang)
			if err != nil {
				return err
			}
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
			fmt.Fprintf(w, "%10s  events: %s\n", count(n), c)
		}
	}
	v := d.Package.Values
	fmt.Fprintf(w, "values: %s shown, %s withheld (05-withheld.csv says why), %s erased, %s expired\n",
		count(v.Shown), count(v.Withheld), count(v.Erased), count(v.Expired))
	if v.Lost > 0 {
		fmt.Fprintf(w, "%s values are lost: their keys went with a part of the vault\n", count(v.Lost))
	}
	if v.NotGenuine > 0 {
		fmt.Fprintf(w, "%s values are not genuine: %s\n", count(v.NotGenuine), findsOut)
	}
}

// export makes the package in a file that is there already. Everything that can be refused is
// refused before the access is recorded; the package is put in its place last, when the ledger
// holds its hash.
func (d *desk) export(
	ctx context.Context, progressTo io.Writer, views views, id uuid.UUID, to *target, lang string,
) (exportDoc, error) {
	r, err := d.custody.FindRequest(ctx, d.who, d.tenant.ID, id)
	if err != nil {
		return exportDoc{}, err
	}
	loc, err := time.LoadLocation(d.tenant.TimeZone)
	if err != nil {
		return exportDoc{}, err
	}
	cfg := dsar.Config{Reader: views, Catalogue: schemas.Default(), Clock: time.Now, Lang: lang,
		Location: loc, Owners: d.owners}
	if cfg.Lang == "" {
		cfg.Lang = d.tenant.Language
	}
	if err := cfg.Validate(); err != nil {
		return exportDoc{}, err
	}
	seq, err := waitForViews(ctx, d.ledger, views, newProgress(progressTo))
	if err != nil {
		return exportDoc{}, err
	}
	session, err := d.custody.Access(ctx, d.who, custody.Purpose{Tenant: d.tenant.ID, Report: "access-package",
		Text: "request " + id.String(), Seq: seq})
	if err != nil {
		return exportDoc{}, err
	}
	cfg.Opener = sessionOpener{session}
	person, err := d.person(ctx, r, seq)
	if err != nil {
		return exportDoc{}, err
	}
	m, err := dsar.Build(ctx, cfg, person, to.f)
	if err != nil {
		return exportDoc{}, err
	}
	if err := to.f.Sync(); err != nil {
		return exportDoc{}, err
	}
	if err := d.custody.RecordPackage(ctx, d.who, r, m.Hash, seq, len(m.Files)+1); err != nil {
		return exportDoc{}, err
	}
	return exportDoc{to.path, m.Hash, m}, to.finish(nil)
}

// person gathers what the vault knows of the one who asks; of an erased person, nothing.
func (d *desk) person(ctx context.Context, r custody.Request, seq uint64) (dsar.Person, error) {
	p := dsar.Person{Request: r.ID, Tenant: d.tenant.ID, TenantName: d.tenant.Name, Seq: seq}
	if r.Person == uuid.Nil {
		return p, nil
	}
	err := d.vault.View(ctx, d.tenant.ID, func(tx *vault.Tx) error {
		aliases, err := tx.Aliases(r.Person)
		if err != nil {
			return err
		}
		for _, a := range aliases {
			p.Aliases = append(p.Aliases, dsar.Alias(a))
		}
		held, err := tx.DevicesOf(r.Person)
		if err != nil {
			return err
		}
		for _, h := range held {
			refusals, err := tx.RefusalsOf(h.Stream)
			if err != nil {
				return err
			}
			p.Devices = append(p.Devices, dsar.Device{Stream: h.Stream, From: h.From, To: h.To, Ownership: h.Ownership,
				Refusals: refusals})
		}
		names, err := tx.Identity(r.Person)
		for _, n := range names {
			p.Identity = append(p.Identity, dsar.Identity(n))
		}
		return err
	})
	if err != nil {
		return p, fmt.Errorf("gather what the vault knows of the person: %w", err)
	}
	return p, nil
}

// owners tells whom aliases name; those that name nobody any more are left out.
func (d *desk) owners(ctx context.Context, tenant uuid.UUID, aliases []uuid.UUID) (map[uuid.UUID]schemas.Owner, error) {
	out := map[uuid.UUID]schemas.Owner{}
	err := d.vault.View(ctx, tenant, func(tx *vault.Tx) error {
		for _, a := range aliases {
			o, err := tx.AliasOwner(a)
			switch {
			case err == nil:
				out[a] = o
			case !errors.Is(err, vault.ErrErased) && !errors.Is(err, vault.ErrExpired) &&
				!errors.Is(err, vault.ErrNotFound):
				return err
			}
		}
		return nil
	})
	return out, err
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
			d, err := a.openDesk(cmd.Context(), tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			r, err := d.custody.FindRequest(cmd.Context(), d.who, d.tenant.ID, id)
			if err != nil {
				return err
			}
			done, err := d.custody.Erase(cmd.Context(), d.who, r, ground, func(w time.Duration) {
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
