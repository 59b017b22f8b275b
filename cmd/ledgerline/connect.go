package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
)

func newConnect(a *app) *cobra.Command {
	var account string
	var names []string
	servers := []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse, datadir.Status}
	for _, s := range servers {
		names = append(names, string(s))
	}
	cmd := cli.New(cli.Command{Use: "connect [" + strings.Join(names, "|") + "]",
		Short: "Say how other programs attach to the running servers, and by which account",
		Args:  cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		Flags: func(f cli.Flags) {
			f.StringVar(&account, "account", "", "another account than the one that may only read")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			wanted := servers[:3]
			if len(c.Args) == 1 {
				wanted = []datadir.Server{datadir.Server(c.Args[0])}
			}
			if account != "" && (len(c.Args) == 0 || !slices.Contains(datadir.Accounts(wanted[0]), account)) {
				list := ""
				for _, s := range servers {
					list += fmt.Sprintf(" %s %v", s, datadir.Accounts(s))
				}
				return cli.Usage("--account %q: name a server, and one of its accounts:%s", account, list)
			}
			doors, err := node.Doors(a.node(nil), wanted, account)
			doc := answer.Doors{Wanted: wanted, All: doors, Alone: len(c.Args) == 1,
				Database: a.cfg.ClickHouse.Database}
			return c.Print(doc, err)
		}})
	cmd.ValidArgs = names
	return cmd
}
