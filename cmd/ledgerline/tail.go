package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/schemas"
)

func newTail(a *app) *cobra.Command {
	var following office.Following
	return a.command(command{use: "tail", short: "Follow the stream readably, as any consumer of the topics sees it",
		flags: func(f flags) {
			f.BoolVar(&following.FromStart, "from-start", false, "begin with the ledger's first event")
			f.BoolVar(&following.UntilEnd, "until-end", false, "stop at what is in the topics now")
			f.StringVar(&f.c.tenant, "tenant", "", "only this tenant's events")
			f.StringVar(&following.Type, "type", "",
				"only types that begin with this (device., adminaction.recorded.v1)")
			f.output()
		},
		run: func(c *call) error {
			open := desk.Config.Topics
			if c.tenant != "" {
				open = desk.Config.TenantsTopics
			}
			return c.at(open, func(d *desk.Desk) error {
				if c.tenant != "" {
					if err := d.Choose(c.ctx, c.tenant); err != nil {
						return err
					}
				}
				return c.follow(d, following)
			})
		}})
}

// follow prints events as they come, and in the end what was left out.
func (c *call) follow(d *desk.Desk, f office.Following) error {
	var foreign consumers.ForeignCount
	f.Event = func(r schemas.Envelope) error { return answer.WriteEvent(c.out, r, c.output == "json") }
	f.Foreign = func(name string, offset int64) {
		if topic, partition, err := node.SplitPartition(name); err == nil {
			foreign.Add(topic, partition, offset)
		}
	}
	err := d.Office.Follow(c.ctx, d.Who, d.Tenant.ID, f)
	for _, f := range foreign.List() {
		fmt.Fprintf(c.err, "left out, not the ledger's: %s\n", f)
	}
	return err
}
