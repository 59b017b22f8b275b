package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
)

func newConnect(a *app) *cobra.Command {
	var account, output string
	servers := []string{string(datadir.EventStore), string(datadir.Kafka), string(datadir.ClickHouse),
		string(datadir.Status)}
	cmd := &cobra.Command{
		Use:       "connect [" + strings.Join(servers, "|") + "]",
		Short:     "Say how other programs attach to the running servers, and by which account",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: servers,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted := []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse}
			if len(args) == 1 {
				wanted = []datadir.Server{datadir.Server(args[0])}
			}
			if account != "" && (len(args) == 0 || !slices.Contains(datadir.Accounts(wanted[0]), account)) {
				return usage("--account %q: name a server, and one of its accounts:%s", account, accountList())
			}
			doors, err := node.Doors(a.node(nil), wanted, account)
			if err != nil {
				return err
			}
			var doc any = doors[wanted[0]]
			if len(args) == 0 {
				doc = doors
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				for i, s := range wanted {
					if i > 0 {
						fmt.Fprintln(w)
					}
					answer.WriteDoor(w, doors[s], a.cfg.ClickHouse.Database)
				}
			})
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "another account than the one that may only read")
	outputFlag(cmd, &output)
	return cmd
}

// accountList names the accounts of each server.
func accountList() (text string) {
	for _, s := range []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse, datadir.Status} {
		text += fmt.Sprintf(" %s %v", s, datadir.Accounts(s))
	}
	return text
}
