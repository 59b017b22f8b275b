// Package node owns what one machine runs of a ledger: which servers it dials, and which it
// starts because nobody configured others; the ledger, vault and views on top of them; relay,
// projector, comparison and status port between them; and the order in which all of it starts and
// stops. It is the only place where adapters are wired to the rooms that use them.
//
// It may lose what its parts may lose, and the mark of a run that ended in order, which costs a
// comparison of the views. It trusts the data directory (package datadir), and no store's word
// about itself before the others agree. See DESIGN.md.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	broker "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// projectorName is the name under which the projector keeps its position.
const projectorName = "projector"

// stopTimeout bounds the draining after SIGTERM; what is not drained by then is picked up at the
// next start.
const stopTimeout = 30 * time.Second

// Node is what one machine runs of a ledger. New takes the data directory, Start starts
// everything in order and Stop ends it in reverse. Ledger, Vault and Views are there between the
// two.
type Node struct {
	Ledger *ledger.Ledger
	Vault  *vault.Vault
	Views  *clickhouse.DB

	// What follows is written before the tasks are started and not after.
	cfg      Config
	lock     *datadir.Lock
	started  time.Time
	begun    bool // a run that is marked when it ends in order
	clean    bool // the last run here stopped in order
	secrets  datadir.Secrets
	running  datadir.Running // where the servers of this process are
	metrics  *Metrics        // of this process
	servers  *embedded.Servers
	opened   *Services // the vault's, which is opened before the servers are started
	services *Services
	relay    *relay.Relay
	project  *projections.Projector
	compare  *reconcile.Reconciler

	keepBroker  bool   // its folder is moved aside by nobody: it is needed as it is
	damagedKeys uint64 // places of the vault's keys that cannot be read, at the start
	status      *http.Server
	listener    net.Listener

	strangers strangers // events of tenants that the vault does not know; it has a mutex of its own

	cancel context.CancelFunc // ends relay, projector and status
	tasks  *errgroup.Group
	failed chan error // the first task that failed
}

func newNode(c Config, lock *datadir.Lock) *Node {
	return &Node{cfg: c, lock: lock, started: time.Now(), metrics: NewMetrics(), opened: &Services{cfg: c},
		failed: make(chan error, 1)}
}

// New takes the data directory for a run, where the addresses of those servers are free that are
// to run here. A datadir.Problem says why it is not to be had.
func New(c Config) (*Node, error) {
	lock, err := c.takeDirectory()
	if err != nil {
		return nil, err
	}
	return newNode(c, lock), nil
}

// Start starts the servers, checks that the stores belong together, carries on with acts that a
// crash interrupted, and then starts relay, projector and the status port, and announces where
// they are. It wraps ErrApart where the stores do not belong together. Where it errs, all is
// stopped again and the directory given free.
func (n *Node) Start(ctx context.Context) error {
	absent := n.cfg.absentStores()
	err := n.start(ctx)
	if err == nil {
		return nil
	}
	lock := n.lock
	err = n.stop(err)
	if errors.Is(err, ErrApart) {
		// What was made in vain would be in the way of what is to be put back.
		err = errors.Join(err, removeAll(absent))
	}
	return errors.Join(err, lock.Close())
}

func (n *Node) start(ctx context.Context) (err error) {
	if n.clean, err = n.lock.Begin(); err != nil {
		return err
	}
	n.opened.vaultObserver = n.metrics.Vault()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"opening the vault", n.openVaultThatIs},
		{"starting the servers", func(ctx context.Context) error { return n.startServers(ctx, true) }},
		{"looking whether the stores belong together", n.openStores},
		{"looking for erasures that were interrupted", n.resume},
		{"preparing the views", n.prepareViews},
		{"looking at the topics", n.startTasks},
	} {
		if err := n.cfg.saying(ctx, step.what, step.do); err != nil {
			return err
		}
	}
	n.running.Status = "http://" + n.listener.Addr().String()
	n.begun = true
	return n.lock.Announce(n.running)
}

// Wait returns nil when ctx ends, or the first error by which a server or a task ended by itself;
// everything else goes on until Stop.
func (n *Node) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.servers.Failed():
		return err
	case err := <-n.failed:
		return err
	}
}

// Stop ends the parts that read before the servers they read from, and gives the directory free.
// It returns cause, by which the run ends, and what went wrong beside it; where there is neither,
// the run is marked as one that ended in order.
func (n *Node) Stop(cause error) error {
	err := n.stop(cause)
	if err == nil && n.begun {
		err = n.lock.End()
	}
	return errors.Join(err, n.lock.Close())
}

// Shown are the servers' addresses as they may be printed, by "eventstore", "kafka" and
// "clickhouse".
func (n *Node) Shown() map[string]string { return n.services.Shown }

// Confinement says how ClickHouse's engine is confined, "" where it is not embedded.
func (n *Node) Confinement() string {
	if s := n.servers.ClickHouse; s != nil {
		return s.Confinement().String()
	}
	return ""
}

// Services are what this process dials its servers by. Stop closes what they opened.
func (n *Node) Services() *Services { return n.services }

// Metrics is the page that this process's status port answers.
func (n *Node) Metrics() *Metrics { return n.metrics }

// startServers starts those of the three servers that are not configured to be elsewhere,
// ClickHouse only where views are wanted. Everything of the configuration is checked before the
// first is started.
func (n *Node) startServers(ctx context.Context, views bool) (err error) {
	c := n.cfg
	if n.secrets, err = c.Dir().MakeSecrets(); err != nil {
		return err
	}
	cfg, err := c.embeddedConfig(n.secrets, views)
	if err != nil {
		return err
	}
	cfg.KeepBroker = n.keepBroker
	n.servers, err = embedded.Start(ctx, cfg)
	c.Console.Done()
	if err = explainTaken(err); err != nil {
		return err
	}
	own := &n.running
	own.Started, own.CAFile = n.started, n.servers.AuthorityFile()
	if s := n.servers.EventStore; s != nil {
		own.EventStore = s.ConnectionString()
		if elsewhere := s.AdvertisedConnectionString(); elsewhere != own.EventStore {
			own.Advertised = elsewhere
		}
	}
	if s := n.servers.Kafka; s != nil {
		own.Kafka = s.Addr()
	}
	if s := n.servers.ClickHouse; s != nil {
		own.ClickHouse = s.URL()
	}
	e, err := c.endpointsOf(*own, n.secrets)
	n.services = &Services{Endpoints: e, cfg: c}
	return err
}

// embeddedConfig says how those of the servers run that are not configured to be elsewhere.
func (c Config) embeddedConfig(secrets datadir.Secrets, views bool) (embedded.Config, error) {
	cfg := embedded.Config{Dir: c.Settings.Data, Logger: c.Log}
	e := c.Settings.Embedded
	if err := LoopbackAddr(e.StatusAddr); err != nil {
		return cfg, settings.Errorf("embedded.status-addr: %w", err)
	}
	if c.Settings.EventStore.Address == "" {
		users, err := c.eventStoreAccounts(secrets)
		if err != nil {
			return cfg, err
		}
		disturb, err := disturbance()
		if err != nil {
			return cfg, err
		}
		cfg.EventStore = &eventstore.Config{Addr: e.EventStoreAddr, Advertise: e.EventStoreAdvertise, Users: users,
			TLS: &guard.TLSConfig{CertFile: e.EventStoreCert, KeyFile: e.EventStoreKey,
				ClientCAFile: e.EventStoreClientCA},
			ProtectStreams: schemas.StreamPattern(), ProtectedWriters: []string{WritersGroup},
			AllReaders: []string{WritersGroup, ReadersGroup}, ReadOnlyRoles: []string{ReadersGroup},
			Uncompressed: c.Settings.Embedded.Uncompressed, Disturb: disturb}
	}
	if c.Settings.Kafka.Brokers == "" {
		accounts, err := kafkaAccounts(secrets)
		if err != nil {
			return cfg, err
		}
		cfg.Kafka = &broker.Config{Addr: e.KafkaAddr, Accounts: accounts, Progress: c.checking}
	}
	if views && c.Settings.ClickHouse.Address == "" {
		accounts, err := clickHouseAccounts(secrets)
		if err != nil {
			return cfg, err
		}
		cfg.ClickHouse = &engine.Config{Addr: e.ClickHouseAddr, Accounts: accounts,
			CertFile: e.ClickHouseCert, KeyFile: e.ClickHouseKey,
			Command: c.Engine, LibPath: e.Library, Progress: c.fetching}
	}
	return cfg, nil
}

// fetching tells how far the engine's library is fetched.
func (c Config) fetching(f engine.FetchProgress) {
	if f.Total > 0 {
		c.Console.Show("ClickHouse's engine, once for this machine: %s %s of %s", f.Stage,
			terminal.Bytes(f.Done), terminal.Bytes(f.Total))
	} else {
		c.Console.Show("ClickHouse's engine, once for this machine: %s", f.Stage)
	}
}

// checking tells how many of the broker's records are checked: after years that takes a while.
func (c Config) checking(done, total int64) {
	c.Console.Show("the broker's records: %s of %s checked", terminal.Bytes(done), terminal.Bytes(total))
}

// Follow opens the ledger with the sequence index, to follow it; with create it makes one in an
// empty store. Without the vault, which may be nil, it can only be read.
func (n *Node) Follow(ctx context.Context, v *vault.Vault, create bool) error {
	cfg, err := n.services.LedgerConfig(v, n.cfg.IndexPath())
	if err != nil {
		return err
	}
	cfg.Progress = n.cfg.counting("the sequence index is made anew from the event store")
	l, err := ledger.Open(ctx, cfg)
	if create && errors.Is(err, ledger.ErrNoLedger) {
		if l, err = ledger.Create(ctx, cfg); err == nil {
			n.cfg.Console.Say("created ledger %s in %s", l.ID(), n.cfg.Settings.Data)
		}
	}
	if err != nil {
		return err
	}
	n.services.OnClose(l.Close)
	n.Ledger = l
	return nil
}

// resume carries on with acts that a crash interrupted, before anything is served.
func (n *Node) resume(ctx context.Context) error {
	told := n.cfg.counting("looking for orders of erasure")
	acts, err := n.cfg.custody(n.Ledger, n.Vault, func(seq uint64) { told(seq+1, max(seq+1, n.Ledger.Counted())) })
	if err != nil {
		return err
	}
	completed, takenBack, err := acts.Resume(ctx)
	if completed+takenBack > 0 {
		n.cfg.Console.Say("erasures that were interrupted: %d completed, %d had not begun", completed, takenBack)
	}
	return err
}

func (n *Node) startTasks(ctx context.Context) error {
	var err error
	if n.relay, err = n.OpenRelay(); err != nil {
		return err
	}
	if err := n.checkRelay(ctx); err != nil {
		return err
	}
	topics, err := n.services.OpenKafka(datadir.Reader)
	if err != nil {
		return err
	}
	source := NewSource(topics)
	source.relay = n.relay
	n.project, err = projections.New(projections.Config{Name: projectorName, Source: source, Sink: n.Views,
		Positions: n.Views, Observer: n.metrics.Projector(),
		Log: n.cfg.Log.With("part", "projector"), Now: time.Now, Hook: CrashHook(n.cfg.Log)})
	if err != nil {
		return err
	}
	password, err := n.secrets.Password(datadir.Status, datadir.Operator)
	if err != nil {
		return err
	}
	if n.listener, err = n.listenStatus(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(n.Status(r.Context())); err != nil {
			n.cfg.Log.Debug("status was not read to its end", "error", err)
		}
	})
	n.collect()
	mux.Handle("GET /metrics", n.metrics.Handler(n.cfg.Log))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	n.status = &http.Server{Handler: Guard(mux, datadir.Operator, password), ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.cancel = cancel
	n.tasks, run = errgroup.WithContext(run)
	task := func(name string, do func(context.Context) error) {
		n.tasks.Go(func() error {
			err := do(run)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				select {
				case n.failed <- err:
				default:
				}
			}
			return err
		})
	}
	task("relay", n.keepRelay)
	task("projector", n.project.Run)
	task("views", n.keepViews)
	task("vault", n.anchorVault)
	task("status", func(context.Context) error {
		if err := n.status.Serve(n.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// listenStatus takes the status port.
func (n *Node) listenStatus() (net.Listener, error) {
	l, err := net.Listen("tcp", n.cfg.Settings.Embedded.StatusAddr)
	if err != nil {
		err = fmt.Errorf("listen for status and metrics: %w\nGive another embedded.status-addr (or %s); "+
			"port 0 takes a free one", err, settings.EnvName("embedded.status-addr"))
	}
	return l, err
}

// collect puts on the page of metrics what runs in this process.
func (n *Node) collect() {
	n.metrics.Relay(func() relay.Status { return n.relay.Status() })
	n.metrics.Views(func() projections.Status { return n.counts().Views }) // as status says
	if s := n.servers.EventStore; s != nil {
		n.metrics.Merge(s.Metrics())
	}
}

// stop ends what runs, whole or not, and returns what went wrong beside cause, with the way out
// where there is one.
func (n *Node) stop(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	errs := []error{cause, n.lock.Retract()} // before the ports are anybody's
	if n.cancel != nil {
		n.cancel()
		errs = append(errs, n.status.Shutdown(ctx))
		if err := n.tasks.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if n.services != nil {
		errs = append(errs, n.services.Close())
	}
	errs = append(errs, n.opened.Close())
	if n.servers != nil {
		// Time of their own: what read from them may have taken all of its.
		own, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		errs = append(errs, n.servers.Stop(own))
	}
	return n.cfg.damageWayOut(errors.Join(errs...))
}
