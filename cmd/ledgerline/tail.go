package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/schemas"
)

func newTail(a *app) *cobra.Command {
	o := tailOptions{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the stream readably, as any consumer of the topics sees it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d, err := a.openTopics(cmd, o.tenant != "")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			if o.tenant != "" {
				if d.tenant, err = d.office.Tenant(cmd.Context(), d.who, o.tenant); err != nil {
					return err
				}
			}
			var foreign consumers.ForeignCount
			defer func() {
				for _, f := range foreign.List() {
					fmt.Fprintf(cmd.ErrOrStderr(), "left out, not the ledger's: %s\n", f)
				}
			}()
			return d.office.Follow(cmd.Context(), d.who, d.tenant.ID, office.Following{FromStart: o.fromStart,
				UntilEnd: o.untilEnd, Type: o.typ,
				Event: func(r schemas.Envelope) error {
					return answer.WriteEvent(cmd.OutOrStdout(), r, o.output == "json")
				},
				Foreign: func(name string, offset int64) {
					if topic, partition, err := node.SplitPartition(name); err == nil {
						foreign.Add(topic, partition, offset)
					}
				}})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.fromStart, "from-start", false, "begin with the ledger's first event")
	f.BoolVar(&o.untilEnd, "until-end", false, "stop at what is in the topics now")
	f.StringVar(&o.tenant, "tenant", "", "only this tenant's events")
	f.StringVar(&o.typ, "type", "", "only types that begin with this (device., adminaction.recorded.v1)")
	outputFlag(cmd, &o.output)
	return cmd
}

type tailOptions struct {
	fromStart, untilEnd bool
	tenant, typ, output string
}
