package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/feed"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
)

// fleetFlags are those of `up`.
func fleetFlags(cmd *cobra.Command, f *feed.Config) {
	cmd.Flags().IntVar(&f.Devices, "fleet", 0,
		"feed a generated fleet of this many devices, once, as tenant "+feed.Tenant)
	cmd.Flags().IntVar(&f.Days, "fleet-days", 30, "days of change of the generated fleet")
	cmd.Flags().Uint64Var(&f.Seed, "fleet-seed", 1, "seed of the generated fleet")
}

func newFleet() *cobra.Command {
	f := feed.Config{}
	cmd := &cobra.Command{
		Use:   "fleet DIR",
		Short: "Write a generated fleet's records, in the formats of the sources, to import or to test with",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.Devices == 0 {
				return usage("--devices is 0: a fleet has at least one")
			}
			if err := f.Validate(); err != nil {
				return &exitError{exitUsage, err}
			}
			sum, err := f.Write(cmd.Context(), cmd.OutOrStdout(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "source tenant %s\n", sum.Tenant)
			return nil
		},
	}
	cmd.Flags().IntVar(&f.Devices, "devices", 1000, "devices on the first day")
	cmd.Flags().IntVar(&f.Days, "days", 30, "days of change")
	cmd.Flags().Uint64Var(&f.Seed, "seed", 1, "everything follows from it")
	return cmd
}

// feed feeds a generated fleet into the ledger that runs here.
func (a *app) feed(ctx context.Context, out io.Writer, n *node.Node, f feed.Config) error {
	who, err := a.who().User()
	if err != nil {
		return err
	}
	cfg := a.officeConfig(nil, io.Discard)
	cfg.Vault, cfg.Ledger, cfg.Observer = n.Vault, n.Ledger, n.Metrics().Intake()
	if cfg.Custody, err = a.node(nil).Custody(n.Ledger, n.Vault); err != nil {
		return err
	}
	o, err := office.New(cfg)
	if err != nil {
		return err
	}
	return f.Into(ctx, out, n, o, who, a.cfg.Data)
}
