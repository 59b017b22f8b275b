package eventstore

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Real servers answer gRPC and plain HTTP on one port. Letting net/http carry
// gRPC costs much of its speed, so connections are told apart once, by their
// first byte: HTTP/2 with prior knowledge begins "PRI", and no HTTP/1 method
// that is served here begins with P.

const (
	sniffTimeout   = 10 * time.Second // a connection that says nothing is closed
	acceptAttempts = 10               // failures in a row before the server gives up
)

// doors splits a listener in two.
type doors struct {
	listener   net.Listener
	timeout    time.Duration // for a connection's first byte
	grpc, http *door
	wg         sync.WaitGroup

	mu       sync.Mutex
	sniffing map[net.Conn]struct{} // connections that have not said anything yet
	closed   bool
}

// door is the half of a listener that one server accepts from.
type door struct {
	doors *doors
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
	err   error // why it shut; written before shut is closed
}

func newDoors(l net.Listener, timeout time.Duration) *doors {
	d := &doors{listener: l, timeout: timeout, sniffing: map[net.Conn]struct{}{}}
	d.grpc = &door{doors: d, conns: make(chan net.Conn), shut: make(chan struct{})}
	d.http = &door{doors: d, conns: make(chan net.Conn), shut: make(chan struct{})}
	d.wg.Go(d.run)
	return d
}

func (d *doors) run() {
	failures := 0
	for {
		c, err := d.listener.Accept()
		if err == nil {
			failures = 0
			if d.track(c) {
				d.wg.Go(func() { d.sniff(c) })
			}
			continue
		}
		if failures++; errors.Is(err, net.ErrClosed) || failures >= acceptAttempts {
			d.grpc.close(err)
			d.http.close(err)
			return
		}
		select { // out of file descriptors, perhaps: some will be closed
		case <-time.After(time.Duration(failures) * 20 * time.Millisecond):
		case <-d.grpc.shut:
		}
	}
}

func (d *doors) track(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = c.Close()
		return false
	}
	d.sniffing[c] = struct{}{}
	return true
}

func (d *doors) sniff(c net.Conn) {
	sc := &sniffedConn{Conn: c, r: bufio.NewReaderSize(c, 512)}
	err := c.SetReadDeadline(time.Now().Add(d.timeout))
	var first []byte
	if err == nil {
		first, err = sc.r.Peek(1)
	}
	d.mu.Lock()
	delete(d.sniffing, c)
	d.mu.Unlock()
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close() // it said nothing, or has gone
		return
	}
	to := d.http
	if first[0] == 'P' {
		to = d.grpc
	}
	select {
	case to.conns <- sc:
	case <-to.shut:
		_ = c.Close()
	}
}

// close ends both doors and waits until every connection is somebody else's.
func (d *doors) close() {
	_ = d.listener.Close() // closed already where grpc has stopped
	d.mu.Lock()
	d.closed = true
	for c := range d.sniffing {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.shut:
		return nil, d.err
	}
}

func (d *door) close(err error) {
	d.once.Do(func() {
		d.err = err
		close(d.shut)
	})
}

// Close ends the whole listener: one server that stops ends the port.
func (d *door) Close() error {
	d.close(net.ErrClosed)
	return d.doors.listener.Close()
}

func (d *door) Addr() net.Addr { return d.doors.listener.Addr() }

// sniffedConn gives back what was read to tell the protocol.
type sniffedConn struct {
	net.Conn
	r *bufio.Reader // nil once it is empty
}

func (c *sniffedConn) Read(p []byte) (int, error) {
	if c.r != nil {
		if c.r.Buffered() > 0 {
			return c.r.Read(p)
		}
		c.r = nil
	}
	return c.Conn.Read(p)
}

// healthServer answers GET /health/live: 204 while the store works, 503 after
// it has failed, without asking who wants to know. operations serves the rest.
func healthServer(failure func() error, operations http.Handler, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		if failure() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("/", operations)
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
