package kafka

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The guard stands in front of kfake. kfake is handed a connection only after it has logged in, so
// no stranger's byte reaches it; from then on the guard lets whole requests through, of the kinds
// that are served.

// limits of connections and requests. A stranger is a connection that has not logged in.
const (
	maxStrangers    = 256              // beyond it the oldest is ended, so that silent ones keep nobody out
	loginTime       = 10 * time.Second // from the connection's first moment to its account
	strangerRequest = 16 << 10         // bytes
	readerRequest   = 1 << 20          // bytes, of an account that may not write
	writerRequest   = 16 << 20         // bytes: topics take batches of 4 MiB
)

// MaxOfAccount is how many connections one account may have at once, where a Config does not say:
// none can take another's. Whoever follows the ledger holds one a partition.
const MaxOfAccount = 1024

// requestHead is what every request begins with: its size (4 bytes), then api key (2), api version
// (2) and correlation id (4), which the size counts.
const requestHead = 4 + 8

type guard struct {
	net.Listener
	logins *logins // nil where the broker is open
	limit  map[string]int
	most   int // connections of one account
	log    *refusalLog

	ready chan *guardedConn // logged in, for kfake
	done  chan struct{}     // closed when closing
	once  sync.Once
	// closeErr is written by once, before done is closed.
	closeErr error
	work     sync.WaitGroup // the accept loop and the logins
	conns    sync.WaitGroup // connections handed to kfake

	mu        sync.Mutex // guards the fields below
	strangers []*guardedConn
	open      map[*guardedConn]bool // handed over; nil once all are being ended
	accounts  map[string]int        // how many of open each account has
}

// listen begins to accept. Without logins everybody is let in at once.
func listen(ctx context.Context, port int, l *logins, cfg Config) (*guard, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	g := &guard{Listener: ln, logins: l, limit: map[string]int{"": writerRequest},
		most:  cmp.Or(cfg.MaxOfAccount, MaxOfAccount),
		log:   &refusalLog{logger: cfg.Logger, every: time.Minute},
		ready: make(chan *guardedConn), done: make(chan struct{}),
		open: map[*guardedConn]bool{}, accounts: map[string]int{}}
	for _, a := range cfg.Accounts {
		g.limit[a.Name] = readerRequest
		if a.writes() {
			g.limit[a.Name] = writerRequest
		}
	}
	g.work.Go(g.accept)
	return g, nil
}

func (g *guard) port() int { return g.Addr().(*net.TCPAddr).Port }

func (g *guard) accept() {
	for wait := time.Millisecond; ; {
		c, err := g.Listener.Accept()
		if err == nil {
			wait = time.Millisecond
			conn := &guardedConn{Conn: c, g: g}
			if g.logins == nil {
				g.work.Go(func() { g.hand(conn) })
			} else if g.add(conn) {
				g.work.Go(func() { g.admit(conn) })
			}
			continue
		}
		// Out of file descriptors, say: it passes.
		select {
		case <-g.done:
			return
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

// add counts a stranger, and ends the oldest where there are too many.
func (g *guard) add(c *guardedConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		_ = c.Conn.Close() // nobody has been told anything on it
		return false
	}
	if len(g.strangers) >= maxStrangers {
		_ = g.strangers[0].Conn.Close() // its login fails, and removes it
		g.strangers = g.strangers[1:]
	}
	g.strangers = append(g.strangers, c)
	return true
}

// forget removes a stranger and reports whether it was still one: not ended as the oldest of too
// many.
func (g *guard) forget(c *guardedConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, s := range g.strangers {
		if s == c {
			g.strangers = append(g.strangers[:i], g.strangers[i+1:]...)
			return true
		}
	}
	return false
}

// admit hands a connection over once it has logged in, and ends it otherwise.
func (g *guard) admit(c *guardedConn) {
	err := errors.Join(c.SetDeadline(time.Now().Add(loginTime)), g.login(c))
	still := g.forget(c)
	if err == nil && still {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil || !still {
		if errors.Is(err, errLogin) {
			g.log.add(1, 0)
		}
		_ = c.Conn.Close() // the peer has had its answer
		return
	}
	g.hand(c)
}

// hand gives kfake the connection, if its account may have another.
func (g *guard) hand(c *guardedConn) {
	g.mu.Lock()
	full := g.accounts[c.account] >= g.most && g.logins != nil
	if g.open == nil || full {
		g.mu.Unlock()
		if full {
			g.log.add(0, 1)
		}
		_ = c.Conn.Close() // a client tries again
		return
	}
	g.open[c] = true
	g.accounts[c.account]++
	g.conns.Add(1)
	g.mu.Unlock()
	select {
	case g.ready <- c:
	case <-g.done:
		_ = c.Close() // nobody has been told anything on it
	}
}

// Accept is kfake's.
func (g *guard) Accept() (net.Conn, error) {
	select {
	case c := <-g.ready:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listening. kfake and shut both call it; the second call does nothing.
func (g *guard) Close() error {
	g.once.Do(func() {
		g.closeErr = g.Listener.Close()
		close(g.done)
	})
	return g.closeErr
}

// shut ends the listening and the connections that are left, and returns when there is none.
func (g *guard) shut() error {
	err := g.Close()
	g.mu.Lock()
	strangers, open := g.strangers, g.open
	g.strangers, g.open = nil, nil
	g.mu.Unlock()
	// The peers have had their answers; how their sockets close changes nothing.
	for _, c := range strangers {
		_ = c.Conn.Close()
	}
	for c := range open {
		_ = c.Close()
	}
	g.work.Wait()
	g.conns.Wait()
	g.log.last()
	return err
}

// A guardedConn lets whole requests through. Only one goroutine at a time reads.
type guardedConn struct {
	net.Conn
	g       *guard
	account string // "" where the broker is open; set before kfake has the connection
	once    sync.Once

	head [requestHead]byte
	held []byte // the part of head not yet handed out
	body int64  // bytes of the present request still on the wire
}

// Close is of a connection that was handed over.
func (c *guardedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.g.mu.Lock()
		delete(c.g.open, c)
		c.g.accounts[c.account]--
		c.g.mu.Unlock()
		c.g.conns.Done()
	})
	return err
}

// RemoteAddr names the account, which is how kfake knows whose rules to ask (see Rule.entries). A
// connection without one keeps its address, which is in no rule.
func (c *guardedConn) RemoteAddr() net.Addr {
	if c.account == "" {
		return c.Conn.RemoteAddr()
	}
	return accountAddr(c.account)
}

type accountAddr string

func (accountAddr) Network() string  { return "account" }
func (a accountAddr) String() string { return string(a) + ":0" }

// next reads the head of a request.
func (c *guardedConn) next(limit int) (size int, a api, err error) {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return 0, api{}, err
	}
	n := binary.BigEndian.Uint32(c.head[0:])
	a, ok := servedByKey[binary.BigEndian.Uint16(c.head[4:])]
	if n < requestHead-4 || n > uint32(limit) || !ok {
		return 0, api{}, fmt.Errorf("kafka: not a request that is served: size %d, api key %d",
			n, binary.BigEndian.Uint16(c.head[4:]))
	}
	return int(n), a, nil
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.held) == 0 && c.body == 0 {
		size, a, err := c.next(c.g.limit[c.account])
		if err != nil {
			return 0, err
		}
		c.held, c.body = c.head[:], int64(size)-(requestHead-4)
		switch a.key {
		case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
			return 0, errors.New("kafka: a login where none is open")
		case kmsg.DescribeConfigs:
			if err := c.checkDescribeConfigs(); err != nil {
				return 0, err
			}
		}
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

// checkDescribeConfigs holds the whole request and refuses it where it asks for configs that kfake
// gives without asking for a right: those of groups, and what may come after them.
func (c *guardedConn) checkDescribeConfigs() error {
	whole := make([]byte, requestHead+c.body)
	copy(whole, c.head[:])
	if _, err := io.ReadFull(c.Conn, whole[requestHead:]); err != nil {
		return err
	}
	c.held, c.body = whole, 0
	req, _, err := parse(kmsg.DescribeConfigs, whole)
	if err != nil {
		return err
	}
	for _, r := range req.(*kmsg.DescribeConfigsRequest).Resources {
		if r.ResourceType != kmsg.ConfigResourceTypeTopic && r.ResourceType != kmsg.ConfigResourceTypeBroker {
			return fmt.Errorf("kafka: configs of a %s are not served", r.ResourceType)
		}
	}
	return nil
}
