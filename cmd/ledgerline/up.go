package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/internal/answer"
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
		return exitFailed
	}
	return exitOK
}

func newUp(a *app) *cobra.Command {
	var fleet feed.Config
	return a.command(command{use: "up",
		short: "Run a whole ledger on this machine: the three servers, relay and views",
		flags: func(f flags) {
			f.IntVar(&fleet.Devices, "fleet", 0,
				"feed a generated fleet of this many devices, once, as tenant "+feed.Tenant)
			f.IntVar(&fleet.Days, "fleet-days", 30, "days of change of the generated fleet")
			f.Uint64Var(&fleet.Seed, "fleet-seed", 1, "seed of the generated fleet")
		},
		run: func(c *call) error { return c.up(fleet) }})
}

func (c *call) up(fleet feed.Config) (err error) {
	if err := fleet.Validate(); err != nil {
		return wrong(err)
	}
	n, err := node.New(c.node(c.out))
	if err != nil {
		return err
	}
	if err := n.Start(c.ctx); err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(c.out, "stopping: draining relay and views")
		err = n.Stop(err)
		fmt.Fprintln(c.out, "stopped")
	}()
	answer.WriteUp(c.out, n, c.cfg, c.commandLine("connect"))
	if fleet.Devices > 0 {
		if err := c.feed(n, fleet); err != nil {
			if c.ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("feed the fleet: %w", err)
		}
		fmt.Fprintln(c.out, "\nThe ledger is up and stays up until Ctrl-C.")
	}
	return n.Wait(c.ctx)
}

// feed feeds a generated fleet into the ledger that runs here.
func (c *call) feed(n *node.Node, fleet feed.Config) error {
	d, err := desk.Config{Node: c.node(nil), Who: c.who(), Warnings: io.Discard}.In(n)
	if err != nil {
		return err
	}
	return fleet.Into(c.ctx, c.out, n, d.Office, d.Who, c.cfg.Data)
}
