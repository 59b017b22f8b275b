package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newOfficer(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "officer",
		Short: "Say who may do what: accounts, their roles and tenants",
	}
	cmd.AddCommand(newOfficerAdd(a), newOfficerSet(a), newOfficerRemove(a), newOfficerPasswd(a), newOfficerList(a))
	return cmd
}

// given are the flags of an account.
type given struct{ roles, tenants []string }

func (g *given) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&g.roles, "role", nil, "one or more of "+strings.Join(accounts.RoleNames(), ", "))
	cmd.Flags().StringSliceVar(&g.tenants, "tenant", nil,
		"the tenants it acts for, or all: those to come too; may be left out where there is only one")
}

// account is the account that the flags say.
func (g given) account(cmd *cobra.Command, d *desk, name string) (accounts.Account, error) {
	n := accounts.Account{Name: name, All: slices.Contains(g.tenants, "all")}
	for _, r := range g.roles {
		n.Roles = append(n.Roles, access.Role(r))
	}
	if n.All && len(g.tenants) > 1 {
		return n, usage("--tenant all names all tenants: leave out the others")
	}
	names := g.tenants
	if len(names) == 0 {
		names = []string{""} // the only one
	}
	for _, t := range names {
		if n.All {
			break
		}
		found, err := d.office.Tenant(cmd.Context(), d.who, t)
		if err != nil {
			return n, err
		}
		n.Tenants = append(n.Tenants, found.ID)
	}
	return n, nil
}

func newOfficerAdd(a *app) *cobra.Command {
	g := given{}
	cmd := &cobra.Command{
		Use:   "add NAME --role ROLE…",
		Short: "Give somebody an account",
		Args:  cobra.ExactArgs(1),
		RunE: a.listing(func(cmd *cobra.Command, d *desk, args []string) error {
			n, err := g.account(cmd, d, args[0])
			if err != nil {
				return err
			}
			if err := accounts.CheckNew(n); err != nil {
				return err
			}
			password, err := terminal.NewPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := d.office.AddOfficer(cmd.Context(), d.who, n, password); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q has an account as %s: --as signs in\n", n.Name, refusal.Roles(n.Roles))
			return nil
		}),
	}
	g.flags(cmd)
	return cmd
}

func newOfficerSet(a *app) *cobra.Command {
	g := given{}
	cmd := &cobra.Command{
		Use:   "set NAME --role ROLE…",
		Short: "Give an account other roles and tenants",
		Args:  cobra.ExactArgs(1),
		RunE: a.listing(func(cmd *cobra.Command, d *desk, args []string) error {
			n, err := g.account(cmd, d, args[0])
			if err != nil {
				return err
			}
			n, err = d.office.SetOfficer(cmd.Context(), d.who, n.Name, n.Roles, n.Tenants, n.All)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q is now %s\n", n.Name, refusal.Roles(n.Roles))
			return nil
		}),
	}
	g.flags(cmd)
	return cmd
}

func newOfficerRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take somebody's account away",
		Args:  cobra.ExactArgs(1),
		RunE: a.listing(func(cmd *cobra.Command, d *desk, args []string) error {
			if err := d.office.RemoveOfficer(cmd.Context(), d.who, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q has no account any more\n", args[0])
			return nil
		}),
	}
}

func newOfficerPasswd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "passwd [NAME]",
		Short: "Give an account a new password: one's own, or another's",
		Args:  cobra.MaximumNArgs(1),
		RunE: a.listing(func(cmd *cobra.Command, d *desk, args []string) error {
			if a.cfg.As == "" {
				return usage("nobody has an account yet: `ledgerline officer add NAME` makes one")
			}
			password, err := terminal.NewPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			name := d.who.Login
			if len(args) == 0 || strings.EqualFold(args[0], name) {
				err = d.office.SetOwnPassword(cmd.Context(), d.who, password)
			} else {
				name = args[0]
				err = d.office.SetPassword(cmd.Context(), d.who, name, password)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q has a new password\n", name)
			return nil
		}),
	}
}

func newOfficerList(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts, their roles and tenants",
		Args:  cobra.NoArgs,
		RunE: a.listing(func(cmd *cobra.Command, d *desk, _ []string) error {
			list, err := d.office.Officers(cmd.Context(), d.who)
			if err != nil {
				return err
			}
			tenants, err := d.office.Tenants(cmd.Context(), d.who)
			if err != nil {
				return err
			}
			docs := answer.OfficersOf(list, tenants)
			return writeOutput(cmd.OutOrStdout(), output, docs, func(w io.Writer) {
				docs.WriteText(w)
				if len(docs) == 0 {
					fmt.Fprintln(w, answer.Nobody(d.who))
				}
			})
		}),
	}
	outputFlag(cmd, &output)
	return cmd
}
