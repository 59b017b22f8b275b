// Package tenants has the commands that declare and change tenants, and say what is held of them.
//
// It keeps nothing: what people want is done at the desk that the program gives it.
package tenants

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Host is the program around the commands: where acts are done, and in which language it answers.
type Host struct {
	// At has an act done at a desk that open opens.
	At func(c *cli.Call, open func(desk.Config, context.Context) (*desk.Desk, error), act func(*desk.Desk) error) error
	// ForTenant has an act done for the tenant of that name, and answers in its language; wrong is
	// what is wrong with what was typed, whatever the tenant.
	ForTenant func(c *cli.Call, tenant, lang string, wrong error, act func(*desk.Desk) error) error
	// Words returns the language of the answer; Speak sets it by its code.
	Words func() *words.Language
	Speak func(lang string)
}

// Commands returns the commands on tenants.
func Commands(h Host) *cobra.Command {
	return cli.Group("tenant", "Declare, change and list tenants", newAdd(h), newSet(h), newList(h), newPolicy(h))
}

func sourcesFlag(f cli.Flags, to *office.AskedSources) {
	f.StringSliceVar((*[]string)(to), "source-tenant", nil,
		"tenant id in the source systems (repeatable), or "+office.AnySource)
}

func newAdd(h Host) *cobra.Command {
	var asked office.AskedTenant
	return cli.New(cli.Command{Use: "add NAME --source-tenant ID…|any",
		Short: "Declare a tenant, and which source tenants' records are its own", Args: cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			sourcesFlag(f, &asked.Sources)
			f.StringVar(&asked.Zone, "time-zone", "",
				"IANA time zone of its reports; default "+office.ZonesOfLanguages())
			f.Choice(&asked.Language, "language", "", words.Base, strings.Join(words.Languages(), " or "),
				words.Languages()...)
		},
		Run: func(c *cli.Call) error {
			asked.Name = c.Args[0]
			h.Speak(asked.Language)
			n, err := asked.Tenant()
			if err != nil {
				return cli.Exit(cli.Wrong, err)
			}
			return h.At(c, desk.Config.Acts, func(d *desk.Desk) error {
				t, err := d.Office.AddTenant(c.Ctx, d.Who, n)
				return c.Tell(err, "%s", answer.Declared(h.Words(), t))
			})
		}})
}

func newSet(h Host) *cobra.Command {
	var sources office.AskedSources
	var purposes office.AskedPurposes
	return cli.New(cli.Command{Use: "set NAME [--source-tenant ID…|any] [--purpose CODE…|all]",
		Short: "Change which source tenants' records are a tenant's own, or why its protected values may be seen",
		Args:  cobra.ExactArgs(1),
		Flags: func(f cli.Flags) {
			sourcesFlag(f, &sources)
			f.StringSliceVar((*[]string)(&purposes), "purpose", nil,
				"purpose for which protected values may be seen (repeatable), or "+office.AllPurposes)
		},
		Run: func(c *cli.Call) error {
			all, ids, codes, wrong := office.CheckChange(sources, purposes)
			if wrong == nil && strings.TrimSpace(c.Args[0]) == "" {
				return cli.Usage("name the tenant: `ledgerline tenant list` shows them")
			}
			return h.ForTenant(c, c.Args[0], "", cli.Exit(cli.Wrong, wrong), func(d *desk.Desk) error {
				if len(sources) > 0 {
					t, err := d.Office.SetSources(c.Ctx, d.Who, d.Tenant.ID, all, ids)
					if err = c.Tell(err, "%s", answer.Takes(h.Words(), t)); err != nil {
						return err
					}
				}
				if len(purposes) == 0 {
					return nil
				}
				t, err := d.Office.SetPurposes(c.Ctx, d.Who, d.Tenant.ID, codes)
				return c.Tell(err, "%s", answer.SeenFor(h.Words(), t))
			})
		}})
}

func newList(h Host) *cobra.Command {
	return cli.New(cli.Command{Use: "list", Short: "List tenants", Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			return h.At(c, desk.Config.Lists, func(d *desk.Desk) error {
				all, err := d.Office.Tenants(c.Ctx, d.Who)
				return c.Print(answer.TenantsOf(all), err)
			})
		}})
}
