package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	server "github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// hangTimeout bounds what would hang if a promise were broken.
const hangTimeout = 20 * time.Second

func disturbing(d disturb.Disturbance) func(*server.Config) {
	return func(c *server.Config) { c.Disturb = &d }
}

// settled appends one event to a new stream, repeating unknown outcomes.
func settled(t *testing.T, s ledger.Store, name schemas.Stream, events ...schemas.Event) {
	t.Helper()
	for {
		_, err := s.Append(context.Background(), name, ledger.NoStream, events)
		if err == nil {
			return
		}
		if !errors.Is(err, ledger.ErrUnknownOutcome) {
			t.Fatal(err)
		}
	}
}

// One call that fails says nothing of the others: each failure is the server's
// own, and none is passed on.
func TestACallThatFailsLeavesTheOthersAlone(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0", disturbing(disturb.Disturbance{Seed: 4, NotReadyEvery: 6,
		TimeoutsEvery: 6}))
	defer stop(t, srv)
	store := open(t, address(srv))
	settled(t, store, schemas.Stream("refusal-warm"), ledgertest.Event(t, ledgertest.NewStream(), 0))
	before := srv.Disturbed()
	var failed atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		name := ledgertest.NewStream()
		e := ledgertest.Event(t, name, i)
		wg.Go(func() {
			for range 4 {
				if _, err := store.Append(context.Background(), name, ledger.NoStream,
					[]schemas.Event{e}); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	d := srv.Disturbed()
	did := int64(d.NotReady + d.Timeouts - before.NotReady - before.Timeouts)
	if failed.Load() > did || d.Timeouts < 5 || d.NotReady < 5 {
		t.Errorf("%d appends failed, the server made %d fail (%+v)", failed.Load(), did, d)
	}
}

// Reads that go on after many drops leave no connection behind.
func TestConnectionsOfDroppedReadsAreClosed(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0", disturbing(disturb.Disturbance{Seed: 4,
		DropsEvery: 3, CutsEvery: 3}))
	defer stop(t, srv)
	p := newProxy(t, srv.Addr())
	store := open(t, "esdb://"+p.l.Addr().String()+"?tls=false&discoveryInterval=5")
	l, _ := ledgertest.Create(t, store)
	ledgertest.Append(t, l, 60)
	got, err := ledgertest.Take(l, nil, 61)
	if err != nil || len(got) != 61 {
		t.Fatalf("%d events: %v", len(got), err)
	}
	if d := srv.Disturbed(); d.Drops < 10 {
		t.Fatalf("only %+v", d)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	p.l.Close()
	ended := make(chan struct{})
	go func() { defer close(ended); p.wg.Wait() }()
	select {
	case <-ended:
	case <-time.After(hangTimeout):
		p.mu.Lock()
		t.Errorf("%d ends of connections are open after the store was closed", len(p.conns))
		p.mu.Unlock()
		p.cut(true)
		<-ended
	}
}

// A live read ends when its store is closed; it used to dial for ever.
func TestALiveReadEndsWithItsStore(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0")
	defer stop(t, srv)
	store := open(t, address(srv))
	name := ledgertest.NewStream()
	settled(t, store, name, ledgertest.Event(t, name, 1))
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	var last error
	for _, err := range store.ReadAll(ctx, schemas.Position{}, true) {
		if last = err; err != nil {
			break
		}
		store.Close()
	}
	if last == nil || ctx.Err() != nil {
		t.Errorf("the read ended with %v", last)
	}
}

// A read gives up after failures in a row, not after failures in all: as long as it
// gets further, it goes on.
func TestReadsThatGetFurtherAreNotGivenUp(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0", disturbing(disturb.Disturbance{Seed: 5, CutsEvery: 8}))
	defer stop(t, srv)
	store := open(t, address(srv))
	name := ledgertest.NewStream()
	var want []schemas.Event
	for i := range 60 {
		want = append(want, ledgertest.Event(t, name, i))
	}
	settled(t, store, name, want...)
	for i := range 60 { // of somebody else, after the ledger's last
		settled(t, store, schemas.Stream(fmt.Sprint("Order-", i)), ledgertest.Event(t, name, i))
	}
	i := 0
	for r, err := range store.ReadStream(context.Background(), name, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.ID != want[i].ID {
			t.Fatalf("event %d is %s", i, r.ID)
		}
		i++
	}
	cuts := srv.Disturbed().Cuts
	if i != 60 || cuts < 10 {
		t.Errorf("%d events were read through %d cuts", i, cuts)
	}
	last, found, err := store.Last(context.Background())
	if err != nil || !found || last.ID != want[59].ID {
		t.Errorf("the last ledger event is %s (%v, %v), want %s", last.ID, found, err, want[59].ID)
	}
	if n := srv.Disturbed().Cuts - cuts; n < 10 {
		t.Errorf("it was found through %d cuts only", n)
	}
}

// What a server refuses for good is not asked again: a live read would ask for ever.
func TestARefusalForGoodEndsALiveRead(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0")
	defer stop(t, srv)
	store := open(t, address(srv))
	name := ledgertest.NewStream()
	settled(t, store, name, ledgertest.Event(t, name, 1))
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	var last error
	for _, err := range store.ReadAll(ctx, schemas.Position{Commit: 7, Prepare: 7}, true) {
		last = err
	}
	if last == nil || ctx.Err() != nil || !strings.Contains(last.Error(), "invalid position") {
		t.Errorf("reading after a position that is none ended with %v", last)
	}
}

// stub answers Read calls as it is told.
type stub struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	read            func(streams.Streams_ReadServer) error
	calls, toLeader atomic.Int64
}

func (s *stub) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.2.0"}, nil
}

func (s *stub) Read(_ *streams.ReadReq, out streams.Streams_ReadServer) error {
	s.calls.Add(1)
	if md, _ := metadata.FromIncomingContext(out.Context()); len(md.Get("requires-leader")) == 1 {
		s.toLeader.Add(1)
	}
	return s.read(out)
}

func startStub(t *testing.T, s *stub) *eventstore.Store {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	streams.RegisterStreamsServer(g, s)
	serverfeatures.RegisterServerFeaturesServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	store, err := eventstore.Open(eventstore.Config{Address: "esdb://" + l.Addr().String() + "?tls=false",
		Logger:      slog.New(slog.DiscardHandler),
		CallTimeout: 100 * time.Millisecond, RetryPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// A follower may lag: it would show a ledger shorter than what was seen before. So every
// read asks for the leader.
func TestReadsAskForTheLeader(t *testing.T) {
	s := &stub{read: func(streams.Streams_ReadServer) error { return status.Error(codes.InvalidArgument, "enough") }}
	store := startStub(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	for _, err := range store.ReadStream(ctx, ledgertest.NewStream(), 0) {
		if err == nil {
			t.Error("an event came")
		}
	}
	for _, err := range store.ReadAll(ctx, schemas.Position{}, true) {
		if err == nil {
			t.Error("an event came")
		}
	}
	if _, _, err := store.Last(ctx); err == nil {
		t.Error("a last event came")
	}
	if s.calls.Load() != 3 || s.toLeader.Load() != 3 {
		t.Errorf("of %d calls %d asked for the leader, want 3 of 3", s.calls.Load(), s.toLeader.Load())
	}
}

// Only the answer "no such stream" means an empty stream. The same code as a call's status does
// not: a node without a leader gives it.
func TestACallThatFailsWithNotFoundIsNoEmptyStream(t *testing.T) {
	s := &stub{read: func(streams.Streams_ReadServer) error {
		return status.Error(codes.NotFound, "Leader info available")
	}}
	var last error
	for _, err := range startStub(t, s).ReadStream(context.Background(), ledgertest.NewStream(), 0) {
		last = err
	}
	if last == nil || s.calls.Load() < 2 {
		t.Errorf("after %d calls the stream reads as empty (%v)", s.calls.Load(), last)
	}
}

// A server that takes a bounded read and says nothing does not hold it for ever.
func TestABoundedReadOfASilentServerEnds(t *testing.T) {
	s := &stub{read: func(out streams.Streams_ReadServer) error {
		err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
			Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: "1"},
		}})
		<-out.Context().Done()
		return err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	var last error
	for _, err := range startStub(t, s).ReadAll(ctx, schemas.Position{}, false) {
		last = err
	}
	if last == nil || ctx.Err() != nil {
		t.Errorf("the read ended with %v", last)
	}
	if n := s.calls.Load(); n < 2 {
		t.Errorf("it was tried %d times", n)
	}
}
