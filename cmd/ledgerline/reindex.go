package main

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

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
			doc, err := a.reindex(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return writeOutput(cmd.OutOrStdout(), output, doc, func(w io.Writer) {
				fmt.Fprintf(w, "counted ledger %s anew: %s events; beside them %s that are not the ledger's\n",
					doc.Ledger, count(doc.Events), count(doc.Foreign.Count))
				if doc.Forged != nil && doc.Forged.Count > 0 {
					fmt.Fprintf(w, "%s of its events were made by no holder of its vault, and are not disowned: "+
						"`%s` names them\n", count(doc.Forged.Count), a.commandLine("ledger check"))
				}
			})
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

type reindexed struct {
	Ledger  uuid.UUID            `json:"ledger"`
	Events  uint64               `json:"events"`
	Foreign ledger.ForeignEvents `json:"foreign"`
	Forged  *ledger.ForgedEvents `json:"forged"` // null: there is no vault to tell
}

func (a *app) reindex(ctx context.Context, progress io.Writer) (doc reindexed, err error) {
	if a.cfg.EventStore.Address == "" && !exists(a.eventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s", a.cfg.Data)
	}
	err = a.offline(ctx, progress, func(n *runningNode) error {
		var v *vault.Vault // tells forged events, where it is there
		if exists(a.vaultPath()) {
			var err error
			if v, _, err = a.openVaultAt(ctx, a.vaultPath()); err != nil {
				return err
			}
			n.services.onClose(v.Close)
		}
		l, err := a.openFollowing(ctx, n.services, v, false, progress)
		if err != nil {
			return err
		}
		p := newProgress(progress)
		defer p.done()
		doc.Ledger = l.ID()
		doc.Events, err = l.Reindex(ctx, func(events uint64) { p.show("counted %s events", count(events)) })
		doc.Foreign = l.Foreign()
		if v != nil {
			f := l.Forged()
			doc.Forged = &f
		}
		return err
	})
	return doc, err
}
