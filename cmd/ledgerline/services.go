package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/internal/office"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// What ledgerline itself keeps in the data directory, beside the servers'
// folders and what package node owns.
const (
	indexFile = "sequence.index" // the ledger's sequence index
	vaultFile = "vault.db"       // persons, devices, keys
)

// services are what a command opened; close gives everything back in reverse order.
type services struct {
	endpoints
	vaultObserver vault.Observer // nil: nobody counts
	slots         *sqlite.Store  // the vault's, nil before it is opened
	closers       []func() error
}

func (s *services) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *services) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (a *app) connect() (*services, error) {
	e, err := a.endpoints()
	if err != nil {
		return nil, err
	}
	return &services{endpoints: e}, nil
}

// openLedger opens the ledger without a sequence index: only `up` follows. Without the vault, which
// may be nil, it can only be read.
func (a *app) openLedger(ctx context.Context, s *services, v *vault.Vault) (*ledger.Ledger, error) {
	cfg, err := a.ledgerConfig(s, v, "")
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.onClose(l.Close)
	return l, nil
}

func (a *app) ledgerConfig(s *services, v *vault.Vault, index string) (ledger.Config, error) {
	store, err := eventstore.Open(eventstore.Config{Address: s.eventStore, Logger: a.log})
	if err != nil {
		return ledger.Config{}, usage("eventstore.address: %w", err)
	}
	s.onClose(store.Close)
	cfg := ledger.Config{Store: store, IndexPath: index, Logger: a.log, Clock: time.Now}
	if v != nil {
		cfg.Origin = v.OriginKey
	}
	return cfg, nil
}

// openVault opens the vault, and with create makes one, with its key, where there is none.
func (a *app) openVault(ctx context.Context, s *services, create bool) (*vault.Vault, error) {
	if err := a.dir().Private(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	path := filepath.Join(a.cfg.Data, vaultFile)
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	if fresh && !create {
		return nil, fmt.Errorf("there is no vault in %s: `ledgerline up` makes one", a.cfg.Data)
	}
	var kek *vault.FileKEK
	var store *sqlite.Store
	if fresh {
		if _, err := os.Stat(a.cfg.KeyFile); errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(a.cfg.KeyFile), 0o700); err != nil {
				return nil, err
			}
			if kek, err = vault.CreateFileKEK(a.cfg.KeyFile, path); err != nil {
				return nil, err
			}
		}
	}
	if kek == nil {
		if kek, err = vault.OpenFileKEK(a.cfg.KeyFile); err != nil {
			return nil, a.vaultWayOut(err)
		}
	}
	if fresh {
		store, err = sqlite.Create(ctx, path)
	} else {
		store, err = sqlite.Open(ctx, path)
	}
	if err != nil {
		return nil, a.vaultWayOut(err)
	}
	cfg := vault.Config{Store: store, KEK: kek, Clock: time.Now, Logger: a.log, Observer: s.vaultObserver}
	v, err := vault.Open(ctx, cfg)
	if errors.Is(err, vault.ErrUninitialised) && create { // new, or a crash came between making the file and the vault
		v, err = vault.Create(ctx, cfg)
	}
	if err != nil {
		return nil, errors.Join(a.vaultWayOut(err), store.Close())
	}
	s.onClose(v.Close)
	s.slots = store
	return v, nil
}

// openKafka opens the broker by one of its accounts; a configured broker has one for everything.
func (a *app) openKafka(s *services, account string) (*kafka.Client, error) {
	cfg, err := s.kafka(account)
	if err != nil {
		return nil, err
	}
	c, err := kafka.New(cfg)
	if err != nil {
		return nil, err
	}
	s.onClose(c.Close)
	return c, nil
}

func (a *app) openViews(ctx context.Context, s *services) (*clickhouse.DB, error) {
	db, err := clickhouse.Open(ctx, s.clickHouse)
	if err != nil {
		return nil, err
	}
	s.onClose(db.Close)
	return db, nil
}

// places are where acts find their stores. The zero value opens those that the configuration names;
// a test puts its own in their place, and sees what was done to them.
type places struct {
	office func(ctx context.Context) (*desk, error)
	views  func(ctx context.Context) (office.Views, error)
	now    func() time.Time
}

func (a *app) openReader(ctx context.Context, s *services) (office.Views, error) {
	if a.places.views != nil {
		return a.places.views(ctx)
	}
	return a.openViews(ctx, s)
}

func (a *app) now() time.Time {
	if a.places.now != nil {
		return a.places.now()
	}
	return time.Now()
}

func (a *app) newCustody(l *ledger.Ledger, v *vault.Vault) (*custody.Custody, error) {
	return custody.New(custody.Config{Ledger: l, Vault: v, Logger: a.log, Clock: time.Now})
}

func parseRequestID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, usage("request %q is not a uuid, as `ledgerline dsar open` printed it", s)
	}
	return id, nil
}
