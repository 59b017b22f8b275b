// Package feed owns the feeding of a generated fleet into a ledger that runs: once, as a tenant
// of its own, for a trial.
//
// It may lose all of it: what a stop cuts off is carried on with by the next call. It trusts
// whoever starts the ledger; nobody in a generated fleet exists, so that feeding one takes no
// account.
package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/intake"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// Tenant is the tenant that a generated fleet belongs to.
const Tenant = "Demo"

// Config says how many of what is fed.
type Config struct {
	Devices, Days int
	Seed          uint64
}

// Validate refuses sizes that no fleet can have; no devices are no fleet.
func (c Config) Validate() error {
	if c.Devices == 0 {
		return nil
	}
	return c.fleet().Validate()
}

func (c Config) fleet() fleet.Config {
	cfg := fleet.Sized(c.Devices) // which takes any number
	cfg.Days, cfg.Seed = c.Days, c.Seed
	return cfg
}

// Write writes the fleet's records below dir, and tells of it.
func (c Config) Write(ctx context.Context, out io.Writer, dir string) (fleet.Summary, error) {
	p := terminal.NewProgress(out)
	start := time.Now()
	sum, err := fleet.Write(ctx, c.fleet(), dir, func(g fleet.Progress) {
		p.Show("generating: day %d of %d, %s records", g.Day, g.Days, terminal.Count(g.Records))
	})
	p.Done()
	if err != nil {
		return sum, err
	}
	records := 0
	for _, n := range sum.Records {
		records += n
	}
	fmt.Fprintf(out, "generated   %s records in %d files, %s, of %d devices over %d days: %s\n",
		terminal.Count(records), sum.Files, terminal.Bytes(sum.Bytes), c.Devices, c.Days,
		rate(records, "records", time.Since(start)))
	return sum, nil
}

func rate[T ~int | ~int64 | ~uint64](n T, what string, took time.Duration) string {
	return fmt.Sprintf("%.1f s, %s %s/s", took.Seconds(),
		terminal.Count(int64(float64(n)/max(took.Seconds(), 0.001))), what)
}

// Into generates the fleet below data, imports it and waits until the views hold it. What a stop
// cut off is carried on with by the next call; a fleet that was fed is not fed again.
func (c Config) Into(
	ctx context.Context, out io.Writer, n *node.Node, o *office.Office, who access.Principal, data string,
) error {
	done := filepath.Join(data, "fleet.done")
	if _, err := os.Stat(done); err == nil {
		fmt.Fprintf(out, "The generated fleet is in the ledger already, as tenant %s. Remove the data directory "+
			"for a new one.\n", Tenant)
		return nil
	}
	fmt.Fprintf(out, "Feeding a generated fleet of %s devices and %d days as tenant %s.\n",
		terminal.Count(c.Devices), c.Days, Tenant)
	dir := filepath.Join(data, "fleet")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	gen, err := c.Write(ctx, out, dir)
	if err != nil {
		return err
	}
	start := time.Now()
	sum, err := take(ctx, out, o, who, dir, gen.Tenant)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "imported    %s records, %s events appended: %s, %s\n",
		terminal.Count(sum.Read), terminal.Count(sum.EventsAppended), rate(sum.Read, "records", time.Since(start)),
		rate(sum.EventsAppended, "events", time.Since(start)))
	wait := time.Now()
	p := terminal.NewProgress(out)
	_, err = office.WaitForViews(ctx, n.Ledger, n.Views, answer.WaitingForViews(p, words.Default().Base()))
	p.Done()
	if err != nil {
		return err
	}
	st := n.Status(ctx)
	fmt.Fprintf(out, "published   %s events, while importing\n", terminal.Count(st.Relay.Events))
	fmt.Fprintf(out, "projected   %s events, complete %.1f s after the last append: %s through relay and views\n",
		terminal.Count(st.Views.Applied), time.Since(wait).Seconds(),
		rate(st.Views.Applied, "events", time.Since(start)))
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

// take declares the fleet's tenant and imports its records.
func take(
	ctx context.Context, out io.Writer, o *office.Office, who access.Principal, dir, source string,
) (intake.Summary, error) {
	p := terminal.NewProgress(out)
	defer p.Done()
	t, err := o.AddTenant(ctx, who, vault.NewTenant{Name: Tenant, Sources: []string{source},
		TimeZone: "Europe/Amsterdam", Language: "nl"})
	if errors.Is(err, vault.ErrExists) {
		t, err = o.Tenant(ctx, who, Tenant)
	}
	if err != nil {
		return intake.Summary{}, err
	}
	return o.Import(ctx, who, t.ID, intake.Source{Paths: []string{dir},
		TakeNameless: true}, office.Pace{},
		answer.ImportShown(p, words.Default().Base())) // the fleet names another tenant in places
}
