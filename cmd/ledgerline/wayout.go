package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
)

// This file adds the way out to errors of stores that cannot be opened.

// absentStores are the folders of those stores of this process that are not there yet.
func (a *app) absentStores() (out []string) {
	for dir, elsewhere := range map[string]string{
		embedded.EventStoreDir: a.cfg.EventStore.Address,
		embedded.KafkaDir:      a.cfg.Kafka.Brokers,
		embedded.ClickHouseDir: a.cfg.ClickHouse.Address,
	} {
		if path := filepath.Join(a.cfg.Data, dir); elsewhere == "" && !exists(path) {
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
func (a *app) damageWayOut(err error) error {
	if !errors.Is(err, eventlog.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w\nThe event store in %s is damaged\n%s", err, a.eventStoreDir(), a.eventStoreWayOut())
}

// eventStoreWayOut says how an event store is had again whose files are damaged.
func (a *app) eventStoreWayOut() string {
	dir := a.eventStoreDir()
	return fmt.Sprintf("Keep its files, but move them away: `mv %s %s`. Then `%s` makes it again from the topics; "+
		"`%s` puts a backup back, which the topics complete", shellWord(dir), shellWord(dir+".damaged"),
		a.commandLine("restore eventstore"), a.commandLine("eventstore restore FILE"))
}

// vaultWayOut adds what to do to an error by which the vault cannot be opened.
func (a *app) vaultWayOut(err error) error {
	restore := a.commandLine("restore vault")
	switch {
	case errors.Is(err, vault.ErrKEK) && !exists(a.cfg.KeyFile):
		return fmt.Errorf("%w\nThe key is missing, without which the vault cannot be read. No new one is made beside "+
			"a vault. Put the copy of %s back, or set key-file", err, a.cfg.KeyFile)
	case errors.Is(err, vault.ErrKEK):
		return fmt.Errorf("%w\n%s and %s do not fit each other. Put back the one that is another's, or was altered: "+
			"the key's copy, or the newest of the vault's two files; after the latter run `%s`",
			err, a.cfg.KeyFile, a.vaultPath(), restore)
	case errors.Is(err, sqlite.ErrUnsafe) || errors.Is(err, sqlite.ErrNewer) || errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w\nWhere its files are damaged or apart: %sPut back copies of one moment of %s and %s, the "+
		"newest there are, and run `%s`", err, a.logLeft(), a.vaultPath(), sqlite.SlotsPath(a.vaultPath()), restore)
}

// logLeft says what to do with the log of a vault that is to be replaced: SQLite would write it
// into the copy.
func (a *app) logLeft() string {
	left := a.vaultPath() + walSuffix
	if !exists(left) {
		return ""
	}
	return fmt.Sprintf("%s is left of a vault that was not closed, and belongs to no copy: `mv %s %s` first. ",
		left, shellWord(left), shellWord(left+".aside"))
}
