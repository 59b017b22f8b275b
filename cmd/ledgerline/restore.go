package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/restore"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func newRestore(a *app) *cobra.Command {
	return group("restore", "Make a lost or older event store or vault fit the others again",
		newRestoreEventStore(a), newRestoreVault(a))
}

// loss are the flags by which a loss is accepted.
type loss struct{ accept, yes bool }

func (l *loss) flags(f flags, help string) {
	f.BoolVar(&l.accept, "accept-loss", false, help)
	f.BoolVar(&l.yes, "yes", false, "with --accept-loss: it cannot be undone")
}

func (l *loss) check() error {
	if l.accept && !l.yes {
		return usage("a loss that was accepted cannot be undone: look first without --accept-loss, then add --yes")
	}
	return nil
}

func newRestoreEventStore(a *app) *cobra.Command {
	var l loss
	return a.command(command{use: "eventstore",
		short: "Complete an older or empty event store from the topics, byte for byte",
		flags: func(f flags) {
			l.flags(f, "declare lost what the vault knows to have been in the ledger and no topic holds")
			f.output()
		},
		run: func(c *call) error {
			if err := l.check(); err != nil {
				return err
			}
			doc, err := restore.EventStore(c.ctx, c.node(c.err), l.accept)
			if err := c.print(doc, err); err != nil {
				return err
			}
			if doc.Missing > 0 && !doc.Accepted {
				return fmt.Errorf("the vault has noted %s events more than the topics hold. If a newer copy of the "+
					"event store or of the topics is to be had, put it back and run this again. Otherwise `%s "+
					"--accept-loss --yes` declares that they are lost", terminal.Count(doc.Missing),
					c.commandLine("restore eventstore"))
			}
			return nil
		}})
}

func newRestoreVault(a *app) *cobra.Command {
	var l loss
	var from string
	return a.command(command{use: "vault [--from DIR] [--accept-loss --yes]",
		short: "Make a vault that was put back fit the ledger: erasures first, then what it lacks",
		flags: func(f flags) {
			f.StringVar(&from, "from", "", "folder with copies of vault.db and vault.slots, which are put in place")
			l.flags(f, "declare lost what no copy of the vault can read any more")
			f.output()
		},
		run: func(c *call) error {
			if err := l.check(); err != nil {
				return err
			}
			who, err := c.who().Keeper()
			if err != nil {
				return err
			}
			doc, err := restore.Vault(c.ctx, c.node(c.err), who,
				restore.VaultOptions{From: from, AcceptLoss: l.accept})
			if older := new(restore.Problem); errors.As(err, &older) && older.Code == restore.ErrOlder {
				again := "restore vault"
				if from != "" {
					again += " --from " + terminal.Word(from)
				}
				return fmt.Errorf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put "+
					"back a newer copy and run this again; or, where there is none, declare that what is sealed "+
					"under those keys is lost: `%s --accept-loss --yes`", restore.LostText(older.Unknown),
					c.commandLine(again))
			}
			return c.print(doc, err)
		}})
}

func newReindex(a *app) *cobra.Command {
	return a.command(command{use: "reindex", short: "Count the ledger anew: drop the sequence index and make it again",
		flags: flags.output,
		run: func(c *call) error {
			doc, err := restore.Reindex(c.ctx, c.node(c.err))
			if err != nil {
				return err
			}
			return c.write(doc, func(w io.Writer) { doc.WriteText(w, c.commandLine("ledger check")) })
		}})
}
