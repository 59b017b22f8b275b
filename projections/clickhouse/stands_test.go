package clickhouse_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// gate passes bytes on to an address; shut, it takes connections and passes nothing
// on, as a stopped process's do.
type gate struct {
	net.Listener
	mu   sync.Mutex
	shut chan struct{} // closed: open
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: l, shut: make(chan struct{})}
	close(g.shut)
	t.Cleanup(func() { _ = l.Close(); g.set(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				g.wait()
				out, err := net.Dial("tcp", to)
				if err != nil {
					_ = in.Close()
					return
				}
				go g.pass(in, out)
				g.pass(out, in)
			}()
		}
	}()
	return g
}

func (g *gate) wait() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	<-shut
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.shut:
		if !open {
			g.shut = make(chan struct{})
		}
	default:
		if open {
			close(g.shut)
		}
	}
}

func (g *gate) pass(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		g.wait()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			if !errors.Is(err, io.EOF) {
				_ = from.Close()
			}
			return
		}
	}
}

// TestAQuestionToAClickHouseThatStandsFailsAndNamesIt stops the server's answers before a
// connection is made, and behind one that is open; a question that only waits is not failed, and
// everything works again afterwards.
func TestAQuestionToAClickHouseThatStandsFailsAndNamesIt(t *testing.T) {
	cfg := chtest.Config(t)
	if err := clickhouse.Migrate(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	chtest.Open(t, cfg) // drops it
	g := newGate(t, cfg.Addrs[0])
	cfg.Addrs, cfg.Patience = []string{g.Addr().String()}, 500*time.Millisecond
	db, err := clickhouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	stands := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, clickhouse.ErrStands) || !strings.Contains(err.Error(), g.Addr().String()) {
			t.Errorf("%s: %v, want it to say what stands, and where", what, err)
		}
	}
	g.set(false)
	_, err = clickhouse.Open(t.Context(), cfg)
	stands("a new connection", err)
	_, _, err = db.Through(t.Context())
	stands("an open connection", err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := db.Through(ctx); errors.Is(err, clickhouse.ErrStands) || err == nil {
		t.Errorf("the caller's own end: %v", err)
	}
	g.set(true)
	if _, _, err := db.Through(t.Context()); err != nil {
		t.Errorf("it goes on: %v", err)
	}
}
