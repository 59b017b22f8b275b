package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newDSAR(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dsar",
		Short: "Answer a data subject: open a request, export a person's package, erase a person",
	}
	cmd.AddCommand(newDSAROpen(a), newDSARExport(a), newDSARErase(a))
	return cmd
}

func newDSAROpen(a *app) *cobra.Command {
	var tenant, subject, right, received, method, output string
	var person int
	cmd := &cobra.Command{
		Use:   "open --subject -",
		Short: "Record a request, and find the person it is about",
		Args:  cobra.NoArgs,
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
			at, err := office.Receipt(received, a.now(), d.tenant)
			if err != nil {
				return err
			}
			r, err := d.office.OpenRequest(cmd.Context(), d.who, d.tenant.ID, custody.NewRequest{Right: right,
				Identifier: subject, Person: person, Received: at, Method: method})
			var p *custody.Problem
			if errors.As(err, &p) {
				answer.WriteMatches(cmd.ErrOrStderr(), p.Persons)
			}
			if err != nil {
				return err
			}
			doc := answer.RequestOf(r)
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText)
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

func newDSARExport(a *app) *cobra.Command {
	var tenant, dir, lang, output string
	cmd := &cobra.Command{
		Use:   "export REQUEST",
		Short: "Make the package of what the ledger links to the person",
		Args:  cobra.ExactArgs(1),
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
			defer func() { err = to.Finish(err) }() // where export did not
			d, err := a.openDesk(cmd, tenant)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			p := terminal.NewProgress(cmd.ErrOrStderr())
			m, err := d.office.Export(cmd.Context(), d.who, d.tenant.ID, id,
				office.Package{To: to, Lang: lang, Waiting: answer.WaitingForViews(p)})
			p.Done()
			if err == nil {
				err = to.Finish(nil)
			}
			if err != nil {
				return err
			}
			doc := answer.Package{File: to.Path(), Manifest: m.Hash, Package: m}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText)
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

func newDSARErase(a *app) *cobra.Command {
	var tenant, ground, output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase REQUEST --ground GROUND",
		Short: "Erase the person of a request: destroy their keys, for good",
		Args:  cobra.ExactArgs(1),
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
			doc := answer.Erasure{Request: id, Keys: done.Keys, Order: done.Order, Completion: done.Completion,
				Completed: done.Completed}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText)
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

func parseRequestID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, usage("request %q is not a uuid, as `ledgerline dsar open` printed it", s)
	}
	return id, nil
}
