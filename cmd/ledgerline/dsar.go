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
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newDSAR(a *app) *cobra.Command {
	return group("dsar", "Answer a data subject: open a request, export a person's package, erase a person",
		newDSAROpen(a), newDSARExport(a), newDSARErase(a))
}

func newDSAROpen(a *app) *cobra.Command {
	var asked office.AskedRequest
	return a.command(command{use: "open --subject -", short: "Record a request, and find the person it is about",
		flags: func(f flags) {
			f.tenant()
			f.StringVar(&asked.Subject, "subject", "-", "who asks, as they gave it; - reads it from standard input")
			f.choice(&asked.Right, "right", "", "access", "access or erasure", "access", "erasure")
			f.StringVar(&asked.Received, "received", "",
				"the day the request came in, where the tenant is; today where left out")
			f.choice(&asked.Method, "identity-method", "", "",
				"how identity was checked: sign-in, call-back, in-person or other; never a copy of a document",
				"sign-in", "call-back", "in-person", "other")
			f.IntVar(&asked.Person, "person", 0, "which of several persons, as listed")
			f.output()
		},
		run: func(c *call) (err error) {
			if err := asked.Check(); err != nil {
				return err
			}
			if err := c.signIn(); err != nil {
				return err
			}
			if asked.Subject, err = c.secret("subject", asked.Subject); err != nil {
				return err
			}
			return c.forTenant(func(d *desk.Desk) error {
				n, err := asked.Request(c.places.Now(), d.Tenant)
				if err != nil {
					return err
				}
				r, err := d.Office.OpenRequest(c.ctx, d.Who, d.Tenant.ID, n)
				var p *custody.Problem
				if errors.As(err, &p) {
					answer.WriteMatches(c.err, p.Persons)
				}
				return c.print(answer.RequestOf(r), err)
			})
		}})
}

func newDSARExport(a *app) *cobra.Command {
	var dir, lang string
	return a.command(command{use: "export REQUEST", short: "Make the package of what the ledger links to the person",
		args: cobra.ExactArgs(1),
		flags: func(f flags) {
			f.tenant()
			f.StringVar(&dir, "dir", ".", "directory to write the package to")
			f.choice(&lang, "lang", "", "", strings.Join(words.Languages(), " or ")+
				", the language that comes first; the tenant's where left out", words.Languages()...)
			f.output()
		},
		run: func(c *call) (err error) {
			id, err := parseRequestID(c.args[0])
			if err != nil {
				return err
			}
			to, err := target("dir", filepath.Join(dir, dsar.Person{Request: id}.FileName()))
			if err != nil {
				return err
			}
			defer func() { err = to.Finish(err) }() // where export did not
			return c.forTenant(func(d *desk.Desk) error {
				p := c.progress()
				m, err := d.Office.Export(c.ctx, d.Who, d.Tenant.ID, id,
					office.Package{To: to, Lang: lang, Waiting: answer.WaitingForViews(p)})
				p.Done()
				if err == nil {
					err = to.Finish(nil)
				}
				return c.print(answer.Package{File: to.Path(), Manifest: m.Hash, Package: m}, err)
			})
		}})
}

func newDSARErase(a *app) *cobra.Command {
	var ground string
	var yes bool
	return a.command(command{use: "erase REQUEST --ground GROUND",
		short: "Erase the person of a request: destroy their keys, for good", args: cobra.ExactArgs(1),
		flags: func(f flags) {
			f.tenant()
			f.choice(&ground, "ground", "", "",
				"why, in the words of Art. 17(1): "+strings.Join(custody.Grounds, ", "), custody.Grounds...)
			f.BoolVar(&yes, "yes", false, "really")
			f.output()
		},
		run: func(c *call) error {
			id, err := parseRequestID(c.args[0])
			if err != nil {
				return err
			}
			if err := custody.CheckGround(ground); err != nil {
				return err
			}
			if !yes {
				return usage("erasing cannot be undone: add --yes")
			}
			return c.forTenant(func(d *desk.Desk) error {
				done, err := d.Office.Erase(c.ctx, d.Who, d.Tenant.ID, id, ground, func(w time.Duration) {
					fmt.Fprintf(c.err,
						"keys are destroyed; waiting %s, the time that a process may hold a derived one\n", w)
				})
				return c.print(answer.Erasure{Request: id, Keys: done.Keys, Order: done.Order,
					Completion: done.Completion, Completed: done.Completed}, err)
			})
		}})
}

func parseRequestID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, usage("request %q is not a uuid, as `ledgerline dsar open` printed it", s)
	}
	return id, nil
}
