package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
)

// One client, which has one connection, has room for 512 appends beside a
// hundred live subscriptions.
func TestCallsOnOneConnection(t *testing.T) {
	f := newFixture(t)
	subs := make([]*esdb.Subscription, 100)
	for i := range subs {
		subs[i] = f.subscribeStream("s", esdb.Start{})
	}
	var appends sync.WaitGroup
	for i := range 512 {
		appends.Go(func() {
			if _, err := f.c.AppendToStream(f.ctx, fmt.Sprint("other-", i),
				esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, event(`{}`)); err != nil {
				t.Error(err)
			}
		})
	}
	appends.Wait()
	f.append("s", esdb.NoStream{}, event(`{}`))
	for _, sub := range subs {
		for sub.Recv().EventAppeared == nil {
		}
	}
}

// A call beyond the bound waits in the client until another ends, or until its deadline:
// it does not hang for ever.
func TestCallsBeyondTheBoundWait(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.streams = 3
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	var subs []*esdb.Subscription
	for range 3 {
		subs = append(subs, f.subscribeStream("s", esdb.Start{}))
	}
	for _, sub := range subs {
		for sub.Recv().CaughtUp == nil { // now the client knows the bound
		}
	}
	deadline := 50 * time.Millisecond
	_, err := f.c.AppendToStream(f.ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{},
		Deadline: &deadline}, event(`{}`))
	wantCode(t, err, esdb.ErrorCodeDeadlineExceeded)
	if err := subs[0].Close(); err != nil {
		t.Fatal(err)
	}
	f.append("s", esdb.NoStream{}, event(`{}`))
}

// Connections beyond the bound are closed at once; one that ends makes
// room, however it had gone on.
func TestConnectionsAreBounded(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.connections = 3
	s := startServer(t, cfg)
	open := func() int { s.doors.mu.Lock(); defer s.doors.mu.Unlock(); return s.doors.open }
	connect := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("s", nil, event(`{}`)) // gRPC
	http := connect()
	if _, err := io.WriteString(http, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	silent := connect()
	waitFor(t, func() bool { return open() == 3 })
	if n, err := connect().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a fourth connection: %d bytes, %v", n, err)
	}
	f.append("s", nil, event(`{}`)) // those that are there go on
	for i, c := range []io.Closer{http, silent, f.c} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return open() == 2-i })
	}
	f.c = dial(t, s)
	f.append("s", nil, event(`{}`))
}

// Headers are bounded: what a client may make the server keep before it is authenticated.
func TestHeadersAreBounded(t *testing.T) {
	f := newFixture(t)
	conn := rawConn(t, f.s)
	ctx := metadata.AppendToOutgoingContext(f.ctx, "x", strings.Repeat("x", maxHeaders))
	_, err := streams.NewStreamsClient(conn).Delete(ctx, &streams.DeleteReq{})
	if code := status.Code(err); code != codes.Internal && code != codes.Unavailable &&
		code != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	f.append("s", nil, event(`{}`))
}

func rawConn(t testing.TB, s *Server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A hundred subscribers that take nothing make the server hold a page or two each and no more,
// while others go on; and each still gets everything once it takes it.
func TestStalledSubscribersHoldAPageEach(t *testing.T) {
	const stalled, count, size = 100, 256, 32 << 10 // 8 MiB of events, of which a page holds 8
	cfg := testConfig(t.TempDir())
	var mu sync.Mutex
	pages := map[any]int{} // that hold events
	cfg.paged = func(r any, events, bytes int) {
		mu.Lock()
		defer mu.Unlock()
		if events > 0 {
			pages[r]++
		}
		if bytes > protocol.PageBytes+2*size || events > protocol.PageEvents {
			t.Errorf("a page of %d events and %d bytes", events, bytes)
		}
	}
	s := startServer(t, cfg)
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	client := streams.NewStreamsClient(rawConn(t, s))
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	subs := make([]streams.Streams_ReadClient, stalled)
	for i := range subs {
		sub, err := client.Read(ctx, &streams.ReadReq{Options: &streams.ReadReq_Options{
			StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
				AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
			}},
			CountOption: &streams.ReadReq_Options_Subscription{
				Subscription: &streams.ReadReq_Options_SubscriptionOptions{},
			},
			FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
			UuidOption: &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{
				Structured: &shared.Empty{},
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for { // until it is live
			m, err := sub.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if m.GetCaughtUp() != nil {
				break
			}
		}
		subs[i] = sub
	}
	data := `"` + strings.Repeat("x", size-2) + `"`
	for n := 0; n < count; n += 16 {
		batch := make([]esdb.EventData, 16)
		for i := range batch {
			batch[i] = event(data)
		}
		f.append("s", nil, batch...)
	}
	if got, err := f.readAll(esdb.Forwards, esdb.Start{}, count+1); err != nil || len(got) != count {
		t.Fatalf("another reader got %d events, %v", len(got), err)
	}
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(pages) == stalled })
	f.append("t", nil, event(`{}`)) // wakes whoever waits for news
	mu.Lock()
	for _, n := range pages {
		if n > 2 { // what fits into the windows of the connection, and what waits to be sent
			t.Errorf("a stalled subscriber read %d pages", n)
		}
	}
	mu.Unlock()
	for seen, next := 0, uint64(0); seen < count+1; {
		m, err := subs[0].Recv()
		if err != nil {
			t.Fatal(err)
		}
		if e := m.GetEvent().GetEvent(); e != nil {
			if e.GetCommitPosition() <= next {
				t.Fatalf("position %d after %d", e.GetCommitPosition(), next)
			}
			next = e.GetCommitPosition()
			seen++
		}
	}
	cancel()
	if _, err := subs[1].Recv(); errors.Is(err, io.EOF) {
		t.Error("a subscription ended by itself")
	}
}
