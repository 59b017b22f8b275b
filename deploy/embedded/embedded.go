// Package embedded starts the three servers on one machine, each speaking its real wire protocol:
// the event store, the broker, and ClickHouse's engine in a child process. Each asks whoever comes
// for an account; event store and ClickHouse may listen beyond loopback.
//
// It owns one directory with a folder for each, and one for the authority that signs
// their certificates. It may lose what its parts may lose: the broker's folder is
// disposable and is moved aside when it cannot be read; the others are not touched. It
// knows nothing of what they hold.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/authority"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/kafka"
)

// The servers' folders in Config.Dir. Without the broker's there are no topics.
const (
	EventStoreDir = "eventstore"
	KafkaDir      = "kafka"
	ClickHouseDir = "clickhouse"
	authorityDir  = "tls"
)

// Config says which servers run, and where they keep their data. A server without a
// configuration is not started: one elsewhere takes its place. Directories and loggers in
// the servers' configurations are filled in here, and so are certificates where a server
// speaks TLS and none are named.
type Config struct {
	Dir        string
	EventStore *eventstore.Config
	Kafka      *kafka.Config
	ClickHouse *clickhouse.Config
	Logger     *slog.Logger

	// KeepBroker makes a broker's folder that cannot be read an error. Else it is moved aside, to
	// be filled anew: what restores the event store needs the only other copy.
	KeepBroker bool
}

// Servers are the running servers; one that was not to be started is nil.
type Servers struct {
	EventStore *eventstore.Server
	Kafka      *kafka.Server
	ClickHouse *clickhouse.Server

	authority *authority.Authority // nil where nothing needed one
	failed    chan error
	ctx       context.Context // ends with Stop
	stop      context.CancelFunc
	watching  sync.WaitGroup
}

// AuthorityFile is the certificate by which clients trust the servers that got
// theirs here, "" where none did.
func (s *Servers) AuthorityFile() string {
	if s.authority == nil {
		return ""
	}
	return s.authority.CAFile()
}

// Start starts the servers one after another; each answers before the next is started. On error
// those started are stopped.
func Start(ctx context.Context, cfg Config) (*Servers, error) {
	s := &Servers{failed: make(chan error, 1)}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	fail := func(err error) (*Servers, error) {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stop))
	}
	var err error
	var eventStoreDone, clickHouseDone <-chan struct{} // nil: never
	if cfg.EventStore != nil {
		if s.EventStore, err = s.startEventStore(ctx, cfg); err != nil {
			return fail(fmt.Errorf("start the event store: %w", err))
		}
		eventStoreDone = s.EventStore.Done()
	}
	if cfg.Kafka != nil {
		if s.Kafka, err = startKafka(ctx, cfg); err != nil {
			return fail(fmt.Errorf("start the broker: %w", err))
		}
	}
	if cfg.ClickHouse != nil {
		if s.ClickHouse, err = s.startClickHouse(ctx, cfg); err != nil {
			return fail(fmt.Errorf("start ClickHouse's engine: %w", err))
		}
		clickHouseDone = s.ClickHouse.Done()
	}
	s.watching.Go(func() { s.watch(eventStoreDone, clickHouseDone) })
	if s.authority != nil {
		s.watching.Go(func() { s.authority.Keep(s.ctx) })
	}
	return s, nil
}

// certificate has this machine's authority sign for a server that listens on addr.
func (s *Servers) certificate(cfg Config, name, addr string, hosts ...string) (certFile, keyFile string, err error) {
	if s.authority == nil {
		a, err := authority.Open(authority.Config{Dir: filepath.Join(cfg.Dir, authorityDir),
			Logger: cfg.Logger.With("part", "authority")})
		if err != nil {
			return "", "", err
		}
		s.authority = a
	}
	if hosts, err = authority.Hosts(addr, hosts...); err != nil {
		return "", "", err
	}
	return s.authority.Issue(name, hosts)
}

func (s *Servers) startEventStore(ctx context.Context, cfg Config) (*eventstore.Server, error) {
	ec := *cfg.EventStore
	ec.Dir, ec.Logger = filepath.Join(cfg.Dir, EventStoreDir), cfg.Logger.With("server", "eventstore")
	if ec.TLS != nil && ec.TLS.CertFile == "" && ec.TLS.KeyFile == "" {
		var advertised []string
		if host, _, err := net.SplitHostPort(ec.Advertise); err == nil {
			advertised = append(advertised, host)
		}
		tls := *ec.TLS
		var err error
		if tls.CertFile, tls.KeyFile, err = s.certificate(cfg, "eventstore", ec.Addr, advertised...); err != nil {
			return nil, err
		}
		tls.CAFile = s.authority.CAFile()
		ec.TLS = &tls
	}
	return eventstore.Start(ctx, ec)
}

// stopTimeout bounds the stopping of what had started when a later start failed.
const stopTimeout = 20 * time.Second

// How long the child of a killed process may take to end, and how often that is looked at.
const (
	orphanTimeout = 10 * time.Second
	orphanPoll    = 100 * time.Millisecond
)

// startKafka moves a directory that cannot be read aside: the relay fills
// the new one from the ledger.
func startKafka(ctx context.Context, cfg Config) (*kafka.Server, error) {
	dir := filepath.Join(cfg.Dir, KafkaDir)
	kc := *cfg.Kafka
	kc.Dir, kc.Logger = dir, cfg.Logger.With("server", "kafka")
	srv, err := kafka.Start(ctx, kc)
	if cfg.KeepBroker || !errors.Is(err, kafka.ErrUnreadable) {
		return srv, err
	}
	aside := dir + ".unreadable-" + time.Now().UTC().Format("20060102T150405")
	cfg.Logger.Warn("the broker's directory cannot be read; it is moved aside and filled anew from the ledger",
		"moved to", filepath.Base(aside), "error", err)
	if err := os.Rename(dir, aside); err != nil {
		return nil, err
	}
	return kafka.Start(ctx, kc)
}

// startClickHouse waits a moment for a directory that is still locked: a killed process's child,
// which holds it, is ending.
func (s *Servers) startClickHouse(ctx context.Context, cfg Config) (*clickhouse.Server, error) {
	cc := *cfg.ClickHouse
	cc.DataDir, cc.Logger = filepath.Join(cfg.Dir, ClickHouseDir), cfg.Logger.With("server", "clickhouse")
	beyond, err := eventstore.BeyondLoopback(cc.Addr)
	if err != nil {
		return nil, err
	}
	if beyond && cc.CertFile == "" && cc.KeyFile == "" {
		if cc.CertFile, cc.KeyFile, err = s.certificate(cfg, "clickhouse", cc.Addr); err != nil {
			return nil, err
		}
	}
	deadline := time.Now().Add(orphanTimeout)
	for {
		srv, err := clickhouse.Start(ctx, cc)
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
	case <-s.ctx.Done():
	}
}

// Failed yields an error when a server ends by itself.
func (s *Servers) Failed() <-chan error { return s.failed }

// Stop stops the servers in reverse order, each draining, and joins their errors. What ctx leaves
// of time is shared: a server that does not stop takes none from those after it. Call it once.
func (s *Servers) Stop(ctx context.Context) error {
	s.stop()
	s.watching.Wait()
	var stops []func(context.Context) error
	if s.ClickHouse != nil {
		stops = append(stops, s.ClickHouse.Stop)
	}
	if s.Kafka != nil {
		stops = append(stops, s.Kafka.Stop)
	}
	if s.EventStore != nil {
		stops = append(stops, s.EventStore.Stop)
	}
	return stopEach(ctx, stops)
}

// stopEach calls one after the other, each with an equal share of the time that is left.
func stopEach(ctx context.Context, stops []func(context.Context) error) error {
	var errs []error
	for i, stop := range stops {
		share, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok {
			share, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(stops)-i))
		}
		errs = append(errs, stop(share))
		cancel()
	}
	return errors.Join(errs...)
}
