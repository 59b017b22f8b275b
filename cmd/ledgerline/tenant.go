package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/schemas/words"
)

func newTenant(a *app) *cobra.Command {
	return group("tenant", "Declare, change and list tenants", newTenantAdd(a), newTenantSet(a), newTenantList(a))
}

func sourcesFlag(f flags, to *office.AskedSources) {
	f.StringSliceVar((*[]string)(to), "source-tenant", nil,
		"tenant id in the source systems (repeatable), or "+office.AnySource)
}

func newTenantAdd(a *app) *cobra.Command {
	var asked office.AskedTenant
	return a.command(command{use: "add NAME --source-tenant ID…|any",
		short: "Declare a tenant, and which source tenants' records are its own", args: cobra.ExactArgs(1),
		flags: func(f flags) {
			sourcesFlag(f, &asked.Sources)
			f.StringVar(&asked.Zone, "time-zone", "", "IANA time zone of its reports; default "+zonesOfLanguages())
			f.choice(&asked.Language, "language", "", words.Base, strings.Join(words.Languages(), " or "),
				words.Languages()...)
		},
		run: func(c *call) error {
			asked.Name = c.args[0]
			n, err := asked.Tenant()
			if err != nil {
				return wrong(err)
			}
			return c.at(desk.Config.Acts, func(d *desk.Desk) error {
				t, err := d.Office.AddTenant(c.ctx, d.Who, n)
				if err != nil {
					return err
				}
				return c.tell("tenant %q is declared; in the ledger it is %s", t.Name, t.ID)
			})
		}})
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

func newTenantSet(a *app) *cobra.Command {
	var sources office.AskedSources
	return a.command(command{use: "set NAME --source-tenant ID…|any",
		short: "Change which source tenants' records are a tenant's own", args: cobra.ExactArgs(1),
		flags: func(f flags) { sourcesFlag(f, &sources) },
		run: func(c *call) error {
			c.tenant = c.args[0]
			all, ids, err := sources.Check()
			if len(sources) > 0 && strings.TrimSpace(c.tenant) == "" {
				return usage("name the tenant: `ledgerline tenant list` shows them")
			} else if err != nil {
				return wrong(err)
			}
			return c.forTenant(func(d *desk.Desk) error {
				t, err := d.Office.SetSources(c.ctx, d.Who, d.Tenant.ID, all, ids)
				if err != nil {
					return err
				}
				return c.tell("tenant %q takes records of: %s", t.Name, answer.Sources(t))
			})
		}})
}

func newTenantList(a *app) *cobra.Command {
	return a.command(command{use: "list", short: "List tenants", flags: flags.output,
		run: func(c *call) error {
			return c.at(desk.Config.Lists, func(d *desk.Desk) error {
				all, err := d.Office.Tenants(c.ctx, d.Who)
				return c.print(answer.TenantsOf(all), err)
			})
		}})
}
