package clickhouse

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/confine"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/exception"
)

// inheritedListener is the one that the parent opened.
func inheritedListener() (net.Listener, error) {
	f := os.NewFile(confine.ListenerFD, "listener")
	defer func() { _ = f.Close() }() // the listener has a copy
	return net.FileListener(f)
}

// secure speaks TLS where there is a certificate.
func secure(ln net.Listener, cert *certificate) net.Listener {
	if cert == nil {
		return ln
	}
	return tls.NewListener(ln, cert.config())
}

// greet wraps the listener right above TCP.
func greet(ln net.Listener, tls bool) net.Listener { return &greeter{Listener: ln, tls: tls} }

// greeter tells by a connection's first byte whoever speaks another protocol, and answers in that
// protocol. HTTP and, under TLS, a plain HTTP request pass: net/http answers the latter itself.
type greeter struct {
	net.Listener
	tls bool
}

func (g *greeter) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &greeted{Conn: c, tls: g.tls}, nil
}

// greeted looks at the first bytes that are read and then stays out of the way.
type greeted struct {
	net.Conn
	tls, known bool
}

// NetConn is the connection below, as tls.Conn has it.
func (c *greeted) NetConn() net.Conn { return c.Conn }

// First bytes: a handshake record of TLS, and the hello of ClickHouse's native protocol.
const (
	firstOfTLS    = 0x16
	firstOfNative = 0x00
)

func (c *greeted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.known || n == 0 {
		return n, err
	}
	c.known = true
	var answer []byte
	switch {
	case p[0] == firstOfNative && c.tls:
		answer = nativeException(wrongProtocol + "Connect by HTTPS.")
	case p[0] == firstOfNative:
		answer = nativeException(wrongProtocol + "Connect by HTTP, as clickhouse-connect, JDBC and curl do.")
	case p[0] == firstOfTLS && !c.tls:
		answer = []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
			"This port speaks plain HTTP, not TLS: use an http:// address.\n")
	default:
		return n, err
	}
	_, _ = c.Conn.Write(answer) // fits every socket's buffer; whoever is gone needs no answer
	// What was sent and is not read would reset the connection, and the answer with it.
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	_, _ = discard(c.Conn)
	return 0, net.ErrClosed
}

const wrongProtocol = "This port speaks ClickHouse's HTTP interface, not the native protocol, " +
	"which the embedded server does not have. "

// nativeException is an exception packet of the native protocol: clients print its text.
// https://clickhouse.com/docs/native-protocol/server#exception
func nativeException(text string) []byte {
	const exceptionPacket, nothingNested = 2, 0
	b := []byte{exceptionPacket}
	b = binary.LittleEndian.AppendUint32(b, exception.CodeNotImplemented)
	for _, s := range []string{"DB::Exception", "DB::Exception: " + text + "\n", ""} { // name, message, stack trace
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, nothingNested)
}

// discard reads for a moment what a client still sends.
func discard(c net.Conn) (int64, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	return io.CopyN(io.Discard, c, 64<<10)
}
