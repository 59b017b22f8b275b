// Package eventstore is a single-node event store that speaks EventStoreDB
// 24.x's gRPC protocol, on Pebble. It owns one directory of events and the
// listener in front of it.
//
// It may lose nothing that it has acknowledged, and nothing that a reader or
// subscriber has seen, to a crash of the process or the machine. It may lose
// appends that it has not answered. It trusts the file system to keep what it
// has fsynced, and everybody who can reach its loopback port: it has neither
// TLS nor credentials yet.
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
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// keepaliveMinTime is the least time between a client's pings: the official
// ones send one every 10 s by default, with calls or without.
const keepaliveMinTime = 5 * time.Second

// Server is a running event store.
type Server struct {
	cfg    Config
	store  *eventlog.Log
	grpc   *grpc.Server
	health *http.Server
	doors  *doors
	addr   string

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
// Errors: ErrLocked, ErrExists (files that are no store), ErrFormat, ErrCorrupt.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start event store: %w", err)
	}
	st, err := createOrOpen(cfg)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start event store: %w", err), st.Close())
	}
	s := &Server{
		cfg: cfg, store: st,
		health: healthServer(st.Failure, cfg.Logger), doors: newDoors(listener, cfg.sniff), addr: listener.Addr().String(),
		stopping: make(chan struct{}),
		force:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newWireCodec()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage+1<<20),
		grpc.InitialWindowSize(1<<20),
		grpc.InitialConnWindowSize(4<<20),
		grpc.WriteBufferSize(128<<10),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: cfg.minPing, PermitWithoutStream: true}),
		grpc.UnknownServiceHandler(unknownService),
	)
	streams.RegisterStreamsServer(s.grpc, &streamsService{server: s})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, featuresService{})
	gossip.RegisterGossipServer(s.grpc, &gossipService{server: s})
	go s.serve()
	return s, nil
}

func createOrOpen(cfg Config) (*eventlog.Log, error) {
	o := eventlog.Options{FS: cfg.fs, Logger: cfg.Logger, Now: cfg.Now, CacheBytes: cfg.CacheBytes, Uncompressed: cfg.Uncompressed, MemTable: cfg.memTable}
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
	<-served
	_ = s.health.Close() // health checks under way have nothing to lose
	s.doors.close()
	<-healthServed
	s.err = errors.Join(err, s.store.Close())
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

// ConnectionString is what the official clients dial.
func (s *Server) ConnectionString() string { return "esdb://" + s.Addr() + "?tls=false" }

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
