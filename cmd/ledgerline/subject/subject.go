// Package subject has the commands by which officers say which persons are one subject, and undo
// that.
//
// It reads flags and prints what the office returns. It decides and keeps nothing, and opens
// nothing but by the door that it is given.
package subject

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Door is how the program has an act done for a tenant, asks for a name, and answers, all in the
// tenant's language.
type Door struct {
	ForTenant func(c *cli.Call, tenant, lang string, wrong error, act func(*desk.Desk) error) error
	Secret    func(c *cli.Call, flag, value, asks string) (string, error)
	Print     func(c *cli.Call, doc answer.Doc, err error) error
	In        func() *words.Language
	Tenant    func(f cli.Flags, to *string) // adds the flag that names it
}

// New returns the commands.
func New(d Door) *cobra.Command {
	return cli.Group("subject", "Say which persons are one data subject: list candidates, merge, undo",
		d.candidates(), d.merge(), d.unmerge(), d.history())
}

func (d Door) candidates() *cobra.Command {
	var tenant string
	return cli.New(cli.Command{Use: "candidates", Short: "List which persons may be one, and are not",
		Flags: func(f cli.Flags) {
			d.Tenant(f, &tenant)
			f.Output()
		},
		Run: func(c *cli.Call) error {
			return d.ForTenant(c, tenant, "", nil, func(at *desk.Desk) error {
				all, more, err := at.Office.MergeCandidates(c.Ctx, at.Who, at.Tenant.ID)
				return d.Print(c, answer.CandidatesOf(all, more), err)
			})
		}})
}

func (d Door) merge() *cobra.Command {
	var asked custody.NewMerge
	var tenant string
	return cli.New(cli.Command{Use: "merge --subject - [--with NAME] --reason TEXT",
		Short: "Make two persons one subject, until it is undone",
		Flags: func(f cli.Flags) {
			d.Tenant(f, &tenant)
			f.StringVar(&asked.Subject, "subject", "-",
				"UPN, e-mail address, directory object id, Intune user id or alias; - reads it from standard input")
			f.StringVar(&asked.Other, "with", "", "the other, likewise; left out where the first is known to be both")
			f.IntSliceVar(&asked.Choose, "persons", nil, "which two of several, as listed: N,M")
			f.StringVar(&asked.Reason, "reason", "", "why they are one, in your own words; it is sealed")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			return d.ForTenant(c, tenant, "", custody.CheckReason(asked.Reason), func(at *desk.Desk) (err error) {
				if asked.Subject, err = d.Secret(c, "subject", asked.Subject, "answer.ask-person"); err != nil {
					return err
				}
				m, err := at.Office.MergeSubjects(c.Ctx, at.Who, at.Tenant.ID, asked)
				var p *custody.Problem
				if errors.As(err, &p) {
					answer.WriteMatches(c.Err, d.In(), p.Persons)
				}
				return d.Print(c, answer.MergeOf(m, false), err)
			})
		}})
}

func (d Door) unmerge() *cobra.Command {
	var tenant, reason string
	return cli.New(cli.Command{Use: "unmerge MERGE --reason TEXT", Short: "Undo a merge: each is again who they were",
		Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			d.Tenant(f, &tenant)
			f.StringVar(&reason, "reason", "", "why they are not one, in your own words; it is sealed")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			id, wrong := office.ParseMerge(c.Args[0])
			if wrong == nil {
				wrong = custody.CheckReason(reason)
			}
			return d.ForTenant(c, tenant, "", wrong, func(at *desk.Desk) error {
				m, err := at.Office.UnmergeSubjects(c.Ctx, at.Who, at.Tenant.ID, id, reason)
				return d.Print(c, answer.MergeOf(m, true), err)
			})
		}})
}

func (d Door) history() *cobra.Command {
	var tenant, given string
	return cli.New(cli.Command{Use: "history --subject -", Short: "List the merges of a person, those undone too",
		Flags: func(f cli.Flags) {
			d.Tenant(f, &tenant)
			f.StringVar(&given, "subject", "-", "whose, by a name or an alias; - reads it from standard input")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			return d.ForTenant(c, tenant, "", nil, func(at *desk.Desk) (err error) {
				if given, err = d.Secret(c, "subject", given, "answer.ask-person"); err != nil {
					return err
				}
				all, err := at.Office.SubjectHistory(c.Ctx, at.Who, at.Tenant.ID, given)
				return d.Print(c, answer.MergesOf(all), err)
			})
		}})
}
