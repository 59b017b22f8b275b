package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/consumers/relay"
	"github.com/ledgerline/ledgerline/deploy/embedded"
	engine "github.com/ledgerline/ledgerline/deploy/embedded/clickhouse"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	broker "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
	"github.com/ledgerline/ledgerline/internal/datadir"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/reconcile"
	"github.com/ledgerline/ledgerline/schemas"
)

// engineCommand is the hidden argument with which `up` runs itself as the child
// that holds ClickHouse's engine.
const engineCommand = "embedded-clickhouse"

func runEngine() int {
	cfg, err := engine.ChildConfigFromEnv()
	if err == nil {
		err = engine.RunChild(context.Background(), cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledgerline "+engineCommand+": "+err.Error())
		return exitFailed
	}
	return exitOK
}

// projectorName is the name under which the projector keeps its position.
const projectorName = "projector"

// stopTimeout bounds the draining after SIGTERM; what is not drained by then
// is picked up at the next start.
const stopTimeout = 30 * time.Second

func newUp(a *app) *cobra.Command {
	var feed fleetFeed
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole ledger on this machine: the three servers, relay and views",
		Long: `up starts everything in one process tree: an event store that speaks EventStoreDB's protocol, a
broker that speaks Kafka's, and ClickHouse's own engine behind its HTTP interface; then the relay that
publishes the ledger, and the projector that keeps the views. The first start creates the ledger, the
vault and its key, and the accounts without which none of the servers answers: ` + "`ledgerline connect`" + `
says how any client of the three attaches. Event store and ClickHouse may listen beyond loopback.

It ends on SIGTERM or Ctrl-C, having drained. A second up on the same directory is refused.
The engine is fetched once through npm into your cache directory; where npm is missing, set
embedded.library to an existing libchdb.so.`,
		Example: `  ledgerline up
  ledgerline up --data /srv/ledger
  LEDGERLINE_EMBEDDED_KAFKA_ADDR=127.0.0.1:0 ledgerline up`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.up(cmd.Context(), cmd.OutOrStdout(), feed)
		},
	}
	feed.flags(cmd)
	return cmd
}

func (a *app) up(ctx context.Context, out io.Writer, feed fleetFeed) (err error) {
	if err := feed.check(); err != nil {
		return err
	}
	lock, err := a.takeDirectory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	n, err := a.startNode(ctx, out, lock)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(out, "stopping: draining relay and views")
		if err = errors.Join(err, n.stop()); err == nil {
			err = lock.End()
		}
		fmt.Fprintln(out, "stopped")
	}()
	n.describe(out)
	if feed.Devices > 0 {
		if err := n.feed(ctx, out, feed); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("feed the fleet: %w", err)
		}
		fmt.Fprintln(out, "\nThe ledger is up and stays up until Ctrl-C.")
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.servers.Failed():
		return err
	case err := <-n.failed:
		return err
	}
}

// runningNode is a running `up`.
type runningNode struct {
	a        *app
	lock     *datadir.Lock
	started  time.Time
	secrets  datadir.Secrets
	metrics  *node.Metrics // of this process
	servers  *embedded.Servers
	opened   *services // the vault's, which is opened before the servers are started
	services *services
	ledger   *ledger.Ledger
	vault    *vault.Vault
	views    *clickhouse.DB
	relay    *relay.Relay
	project  *projections.Projector
	compare  *reconcile.Reconciler
	clean    bool // the last run here stopped in order

	keepBroker  bool      // its folder is moved aside by nobody: it is needed as it is
	strangers   strangers // events of tenants that the vault does not know
	damagedKeys uint64    // places of the vault's keys that cannot be read, at the start
	status      *http.Server
	listener    net.Listener

	cancel context.CancelFunc // ends relay, projector and status
	tasks  *errgroup.Group
	failed chan error // the first task that failed
}

func (a *app) newNode(lock *datadir.Lock) *runningNode {
	return &runningNode{a: a, lock: lock, started: time.Now(), metrics: node.NewMetrics(), opened: &services{},
		failed: make(chan error, 1)}
}

func (a *app) startNode(ctx context.Context, out io.Writer, lock *datadir.Lock) (_ *runningNode, err error) {
	n := a.newNode(lock)
	absent := a.absentStores()
	defer func() {
		if err != nil {
			err = a.damageWayOut(errors.Join(err, n.stop()))
		}
		if errors.Is(err, node.ErrApart) {
			// What was made in vain would be in the way of what is to be put back.
			err = errors.Join(err, removeAll(absent))
		}
	}()
	if n.clean, err = lock.Begin(); err != nil {
		return nil, err
	}
	n.opened.vaultObserver = n.metrics.Vault()
	if err := n.openVaultThatIs(ctx); err != nil {
		return nil, err
	}
	own, err := n.startServers(ctx, out, true)
	if err != nil {
		return nil, err
	}
	if err := n.openStores(ctx, out); err != nil {
		return nil, err
	}
	if err := a.resume(ctx, n, out); err != nil {
		return nil, err
	}
	if err := n.prepareViews(ctx, out); err != nil {
		return nil, err
	}
	if err := n.startTasks(ctx, out); err != nil {
		return nil, err
	}
	own.Status = "http://" + n.listener.Addr().String()
	return n, lock.Announce(own)
}

// startServers starts those of the three servers that are not configured to be elsewhere,
// ClickHouse only where views are wanted, and returns where they are. Everything of the
// configuration is checked before the first is started.
func (n *runningNode) startServers(ctx context.Context, out io.Writer, views bool) (own datadir.Running, err error) {
	a := n.a
	if n.secrets, err = a.dir().MakeSecrets(); err != nil {
		return own, err
	}
	p := newProgress(out)
	cfg, err := a.embeddedConfig(n.secrets, views, p)
	if err != nil {
		return own, err
	}
	cfg.KeepBroker = n.keepBroker
	n.servers, err = embedded.Start(ctx, cfg)
	p.done()
	err = explainTaken(err)
	if err != nil {
		return own, err
	}
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
	e, err := a.endpointsOf(own, n.secrets)
	n.services = &services{endpoints: e}
	return own, err
}

// embeddedConfig says how those of the servers run that are not configured to be elsewhere.
func (a *app) embeddedConfig(secrets datadir.Secrets, views bool, p *progress) (embedded.Config, error) {
	cfg := embedded.Config{Dir: a.cfg.Data, Logger: a.log}
	e := a.cfg.Embedded
	if err := node.LoopbackAddr(e.StatusAddr); err != nil {
		return cfg, usage("embedded.status-addr: %w", err)
	}
	if a.cfg.EventStore.Address == "" {
		users, err := a.eventStoreAccounts(secrets)
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
			ProtectStreams: schemas.StreamPattern(), ProtectedWriters: []string{writersGroup},
			AllReaders: []string{writersGroup, readersGroup}, ReadOnlyRoles: []string{readersGroup},
			Uncompressed: a.uncompressed(), Disturb: disturb}
	}
	if a.cfg.Kafka.Brokers == "" {
		accounts, err := kafkaAccounts(secrets)
		if err != nil {
			return cfg, err
		}
		cfg.Kafka = &broker.Config{Addr: e.KafkaAddr, Accounts: accounts}
	}
	if views && a.cfg.ClickHouse.Address == "" {
		accounts, err := clickHouseAccounts(secrets)
		if err != nil {
			return cfg, err
		}
		self, err := os.Executable()
		if err != nil {
			return cfg, err
		}
		cfg.ClickHouse = &engine.Config{Addr: e.ClickHouseAddr, Accounts: accounts,
			CertFile: e.ClickHouseCert, KeyFile: e.ClickHouseKey,
			Command: []string{self, engineCommand}, LibPath: e.Library,
			Progress: func(f engine.FetchProgress) { p.fetch(f) }}
	}
	return cfg, nil
}

// openFollowing opens the ledger with the sequence index, to follow it; with create
// it makes one in an empty store.
func (a *app) openFollowing(
	ctx context.Context, s *services, v *vault.Vault, create bool, out io.Writer,
) (*ledger.Ledger, error) {
	cfg, err := a.ledgerConfig(s, v, filepath.Join(a.cfg.Data, indexFile))
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, cfg)
	if create && errors.Is(err, ledger.ErrNoLedger) {
		if l, err = ledger.Create(ctx, cfg); err == nil {
			fmt.Fprintf(out, "created ledger %s in %s\n", l.ID(), a.cfg.Data)
		}
	}
	if err != nil {
		return nil, err
	}
	s.onClose(l.Close)
	return l, nil
}

// resume carries on with acts that a crash interrupted, before anything is served.
func (a *app) resume(ctx context.Context, n *runningNode, out io.Writer) error {
	c, err := a.newCustody(n.ledger, n.vault)
	if err != nil {
		return err
	}
	completed, takenBack, err := c.Resume(ctx)
	if completed+takenBack > 0 {
		fmt.Fprintf(out, "erasures that were interrupted: %d completed, %d had not begun\n", completed, takenBack)
	}
	return err
}

func (n *runningNode) startTasks(ctx context.Context, out io.Writer) error {
	if err := n.openRelay(); err != nil {
		return err
	}
	if err := n.checkRelay(ctx, out); err != nil {
		return err
	}
	topics, err := n.a.openKafka(n.services, datadir.Reader)
	if err != nil {
		return err
	}
	source := newTopicSource(topics)
	source.relay = n.relay
	n.project, err = projections.New(projections.Config{Name: projectorName, Source: source, Sink: n.views,
		Positions: n.views, Observer: n.metrics.Projector(),
		Log: n.a.log.With("part", "projector"), Now: time.Now, Hook: crashHook(n.a.log)})
	if err != nil {
		return err
	}
	if n.listener, err = n.listenStatus(); err != nil {
		return err
	}
	password, err := n.secrets.Password(datadir.Status, datadir.Operator)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(n.report()); err != nil {
			n.a.log.Debug("status was not read to its end", "error", err)
		}
	})
	n.collect()
	mux.Handle("GET /metrics", n.metrics.Handler(n.a.log))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	n.status = &http.Server{Handler: node.Guard(mux, datadir.Operator, password), ReadHeaderTimeout: 5 * time.Second,
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
func (n *runningNode) listenStatus() (net.Listener, error) {
	l, err := net.Listen("tcp", n.a.cfg.Embedded.StatusAddr)
	if err != nil {
		err = fmt.Errorf("listen for status and metrics: %w\nGive another embedded.status-addr (or %s); "+
			"port 0 takes a free one", err, envName("embedded.status-addr"))
	}
	return l, err
}

// collect puts on the page of metrics what runs in this process.
func (n *runningNode) collect() {
	n.metrics.Relay(func() relay.Status { return n.relay.Status() })
	n.metrics.Views(func() projections.Status { return n.report().Views }) // as status says
	if s := n.servers.EventStore; s != nil {
		n.metrics.Merge(s.Metrics())
	}
}

// stop ends the parts that read before the servers they read from. It may be called on a
// node that did not start whole.
func (n *runningNode) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	errs := []error{n.lock.Retract()} // before the ports are anybody's
	if n.cancel != nil {
		n.cancel()
		errs = append(errs, n.status.Shutdown(ctx))
		if err := n.tasks.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	if n.services != nil {
		errs = append(errs, n.services.close())
	}
	errs = append(errs, n.opened.close())
	if n.servers != nil {
		// Time of their own: what read from them may have taken all of its.
		own, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		errs = append(errs, n.servers.Stop(own))
	}
	return errors.Join(errs...)
}

// describe says where everything is.
func (n *runningNode) describe(out io.Writer) {
	fmt.Fprintf(out, `
Ledgerline is up.
  ledger        %s
  data          %s
  event store   %s
  Kafka         %s
  ClickHouse    %s
  attach        %s     accounts and lines for kcat, curl, Python, …
  key file      %s     keep a copy apart from the data: without it nothing sealed can be read
`, n.ledger.ID(), n.a.cfg.Data,
		n.services.shown["eventstore"], n.services.shown["kafka"], n.services.shown["clickhouse"],
		n.a.commandLine("connect"), n.a.cfg.KeyFile)
	if s := n.servers.ClickHouse; s != nil {
		fmt.Fprintf(out, "  engine        %s\n", s.Confinement())
	}
	fmt.Fprintln(out)
}

// commandLine is how a command of this program is typed for this data directory.
func (a *app) commandLine(command string) string {
	line := shellWord(os.Args[0]) + " " + command
	if a.cfg.Data != defaultData() {
		line += " --data " + shellWord(a.cfg.Data)
	}
	return line
}
