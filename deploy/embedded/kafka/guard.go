package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is Kafka's default socket.request.max.bytes.
const maxRequest = 100 << 20

// requestHead is what every request begins with: its size (4 bytes), then api key
// (2), api version (2) and correlation id (4), which the size counts.
const requestHead = 4 + 8

// known holds the api keys that kfake's decoder has a request for. A request with
// any other key makes kfake dereference nil in a goroutine of its own, which would
// end the whole process; a web browser on the port is enough.
var known = func() (k [kmsg.MaxKey + 1]bool) {
	for key := range k {
		k[key] = kmsg.RequestForKey(int16(key)) != nil
	}
	return k
}()

// A guardedListener hands out connections that end at the first request that is
// not Kafka's, and knows when all of them have been closed.
type guardedListener struct {
	net.Listener
	conns sync.WaitGroup

	once     sync.Once
	closeErr error

	// open is what close must end; nil once the listener is closing.
	mu   sync.Mutex
	open map[*guardedConn]bool
}

func listen(ctx context.Context, port int) (*guardedListener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &guardedListener{Listener: ln, open: map[*guardedConn]bool{}}, nil
}

func (l *guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guardedConn{Conn: c, l: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	l.open[g] = true
	l.conns.Add(1)
	return g, nil
}

// Close may be called by kfake and by us; the second call does nothing.
func (l *guardedListener) Close() error {
	l.once.Do(func() { l.closeErr = l.Listener.Close() })
	return l.closeErr
}

// wait ends the connections that are left and returns when none is.
func (l *guardedListener) wait() {
	l.mu.Lock()
	left := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range left {
		// The peer has had its answers; how its socket closes changes nothing.
		_ = c.Close()
	}
	l.conns.Wait()
}

// A guardedConn lets whole requests through. Only one goroutine at a time reads.
type guardedConn struct {
	net.Conn
	l    *guardedListener
	once sync.Once

	head [requestHead]byte
	held []byte // the part of head not yet handed out
	body int64  // bytes of the present request still on the wire
}

func (c *guardedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.l.mu.Lock()
		delete(c.l.open, c)
		c.l.mu.Unlock()
		c.l.conns.Done()
	})
	return err
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.held) == 0 && c.body == 0 {
		if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(c.head[0:])
		key := binary.BigEndian.Uint16(c.head[4:])
		if size < requestHead-4 || size > maxRequest || int(key) >= len(known) || !known[key] {
			return 0, fmt.Errorf("kafka: not a request: size %d, api key %d", size, key)
		}
		c.held, c.body = c.head[:], int64(size)-(requestHead-4)
	}
	if len(c.held) > 0 {
		n := copy(p, c.held)
		c.held = c.held[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.body)])
	c.body -= int64(n)
	return n, err
}
