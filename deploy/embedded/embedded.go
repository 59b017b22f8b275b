// Package embedded starts the three servers on one machine, each speaking its real wire protocol on a loopback port:
// the event store, the broker, and ClickHouse's engine in a child process. The event store alone may listen beyond
// loopback, with TLS and users.
//
// It owns one directory with a folder for each. It may lose what its parts may lose: the broker's folder is
// disposable and is moved aside when it cannot be read; the others are not touched. It knows nothing of what they hold.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// EventStoreDir is the event store's folder in Config.Dir.
const EventStoreDir = "eventstore"

// Config says where the servers keep their data and where they listen; an address with port 0 takes a free port, and a server
// without an address is not started: one elsewhere takes its place.
type Config struct {
	Dir            string
	EventStoreAddr string
	KafkaAddr      string
	ClickHouseAddr string

	EventStoreTLS   *eventstore.TLSConfig // nil: plaintext
	EventStoreUsers []eventstore.User     // who may log in to the event store; none: nobody is asked
	LedgerGroup     string                // the users' group that reads $all and, beside administrators, alone writes to protected streams

	ProtectStreams *regexp.Regexp                 // streams that the event store lets nobody delete
	Uncompressed   bool                           // event store files can be searched for text
	Disturb        *eventstore.Disturbance        // tests make the event store as unpleasant as a real one; nil: not
	EngineCommand  []string                       // program and arguments that run ClickHouse's engine (clickhouse.RunChild)
	EngineLibrary  string                         // an existing libchdb; fetched where empty
	EngineCache    string                         // where fetched libraries are kept
	Progress       func(clickhouse.FetchProgress) // of fetching the engine
	Logger         *slog.Logger
}

// Servers are the running servers; one that was not to be started is nil.
type Servers struct {
	EventStore *eventstore.Server
	Kafka      *kafka.Server
	ClickHouse *clickhouse.Server

	failed   chan error
	stopped  chan struct{} // closed by Stop
	watching sync.WaitGroup
}

// Start starts the servers one after another; each answers before the next is started. On error those started are stopped.
func Start(ctx context.Context, cfg Config) (*Servers, error) {
	s := &Servers{failed: make(chan error, 1), stopped: make(chan struct{})}
	fail := func(err error) (*Servers, error) {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stop))
	}
	var err error
	var eventStoreDone, clickHouseDone <-chan struct{} // nil: never
	if cfg.EventStoreAddr != "" {
		s.EventStore, err = eventstore.Start(ctx, eventStoreConfig(cfg))
		if err != nil {
			return fail(fmt.Errorf("start the event store: %w", err))
		}
		eventStoreDone = s.EventStore.Done()
	}
	if cfg.KafkaAddr != "" {
		if s.Kafka, err = startKafka(ctx, cfg); err != nil {
			return fail(fmt.Errorf("start the broker: %w", err))
		}
	}
	if cfg.ClickHouseAddr != "" {
		if s.ClickHouse, err = startClickHouse(ctx, cfg); err != nil {
			return fail(fmt.Errorf("start ClickHouse's engine: %w", err))
		}
		clickHouseDone = s.ClickHouse.Done()
	}
	s.watching.Go(func() { s.watch(eventStoreDone, clickHouseDone) })
	return s, nil
}

func eventStoreConfig(cfg Config) eventstore.Config {
	ec := eventstore.Config{Dir: filepath.Join(cfg.Dir, EventStoreDir), Addr: cfg.EventStoreAddr, TLS: cfg.EventStoreTLS, Users: cfg.EventStoreUsers,
		ProtectStreams: cfg.ProtectStreams, Uncompressed: cfg.Uncompressed, Disturb: cfg.Disturb, Logger: cfg.Logger.With("server", "eventstore")}
	if cfg.LedgerGroup != "" {
		ec.ProtectedWriters, ec.AllReaders = []string{cfg.LedgerGroup}, []string{cfg.LedgerGroup}
	}
	return ec
}

// stopTimeout bounds the stopping of what had started when a later start failed.
const stopTimeout = 20 * time.Second

// How long the child of a killed process may take to end, and how often that is looked at.
const (
	orphanTimeout = 10 * time.Second
	orphanPoll    = 100 * time.Millisecond
)

// startKafka moves a directory that cannot be read aside: the relay fills the new one from the ledger.
func startKafka(ctx context.Context, cfg Config) (*kafka.Server, error) {
	dir := filepath.Join(cfg.Dir, "kafka")
	kc := kafka.Config{Dir: dir, Addr: cfg.KafkaAddr, Logger: cfg.Logger.With("server", "kafka")}
	srv, err := kafka.Start(ctx, kc)
	if !errors.Is(err, kafka.ErrUnreadable) {
		return srv, err
	}
	aside := dir + ".unreadable-" + time.Now().UTC().Format("20060102T150405")
	cfg.Logger.Warn("the broker's directory cannot be read; it is moved aside and filled anew from the ledger", "moved to", filepath.Base(aside), "error", err)
	if err := os.Rename(dir, aside); err != nil {
		return nil, err
	}
	return kafka.Start(ctx, kc)
}

// startClickHouse waits a moment for a directory that is still locked: a killed process's child, which holds it, is ending.
func startClickHouse(ctx context.Context, cfg Config) (*clickhouse.Server, error) {
	deadline := time.Now().Add(orphanTimeout)
	for {
		srv, err := clickhouse.Start(ctx, clickhouse.Config{Open: true, DataDir: filepath.Join(cfg.Dir, "clickhouse"), Addr: cfg.ClickHouseAddr,
			Command: cfg.EngineCommand, LibPath: cfg.EngineLibrary, CacheDir: cfg.EngineCache, Progress: cfg.Progress, Logger: cfg.Logger.With("server", "clickhouse")})
		if !errors.Is(err, clickhouse.ErrLocked) || time.Now().After(deadline) {
			return srv, err
		}
		t := time.NewTimer(orphanPoll)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

func (s *Servers) watch(eventStore, clickHouse <-chan struct{}) {
	select {
	case <-eventStore:
		s.failed <- errors.Join(errors.New("the event store has stopped"), s.EventStore.Wait())
	case <-clickHouse:
		s.failed <- errors.Join(errors.New("ClickHouse's engine has stopped"), s.ClickHouse.Err())
	case <-s.stopped:
	}
}

// Failed yields an error when a server ends by itself.
func (s *Servers) Failed() <-chan error { return s.failed }

// Stop stops the servers in reverse order, each draining, and joins their errors. Call it once.
func (s *Servers) Stop(ctx context.Context) error {
	close(s.stopped)
	s.watching.Wait()
	var errs []error
	if s.ClickHouse != nil {
		errs = append(errs, s.ClickHouse.Stop(ctx))
	}
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop(ctx))
	}
	if s.EventStore != nil {
		errs = append(errs, s.EventStore.Stop(ctx))
	}
	return errors.Join(errs...)
}
