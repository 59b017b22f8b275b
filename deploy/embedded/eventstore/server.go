// Package eventstore is a single-node event store that speaks EventStoreDB
// 24.x's gRPC protocol, on Pebble. It owns one directory of events and the
// listener in front of it.
//
// It may lose nothing that it has acknowledged, and nothing that a reader or
// subscriber has seen, to a crash of the process or the machine. It may lose
// appends that it has not answered. It trusts the file system to keep what it
// has fsynced. It trusts whoever brings a user's password or certificate, over
// TLS, with what access control lists give that user; one that was opened on
// purpose trusts everybody who can reach its loopback port.
//
// It knows nothing of what the events mean. See DESIGN.md.
package eventstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// keepaliveMinTime is the least time between a client's pings: the official
// ones send one every 10 s by default, with calls or without.
const keepaliveMinTime = 5 * time.Second

// A peer that has gone without a word is noticed after a minute or two, and one
// that asks nothing for half an hour gives its place to others; clients connect anew.
const (
	keepaliveTime    = time.Minute
	keepaliveTimeout = 20 * time.Second
	connectionIdle   = 30 * time.Minute
)

const maxHeaders = 64 << 10 // bytes of one call's headers

// Server is a running event store.
type Server struct {
	cfg    Config
	store  *eventlog.Log
	grpc   *grpc.Server
	health *http.Server
	doors  *doors
	auth   *authenticator
	certs  *certificates // nil: plaintext
	addr   string

	metrics *metrics
	backups backups
	disturb *disturber // nil outside tests

	receivers sync.WaitGroup // of calls that receive while they answer; they end with their call

	stopOnce  sync.Once
	stopping  chan struct{} // closed by Stop: readers and subscriptions end
	forceOnce sync.Once
	force     chan struct{} // closed when Stop's context ends: connections are cut
	done      chan struct{} // closed when the server has ended; err is set before
	err       error
}

// Start opens the store in cfg.Dir, creating it where the directory is missing
// or empty, and serves it. ctx bounds starting only; Stop ends the server.
// Errors are eventlog's: ErrLocked, ErrExists (files that are no store), ErrGone
// (the events' files are missing), ErrFormat, ErrCorrupt.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	m := newMetrics(cfg.Logger)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start event store: %w", err)
	}
	st, err := createOrOpen(cfg, m)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, store: st, metrics: m,
		stopping: make(chan struct{}),
		force:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start event store: %w", err), st.Close())
	}
	m.adopt(st)
	s.health = healthServer(st.Failure, s.backup(), s.auth.requireOps(s.operations()), cfg.Logger)
	s.health.ConnContext = withCommonName
	s.grpc = grpc.NewServer(append(s.disturb.options(s.stopping),
		grpc.ForceServerCodecV2(newWireCodec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage+1<<20),
		grpc.InitialWindowSize(1<<20),
		grpc.InitialConnWindowSize(4<<20),
		grpc.WriteBufferSize(128<<10),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, MaxConnectionIdle: connectionIdle}),
		grpc.MaxConcurrentStreams(cfg.streams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(cfg.sniff),
		grpc.Creds(doorCredentials{tls: s.certs != nil}),
		grpc.ChainUnaryInterceptor(s.auth.unary),
		grpc.ChainStreamInterceptor(s.auth.stream),
		grpc.UnknownServiceHandler(unknownService),
	)...)
	streams.RegisterStreamsServer(s.grpc, &streamsService{server: s})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, featuresService{})
	gossip.RegisterGossipServer(s.grpc, &gossipService{server: s})
	s.logStarted()
	go s.serve()
	return s, nil
}

// listen knows the users, has the certificate and opens the port.
func (s *Server) listen(ctx context.Context) (err error) {
	if s.auth, err = newAuthenticator(s.cfg); err != nil {
		return err
	}
	if s.cfg.TLS != nil {
		if s.certs, err = openCertificates(s.cfg); err != nil {
			return err
		}
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return err
	}
	s.addr = listener.Addr().String()
	if s.disturb, err = disturb(ctx, s); err != nil {
		return errors.Join(err, listener.Close())
	}
	counted := countedListener{s.disturb.listen(listener), s.metrics}
	s.doors = newDoors(counted, s.cfg.sniff, s.certs, s.cfg.connections, s.cfg.Logger)
	return nil
}

func createOrOpen(cfg Config, observer eventlog.Observer) (*eventlog.Log, error) {
	o := eventlog.Options{FS: cfg.fs, Logger: cfg.Logger, Now: cfg.Now, CacheBytes: cfg.CacheBytes, Uncompressed: cfg.Uncompressed, MemTable: cfg.memTable, Observer: observer}
	exists, err := eventlog.Exists(cfg.Dir, cfg.fs)
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	if !exists {
		if err := eventlog.Create(cfg.Dir, o); err != nil {
			return nil, err
		}
	}
	return eventlog.Open(cfg.Dir, o)
}

// serve runs until Stop, or until the store or the listener fails.
func (s *Server) serve() {
	defer close(s.done)
	served, healthServed := make(chan error, 1), make(chan struct{})
	go func() { served <- s.grpc.Serve(s.doors.grpc) }()
	go func() {
		defer close(healthServed)
		_ = s.health.Serve(s.doors.http) // ends with its door; a failed listener is the other server's error
	}()
	var err error
	select {
	case err = <-served:
		served <- nil
	case <-s.store.Failed():
	case <-s.stopping:
		s.drain()
	}
	s.grpc.Stop() // waits for the handlers; nothing may use the store after this
	s.receivers.Wait()
	s.auth.hearers.Wait()
	<-served
	_ = s.health.Close() // health checks under way have nothing to lose, and backups that are cut are known as such
	s.doors.close()
	<-healthServed
	end, events := logEnd(s.store)
	s.metrics.retire()
	s.backups.wait.Wait()
	s.err = errors.Join(err, s.store.Close())
	s.logStopped(end, events)
}

// drain lets calls end by themselves until Stop's context ends or the store fails.
func (s *Server) drain() {
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	select {
	case <-graceful:
		return
	case <-s.force:
	case <-s.store.Failed():
	}
	s.grpc.Stop()
	<-graceful
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.addr }

// ConnectionString is what the official clients on this machine dial, without
// credentials. It names CAFile where there is one.
func (s *Server) ConnectionString() string { return s.connectionString(s.localAddr()) }

// AdvertisedConnectionString is what clients elsewhere dial, with their copy of
// CAFile: the advertised address, or else ConnectionString's.
func (s *Server) AdvertisedConnectionString() string {
	if s.cfg.Advertise != "" {
		return s.connectionString(s.cfg.Advertise)
	}
	return s.ConnectionString()
}

func (s *Server) connectionString(addr string) string {
	switch {
	case s.certs == nil:
		return "esdb://" + addr + "?tls=false"
	case s.certs.caFile == "":
		return "esdb://" + addr + "?tls=true"
	}
	return "esdb://" + addr + "?tls=true&tlsCAFile=" + url.QueryEscape(s.certs.caFile)
}

// localAddr is what this machine's own clients reach, under a name that the certificate has.
func (s *Server) localAddr() string {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return s.addr // cannot be: a listener's address has a port
	}
	if isWildcard(host) {
		host = "127.0.0.1"
	}
	if s.certs != nil {
		host = s.certs.nameFor(host)
	}
	return net.JoinHostPort(host, port)
}

// CAFile is the PEM file by which clients trust the server, their tlsCAFile; ""
// without TLS, and where they know its authority.
func (s *Server) CAFile() string {
	if s.certs == nil {
		return ""
	}
	return s.certs.caFile
}

// Done is closed when the server has ended, by Stop or by a failure of its store.
func (s *Server) Done() <-chan struct{} { return s.done }

// Wait waits until the server has ended and returns why: nil after Stop, the
// error that stopped the store otherwise.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Stop refuses new calls, ends reads and subscriptions, lets appends that have
// begun finish, and closes the store. When ctx ends first, connections are
// cut; what was acknowledged is durable all the same. It returns what Wait returns.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stopping) })
	select {
	case <-s.done:
	case <-ctx.Done():
		s.forceOnce.Do(func() { close(s.force) })
	}
	return s.Wait()
}

// unknownService answers calls of services that this node does not have.
func unknownService(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "this single node has no %s: it serves streams only; no persistent subscriptions, projections, users or operations", method)
}
