package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// What is kept in the data directory, beside the servers' folders and what package datadir owns.
const (
	indexFile = "sequence.index" // the ledger's sequence index
	vaultFile = "vault.db"       // persons, devices, keys
)

// IndexPath is the file of the ledger's sequence index.
func (c Config) IndexPath() string { return c.Dir().Path(indexFile) }

// VaultPath is the vault's file; beside it lies that of its slots.
func (c Config) VaultPath() string { return c.Dir().Path(vaultFile) }

// EventStoreDir is where the embedded event store keeps its files.
func (c Config) EventStoreDir() string { return c.Dir().Path(embedded.EventStoreDir) }

// Services opens what a command needs, and keeps it until Close. It belongs to one goroutine.
type Services struct {
	Endpoints
	cfg           Config
	vaultObserver vault.Observer // nil: nobody counts
	slots         *sqlite.Store  // the vault's, nil before it is opened
	closers       []func() error
}

// OnClose has Close call f too, before what was opened earlier is closed.
func (s *Services) OnClose(f func() error) { s.closers = append(s.closers, f) }

// Close gives everything back that was opened, the last first.
func (s *Services) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Dial finds the servers, the configured ones or those of the `up` that runs on the data
// directory, and opens nothing yet. It errs with datadir.ErrNotUp where there is neither.
func Dial(c Config) (*Services, error) {
	e, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	return &Services{Endpoints: e, cfg: c}, nil
}

// Local are the services of the data directory alone: no server is asked for.
func Local(c Config) *Services { return &Services{cfg: c} }

// OpenLedger opens the ledger without a sequence index: only `up` follows. Without the vault,
// which may be nil, it can only be read.
func (s *Services) OpenLedger(ctx context.Context, v *vault.Vault) (*ledger.Ledger, error) {
	cfg, err := s.LedgerConfig(v, "")
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.OnClose(l.Close)
	return l, nil
}

// LedgerConfig is the ledger over the event store, whose client it opens.
func (s *Services) LedgerConfig(v *vault.Vault, index string) (ledger.Config, error) {
	store, err := eventstore.Open(eventstore.Config{Address: s.EventStore, Logger: s.cfg.Log})
	if err != nil {
		return ledger.Config{}, settings.Errorf("eventstore.address: %w", err)
	}
	s.OnClose(store.Close)
	cfg := ledger.Config{Store: store, IndexPath: index, Logger: s.cfg.Log, Clock: time.Now}
	if v != nil {
		cfg.Origin = v.OriginKey
	}
	return cfg, nil
}

// OpenVault opens the vault, and with create makes one, with its key, where there is none.
func (s *Services) OpenVault(ctx context.Context, create bool) (*vault.Vault, error) {
	c := s.cfg
	if err := c.Dir().Private(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	path, key := c.VaultPath(), c.Settings.KeyPath()
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	if fresh && !create {
		return nil, fmt.Errorf("there is no vault in %s: `ledgerline up` makes one", c.Settings.Data)
	}
	var kek *vault.FileKEK
	var store *sqlite.Store
	if fresh {
		if !exists(key) {
			if err := os.MkdirAll(filepath.Dir(key), 0o700); err != nil {
				return nil, err
			}
			if kek, err = vault.CreateFileKEK(key, path); err != nil {
				return nil, err
			}
		}
	}
	if kek == nil {
		if kek, err = vault.OpenFileKEK(key); err != nil {
			return nil, c.vaultWayOut(err)
		}
	}
	if fresh {
		store, err = sqlite.Create(ctx, path)
	} else {
		store, err = sqlite.Open(ctx, path)
	}
	if err != nil {
		return nil, c.vaultWayOut(err)
	}
	cfg := vault.Config{Store: store, KEK: kek, Clock: time.Now, Logger: c.Log, Observer: s.vaultObserver}
	v, err := vault.Open(ctx, cfg)
	if errors.Is(err, vault.ErrUninitialised) && create { // new, or a crash came after making the file
		v, err = vault.Create(ctx, cfg)
	}
	if err != nil {
		return nil, errors.Join(c.vaultWayOut(err), store.Close())
	}
	s.OnClose(v.Close)
	s.slots = store
	return v, nil
}

// OpenKafka opens the broker by one of its accounts; a configured broker has one for everything.
func (s *Services) OpenKafka(account string) (*kafka.Client, error) {
	cfg, err := s.Kafka(account)
	if err != nil {
		return nil, err
	}
	c, err := kafka.New(cfg)
	if err != nil {
		return nil, err
	}
	s.OnClose(c.Close)
	return c, nil
}

// OpenViews opens the views' database.
func (s *Services) OpenViews(ctx context.Context) (*clickhouse.DB, error) {
	db, err := clickhouse.Open(ctx, s.ClickHouse)
	if err != nil {
		return nil, err
	}
	s.OnClose(db.Close)
	return db, nil
}

// Custody returns the acts on that ledger and vault.
func (c Config) Custody(l *ledger.Ledger, v *vault.Vault) (*custody.Custody, error) {
	return c.custody(l, v, nil)
}

func (c Config) custody(l *ledger.Ledger, v *vault.Vault, progress func(seq uint64)) (*custody.Custody, error) {
	return custody.New(custody.Config{Ledger: l, Vault: v, Logger: c.Log, Clock: time.Now, Progress: progress})
}

// Offline runs an act on a data directory that nothing else uses, with those servers started that
// are not elsewhere, ClickHouse apart. A broker's folder that cannot be read is moved aside and
// made anew, unless it is to be kept: its topics are needed as they are.
func Offline(ctx context.Context, c Config, keepBroker bool, act func(n *Node) error) (err error) {
	lock, err := c.Dir().Lock()
	if err != nil {
		return err
	}
	n := newNode(c, lock)
	n.keepBroker = keepBroker
	if err = n.startServers(ctx, false); err == nil {
		err = act(n)
	}
	return n.Stop(err)
}

// OpenVaultAt opens the vault in that file, which must be there, and returns its store beside it.
func (c Config) OpenVaultAt(ctx context.Context, path string) (*vault.Vault, *sqlite.Store, error) {
	kek, err := vault.OpenFileKEK(c.Settings.KeyPath())
	if err != nil {
		err = fmt.Errorf("the vault's key, without which nothing sealed can be read: %w", err)
		return nil, nil, c.vaultWayOut(err)
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, nil, c.vaultWayOut(err)
	}
	v, err := vault.Open(ctx, vault.Config{Store: store, KEK: kek, Clock: time.Now, Logger: c.Log})
	if err != nil {
		return nil, nil, errors.Join(c.vaultWayOut(err), store.Close())
	}
	return v, store, nil
}
