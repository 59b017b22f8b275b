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
	var account string
	var names []string
	servers := []datadir.Server{datadir.EventStore, datadir.Kafka, datadir.ClickHouse, datadir.Status}
	for _, s := range servers {
		names = append(names, string(s))
	}
	cmd := a.command(command{use: "connect [" + strings.Join(names, "|") + "]",
		short: "Say how other programs attach to the running servers, and by which account",
		args:  cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		flags: func(f flags) {
			f.StringVar(&account, "account", "", "another account than the one that may only read")
			f.output()
		},
		run: func(c *call) error {
			wanted := servers[:3]
			if len(c.args) == 1 {
				wanted = []datadir.Server{datadir.Server(c.args[0])}
			}
			if account != "" && (len(c.args) == 0 || !slices.Contains(datadir.Accounts(wanted[0]), account)) {
				list := ""
				for _, s := range servers {
					list += fmt.Sprintf(" %s %v", s, datadir.Accounts(s))
				}
				return usage("--account %q: name a server, and one of its accounts:%s", account, list)
			}
			doors, err := node.Doors(c.node(nil), wanted, account)
			if err != nil {
				return err
			}
			var doc any = doors[wanted[0]]
			if len(c.args) == 0 {
				doc = doors
			}
			return c.write(doc, func(w io.Writer) {
				for i, s := range wanted {
					if i > 0 {
						fmt.Fprintln(w)
					}
					answer.WriteDoor(w, doors[s], c.cfg.ClickHouse.Database)
				}
			})
		}})
	cmd.ValidArgs = names
	return cmd
}
