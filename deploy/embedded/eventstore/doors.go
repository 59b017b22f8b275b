package eventstore

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/protocol"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// Real servers answer gRPC and plain HTTP on one port. Letting net/http carry
// gRPC costs much of its speed, so connections are told apart once, by their
// first byte: HTTP/2 with prior knowledge begins "PRI", and no HTTP/1 method
// that is served here begins with P. With TLS the protocol that the handshake
// agreed on decides before that.

const (
	sniffTimeout   = 10 * time.Second // a connection that says nothing is closed
	acceptAttempts = 10               // failures in a row before the server gives up
	farewell       = time.Second      // for telling a client that it speaks the wrong protocol
	firstTLSByte   = 0x16             // a handshake record
)

// doors splits a listener in two.
type doors struct {
	listener   net.Listener
	timeout    time.Duration       // for a connection's first byte, and for a TLS handshake
	certs      *guard.Certificates // nil: plaintext
	tls        *tls.Config         // certs', for handshakes
	most       int                 // connections at a time
	logger     *slog.Logger
	grpc, http *door
	wg         sync.WaitGroup

	mu       sync.Mutex
	sniffing map[net.Conn]struct{} // connections that have not said anything yet
	open     int                   // connections, here and behind the doors
	closed   bool

	full, failed watch.RareLog
}

// door is the half of a listener that one server accepts from.
type door struct {
	doors *doors
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
	err   error // why it shut; written before shut is closed
}

func newDoors(l net.Listener, timeout time.Duration, certs *guard.Certificates, most int, logger *slog.Logger) *doors {
	d := &doors{
		listener: l, timeout: timeout, certs: certs, most: most, logger: logger, sniffing: map[net.Conn]struct{}{},
		full: watch.RareLog{Gap: watch.FailureLogGap}, failed: watch.RareLog{Gap: watch.FailureLogGap},
	}
	if certs != nil {
		d.tls = certs.Config()
	}
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
	if d.closed || d.open >= d.most {
		_ = c.Close()
		if !d.closed {
			d.full.Log(d.logger, "a connection was refused: there are too many", "peer",
				guard.HostOf(c.RemoteAddr().String()), "limit", d.most)
		}
		return false
	}
	d.sniffing[c] = struct{}{}
	d.open++
	return true
}

func (d *doors) sniff(c net.Conn) {
	sc := &sniffedConn{doors: d, Conn: c}
	to, err := d.identify(sc)
	d.mu.Lock()
	delete(d.sniffing, c)
	d.mu.Unlock()
	if err == nil {
		err = sc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = sc.Close() // it said nothing, has gone, or speaks something else
		return
	}
	select {
	case to.conns <- sc:
	case <-to.shut:
		_ = sc.Close()
	}
}

// identify finds the door for a connection, after the TLS handshake where
// there is one. A client that speaks TLS to a plaintext port, or the other way
// round, is told so.
func (d *doors) identify(sc *sniffedConn) (*door, error) {
	if err := sc.SetDeadline(time.Now().Add(d.timeout)); err != nil {
		return nil, err
	}
	if d.tls != nil {
		tc := tls.Server(sc.Conn, d.tls)
		if err := tc.HandshakeContext(context.Background()); err != nil {
			d.refuse(sc.Conn, err)
			return nil, err
		}
		state := tc.ConnectionState()
		sc.Conn, sc.tls = tc, &state
		var known bool
		if sc.user, known = d.certs.User(state); !known {
			d.failed.Log(d.logger, "a client's certificate is of no known authority: it is no credentials",
				"peer", guard.HostOf(sc.RemoteAddr().String()))
		}
		switch state.NegotiatedProtocol {
		case guard.ProtoHTTP2:
			return d.grpc, nil
		case guard.ProtoHTTP1:
			return d.http, nil
		}
	}
	sc.r = bufio.NewReaderSize(sc.Conn, 512)
	first, err := sc.r.Peek(1)
	if err != nil {
		return nil, err
	}
	switch first[0] {
	case 'P':
		return d.grpc, nil
	case firstTLSByte:
		sayGoodbye(sc.Conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis port does not speak TLS: "+
			"set tls=false\n")
		return nil, errors.New("TLS to a plaintext port")
	}
	return d.http, nil
}

// refuse logs a failed handshake and answers a client that did not try one.
func (d *doors) refuse(c net.Conn, err error) {
	var plain tls.RecordHeaderError
	if !errors.As(err, &plain) {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			d.failed.Log(d.logger, "a TLS handshake failed", "peer",
				guard.HostOf(c.RemoteAddr().String()), "error", err)
		}
		return
	}
	d.failed.Log(d.logger, "a client does not speak TLS to a port that does", "peer",
		guard.HostOf(c.RemoteAddr().String()))
	sayGoodbye(c, plainAnswer)
}

// plainAnswer is what a client gets that does not speak TLS to a port that does.
// gRPC clients, too, say of such an answer that it looks like HTTP/1.1.
const plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port " +
	"speaks TLS: set tls=true\n"

// sayGoodbye sends an answer and takes what the client is still sending: a
// close with unread bytes would throw the answer away.
func sayGoodbye(c net.Conn, answer string) {
	if c.SetDeadline(time.Now().Add(farewell)) != nil {
		return
	}
	if _, err := io.WriteString(c, answer); err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, 64<<10) // whatever comes, it is not read
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
	doors *doors
	r     *bufio.Reader        // nil once it is empty
	tls   *tls.ConnectionState // nil: plaintext
	user  string               // whom the client's certificate names, "" for nobody
	once  sync.Once
}

// Handshake says what the door has learnt.
func (c *sniffedConn) Handshake() (*tls.ConnectionState, string) { return c.tls, c.user }

// Close makes room for another connection.
func (c *sniffedConn) Close() error {
	c.once.Do(func() {
		c.doors.mu.Lock()
		c.doors.open--
		c.doors.mu.Unlock()
	})
	return c.Conn.Close()
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

// plainServer answers GET over HTTP/1.1: what operators ask, and backups.
func (s *Server) plainServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /health/live", watch.Health(s.store.Failure))
	mux.Handle(BackupPath, s.backup())
	mux.Handle("/", s.auth.RequireOps(s.metrics.Operations(protocol.ServerVersion)))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug), ConnContext: guard.WithCommonName,
	}
}
