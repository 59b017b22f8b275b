package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newRelay(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Fill topics again that the broker has lost",
	}
	cmd.AddCommand(newRefill(a))
	return cmd
}

func newRefill(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "refill [TOPIC…]",
		Short: "Recreate topics that lost something and fill them from the ledger",
		Long: `refill recreates every topic that holds less than what was noted as published, and those named, and fills each with all of
its events from the ledger, in order. Consumers see the events again and drop them by their sequence. Nothing else may run on the data
directory meanwhile: stop "ledgerline up" first. It does not lose anything when it is interrupted; run it again.`,
		Example: `  ledgerline relay refill
  ledgerline relay refill ledger.device`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, topics []string) error {
			for _, t := range topics {
				if !strings.HasPrefix(t, "ledger.") {
					return usage("%q is not a topic of the ledger, such as ledger.device", t)
				}
			}
			return a.refill(cmd.Context(), cmd.OutOrStdout(), topics)
		},
	}
}

func (a *app) refill(ctx context.Context, out io.Writer, topics []string) (err error) {
	lock, err := a.dir().Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n := a.newNode(lock)
	defer func() { err = errors.Join(err, n.stop()) }()
	if _, err := n.startServers(ctx, out, false); err != nil {
		return err
	}
	if n.ledger, err = a.openFollowing(ctx, n.services, nil, false, out); err != nil {
		return err
	}
	if err := n.openRelay(); err != nil {
		return err
	}
	filled, err := n.relay.Refill(ctx, topics...)
	if err != nil {
		return err
	}
	if len(filled) == 0 {
		fmt.Fprintln(out, "no topic has lost anything")
	}
	for _, t := range filled {
		fmt.Fprintf(out, "filled again %s\n", t)
	}
	return nil
}
