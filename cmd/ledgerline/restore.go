package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
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

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (a *app) vaultPath() string { return filepath.Join(a.cfg.Data, vaultFile) }

// offline runs an act on a data directory that nothing else uses, with those servers
// started that are not elsewhere.
func (a *app) offline(ctx context.Context, out io.Writer, act func(n *runningNode) error) (err error) {
	lock, err := a.dir().Lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n := a.newNode(lock)
	n.keepBroker = true
	defer func() { err = a.damageWayOut(errors.Join(err, n.stop())) }()
	if _, err := n.startServers(ctx, out, false); err != nil {
		return err
	}
	return act(n)
}

// openVaultAt opens the vault in that file, which must be there, and returns its store beside it.
func (a *app) openVaultAt(ctx context.Context, path string) (*vault.Vault, *sqlite.Store, error) {
	kek, err := vault.OpenFileKEK(a.cfg.KeyFile)
	if err != nil {
		return nil, nil, a.vaultWayOut(fmt.Errorf("the vault's key, without which nothing sealed can be read: %w", err))
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, nil, a.vaultWayOut(err)
	}
	v, err := vault.Open(ctx, vault.Config{Store: store, KEK: kek, Clock: time.Now, Logger: a.log})
	if err != nil {
		return nil, nil, errors.Join(a.vaultWayOut(err), store.Close())
	}
	return v, store, nil
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
