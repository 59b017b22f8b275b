package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
)

// This file adds the way out to errors of stores that cannot be opened.

// absentStores are the folders of those stores of this process that are not there yet.
func (c Config) absentStores() (out []string) {
	for dir, elsewhere := range map[string]string{
		embedded.EventStoreDir: c.Settings.EventStore.Address,
		embedded.KafkaDir:      c.Settings.Kafka.Brokers,
		embedded.ClickHouseDir: c.Settings.ClickHouse.Address,
	} {
		if path := filepath.Join(c.Settings.Data, dir); elsewhere == "" && !exists(path) {
			out = append(out, path)
		}
	}
	return out
}

func removeAll(paths []string) (err error) {
	for _, p := range paths {
		err = errors.Join(err, os.RemoveAll(p))
	}
	return err
}

// damageWayOut adds to an error that says that the event store's files are damaged what to do.
func (c Config) damageWayOut(err error) error {
	if !errors.Is(err, eventlog.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w\nThe event store in %s is damaged\n%s", err, c.EventStoreDir(), c.EventStoreWayOut())
}

// EventStoreWayOut says how an event store is had again whose files are damaged.
func (c Config) EventStoreWayOut() string {
	dir := c.EventStoreDir()
	return fmt.Sprintf("Keep its files, but move them away: `mv %s %s`. Then `%s` makes it again from the topics; "+
		"`%s` puts a backup back, which the topics complete", terminal.Word(dir), terminal.Word(dir+".damaged"),
		c.Command("restore eventstore"), c.Command("eventstore restore FILE"))
}

// vaultWayOut adds what to do to an error by which the vault cannot be opened.
func (c Config) vaultWayOut(err error) error {
	restore := c.Command("restore vault")
	switch {
	case errors.Is(err, vault.ErrKEK) && !exists(c.Settings.KeyPath()):
		return fmt.Errorf("%w\nThe key is missing, without which the vault cannot be read. No new one is made beside "+
			"a vault. Put the copy of %s back, or set key-file", err, c.Settings.KeyPath())
	case errors.Is(err, vault.ErrKEK):
		return fmt.Errorf("%w\n%s and %s do not fit each other. Put back the one that is another's, or was altered: "+
			"the key's copy, or the newest of the vault's two files; after the latter run `%s`",
			err, c.Settings.KeyPath(), c.VaultPath(), restore)
	case errors.Is(err, sqlite.ErrUnsafe) || errors.Is(err, sqlite.ErrNewer) || errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w\nWhere its files are damaged or apart: %sPut back copies of one moment of %s and %s, the "+
		"newest there are, and run `%s`", err, c.logLeft(), c.VaultPath(), sqlite.SlotsPath(c.VaultPath()), restore)
}

// logLeft says what to do with the log of a vault that is to be replaced: SQLite would write it
// into the copy.
func (c Config) logLeft() string {
	left := c.VaultPath() + WALSuffix
	if !exists(left) {
		return ""
	}
	return fmt.Sprintf("%s is left of a vault that was not closed, and belongs to no copy: `mv %s %s` first. ",
		left, terminal.Word(left), terminal.Word(left+".aside"))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// WALSuffix is what SQLite's log has after the file's name: a vault that was not closed has one.
const WALSuffix = "-wal"
