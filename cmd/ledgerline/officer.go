package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newOfficer(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "officer",
		Short: "Say who may do what: accounts, their roles and tenants",
		Long: `officer manages the accounts of the people who work with the ledger. As long as nobody has one, this machine's
user acts as tenant-admin, officer and operator of all tenants. Once there is one, each command on tenants' data is
told who acts (--as NAME, LEDGERLINE_AS), asks for the password, and does what one of the account's roles may:

` + rolesHelp() + `
The ledger records who acted by the account's name: name people by their UPN, so that it knows them for who they are.
Starting, restoring and repairing (` + "`up`, `status`, `restore`, `views`, `relay`, `eventstore`" + `) take no account: who
runs them reads no tenant's data by that. Accounts lie in the vault, and come back with a copy of it. They tell people
apart; whoever owns the data directory holds its keys, whatever the accounts say.`,
		Example: `  ledgerline officer add anna@contoso.example --role tenant-admin,officer --tenant all
  ledgerline officer add piet@contoso.example --role viewer --tenant Contoso --as anna@contoso.example
  ledgerline report admin-actions --masked --as piet@contoso.example`,
	}
	cmd.AddCommand(newOfficerAdd(a), newOfficerSet(a), newOfficerRemove(a), newOfficerPasswd(a), newOfficerList(a))
	return cmd
}

// rolesHelp is the table of actions by roles, a line for each role.
func rolesHelp() string {
	var b strings.Builder
	for _, r := range access.Roles() {
		var may []string
		for _, l := range access.Table() {
			if slices.Contains(l.Roles, r) && l.Action != access.OwnPassword {
				may = append(may, string(l.Action))
			}
		}
		if may == nil {
			may = []string{"(nothing yet)"}
		}
		fmt.Fprintf(&b, "  %-12s  %s\n", r, strings.Join(may, ", "))
	}
	return b.String()
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
		Long: `add asks for the account's password twice on a terminal, or takes the next line of standard input. The first
account must be tenant-admin of all tenants, so that it can make the others.`,
		Example: `  ledgerline officer add anna@contoso.example --role tenant-admin,officer --tenant all
  pass show ledger/piet | ledgerline officer add piet --role viewer --as-password-file ~/anna.password --as anna`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			d, err := a.openLists(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
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
			fmt.Fprintf(cmd.OutOrStdout(), "%q has an account as %s: --as signs in\n", n.Name, rolesText(n.Roles))
			return nil
		},
	}
	g.flags(cmd)
	return cmd
}

func newOfficerSet(a *app) *cobra.Command {
	g := given{}
	cmd := &cobra.Command{
		Use:   "set NAME --role ROLE…",
		Short: "Give an account other roles and tenants",
		Long: `set replaces an account's roles and tenants by those that are named; name all that are to hold. It holds from
the next command that signs in.`,
		Example: `  ledgerline officer set piet@contoso.example --role viewer,auditor --tenant Contoso --as anna@contoso.example`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			d, err := a.openLists(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			n, err := g.account(cmd, d, args[0])
			if err != nil {
				return err
			}
			n, err = d.office.SetOfficer(cmd.Context(), d.who, n.Name, n.Roles, n.Tenants, n.All)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q is now %s\n", n.Name, rolesText(n.Roles))
			return nil
		},
	}
	g.flags(cmd)
	return cmd
}

func newOfficerRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take somebody's account away",
		Long: `remove takes an account away; what it did stays in the ledger, under its name. The last account that can manage
the others cannot be removed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			d, err := a.openLists(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			if err := d.office.RemoveOfficer(cmd.Context(), d.who, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%q has no account any more\n", args[0])
			return nil
		},
	}
}

func newOfficerPasswd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "passwd [NAME]",
		Short: "Give an account a new password: one's own, or another's",
		Long: `passwd changes the password of the account that --as names, or of another one, for which it takes the role
tenant-admin. After too many wrong ones the account can sign in at once again.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			d, err := a.openLists(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
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
		},
	}
}

type officerDoc struct {
	Name    string        `json:"name"`
	Roles   []access.Role `json:"roles"`
	Tenants []uuid.UUID   `json:"tenants"` // of theirs; none where all
	All     bool          `json:"allTenants"`
	Created time.Time     `json:"created"`
}

func newOfficerList(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts, their roles and tenants",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d, err := a.openLists(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			list, err := d.office.Officers(cmd.Context(), d.who)
			if err != nil {
				return err
			}
			tenants, err := d.office.Tenants(cmd.Context(), d.who)
			if err != nil {
				return err
			}
			names := map[uuid.UUID]string{}
			for _, t := range tenants {
				names[t.ID] = t.Name
			}
			docs := []officerDoc{}
			for _, n := range list {
				docs = append(docs, officerDoc{n.Name, n.Roles, append([]uuid.UUID{}, n.Tenants...), n.All, n.Created})
			}
			return writeOutput(cmd.OutOrStdout(), output, docs, func(w io.Writer) {
				for _, n := range docs {
					of := "all tenants"
					if !n.All {
						of = tenantsText(n.Tenants, names)
					}
					fmt.Fprintf(w, "%-32s %s of %s\n", n.Name, rolesText(n.Roles), of)
				}
				if len(docs) == 0 {
					fmt.Fprintf(w, "nobody has an account: this machine's user acts as %s of all tenants\n", rolesText(d.who.Roles))
				}
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// tenantsText names those tenants that the reader may know of, and counts the others.
func tenantsText(ids []uuid.UUID, names map[uuid.UUID]string) string {
	var out []string
	others := 0
	for _, id := range ids {
		if name := names[id]; name != "" {
			out = append(out, name)
		} else {
			others++
		}
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("%d others", others))
	}
	return strings.Join(out, ", ")
}
