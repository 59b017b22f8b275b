package main

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/schemas"
)

func newLedger(a *app) *cobra.Command {
	return group("ledger", "Find events that are not the ledger's own, and disown them",
		newLedgerCheck(a), newLedgerDisown(a))
}

func newLedgerCheck(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the whole event store and name what is not the ledger's own",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			d, err := a.openOffice(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			doc, err := d.check(cmd.Context(), terminal.NewProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText); err != nil {
				return err
			}
			return doc.Problem()
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func (d *desk) check(ctx context.Context, p *terminal.Progress) (answer.LedgerCheck, error) {
	defer p.Done()
	doc := answer.NewLedgerCheck()
	err := d.office.CheckLedger(ctx, d.who, func(f ledger.Found) error {
		doc.Add(f)
		p.Show("reading the event store: %s events of the ledger, %s foreign", terminal.Count(doc.Events),
			terminal.Count(doc.Foreign))
		return nil
	})
	return doc, err
}

func newLedgerDisown(a *app) *cobra.Command {
	var tenant, ground, output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "disown EVENT…",
		Short: "Take events that are not the ledger's own out of views, reports and packages",
		Args:  cobra.ArbitraryArgs, // custody says that one is missing
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ids, err := parseEventIDs(args)
			if err != nil {
				return err
			}
			if err := custody.CheckDisown(ids, ground); err != nil {
				return err
			}
			if !yes {
				return usage("disowning cannot be undone: add --yes to disown %s events", terminal.Count(len(ids)))
			}
			d, err := a.openOffice(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			if tenant != "" {
				if d.tenant, err = d.office.Tenant(cmd.Context(), d.who, tenant); err != nil {
					return err
				}
			}
			p := terminal.NewProgress(cmd.ErrOrStderr())
			done, err := d.office.Disown(cmd.Context(), d.who, d.tenant.ID, ids, ground, func(read uint64) {
				p.Show("reading the ledger: %s events", terminal.Count(read))
			})
			p.Done()
			if err != nil {
				return err
			}
			doc := answer.NewDisowned(done)
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText)
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "",
		"disown as this tenant; without it, as the operator of the whole ledger")
	cmd.Flags().StringVar(&ground, "ground", "", "how they came there: "+strings.Join(custody.DisownGrounds, ", "))
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, disown them")
	outputFlag(cmd, &output)
	return cmd
}

func parseEventIDs(args []string) (ids []uuid.UUID, err error) {
	for _, arg := range args {
		id, err := schemas.ParseUUID(arg)
		if err != nil {
			return nil, usage("event %q is not a uuid, as `ledgerline ledger check` prints it", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
