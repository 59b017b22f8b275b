package eventstore

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
)

// countedListener counts connections.
type countedListener struct {
	net.Listener
	m *metrics
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.m.accepted.Inc()
	l.m.connections.Inc()
	return &countedConn{Conn: c, m: l.m}, nil
}

type countedConn struct {
	net.Conn
	m    *metrics
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(c.m.connections.Dec)
	return c.Conn.Close()
}

// subscription is what is known of one that is open.
type subscription struct {
	m       *metrics
	kind    readKind
	reached atomic.Uint64 // the connection has taken everything before or at this position
	live    atomic.Bool
}

// subscriptions are those that are open. They are looked at when somebody asks:
// a label for each would grow without bound.
type subscriptions struct {
	mu   sync.Mutex
	open map[*subscription]struct{}
}

// subscribed adds a subscription until its end is called.
func (m *metrics) subscribed(kind readKind) *subscription {
	s := &subscription{m: m, kind: kind}
	m.subscriptions.mu.Lock()
	defer m.subscriptions.mu.Unlock()
	m.subscriptions.open[s] = struct{}{}
	return s
}

func (s *subscription) end() {
	s.m.subscriptions.mu.Lock()
	defer s.m.subscriptions.mu.Unlock()
	delete(s.m.subscriptions.open, s)
}

// took is called when the connection has taken a page that was read from a
// view that ends at end; more says that the view holds more.
func (s *subscription) took(p *page, end uint64, more bool) {
	reached := end
	if more {
		reached = max(p.last, s.reached.Load())
	}
	s.reached.Store(reached)
	s.live.Store(!more)
	if p.considered == 0 {
		return
	}
	s.m.pageLag.Observe(float64(end - reached))
	if !more && p.events > 0 {
		s.m.delivery.Observe(max(0, float64(eventlog.Ticks(time.Now())-p.created)/1e7))
	}
}

type subscriptionCount struct{ live, behind int }

// look counts the open subscriptions and returns how far the last one is from end.
func (s *subscriptions) look(end uint64) (counts [len(readKinds)]subscriptionCount, maxLag uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.open {
		if sub.live.Load() {
			counts[sub.kind].live++
		} else {
			counts[sub.kind].behind++
		}
		if reached := sub.reached.Load(); reached < end {
			maxLag = max(maxLag, end-reached)
		}
	}
	return counts, maxLag
}

// sent counts what a connection has taken.
func (m *metrics) sent(kind readKind, p *page) {
	m.sentEvents[kind].Add(float64(p.events))
	m.sentBytes[kind].Add(float64(p.size))
}

// readKindOf tells what a Read call asks for, as far as it is well formed.
func readKindOf(opts *streams.ReadReq_Options, subscription bool) readKind {
	switch all := opts.GetAll() != nil; {
	case !subscription && all:
		return readAll
	case !subscription:
		return readStream
	case !all:
		return subscribeStream
	case opts.GetFilter() != nil:
		return subscribeFiltered
	}
	return subscribeAll
}

// ended notes how a Read call ended where that was this server's doing. What
// errors say of streams is not logged.
func (r *reader) ended(err error) error {
	if err == nil || r.ctx.Err() != nil {
		return err // done, or the client has left
	}
	m := r.svc.server.metrics
	switch code := status.Code(err); code {
	case codes.DataLoss:
		if unsaid, ok := m.corruptWarn.now(); ok {
			m.logger.Error("a read met corruption", "kind", r.kind.String(), "error", err, "unreported", unsaid)
		}
	default:
		m.logger.Debug("read ended by the server", "kind", r.kind.String(), "code", code.String())
	}
	return err
}
