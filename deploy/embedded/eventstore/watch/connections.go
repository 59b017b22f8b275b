package watch

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Listen counts the connections that a listener accepts.
func (m *Metrics) Listen(l net.Listener) net.Listener { return countedListener{l, m} }

// countedListener counts connections.
type countedListener struct {
	net.Listener
	m *Metrics
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
	m    *Metrics
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(c.m.connections.Dec)
	return c.Conn.Close()
}

// Subscription is what is known of one that is open.
type Subscription struct {
	m       *Metrics
	kind    ReadKind
	reached atomic.Uint64 // the connection has taken everything before or at this position
	live    atomic.Bool
}

// subscriptions are those that are open. They are looked at when somebody asks:
// a label for each would grow without bound.
type subscriptions struct {
	mu   sync.Mutex
	open map[*Subscription]struct{}
}

// Subscribed adds a subscription until its End is called.
func (m *Metrics) Subscribed(kind ReadKind) *Subscription {
	s := &Subscription{m: m, kind: kind}
	m.subscriptions.mu.Lock()
	defer m.subscriptions.mu.Unlock()
	m.subscriptions.open[s] = struct{}{}
	return s
}

// End takes the subscription away.
func (s *Subscription) End() {
	s.m.subscriptions.mu.Lock()
	defer s.m.subscriptions.mu.Unlock()
	delete(s.m.subscriptions.open, s)
}

// Page is what the figures need to know of what a reader was sent.
type Page struct {
	Events     int    // in it
	Considered int    // events that were looked at for it
	Bytes      int    // encoded
	Last       uint64 // position of the last event considered
	Created    int64  // time of the last event in it, in ticks
}

// Took is called when the connection has taken a page that was read from a
// view that ends at end; more says that the view holds more.
func (s *Subscription) Took(p Page, end uint64, more bool) {
	reached := end
	if more {
		reached = max(p.Last, s.reached.Load())
	}
	s.reached.Store(reached)
	s.live.Store(!more)
	if p.Considered == 0 {
		return
	}
	s.m.pageLag.Observe(float64(end - reached))
	if !more && p.Events > 0 {
		s.m.delivery.Observe(max(0, float64(layout.Ticks(time.Now())-p.Created)/1e7))
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

// Began counts a read or subscription.
func (m *Metrics) Began(kind ReadKind) { m.reads[kind].Inc() }

// Sent counts what a connection has taken.
func (m *Metrics) Sent(kind ReadKind, p Page) {
	m.sentEvents[kind].Add(float64(p.Events))
	m.sentBytes[kind].Add(float64(p.Bytes))
}

// ReadEnded notes how a Read call ended where that was this server's doing. What
// errors say of streams is not logged.
func (m *Metrics) ReadEnded(kind ReadKind, err error) {
	switch code := status.Code(err); code {
	case codes.DataLoss:
		if unsaid, ok := m.corruptWarn.now(); ok {
			m.logger.Error("a read met corruption", "kind", kind.String(), "error", err, "unreported", unsaid)
		}
	default:
		m.logger.Debug("read ended by the server", "kind", kind.String(), "code", code.String())
	}
}
