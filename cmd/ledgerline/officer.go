package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newOfficer(a *app) *cobra.Command {
	return cli.Group("officer", "Say who may do what: accounts, their roles and tenants",
		newOfficerAdd(a), newOfficerSet(a), newOfficerRemove(a), newOfficerPasswd(a), newOfficerList(a))
}

// accountFlags are the flags of an account.
func accountFlags(f cli.Flags, to *office.AskedAccount) {
	f.StringSliceVar(&to.Roles, "role", nil, "one or more of "+strings.Join(accounts.RoleNames(), ", "))
	f.StringSliceVar(&to.Tenants, "tenant", nil, "the tenants it acts for, or "+office.AllTenants+
		": those to come too; may be left out where there is only one")
}

func newOfficerAdd(a *app) *cobra.Command {
	var asked office.AskedAccount
	return cli.New(cli.Command{Use: "add NAME --role ROLE…", Short: "Give somebody an account",
		Args:  cobra.ExactArgs(1),
		Flags: func(f cli.Flags) { accountFlags(f, &asked) },
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Lists, func(d *desk.Desk) error {
				n, err := asked.Account(c.Ctx, d.Office, d.Who, c.Args[0])
				if err != nil {
					return err
				}
				if err := accounts.CheckNew(n); err != nil {
					return err
				}
				password, err := terminal.NewPassword(c.Ctx, c.In, c.Err)
				if err != nil {
					return err
				}
				return c.Tell(d.Office.AddOfficer(c.Ctx, d.Who, n, password),
					"%q has an account as %s: --as signs in", n.Name, refusal.Roles(words.Default().Base(), n.Roles))
			})
		}})
}

func newOfficerSet(a *app) *cobra.Command {
	var asked office.AskedAccount
	return cli.New(cli.Command{Use: "set NAME --role ROLE…", Short: "Give an account other roles and tenants",
		Args: cobra.ExactArgs(1), Flags: func(f cli.Flags) { accountFlags(f, &asked) },
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Lists, func(d *desk.Desk) error {
				n, err := asked.Account(c.Ctx, d.Office, d.Who, c.Args[0])
				if err != nil {
					return err
				}
				n, err = d.Office.SetOfficer(c.Ctx, d.Who, n.Name, n.Roles, n.Tenants, n.All)
				return c.Tell(err, "%q is now %s", n.Name, refusal.Roles(words.Default().Base(), n.Roles))
			})
		}})
}

func newOfficerRemove(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "remove NAME", Short: "Take somebody's account away", Args: cobra.ExactArgs(1),
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Lists, func(d *desk.Desk) error {
				return c.Tell(d.Office.RemoveOfficer(c.Ctx, d.Who, c.Args[0]), "%q has no account any more", c.Args[0])
			})
		}})
}

func newOfficerPasswd(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "passwd [NAME]", Short: "Give an account a new password: one's own, or another's",
		Args: cobra.MaximumNArgs(1),
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Lists, func(d *desk.Desk) error {
				if a.cfg.As == "" {
					return cli.Usage("nobody has an account yet: `ledgerline officer add NAME` makes one")
				}
				password, err := terminal.NewPassword(c.Ctx, c.In, c.Err)
				if err != nil {
					return err
				}
				name := d.Who.Login
				if len(c.Args) == 0 || strings.EqualFold(c.Args[0], name) {
					err = d.Office.SetOwnPassword(c.Ctx, d.Who, password)
				} else {
					name = c.Args[0]
					err = d.Office.SetPassword(c.Ctx, d.Who, name, password)
				}
				return c.Tell(err, "%q has a new password", name)
			})
		}})
}

func newOfficerList(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "list", Short: "List the accounts, their roles and tenants",
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			return a.at(c, desk.Config.Lists, func(d *desk.Desk) error {
				list, err := d.Office.Officers(c.Ctx, d.Who)
				if err != nil {
					return err
				}
				tenants, err := d.Office.Tenants(c.Ctx, d.Who)
				if err != nil {
					return err
				}
				docs := answer.OfficersOf(list, tenants)
				return c.Write(docs, func(w io.Writer) { docs.WriteText(w, d.Who) })
			})
		}})
}
