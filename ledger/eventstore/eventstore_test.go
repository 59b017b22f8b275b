package eventstore_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	server "github.com/ledgerline/ledgerline/deploy/embedded/eventstore"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/eventstore"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
)

func startServer(t *testing.T, dir, addr string, changes ...func(*server.Config)) *server.Server {
	t.Helper()
	cfg := server.Config{Dir: dir, Addr: addr, Open: true, ProtectStreams: schemas.StreamPattern(),
		Logger: slog.New(slog.DiscardHandler)}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := server.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func open(t testing.TB, address string) *eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(eventstore.Config{Address: address, Logger: slog.New(slog.DiscardHandler),
		CallTimeout: 5 * time.Second, RetryPause: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// proxy forwards TCP to a server and can cut every connection, or refuse new ones.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	refuse bool
	conns  map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(true); p.wg.Wait() })
	return p
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer up.Close()
	p.mu.Lock()
	if p.refuse {
		p.mu.Unlock()
		return
	}
	p.conns[c], p.conns[up] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(up, c); up.Close() })
	both.Go(func() { io.Copy(c, up); c.Close() })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, up)
	p.mu.Unlock()
}

func (p *proxy) cut(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
	for c := range p.conns {
		c.Close()
	}
}

func TestALiveReadAndAppendsOutliveCutConnectionsAndFailedDiscovery(t *testing.T) {
	srv := startServer(t, t.TempDir(), "127.0.0.1:0")
	defer stop(t, srv)
	p := newProxy(t, srv.Addr())
	store := open(t, "esdb://"+p.l.Addr().String()+"?tls=false&discoveryInterval=10&maxDiscoverAttempts=2")
	l, err := ledger.Create(context.Background(), ledgertest.Config(store, t.TempDir()+"/index"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	const n = 60
	seen := make(chan schemas.Envelope, 2*n)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	followed := make(chan error, 1)
	go func() {
		followed <- l.Follow(ctx, nil, func(_ context.Context, batch []schemas.Envelope) error {
			for _, r := range batch {
				seen <- r
			}
			return nil
		})
	}()
	var want []schemas.Event
	for i := range n {
		switch i % 20 {
		case 5:
			p.cut(false)
		case 12:
			p.cut(true) // discovery fails until the pause below ends
			time.AfterFunc(300*time.Millisecond, func() { p.cut(false) })
		}
		name := ledgertest.NewStream()
		e := ledgertest.Event(t, name, i)
		if _, err := l.Append(ctx, name, ledger.NoStream, []schemas.Event{e}); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
		want = append(want, e)
	}
	for i := range n + 1 {
		select {
		case r := <-seen:
			if r.Seq != uint64(i) || (i > 0 && r.ID != want[i-1].ID) {
				t.Fatalf("event %d came as sequence %d, id %s", i, r.Seq, r.ID)
			}
		case err := <-followed:
			t.Fatalf("following ended: %v", err)
		case <-ctx.Done():
			t.Fatalf("event %d never came", i)
		}
	}
	cancel()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
}

func TestCallsEndWithTheirContextWhileTheServerIsAway(t *testing.T) {
	store := open(t, "esdb://127.0.0.1:1?tls=false&discoveryInterval=10&maxDiscoverAttempts=1")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	name := ledgertest.NewStream()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := store.Append(ctx, name, ledger.NoStream,
				[]schemas.Event{ledgertest.Event(t, name, 1)}); !errors.Is(err, ledger.ErrUnknownOutcome) {
				t.Errorf("append: %v, want an unknown outcome", err)
			}
			for _, err := range store.ReadStream(ctx, name, 0) {
				if err == nil {
					t.Error("a read brought something")
				}
			}
			for _, err := range store.ReadAll(ctx, schemas.Position{}, true) {
				if err == nil {
					t.Error("a live read brought something")
				}
			}
		})
	}
	wg.Wait()
}
