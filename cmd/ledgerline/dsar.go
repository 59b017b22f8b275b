package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/projections/dsar"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newDSAR(a *app) *cobra.Command {
	return cli.Group("dsar", "Answer a data subject: open a request, export a person's package, erase a person",
		newDSAROpen(a), newDSARExport(a), newDSARErase(a))
}

func newDSAROpen(a *app) *cobra.Command {
	var asked office.AskedRequest
	var tenant string
	return cli.New(cli.Command{Use: "open --subject -", Short: "Record a request, and find the person it is about",
		Flags: func(f cli.Flags) {
			tenantFlag(f, &tenant)
			f.StringVar(&asked.Subject, "subject", "-", "who asks, as they gave it; - reads it from standard input")
			f.Choice(&asked.Right, "right", "", "access", "access or erasure", "access", "erasure")
			f.StringVar(&asked.Received, "received", "",
				"the day the request came in, where the tenant is; today where left out")
			f.Choice(&asked.Method, "identity-method", "", "",
				"how identity was checked: sign-in, call-back, in-person or other; never a copy of a document",
				"sign-in", "call-back", "in-person", "other")
			f.IntVar(&asked.Person, "person", 0, "which of several persons, as listed")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			return a.forTenant(c, tenant, "", asked.Check(), func(d *desk.Desk) (err error) {
				if asked.Subject, err = a.secret(c, "subject", asked.Subject, "answer.ask-subject"); err != nil {
					return err
				}
				n, err := asked.Request(a.places.Now(), d.Tenant)
				if err != nil {
					return err
				}
				r, err := d.Office.OpenRequest(c.Ctx, d.Who, d.Tenant.ID, n)
				var p *custody.Problem
				if errors.As(err, &p) {
					answer.WriteMatches(c.Err, a.in(), p.Persons)
				}
				return a.print(c, answer.RequestOf(r), err)
			})
		}})
}

func newDSARExport(a *app) *cobra.Command {
	var tenant, dir, lang string
	return cli.New(cli.Command{Use: "export REQUEST", Short: "Make the package of what the ledger links to the person",
		Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			tenantFlag(f, &tenant)
			f.StringVar(&dir, "dir", ".", "directory to write the package to")
			f.Choice(&lang, "lang", "", "", strings.Join(words.Languages(), " or ")+
				", the language that comes first; the tenant's where left out", words.Languages()...)
			f.Output()
		},
		Run: func(c *cli.Call) error {
			id, wrong := office.ParseRequest(c.Args[0])
			return a.forTenant(c, tenant, lang, wrong, func(d *desk.Desk) (err error) {
				to, err := answer.NewTarget("--dir", filepath.Join(dir, dsar.Person{Request: id}.FileName()))
				if err != nil {
					return err
				}
				defer func() { err = to.Finish(err) }() // where export did not
				p := c.Progress()
				m, err := d.Office.Export(c.Ctx, d.Who, d.Tenant.ID, id,
					office.Package{To: to, Lang: lang, Waiting: answer.WaitingForViews(p, a.in())})
				p.Done()
				if err == nil {
					err = to.Finish(nil)
				}
				return a.print(c, answer.Package{File: to.Path(), Manifest: m.Hash, Package: m}, err)
			})
		}})
}

func newDSARErase(a *app) *cobra.Command {
	var tenant, ground string
	var yes bool
	return cli.New(cli.Command{Use: "erase REQUEST --ground GROUND",
		Short: "Erase the person of a request: destroy their keys, for good", Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			tenantFlag(f, &tenant)
			f.Choice(&ground, "ground", "", "",
				"why, in the words of Art. 17(1): "+strings.Join(custody.Grounds, ", "), custody.Grounds...)
			f.BoolVar(&yes, "yes", false, "really")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			id, wrong := office.ParseRequest(c.Args[0])
			wrong = cmp.Or(wrong, custody.CheckGround(ground))
			if wrong == nil && !yes {
				wrong = &refusal.Typed{Key: "erase-yes"}
			}
			return a.forTenant(c, tenant, "", wrong, func(d *desk.Desk) error {
				done, err := d.Office.Erase(c.Ctx, d.Who, d.Tenant.ID, id, ground, func(w time.Duration) {
					fmt.Fprintln(c.Err, answer.Settling(a.in(), w))
				})
				return a.print(c, answer.Erasure{Request: id, Keys: done.Keys, Order: done.Order,
					Completion: done.Completion, Completed: done.Completed}, err)
			})
		}})
}
