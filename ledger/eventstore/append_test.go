package eventstore_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/disturb"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

// batchStub answers BatchAppend calls as it is told, and the gossip's question as a cluster's
// node.
type batchStub struct {
	gossip.UnimplementedGossipServer
	batch func(streams.Streams_BatchAppendServer) error
	info  *gossip.ClusterInfo
	calls atomic.Int64
}

func (s *batchStub) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	return s.info, nil
}

// streamsOf keeps the two services' Read apart.
type streamsOf struct {
	streams.UnimplementedStreamsServer
	s *batchStub
}

func (s streamsOf) BatchAppend(call streams.Streams_BatchAppendServer) error {
	s.s.calls.Add(1)
	return s.s.batch(call)
}

// start serves the stub, and returns its address.
func (s *batchStub) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	streams.RegisterStreamsServer(g, streamsOf{s: s})
	gossip.RegisterGossipServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func appendingTo(t *testing.T, address string) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(eventstore.Config{Address: "esdb://" + address + "?tls=false",
		Logger: slog.New(slog.DiscardHandler), CallTimeout: hangTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// one appends an event to a new stream.
func one(ctx context.Context, t *testing.T, s ledger.Store) (uint64, error) {
	t.Helper()
	name := ledgertest.NewStream()
	return s.Append(ctx, name, ledger.NoStream, []schemas.Event{ledgertest.Event(t, name, 1)})
}

func written(req *streams.BatchAppendReq, last uint64) *streams.BatchAppendResp {
	return &streams.BatchAppendResp{CorrelationId: req.GetCorrelationId(),
		Result: &streams.BatchAppendResp_Success_{Success: &streams.BatchAppendResp_Success{
			CurrentRevisionOption: &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: last}}}}
}

// well answers every append of a call as written.
func well(call streams.Streams_BatchAppendServer) error {
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := call.Send(written(req, 7)); err != nil {
			return err
		}
	}
}

// Whatever a server answers to one append: what it would answer again is told as it is, everything
// else as an unknown outcome, which is repeated.
func TestWhatAnAnswerMeans(t *testing.T) {
	refused := errors.New("refused for good")
	for name, tc := range map[string]struct {
		code    code.Code
		details proto.Message
		want    error
	}{
		"another revision": {code.Code_ALREADY_EXISTS, &shared.WrongExpectedVersion{}, ledger.ErrConflict},
		"no right":         {code.Code_PERMISSION_DENIED, &shared.AccessDenied{}, refused},
		"deleted":          {code.Code_NOT_FOUND, &shared.StreamDeleted{}, refused},
		"too large":        {code.Code_INVALID_ARGUMENT, &shared.MaximumAppendSizeExceeded{}, refused},
		"a bad request":    {code.Code_INVALID_ARGUMENT, &shared.BadRequest{}, refused},
		"a timeout":        {code.Code_DEADLINE_EXCEEDED, &shared.Timeout{}, ledger.ErrUnknownOutcome},
		"unknown":          {code.Code_UNKNOWN, &shared.Unknown{}, ledger.ErrUnknownOutcome},
		"not ready":        {code.Code_OK, &emptypb.Empty{}, ledger.ErrUnknownOutcome},
		"nothing":          {code.Code_OK, nil, ledger.ErrUnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			s := &batchStub{batch: func(call streams.Streams_BatchAppendServer) error {
				req, err := call.Recv()
				if err != nil {
					return err
				}
				st := &rpcstatus.Status{Code: int32(tc.code)}
				if tc.details != nil {
					packed, err := anypb.New(tc.details)
					if err != nil {
						return err
					}
					st.Details = []*anypb.Any{packed}
				}
				if err := call.Send(&streams.BatchAppendResp{CorrelationId: req.GetCorrelationId(),
					Result: &streams.BatchAppendResp_Error{Error: st}}); err != nil {
					return err
				}
				return well(call)
			}}
			store := appendingTo(t, s.start(t))
			_, err := one(t.Context(), t, store)
			switch {
			case err == nil:
				t.Fatal("it was taken as written")
			case tc.want != refused && !errors.Is(err, tc.want):
				t.Errorf("%v, want %v", err, tc.want)
			case tc.want == refused &&
				(errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrUnknownOutcome)):
				t.Errorf("%v, want a refusal", err)
			}
			if last, err := one(t.Context(), t, store); err != nil || last != 7 || s.calls.Load() != 1 {
				t.Errorf("the next append: %d, %v, by call %d", last, err, s.calls.Load())
			}
		})
	}
}

// Many appends share one call, which answers in any order, and whose ids may come back as text.
func TestAppendsShareACall(t *testing.T) {
	const n = 64
	s := &batchStub{batch: func(call streams.Streams_BatchAppendServer) error {
		if md, _ := metadata.FromIncomingContext(call.Context()); len(md.Get("requires-leader")) != 1 {
			return status.Error(codes.InvalidArgument, "the call does not ask for the leader")
		}
		var all []*streams.BatchAppendReq
		for range n {
			req, err := call.Recv()
			if err != nil {
				return err
			}
			all = append(all, req)
		}
		for i := range all {
			req := all[n-1-i]
			resp := written(req, uint64(len(req.GetProposedMessages())))
			if i%2 == 0 {
				id := req.GetCorrelationId().GetStructured()
				var raw uuid.UUID
				for b := range 8 {
					raw[b] = byte(id.GetMostSignificantBits() >> (56 - 8*b))
					raw[8+b] = byte(id.GetLeastSignificantBits() >> (56 - 8*b))
				}
				resp.CorrelationId = &shared.UUID{Value: &shared.UUID_String_{String_: raw.String()}}
			}
			if err := call.Send(resp); err != nil {
				return err
			}
		}
		return well(call)
	}}
	store := appendingTo(t, s.start(t))
	var wg sync.WaitGroup
	for i := range n {
		name := ledgertest.NewStream()
		var events []schemas.Event
		for k := range i%5 + 1 {
			events = append(events, ledgertest.Event(t, name, k))
		}
		wg.Go(func() {
			if last, err := store.Append(t.Context(), name, ledger.NoStream, events); err != nil ||
				last != uint64(len(events)) {
				t.Errorf("an append of %d events was answered %d, %v", len(events), last, err)
			}
		})
	}
	wg.Wait()
	if s.calls.Load() != 1 {
		t.Errorf("%d calls", s.calls.Load())
	}
}

// A node that does not lead names the leader, and the next attempt goes there; where nobody is
// there, the one after it asks the configured node again.
func TestAppendsFollowTheLeader(t *testing.T) {
	leader := &batchStub{batch: well}
	follower := &batchStub{}
	to := leader.start(t)
	follower.batch = func(call streams.Streams_BatchAppendServer) error {
		host, port, err := net.SplitHostPort(to)
		if follower.calls.Load() == 1 {
			host, port, err = net.SplitHostPort("127.0.0.1:1") // nobody
		}
		if err != nil {
			return err
		}
		call.SetTrailer(metadata.Pairs("exception", "not-leader", "leader-endpoint-host", host,
			"leader-endpoint-port", port))
		return status.Error(codes.NotFound, "Leader info available")
	}
	store := appendingTo(t, follower.start(t))
	for range 3 { // nobody, the follower again, the leader
		if _, err := one(t.Context(), t, store); !errors.Is(err, ledger.ErrUnknownOutcome) {
			t.Fatalf("%v, want an unknown outcome", err)
		}
	}
	if last, err := one(t.Context(), t, store); err != nil || last != 7 || leader.calls.Load() != 1 {
		t.Errorf("the leader answered %d, %v", last, err)
	}
}

// Nodes of a cluster are asked which of them leads.
func TestAppendsFindTheLeaderOfACluster(t *testing.T) {
	leader := &batchStub{batch: well}
	host, port, err := net.SplitHostPort(leader.start(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	node := &batchStub{info: &gossip.ClusterInfo{Members: []*gossip.MemberInfo{
		{State: gossip.MemberInfo_Leader, HttpEndPoint: &gossip.EndPoint{Address: "127.0.0.1", Port: 2}}, // dead
		{IsAlive: true, State: gossip.MemberInfo_Follower,
			HttpEndPoint: &gossip.EndPoint{Address: "127.0.0.1", Port: 1}},
		{IsAlive: true, State: gossip.MemberInfo_Leader,
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(n)}},
	}}}
	at := node.start(t)
	for _, address := range []string{"esdb+discover://" + at, "esdb://127.0.0.1:1," + at} {
		store, err := eventstore.Open(eventstore.Config{Address: address + "?tls=false",
			Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if last, err := one(t.Context(), t, store); err != nil || last != 7 {
			t.Errorf("%s: %d, %v", address, last, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A call that a server refuses at once is no unknown outcome; one that it ends later is.
func TestARefusedCallIsNoUnknownOutcome(t *testing.T) {
	refusal := status.Error(codes.Unauthenticated, "who are you")
	s := &batchStub{batch: func(streams.Streams_BatchAppendServer) error { return refusal }}
	if _, err := one(t.Context(), t, appendingTo(t, s.start(t))); err == nil ||
		errors.Is(err, ledger.ErrUnknownOutcome) || !strings.Contains(err.Error(), "who are you") {
		t.Errorf("refused at once: %v", err)
	}
	s = &batchStub{batch: func(call streams.Streams_BatchAppendServer) error {
		req, err := call.Recv()
		if err != nil {
			return err
		}
		if err := call.Send(written(req, 7)); err != nil {
			return err
		}
		if _, err := call.Recv(); err != nil {
			return err
		}
		return refusal
	}}
	store := appendingTo(t, s.start(t))
	if _, err := one(t.Context(), t, store); err != nil {
		t.Fatal(err)
	}
	if _, err := one(t.Context(), t, store); !errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("ended later: %v", err)
	}
}

// A caller who leaves takes nobody along. A call whose server says nothing in the time for one
// append carries no further ones, and ends with the last of those it has.
func TestACallThatIsSilentIsReplaced(t *testing.T) {
	ended := make(chan struct{})
	s := &batchStub{}
	s.batch = func(call streams.Streams_BatchAppendServer) error {
		if s.calls.Load() > 1 {
			return well(call)
		}
		defer close(ended)
		<-call.Context().Done()
		return nil
	}
	store, err := eventstore.Open(eventstore.Config{Address: "esdb://" + s.start(t) + "?tls=false",
		Logger: slog.New(slog.DiscardHandler), CallTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := one(left, t, store); !errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("a caller who has left: %v", err)
	}
	if _, err := one(t.Context(), t, store); !errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("a silent server: %v", err)
	}
	<-ended
	if last, err := one(t.Context(), t, store); err != nil || last != 7 || s.calls.Load() != 2 {
		t.Errorf("after that: %d, %v, by call %d", last, err, s.calls.Load())
	}
}

// Closing a store lets its appends go: what became of them is unknown. Later ones are refused.
func TestClosingLetsAppendsGo(t *testing.T) {
	taken := make(chan struct{})
	s := &batchStub{batch: func(call streams.Streams_BatchAppendServer) error {
		if _, err := call.Recv(); err != nil {
			return err
		}
		close(taken)
		<-call.Context().Done()
		return nil
	}}
	store := appendingTo(t, s.start(t))
	outcome := make(chan error, 1)
	go func() {
		_, err := one(context.Background(), t, store)
		outcome <- err
	}()
	<-taken
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if err := <-outcome; !errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("an append under way: %v", err)
	}
	if _, err := one(t.Context(), t, store); err == nil || errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("an append afterwards: %v", err)
	}
}

// Whatever befalls the call that many share: each append is in the store once, at its revision.
func TestAppendsThatShareACallSurviveItsEnd(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0", disturbing(disturb.Disturbance{Seed: 9, LostAnswersEvery: 5,
		TimeoutsEvery: 15, NotLeaderEvery: 5, NotReadyEvery: 20}))
	defer stop(t, srv)
	store := open(t, address(srv))
	l, _ := ledgertest.Create(t, store)
	const callers, each = 64, 6
	var wg sync.WaitGroup
	names := make([]schemas.Stream, callers)
	for i := range callers {
		names[i] = ledgertest.NewStream()
		var events []schemas.Event
		for n := range each {
			events = append(events, ledgertest.Event(t, names[i], n))
		}
		wg.Go(func() {
			var expect ledger.Expect
			for n, e := range events {
				last, err := l.Append(t.Context(), names[i], expect.After(uint64(n)), []schemas.Event{e})
				if err != nil || last != uint64(n) {
					t.Errorf("append %d: revision %d, %v", n, last, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		n := 0
		for r, err := range store.ReadStream(t.Context(), name, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Revision != uint64(n) {
				t.Errorf("revision %d where %d was due", r.Revision, n)
			}
			n++
		}
		if n != each {
			t.Errorf("%s has %d events, want %d", name, n, each)
		}
	}
	if d := srv.Disturbed(); d.LostAnswers < 1 || d.Timeouts < 5 || d.NotLeader < 1 || d.NotReady < 5 {
		t.Errorf("the server did only %+v", d)
	}
}
