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
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make a lost or older event store or vault fit the others again",
		Long: `The ledger lies in the event store, its copies in the topics and views, its keys in the vault. When one
of them is lost, or an older copy of it was put back, the others say so: "ledgerline up" refuses to serve. restore
makes them fit again.

  event store lost or older    restore eventstore    completes it from the topics, byte for byte
  vault older                  restore vault         carries out the erasures it missed, and says what it cannot read
  topics lost                  relay refill          fills them from the ledger ("up" does so by itself for its own)
  sequence index damaged       reindex               counts the ledger anew
  views lost or wrong          views rebuild         makes them from the ledger's events

Nothing else may run on the data directory meanwhile: stop "ledgerline up" first.`,
	}
	cmd.AddCommand(newRestoreEventStore(a), newRestoreVault(a))
	return cmd
}

func checkRestoreFlags(output string, acceptLoss, yes bool) error {
	if output != "text" && output != "json" {
		return usage("--output %q is not text or json", output)
	}
	if acceptLoss && !yes {
		return usage("a loss that was accepted cannot be undone: look first without --accept-loss, then add --yes")
	}
	return nil
}

func newRestoreEventStore(a *app) *cobra.Command {
	var output string
	var acceptLoss, yes bool
	cmd := &cobra.Command{
		Use:   "eventstore",
		Short: "Complete an older or empty event store from the topics, byte for byte",
		Long: `The topics hold every event that was published, exactly as it was stored. restore eventstore appends
what the event store lacks of them: the same events, in the same order, at the same revisions. Proofs, positions and
views go on to hold.

First it reads all that was published and compares it with all that the event store holds; where they differ it names
the sequence and changes nothing. Then it appends, and compares everything once more. It may be interrupted and run
again.

The event store's folder lost, no backup:   ledgerline restore eventstore
A backup is there, which takes less time:   ledgerline eventstore restore FILE, then ledgerline restore eventstore
An older event store of your own cluster:   put it back there, then ledgerline restore eventstore

The vault must be there: it tells genuine events from those that others may have written into the topics. What was
appended in the moment of a crash and never published is in no topic. Where the vault knows that there was more, it is
said, and the exit code is 1; --accept-loss --yes declares that it is lost.`,
		Example: `  ledgerline restore eventstore
  ledgerline restore eventstore --data /srv/ledger`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, acceptLoss, yes); err != nil {
				return err
			}
			doc, err := restore.EventStore(cmd.Context(), a.node(cmd.ErrOrStderr()), acceptLoss)
			if err != nil {
				return err
			}
			if err := writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText); err != nil {
				return err
			}
			if doc.Missing > 0 && !doc.Accepted {
				return fmt.Errorf("the vault has noted %s events more than the topics hold. If a newer copy of the "+
					"event store or of the topics is to be had, put it back and run this again. Otherwise `%s "+
					"--accept-loss --yes` declares that they are lost", terminal.Count(doc.Missing),
					a.commandLine("restore eventstore"))
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(&acceptLoss, "accept-loss", false,
		"declare lost what the vault knows to have been in the ledger and no topic holds")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --accept-loss: it cannot be undone")
	return cmd
}

func newRestoreVault(a *app) *cobra.Command {
	var o restore.VaultOptions
	var output string
	var yes bool
	cmd := &cobra.Command{
		Use:   "vault [--from DIR] [--accept-loss --yes]",
		Short: "Make a vault that was put back fit the ledger: erasures first, then what it lacks",
		Long: `A copy of the vault is older than the ledger. Persons who were erased since are in it again, and keys
that were made since are not. restore vault checks that the copy and its key are this ledger's, and then looks at
every event after the copy was made:

  orders of erasure    are carried out again, before anything is served: who was erased stays erased
  keys it never held   are counted. What is sealed under them can be read by nobody. A newer copy may hold them: put
                       that back. Where there is none, --accept-loss --yes declares them lost: such values read "lost"
                       in reports and packages and count as not set, so the next import records them again, and one
                       event in the ledger says how many there were

Put the copy of vault.db and vault.slots, which go together, into the data directory yourself, or name the folder that
holds them with --from: nothing is replaced, so move an existing vault aside first. The key that the vault is wrapped
under is in neither (see "key file" at the start of "up").

Without any copy of the vault there is no way to make it again: its keys were random, and lie nowhere else.`,
		Example: `  ledgerline restore vault --from /mnt/backup/vault
  ledgerline restore vault
  ledgerline restore vault --accept-loss --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, o.AcceptLoss, yes); err != nil {
				return err
			}
			who, err := a.machineOperator()
			if err != nil {
				return err
			}
			doc, err := restore.Vault(cmd.Context(), a.node(cmd.ErrOrStderr()), who, o)
			var older *restore.Problem
			if errors.As(err, &older) && older.Code == restore.ErrOlder {
				return fmt.Errorf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put back "+
					"a newer copy and run this again; or, where there is none, declare that what is sealed under those "+
					"keys is lost: `%s --accept-loss --yes`", restore.LostText(older.Unknown),
					a.commandLine("restore vault"+fromFlag(o.From)))
			}
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, doc.WriteText)
		},
	}
	outputFlag(cmd, &output)
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "folder with copies of vault.db and vault.slots, which are put in place")
	f.BoolVar(&o.AcceptLoss, "accept-loss", false, "declare lost what no copy of the vault can read any more")
	f.BoolVar(&yes, "yes", false, "with --accept-loss: it cannot be undone")
	return cmd
}

func fromFlag(from string) string {
	if from == "" {
		return ""
	}
	return " --from " + terminal.Word(from)
}

func newReindex(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Count the ledger anew: drop the sequence index and make it again",
		Long: `The sequence index says where in the event store each sequence lies. It is a copy: reindex drops it,
reads the whole event store, and writes it again. It also counts anew the events that are not the ledger's, which are
skipped and harm nothing. Nothing else may run on the data directory meanwhile: stop "ledgerline up" first. It loses
nothing when it is interrupted.`,
		Example: `  ledgerline reindex`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, false, false); err != nil {
				return err
			}
			doc, err := restore.Reindex(cmd.Context(), a.node(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "counted ledger %s anew: %s events; beside them %s that are not the ledger's\n",
					doc.Ledger, terminal.Count(doc.Events), terminal.Count(doc.Foreign.Count))
				if doc.Forged != nil && doc.Forged.Count > 0 {
					fmt.Fprintf(w, "%s of its events were made by no holder of its vault, and are not disowned: "+
						"`%s` names them\n", terminal.Count(doc.Forged.Count), a.commandLine("ledger check"))
				}
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
