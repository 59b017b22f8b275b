package eventstore

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// A client that pings every 10 s, as official ones do also without calls, is
// not sent away. The least interval is set to nothing here, so that the test
// need not wait; grpc-go would end the connection at the third ping too many.
func TestKeepalivePingsAreAllowed(t *testing.T) {
	if keepaliveMinTime >= 10*time.Second {
		t.Errorf("pings every 10 s are refused: the policy's least interval is %v", keepaliveMinTime)
	}
	cfg := testConfig(t.TempDir())
	cfg.minPing = time.Nanosecond
	conn, err := net.Dial("tcp", startServer(t, cfg).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	ping := func() http2.Frame {
		if err := framer.WritePing(false, [8]byte{1}); err != nil {
			t.Fatal(err)
		}
		for {
			fr, err := framer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch v := fr.(type) {
			case *http2.PingFrame:
				if v.IsAck() {
					return fr
				}
			case *http2.GoAwayFrame:
				return fr
			}
		}
	}
	for i := range 10 {
		if _, ok := ping().(*http2.PingFrame); !ok {
			t.Fatalf("ping %d without a call ended the connection", i)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := testConfig("d")
	if err := good.Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	for _, addr := range []string{"localhost:0", "[::1]:0", "127.0.0.2:80"} {
		c := good
		c.Addr = addr
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	err := Config{Addr: "0.0.0.0:2113", MaxAppend: -1, CacheBytes: -1}.Validate()
	for _, want := range []string{"dir is empty", "not a loopback address", "logger is nil", "max append",
		"cache bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
	for _, addr := range []string{"", ":2113", "example.org:1", "10.0.0.1:1"} {
		c := good
		c.Addr = addr
		if c.Validate() == nil {
			t.Errorf("%q is accepted", addr)
		}
	}
}

func TestConnectionString(t *testing.T) {
	f := newFixture(t)
	if !regexp.MustCompile(`^esdb://127\.0\.0\.1:\d+\?tls=false$`).MatchString(f.s.ConnectionString()) {
		t.Errorf("got %s", f.s.ConnectionString())
	}
}

// Stop ends subscriptions, lets an append that has begun finish, and is durable.
func TestStopDrainsAppendsAndEndsSubscriptions(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	sub := f.subscribeAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	wantTrace(t, "empty", trace(t, sub), "caught up")
	call, err := streams.NewStreamsClient(f.rawConn()).Append(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(appendOptions("s")); err != nil {
		t.Fatal(err)
	}
	f.append("t", esdb.Any{}, event(`{}`)) // an answer on another call shows that the server lives
	if e := next(t, sub); e.StreamID != "t" {
		t.Fatalf("got %s", e.StreamID)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(f.ctx) }()
	if e := sub.Recv(); e.SubscriptionDropped == nil || status.Code(e.SubscriptionDropped.Error) != codes.Unavailable {
		t.Fatalf("subscription got %+v", e)
	}
	// The server is stopping; the append that has begun still goes through.
	ev := event(`{}`)
	if err := call.Send(proposed(rawUUID(ev.EventID), map[string]string{"type": "t",
		"content-type": "application/json"}, 1)); err != nil {
		t.Fatal(err)
	}
	resp, err := call.CloseAndRecv()
	if err != nil || resp.GetSuccess() == nil {
		t.Fatalf("append during stop: %v, %v", resp, err)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	f.s = startServer(t, cfg)
	f.c = dial(t, f.s)
	if got, err := f.readStream("s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(got) != 1 ||
		got[0].EventID != ev.EventID {
		t.Errorf("after the restart: %d events, %v", len(got), err)
	}
}

// A client that holds a call open does not hold Stop up beyond its context.
func TestStopIsBoundedByItsContext(t *testing.T) {
	s, err := Start(context.Background(), testConfig(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s}
	call, err := streams.NewStreamsClient(f.rawConn()).Append(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(appendOptions("s")); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s).AppendToStream(f.ctx, "t", esdb.AppendToStreamOptions{}, event(`{}`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := call.CloseAndRecv(); err == nil {
		t.Error("the open call succeeded")
	}
}

func TestStartRefusals(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(dir)
	startServer(t, cfg)
	if _, err := Start(context.Background(), cfg); !errors.Is(err, eventlog.ErrLocked) {
		t.Errorf("a second server on the directory: %v, want ErrLocked", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), testConfig(other)); !errors.Is(err, eventlog.ErrExists) {
		t.Errorf("a directory with other files: %v, want ErrExists", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Start(cancelled, testConfig(t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	// An address in use is an error, and leaves the directory unlocked.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := testConfig(t.TempDir())
	taken.Addr = l.Addr().String()
	if _, err := Start(context.Background(), taken); err == nil {
		t.Error("started on an address in use")
	}
	taken.Addr = "127.0.0.1:0"
	startServer(t, taken)
}

// Nothing of an event, and no stream name, is logged.
func TestLogsHoldNoEventData(t *testing.T) {
	var log strings.Builder
	cfg := testConfig(t.TempDir())
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, ctx: testContext(t), s: s, c: dial(t, s)}
	f.append("canary-stream", esdb.NoStream{}, event(`"canary-data"`))
	_ = f.appendError("canary-stream", esdb.NoStream{}, event(`"canary-data"`))
	stopServer(t, s)
	if strings.Contains(log.String(), "canary") {
		t.Errorf("log: %s", log.String())
	}
}
