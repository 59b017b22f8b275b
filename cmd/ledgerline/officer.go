package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newOfficer(a *app) *cobra.Command {
	return group("officer", "Say who may do what: accounts, their roles and tenants",
		newOfficerAdd(a), newOfficerSet(a), newOfficerRemove(a), newOfficerPasswd(a), newOfficerList(a))
}

// accountFlags are the flags of an account.
func accountFlags(f flags, to *office.AskedAccount) {
	f.StringSliceVar(&to.Roles, "role", nil, "one or more of "+strings.Join(accounts.RoleNames(), ", "))
	f.StringSliceVar(&to.Tenants, "tenant", nil, "the tenants it acts for, or "+office.AllTenants+
		": those to come too; may be left out where there is only one")
}

func newOfficerAdd(a *app) *cobra.Command {
	var asked office.AskedAccount
	return a.command(command{use: "add NAME --role ROLE…", short: "Give somebody an account", args: cobra.ExactArgs(1),
		flags: func(f flags) { accountFlags(f, &asked) },
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				n, err := asked.Account(c.ctx, d.Office, d.Who, c.args[0])
				if err != nil {
					return err
				}
				if err := accounts.CheckNew(n); err != nil {
					return err
				}
				password, err := terminal.NewPassword(c.ctx, c.in, c.err)
				if err != nil {
					return err
				}
				if err := d.Office.AddOfficer(c.ctx, d.Who, n, password); err != nil {
					return err
				}
				return c.tell("%q has an account as %s: --as signs in", n.Name, refusal.Roles(n.Roles))
			})
		}})
}

func newOfficerSet(a *app) *cobra.Command {
	var asked office.AskedAccount
	return a.command(command{use: "set NAME --role ROLE…", short: "Give an account other roles and tenants",
		args: cobra.ExactArgs(1), flags: func(f flags) { accountFlags(f, &asked) },
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				n, err := asked.Account(c.ctx, d.Office, d.Who, c.args[0])
				if err != nil {
					return err
				}
				n, err = d.Office.SetOfficer(c.ctx, d.Who, n.Name, n.Roles, n.Tenants, n.All)
				if err != nil {
					return err
				}
				return c.tell("%q is now %s", n.Name, refusal.Roles(n.Roles))
			})
		}})
}

func newOfficerRemove(a *app) *cobra.Command {
	return a.command(command{use: "remove NAME", short: "Take somebody's account away", args: cobra.ExactArgs(1),
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				if err := d.Office.RemoveOfficer(c.ctx, d.Who, c.args[0]); err != nil {
					return err
				}
				return c.tell("%q has no account any more", c.args[0])
			})
		}})
}

func newOfficerPasswd(a *app) *cobra.Command {
	return a.command(command{use: "passwd [NAME]", short: "Give an account a new password: one's own, or another's",
		args: cobra.MaximumNArgs(1),
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				if c.cfg.As == "" {
					return usage("nobody has an account yet: `ledgerline officer add NAME` makes one")
				}
				password, err := terminal.NewPassword(c.ctx, c.in, c.err)
				if err != nil {
					return err
				}
				name := d.Who.Login
				if len(c.args) == 0 || strings.EqualFold(c.args[0], name) {
					err = d.Office.SetOwnPassword(c.ctx, d.Who, password)
				} else {
					name = c.args[0]
					err = d.Office.SetPassword(c.ctx, d.Who, name, password)
				}
				if err != nil {
					return err
				}
				return c.tell("%q has a new password", name)
			})
		}})
}

func newOfficerList(a *app) *cobra.Command {
	return a.command(command{use: "list", short: "List the accounts, their roles and tenants", flags: flags.output,
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				list, err := d.Office.Officers(c.ctx, d.Who)
				if err != nil {
					return err
				}
				tenants, err := d.Office.Tenants(c.ctx, d.Who)
				if err != nil {
					return err
				}
				docs := answer.OfficersOf(list, tenants)
				return c.write(docs, func(w io.Writer) {
					docs.WriteText(w)
					if len(docs) == 0 {
						fmt.Fprintln(w, answer.Nobody(d.Who))
					}
				})
			})
		}})
}
