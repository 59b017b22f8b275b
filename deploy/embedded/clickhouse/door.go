package clickhouse

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// door bounds the open connections, by who holds them: strangers cannot keep accounts out, nor can readers
// keep out those that write. A connection is a stranger's until a request on it is an account's.
type door struct {
	mu   sync.Mutex
	open map[*visitor]guest
	held [guests]int // how many of open there are of each
}

type guest int

const (
	stranger guest = iota
	reading
	writing
	guests
)

// How many connections each may hold. The sum stays below the usual bound of 1024 open files.
var maxHeld = [guests]int{stranger: 64, reading: 128, writing: 256}

func newDoor() *door { return &door{open: make(map[*visitor]guest)} }

// visitor is an accepted connection.
type visitor struct {
	net.Conn
	door *door
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
	v := &visitor{c, l.door}
	if out := l.door.enter(v); out != nil {
		_ = out.Conn.Close() // its own goroutine notices, and leaves
	}
	return v, nil
}

// enter lets a stranger in. Where there are too many it returns one to put out: any but the new one, so
// that holding connections open helps nobody, and one that sends its request at once is hardly ever hit.
func (d *door) enter(v *visitor) (out *visitor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held[stranger] >= maxHeld[stranger] {
		for other, as := range d.open { // in Go's random order
			if as == stranger {
				out = other
				d.drop(other)
				break
			}
		}
	}
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

// remember is an http.Server's ConnContext.
func remember(ctx context.Context, c net.Conn) context.Context {
	if inner, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = inner.NetConn()
	}
	if v, ok := c.(*visitor); ok {
		return context.WithValue(ctx, visitorKey{}, v)
	}
	return ctx
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
		return &exception{code: codeTooManyQueries, status: http.StatusServiceUnavailable,
			text: newException(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES",
				"Accounts of this kind hold %d connections, which is the most: close some, or use them again", maxHeld[as]).text}
	}
	d.open[v] = as
	d.held[was]--
	d.held[as]++
	return nil
}
