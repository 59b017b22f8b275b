package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newRestore(a *app) *cobra.Command {
	return cli.Group("restore", "Make a lost or older event store or vault fit the others again",
		newRestoreEventStore(a), newRestoreVault(a))
}

func newRelay(a *app) *cobra.Command {
	everything := false
	return cli.Group("relay", "Fill topics again that the broker has lost", cli.New(cli.Command{Use: "refill [TOPIC…]",
		Short: "Recreate topics that lost something and fill them from the ledger", Args: cobra.ArbitraryArgs,
		Flags: func(f cli.Flags) {
			f.BoolVar(&everything, "everything", false,
				"empty all topics, whatever they hold; the next up fills them")
		},
		Run: func(c *cli.Call) error {
			done, err := restore.Topics(c.Ctx, a.node(c.Out), everything, c.Args)
			return c.Print(done, err)
		}}))
}

// loss are the flags by which a loss is accepted.
type loss struct{ accept, yes bool }

func (l *loss) flags(f cli.Flags, help string) {
	f.BoolVar(&l.accept, "accept-loss", false, help)
	f.BoolVar(&l.yes, "yes", false, "with --accept-loss: it cannot be undone")
}

func (l *loss) check() error {
	if l.accept && !l.yes {
		return cli.Usage("a loss that was accepted cannot be undone: look first without --accept-loss, then add --yes")
	}
	return nil
}

func newRestoreEventStore(a *app) *cobra.Command {
	var l loss
	return cli.New(cli.Command{Use: "eventstore",
		Short: "Complete an older or empty event store from the topics, byte for byte",
		Flags: func(f cli.Flags) {
			l.flags(f, "declare lost what the vault knows to have been in the ledger and no topic holds")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			if err := l.check(); err != nil {
				return err
			}
			doc, err := restore.EventStore(c.Ctx, a.node(c.Err), l.accept)
			if err := c.Print(doc, err); err != nil {
				return err
			}
			return doc.Problem(a.commandLine("restore eventstore"))
		}})
}

func newRestoreVault(a *app) *cobra.Command {
	var l loss
	var o restore.VaultOptions
	return cli.New(cli.Command{Use: "vault [--from DIR] [--accept-loss --yes]",
		Short: "Make a vault that was put back fit the ledger: erasures first, then what it lacks",
		Flags: func(f cli.Flags) {
			f.StringVar(&o.From, "from", "", "folder with copies of vault.db and vault.slots, which are put in place")
			l.flags(f, "declare lost what no copy of the vault can read any more")
			f.Output()
		},
		Run: func(c *cli.Call) error {
			if err := l.check(); err != nil {
				return err
			}
			who, err := a.who().Keeper()
			if err != nil {
				return err
			}
			o.AcceptLoss, o.Again = l.accept, "restore vault"
			if o.From != "" {
				o.Again += " --from " + terminal.Word(o.From)
			}
			o.Again = a.commandLine(o.Again)
			doc, err := restore.Vault(c.Ctx, a.node(c.Err), who, o)
			return c.Print(doc, err)
		}})
}

func newReindex(a *app) *cobra.Command {
	return cli.New(cli.Command{Use: "reindex",
		Short: "Count the ledger anew: drop the sequence index and make it again",
		Flags: cli.Flags.Output,
		Run: func(c *cli.Call) error {
			doc, err := restore.Reindex(c.Ctx, a.node(c.Err))
			if err != nil {
				return err
			}
			return c.Write(doc, func(w io.Writer) { doc.WriteText(w, a.commandLine("ledger check")) })
		}})
}
