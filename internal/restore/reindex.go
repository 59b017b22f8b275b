package restore

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Counted is what a ledger holds that was counted anew.
type Counted struct {
	Ledger  uuid.UUID            `json:"ledger"`
	Events  uint64               `json:"events"`
	Foreign ledger.ForeignEvents `json:"foreign"`
	Forged  *ledger.ForgedEvents `json:"forged"` // null: there is no vault to tell
}

// Reindex drops the ledger's sequence index and makes it again from the event store. Nothing else
// may use the data directory.
func Reindex(ctx context.Context, c node.Config) (doc Counted, err error) {
	if c.Settings.EventStore.Address == "" && !exists(c.EventStoreDir()) {
		return doc, fmt.Errorf("there is no event store in %s", c.Settings.Data)
	}
	err = node.Offline(ctx, c, true, func(n *node.Node) error {
		var v *vault.Vault // tells forged events, where it is there
		if exists(c.VaultPath()) {
			var err error
			if v, _, err = c.OpenVaultAt(ctx, c.VaultPath()); err != nil {
				return err
			}
			n.Services().OnClose(v.Close)
		}
		if err := n.Follow(ctx, v, false); err != nil {
			return err
		}
		l, p := n.Ledger, c.Console
		defer p.Done()
		doc.Ledger = l.ID()
		var err error
		doc.Events, err = l.Reindex(ctx, func(events uint64) { p.Show("counted %s events", terminal.Count(events)) })
		doc.Foreign = l.Foreign()
		if v != nil {
			f := l.Forged()
			doc.Forged = &f
		}
		return err
	})
	return doc, err
}
