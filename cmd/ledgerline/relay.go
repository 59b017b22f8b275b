package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/restore"
)

func newRelay(a *app) *cobra.Command {
	return group("relay", "Fill topics again that the broker has lost",
		newRefill(a))
}

func newRefill(a *app) *cobra.Command {
	everything := false
	cmd := &cobra.Command{
		Use:   "refill [TOPIC…]",
		Short: "Recreate topics that lost something and fill them from the ledger",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, topics []string) error {
			for _, t := range topics {
				if t != consumers.PositionTopic && !slices.Contains(consumers.EventTopics(), t) {
					return usage("%q is not a topic of the ledger, such as ledger.device", t)
				}
			}
			if everything && len(topics) > 0 {
				return usage("--everything names every topic: name none beside it")
			}
			out := cmd.OutOrStdout()
			done, err := restore.Topics(cmd.Context(), a.node(out), everything, topics)
			switch {
			case err != nil:
				return err
			case everything:
				fmt.Fprintf(out, "emptied %d topics; the next `ledgerline up` fills them\n", done.Emptied)
			case len(done.Filled) == 0:
				fmt.Fprintln(out, "no topic has lost anything")
			}
			for _, t := range done.Filled {
				fmt.Fprintf(out, "filled again %s\n", t)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&everything, "everything", false,
		"empty all topics, whatever they hold; the next up fills them")
	return cmd
}
