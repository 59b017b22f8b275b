package front

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// door bounds the open connections, by who holds them: strangers cannot keep accounts
// out, nor can readers keep out those that write. A connection is a stranger's until a
// request on it is an account's.
type door struct {
	mu   sync.Mutex
	open map[*visitor]guest
	held [guests]int // how many of open there are of each
	last uint64      // number of the newest
}

type guest int

const (
	stranger guest = iota
	reading
	writing
	guests
)

// MaxStrangers is how many connections may be open that no account has used yet.
const MaxStrangers = 64

// How many connections each may hold. The sum stays below the usual bound of 1024 open files.
var maxHeld = [guests]int{stranger: MaxStrangers, reading: 128, writing: 256}

func newDoor() *door { return &door{open: make(map[*visitor]guest)} }

// visitor is an accepted connection.
type visitor struct {
	net.Conn
	door   *door
	number uint64 // in the order in which they came
}

// CloseWrite tells the peer that nothing more comes.
func (v *visitor) CloseWrite() error {
	tcp, ok := v.Conn.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return tcp.CloseWrite()
}

func (v *visitor) Close() error {
	v.door.leave(v)
	return v.Conn.Close()
}

// listen makes ln's connections come in through the door.
func (d *door) listen(ln net.Listener) net.Listener { return &doorListener{ln, d} }

type doorListener struct {
	net.Listener
	door *door
}

func (l *doorListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	v := &visitor{Conn: c, door: l.door}
	if out := l.door.enter(v); out != nil {
		_ = out.Conn.Close() // its own goroutine notices, and leaves
	}
	return v, nil
}

// enter lets a stranger in. Where there are too many it returns the oldest to put out: holding
// connections open helps nobody, and one that sends its request at once is hit only by as many
// that come within that moment.
func (d *door) enter(v *visitor) (out *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held[stranger] >= maxHeld[stranger] {
		for other, as := range d.open {
			if as == stranger && (out == nil || other.number < out.number) {
				out = other
			}
		}
		d.drop(out)
	}
	d.last++
	v.number = d.last
	d.open[v] = stranger
	d.held[stranger]++
	return out
}

func (d *door) leave(v *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(v)
}

func (d *door) drop(v *visitor) {
	if as, ok := d.open[v]; ok {
		delete(d.open, v)
		d.held[as]--
	}
}

type visitorKey struct{}

// Remember is an http.Server's ConnContext.
func Remember(ctx context.Context, c net.Conn) context.Context {
	for {
		if v, ok := c.(*visitor); ok {
			return context.WithValue(ctx, visitorKey{}, v)
		}
		outer, ok := c.(interface{ NetConn() net.Conn }) // TLS, and what looks at the first byte
		if !ok {
			return ctx
		}
		c = outer.NetConn()
	}
}

// admit notes that the connection is an account's from now on.
func (d *door) admit(ctx context.Context, a *Account) error {
	v, ok := ctx.Value(visitorKey{}).(*visitor)
	if !ok {
		return nil
	}
	as := writing
	if a.ReadOnly {
		as = reading
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	was, ok := d.open[v]
	switch {
	case !ok || was == as: // put out, or known
		return nil
	case d.held[as] >= maxHeld[as]:
		return &exception.Exception{Code: exception.CodeTooManyQueries, Status: http.StatusServiceUnavailable,
			Text: exception.New(exception.CodeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES",
				"Accounts of this kind hold %d connections, which is the most: close some, or use them again",
				maxHeld[as]).Text}
	}
	d.open[v] = as
	d.held[was]--
	d.held[as]++
	return nil
}
