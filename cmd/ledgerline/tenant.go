package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
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
		Args:  cobra.ExactArgs(1),
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
			d, err := a.openOffice(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			t, err := d.office.AddTenant(cmd.Context(), d.who, n)
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
		Args:  cobra.ExactArgs(1),
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
			d, err := a.openDesk(cmd, args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			t, err := d.office.SetSources(cmd.Context(), d.who, d.tenant.ID, all, ids)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "tenant %q takes records of: %s\n", t.Name, answer.Sources(t))
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&sources, "source-tenant", nil, "tenant id in the source systems (repeatable), or any")
	return cmd
}

func newTenantList(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tenants",
		Args:  cobra.NoArgs,
		RunE: a.listing(func(cmd *cobra.Command, d *desk, _ []string) error {
			all, err := d.office.Tenants(cmd.Context(), d.who)
			if err != nil {
				return err
			}
			docs := answer.TenantsOf(all)
			return writeOutput(cmd.OutOrStdout(), output, docs, docs.WriteText)
		}),
	}
	outputFlag(cmd, &output)
	return cmd
}
