package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/office"
)

func newTail(a *app) *cobra.Command {
	var following office.Following
	var tenant string
	return cli.New(cli.Command{Use: "tail", Short: "Follow the stream readably, as any consumer of the topics sees it",
		Flags: func(f cli.Flags) {
			f.BoolVar(&following.FromStart, "from-start", false, "begin with the ledger's first event")
			f.BoolVar(&following.UntilEnd, "until-end", false, "stop at what is in the topics now")
			f.StringVar(&tenant, "tenant", "", "only this tenant's events")
			f.StringVar(&following.Type, "type", "",
				"only types that begin with this (device., adminaction.recorded.v1)")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			open := desk.Config.Topics
			if tenant != "" {
				open = desk.Config.TenantsTopics
			}
			return a.at(c, open, func(d *desk.Desk) error {
				if tenant != "" {
					if err := d.Choose(c.Ctx, tenant); err != nil {
						return err
					}
				}
				in, zone := d.Reads(c.Ctx)
				a.words = in
				events := answer.Events{Out: c.Out, Notes: c.Err, JSON: c.Output == "json", In: in, Zone: zone,
					Start: following.FromStart}
				following.Event, following.Foreign = events.Write, events.Foreign
				if !following.UntilEnd {
					following.Begun, following.Waiting = events.Begun, events.Waiting
				}
				defer events.WriteForeign()
				return d.Office.Follow(c.Ctx, d.Who, d.Tenant.ID, following)
			})
		}})
}
