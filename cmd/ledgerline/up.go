package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
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
	var f feed.Config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole ledger on this machine: the three servers, relay and views",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.up(cmd.Context(), cmd.OutOrStdout(), f)
		},
	}
	fleetFlags(cmd, &f)
	return cmd
}

func (a *app) up(ctx context.Context, out io.Writer, f feed.Config) (err error) {
	if err := f.Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	n, err := node.New(a.node(out))
	if err != nil {
		return err
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(out, "stopping: draining relay and views")
		err = n.Stop(err)
		fmt.Fprintln(out, "stopped")
	}()
	a.describe(out, n)
	if f.Devices > 0 {
		if err := a.feed(ctx, out, n, f); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("feed the fleet: %w", err)
		}
		fmt.Fprintln(out, "\nThe ledger is up and stays up until Ctrl-C.")
	}
	return n.Wait(ctx)
}

// describe says where everything is.
func (a *app) describe(out io.Writer, n *node.Node) {
	fmt.Fprintf(out, `
Ledgerline is up.
  ledger        %s
  data          %s
  event store   %s
  Kafka         %s
  ClickHouse    %s
  attach        %s     accounts and lines for kcat, curl, Python, …
  key file      %s     keep a copy apart from the data: without it nothing sealed can be read
`, n.Ledger.ID(), a.cfg.Data, n.Shown()["eventstore"], n.Shown()["kafka"], n.Shown()["clickhouse"],
		a.commandLine("connect"), a.cfg.KeyPath())
	if how := n.Confinement(); how != "" {
		fmt.Fprintf(out, "  engine        %s\n", how)
	}
	fmt.Fprintln(out)
}
