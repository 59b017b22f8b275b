package clickhouse

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"time"
)

// control is the parent's end of the socket between parent and child. The parent sends the
// configuration and later messages, the child its one line; the end of it tells the child that its
// parent is gone or wants it to stop. It is a socket and no pipe, for a pipe can be opened a
// second time, by its name below /proc/self/fd, by a statement that reads files.
type control struct{ conn net.Conn }

// controlPatience is how long a child may take to read a message.
const controlPatience = 10 * time.Second

// message is what follows the configuration.
type message struct {
	Certificate *keyPair `json:"certificate,omitempty"`
}

func newControl() (ours *control, theirs *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "control of the child")
	f := os.NewFile(uintptr(fds[0]), "control")
	defer func() { _ = f.Close() }() // the connection has a copy
	conn, err := net.FileConn(f)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return &control{conn: conn}, theirs, nil
}

func (c *control) send(v any) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(controlPatience)); err != nil {
		return err
	}
	return json.NewEncoder(c.conn).Encode(v)
}

// receive waits for the child's line; there is none where the child ended without.
func (c *control) receive() (r ready, ok bool) {
	return r, json.NewDecoder(bufio.NewReader(c.conn)).Decode(&r) == nil
}

func (c *control) close() error { return c.conn.Close() }
