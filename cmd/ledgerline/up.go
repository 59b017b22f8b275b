package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/desk"
	"github.com/ledgerline/ledgerline/internal/feed"
	"github.com/ledgerline/ledgerline/internal/node"
)

// engineCommand is the hidden argument with which `up` runs itself as the child
// that holds ClickHouse's engine.
const engineCommand = "embedded-clickhouse"

func runEngine() int {
	cfg, err := engine.ChildConfigFromEnv()
	if err == nil {
		err = engine.RunChild(context.Background(), cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledgerline "+engineCommand+": "+err.Error())
		return cli.Failed
	}
	return cli.OK
}

func newUp(a *app) *cobra.Command {
	var fleet feed.Config
	return cli.New(cli.Command{Use: "up",
		Short: "Run a whole ledger on this machine: the three servers, relay and views",
		Flags: func(f cli.Flags) {
			f.IntVar(&fleet.Devices, "fleet", 0,
				"feed a generated fleet of this many devices, once, as tenant "+feed.Tenant)
			f.IntVar(&fleet.Days, "fleet-days", 30, "days of change of the generated fleet")
			f.Uint64Var(&fleet.Seed, "fleet-seed", 1, "seed of the generated fleet")
		},
		Run: func(c *cli.Call) error { return a.up(c, fleet) }})
}

func (a *app) up(c *cli.Call, fleet feed.Config) (err error) {
	if err := fleet.Validate(); err != nil {
		return cli.Exit(cli.Wrong, err)
	}
	n, err := node.New(a.node(c.Out))
	if err != nil {
		return err
	}
	if err := n.Start(c.Ctx); err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(c.Out, "stopping: draining relay and views")
		err = n.Stop(err)
		fmt.Fprintln(c.Out, "stopped")
	}()
	answer.WriteUp(c.Out, n, a.cfg, a.commandLine("connect"))
	if fleet.Devices > 0 {
		if err := a.feed(c, n, fleet); err != nil {
			if c.Ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("feed the fleet: %w", err)
		}
		fmt.Fprintln(c.Out, "\nThe ledger is up and stays up until Ctrl-C.")
	}
	return n.Wait(c.Ctx)
}

// feed feeds a generated fleet into the ledger that runs here.
func (a *app) feed(c *cli.Call, n *node.Node, fleet feed.Config) error {
	d, err := desk.Config{Node: a.node(nil), Who: a.who(), Warnings: io.Discard}.In(n)
	if err != nil {
		return err
	}
	return fleet.Into(c.Ctx, c.Out, n, d.Office, d.Who, a.cfg.Data)
}
