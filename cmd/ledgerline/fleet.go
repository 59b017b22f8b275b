package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// fleetFeed is a generated fleet to be fed into a ledger once.
type fleetFeed struct {
	Devices, Days int
	Seed          uint64
}

func (f *fleetFeed) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.Devices, "fleet", 0,
		"feed a generated fleet of this many devices, once, as tenant "+fleetTenant)
	cmd.Flags().IntVar(&f.Days, "fleet-days", 30, "days of change of the generated fleet")
	cmd.Flags().Uint64Var(&f.Seed, "fleet-seed", 1, "seed of the generated fleet")
}

func (f fleetFeed) config() fleet.Config {
	cfg := fleet.Sized(f.Devices) // which takes any number
	cfg.Days, cfg.Seed = f.Days, f.Seed
	return cfg
}

// check refuses sizes that no fleet can have.
func (f fleetFeed) check() error {
	if f.Devices == 0 {
		return nil
	}
	if err := f.config().Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// fleetTenant is the tenant that a generated fleet belongs to.
const fleetTenant = "Demo"

func newFleet() *cobra.Command {
	f := fleetFeed{}
	cmd := &cobra.Command{
		Use:   "fleet DIR",
		Short: "Write a generated fleet's records, in the formats of the sources, to import or to test with",
		Long: `fleet invents devices, people, admins and days of change from a seed, and writes what Intune would
report about them: Azure Monitor lines, Event Hubs batches and Graph responses. The same seed gives the same bytes.
Nobody in it exists.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.Devices == 0 {
				return usage("--devices is 0: a fleet has at least one")
			}
			if err := f.check(); err != nil {
				return err
			}
			sum, err := writeFleet(cmd.Context(), cmd.OutOrStdout(), f, args[0])
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

func writeFleet(ctx context.Context, out io.Writer, f fleetFeed, dir string) (fleet.Summary, error) {
	p := newProgress(out)
	start := time.Now()
	sum, err := fleet.Write(ctx, f.config(), dir, func(g fleet.Progress) {
		p.show("generating: day %d of %d, %s records", g.Day, g.Days, count(g.Records))
	})
	p.done()
	if err != nil {
		return sum, err
	}
	records := 0
	for _, n := range sum.Records {
		records += n
	}
	fmt.Fprintf(out, "generated   %s records in %d files, %s, of %d devices over %d days: %s\n", count(records),
		sum.Files, bytesText(sum.Bytes), f.Devices, f.Days, rate(records, "records", time.Since(start)))
	return sum, nil
}

func rate[T ~int | ~int64 | ~uint64](n T, what string, took time.Duration) string {
	return fmt.Sprintf("%.1f s, %s %s/s", took.Seconds(), count(int64(float64(n)/max(took.Seconds(), 0.001))), what)
}

// feed generates a fleet, imports it and waits until the views hold it. What a stop cut off is
// carried on with at the next start.
func (n *runningNode) feed(ctx context.Context, out io.Writer, f fleetFeed) error {
	done := filepath.Join(n.a.cfg.Data, "fleet.done")
	if _, err := os.Stat(done); err == nil {
		fmt.Fprintf(out, "The generated fleet is in the ledger already, as tenant %s. Remove the data directory "+
			"for a new one.\n", fleetTenant)
		return nil
	}
	fmt.Fprintf(out, "Feeding a generated fleet of %s devices and %d days as tenant %s.\n",
		count(f.Devices), f.Days, fleetTenant)
	dir := filepath.Join(n.a.cfg.Data, "fleet")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	gen, err := writeFleet(ctx, out, f, dir)
	if err != nil {
		return err
	}
	t, err := n.fleetTenant(ctx, gen.Tenant)
	if err != nil {
		return err
	}
	in, err := intake.New(intake.Config{Kinds: kinds.All(schemas.Default()), Ledger: n.ledger, Vault: n.vault, Clock: time.Now, Logger: n.a.log,
		Hook: crashHook(n.a.log), Observer: n.metrics.Intake()})
	if err != nil {
		return err
	}
	start := time.Now()
	sum, err := importPaths(ctx, out, in, t, intake.Source{Paths: []string{dir},
		TakeNameless: true}) // the fleet is ours, and names another tenant in places
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "imported    %s records, %s events appended: %s, %s\n",
		count(sum.Read), count(sum.EventsAppended), rate(sum.Read, "records", time.Since(start)),
		rate(sum.EventsAppended, "events", time.Since(start)))
	wait := time.Now()
	if _, err := waitForViews(ctx, n.ledger, n.views, newProgress(out)); err != nil {
		return err
	}
	st := n.report()
	fmt.Fprintf(out, "published   %s events, while importing\n", count(st.Relay.Events))
	fmt.Fprintf(out, "projected   %s events, complete %.1f s after the last append: %s through relay and views\n",
		count(st.Views.Applied), time.Since(wait).Seconds(), rate(st.Views.Applied, "events", time.Since(start)))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

func (n *runningNode) fleetTenant(ctx context.Context, source string) (vault.Tenant, error) {
	c, err := n.a.newCustody(n.ledger, n.vault)
	if err != nil {
		return vault.Tenant{}, err
	}
	p, err := n.a.principal()
	if err != nil {
		return vault.Tenant{}, err
	}
	t, err := c.RegisterTenant(ctx, p, vault.NewTenant{Name: fleetTenant, Sources: []string{source},
		TimeZone: "Europe/Amsterdam", Language: "nl"})
	if errors.Is(err, vault.ErrExists) {
		return n.vault.Tenant(ctx, fleetTenant)
	}
	return t, err
}
