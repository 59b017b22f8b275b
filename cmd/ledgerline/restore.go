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
		Args:  cobra.NoArgs,
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
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRestoreFlags(output, o.AcceptLoss, yes); err != nil {
				return err
			}
			who, err := a.who().Keeper()
			if err != nil {
				return err
			}
			doc, err := restore.Vault(cmd.Context(), a.node(cmd.ErrOrStderr()), who, o)
			var older *restore.Problem
			if errors.As(err, &older) && older.Code == restore.ErrOlder {
				return fmt.Errorf("this copy of the vault is older than the ledger: %s. Nothing was changed. Put "+
					"back a newer copy and run this again; or, where there is none, declare that what is sealed "+
					"under those keys is lost: `%s --accept-loss --yes`", restore.LostText(older.Unknown),
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
		Args:  cobra.NoArgs,
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
