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
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
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
	plain  *http.Server // HTTP/1.1, beside grpc
	doors  *doors
	auth   *guard.Authenticator
	certs  *guard.Certificates // nil: plaintext
	rights *guard.Rights
	addr   string

	metrics *watch.Metrics
	streams *protocol.Streams
	backups backups
	disturb *disturb.Disturber // nil outside tests

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
	m := watch.New(cfg.Logger)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start event store: %w", err)
	}
	st, err := createOrOpen(cfg, m)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, store: st, metrics: m,
		rights: &guard.Rights{
			Log: st, Now: cfg.Now,
			ProtectStreams: cfg.ProtectStreams, ProtectedWriters: cfg.ProtectedWriters, AllReaders: cfg.AllReaders,
		},
		stopping: make(chan struct{}),
		force:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start event store: %w", err), st.Close())
	}
	m.Adopt(st)
	s.plain = s.plainServer()
	s.grpc = grpc.NewServer(append(s.disturb.Options(s.stopping),
		grpc.ForceServerCodecV2(protocol.Codec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage+1<<20),
		grpc.InitialWindowSize(1<<20),
		grpc.InitialConnWindowSize(4<<20),
		grpc.WriteBufferSize(128<<10),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout,
			MaxConnectionIdle: connectionIdle}),
		grpc.MaxConcurrentStreams(cfg.streams),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(cfg.sniff),
		grpc.Creds(guard.Credentials(s.certs != nil)),
		grpc.ChainUnaryInterceptor(s.auth.Unary),
		grpc.ChainStreamInterceptor(s.auth.Stream),
		grpc.UnknownServiceHandler(protocol.UnknownService),
	)...)
	s.streams = protocol.NewStreams(protocol.Config{
		Log: st, Rights: s.rights, Metrics: m, MaxAppend: cfg.MaxAppend, Now: cfg.Now, Stopping: s.stopping,
		Paged: cfg.paged,
	})
	streams.RegisterStreamsServer(s.grpc, s.streams)
	serverfeatures.RegisterServerFeaturesServer(s.grpc, protocol.Features{})
	gossip.RegisterGossipServer(s.grpc, &protocol.Gossip{ID: st.ID(), Now: cfg.Now, ReachedBy: s.reachedBy})
	m.LogStarted(s.addr, st)
	go s.serve()
	return s, nil
}

// listen knows the users, has the certificate and opens the port.
func (s *Server) listen(ctx context.Context) (err error) {
	s.auth, err = guard.NewAuthenticator(guard.AuthConfig{
		Users: s.cfg.Users, Open: s.cfg.Open, ReadOnlyRoles: s.cfg.ReadOnlyRoles, Logger: s.cfg.Logger,
		Patience: s.cfg.hearOut,
	})
	if err != nil {
		return err
	}
	if err := s.openCertificates(); err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return err
	}
	s.addr = listener.Addr().String()
	s.disturb, err = disturb.Begin(ctx, s.cfg.Disturb, disturb.Node{
		Log: s.store, Addr: s.addr, Connection: s.ConnectionString(), Logger: s.cfg.Logger,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	counted := s.metrics.Listen(s.disturb.Listen(listener))
	s.doors = newDoors(counted, s.cfg.sniff, s.certs, s.cfg.connections, s.cfg.Logger)
	return nil
}

// openCertificates loads what the configuration names, where the port speaks TLS.
func (s *Server) openCertificates() (err error) {
	if s.cfg.TLS == nil {
		return nil
	}
	if s.certs, err = guard.OpenCertificates(*s.cfg.TLS, s.cfg.recheck, s.cfg.Logger); err != nil ||
		s.cfg.Advertise == "" {
		return err
	}
	host, _, err := splitAdvertised(s.cfg.Advertise)
	if err != nil {
		return err
	}
	if err := s.certs.Names(host); err != nil {
		return fmt.Errorf("advertise %q: clients would not trust this host: %w", s.cfg.Advertise, err)
	}
	return nil
}

func createOrOpen(cfg Config, observer eventlog.Observer) (*eventlog.Log, error) {
	o := eventlog.Options{FS: cfg.fs, Logger: cfg.Logger, Now: cfg.Now, CacheBytes: cfg.CacheBytes,
		Uncompressed: cfg.Uncompressed, MemTable: cfg.memTable, Observer: observer}
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
	served, plainServed := make(chan error, 1), make(chan struct{})
	go func() { served <- s.grpc.Serve(s.doors.grpc) }()
	go func() {
		defer close(plainServed)
		_ = s.plain.Serve(s.doors.http) // ends with its door; a failed listener is the other server's error
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
	s.streams.Wait()
	s.auth.Wait()
	<-served
	_ = s.plain.Close() // health checks under way have nothing to lose, and backups that are cut are known as such
	s.doors.close()
	<-plainServed
	end, events := watch.LogEnd(s.store)
	s.metrics.Retire()
	s.backups.wait.Wait()
	s.err = errors.Join(err, s.store.Close())
	s.metrics.LogStopped(s.addr, s.store.ID(), end, events, s.err)
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

// Metrics gives the server's own metrics, all named eventstore_*, so that
// whoever runs it can serve them beside his. It works after the server has
// ended too; the figures of its files are gone then. GET /metrics also shows
// the process and the Go runtime.
func (s *Server) Metrics() prometheus.Gatherer { return s.metrics.Gatherer() }

// Disturbed returns what Config.Disturb has done so far; all zero where it is nil.
func (s *Server) Disturbed() disturb.Disturbed { return s.disturb.Done() }
