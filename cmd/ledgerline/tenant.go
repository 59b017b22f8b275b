package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newTenant(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Declare, change and list tenants",
	}
	cmd.AddCommand(newTenantAdd(a), newTenantSet(a), newTenantList(a))
	return cmd
}

func newTenantAdd(a *app) *cobra.Command {
	var sources []string
	var zone, lang string
	cmd := &cobra.Command{
		Use:   "add NAME --source-tenant ID…|any",
		Short: "Declare a tenant, and which source tenants' records are its own",
		Long: `add declares a tenant. Its records are those that name one of the source tenants; a record that
names another one fails and is not stored. A source tenant's id is a GUID (in Entra:
Overview, Tenant ID). With "any", records of every source tenant are taken, which is right for a trial and wrong for a
ledger that serves several customers.`,
		Example: `  ledgerline tenant add Contoso --source-tenant 5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11 --language nl
  ledgerline tenant add Trial --source-tenant any`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(sources) == 0 {
				return usage("--source-tenant is required: the source's tenant id, or any")
			}
			n := vault.NewTenant{Name: args[0], TimeZone: zone, Language: lang}
			n.AnySource, n.Sources = sourceTenants(sources)
			if l, ok := words.Default().Language(n.Language); ok && n.TimeZone == "" {
				n.TimeZone = l.Location().String()
			}
			if _, err := time.LoadLocation(n.TimeZone); err != nil {
				return usage("--time-zone %q is not an IANA name such as Europe/Amsterdam", zone)
			}
			if err := n.Validate(); err != nil {
				return &exitError{exitUsage, err}
			}
			d, err := a.openOffice(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			t, err := d.custody.RegisterTenant(cmd.Context(), d.who, n)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "tenant %q is declared; in the ledger it is %s\n", t.Name, t.ID)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&sources, "source-tenant", nil, "tenant id in the source systems (repeatable), or any")
	cmd.Flags().StringVar(&zone, "time-zone", "", "IANA time zone of its reports; default "+zonesOfLanguages())
	choiceFlag(cmd, &lang, "language", "", words.Base, strings.Join(words.Languages(), " or "), words.Languages()...)
	return cmd
}

// zonesOfLanguages says which time zone a language has where nobody gives one.
func zonesOfLanguages() string {
	base, out := words.Default().Base(), ""
	for _, l := range words.Default().Languages() {
		if l.Location().String() != base.Location().String() {
			out += l.Location().String() + " for " + l.Code() + ", "
		}
	}
	return out + "else " + base.Location().String()
}

// sourceTenants splits what --source-tenant was given.
func sourceTenants(given []string) (all bool, ids []string) {
	for _, s := range given {
		if s == "any" {
			all = true
		} else {
			ids = append(ids, s)
		}
	}
	return all, ids
}

func newTenantSet(a *app) *cobra.Command {
	var sources []string
	cmd := &cobra.Command{
		Use:   "set NAME --source-tenant ID…|any",
		Short: "Change which source tenants' records are a tenant's own",
		Long: `set replaces a tenant's source tenants by those that are named; name all that are to hold, not only new ones.
The change is an event in the ledger. It holds for what is imported from then on: what was taken before stays, and what
failed before is taken when it is imported again.

` + "`ledgerline tenant list`" + ` shows what is declared, and ` + "`ledgerline import --dry-run`" + ` which source tenants the
records of a folder name.`,
		Example: `  ledgerline tenant set Contoso --source-tenant 5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(sources) == 0 {
				return usage("--source-tenant is required: the source's tenant id, or any")
			}
			if strings.TrimSpace(args[0]) == "" {
				return usage("name the tenant: `ledgerline tenant list` shows them")
			}
			all, ids := sourceTenants(sources)
			if err := vault.CheckSources(all, ids); err != nil {
				return &exitError{exitUsage, err}
			}
			d, err := a.openDesk(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.close()) }()
			t, err := d.custody.SetTenantSources(cmd.Context(), d.who, d.tenant.ID, all, ids)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "tenant %q takes records of: %s\n", t.Name, sourceText(t))
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&sources, "source-tenant", nil, "tenant id in the source systems (repeatable), or any")
	return cmd
}

func sourceText(t vault.Tenant) string {
	if t.AnySource {
		return "any source tenant"
	}
	return strings.Join(t.Sources, ", ")
}

type tenantDoc struct {
	ID       uuid.UUID `json:"id"`
	Name     string    `json:"name"`
	Sources  []string  `json:"sources"` // "any", or source tenant ids
	TimeZone string    `json:"timeZone"`
	Language string    `json:"language"`
	Created  time.Time `json:"created"`
}

func newTenantList(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tenants",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s := &services{}
			defer func() { err = errors.Join(err, s.close()) }()
			v, err := a.openVault(cmd.Context(), s, false)
			if err != nil {
				return err
			}
			docs, err := listTenants(cmd.Context(), v)
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, docs, func(w io.Writer) {
				for _, d := range docs {
					fmt.Fprintf(w, "%-24s %s  %s  %s  sources: %s\n", d.Name, d.ID, d.Language, d.TimeZone, strings.Join(d.Sources, ", "))
				}
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func listTenants(ctx context.Context, v *vault.Vault) ([]tenantDoc, error) {
	all, err := v.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	docs := []tenantDoc{}
	for _, t := range all {
		sources := t.Sources
		if t.AnySource {
			sources = []string{"any"}
		}
		docs = append(docs, tenantDoc{t.ID, t.Name, sources, t.TimeZone, t.Language, t.Created})
	}
	return docs, nil
}
