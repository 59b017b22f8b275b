package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

// gate is the parent's side of the server's address. The parent listens and the child accepts: the
// child needs no right to bind, and nobody else can take the port while the parent lives, whatever
// becomes of the child.
type gate struct {
	ln    *net.TCPListener
	certs *certificateFiles // nil: plain HTTP
	once  sync.Once
}

func (c Config) validateAddr() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("a certificate and its key go together: set both CertFile and KeyFile")
	}
	if c.Addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Addr)
	ip := net.ParseIP(host)
	switch {
	case err != nil || ip == nil && host != "":
		return fmt.Errorf("the address %q (Addr) is not an IP address with a port", c.Addr)
	case c.CertFile == "" && (ip == nil || !ip.IsLoopback()):
		return fmt.Errorf("the address %q (Addr) is not a loopback address: others need TLS, set CertFile and KeyFile",
			c.Addr)
	}
	return nil
}

func openGate(cfg Config) (*gate, error) {
	g := new(gate)
	if cfg.CertFile != "" {
		g.certs = &certificateFiles{cert: cfg.CertFile, key: cfg.KeyFile}
		if err := g.certs.load(); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, err // it says listen, the address and the reason
	}
	g.ln = ln.(*net.TCPListener) // a TCP listener is one
	return g, nil
}

// file is a copy of the listener for the child.
func (g *gate) file() (*os.File, error) { return g.ln.File() }

// unblock undoes what passing the copy on did to the listener, whose mode parent and child share:
// an Accept that blocks could not be ended. A child that serves does so itself.
func (g *gate) unblock() error {
	raw, err := g.ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = setNonblock(fd) })
	return errors.Join(err, failed)
}

func (g *gate) pair() *keyPair {
	if g.certs == nil {
		return nil
	}
	return g.certs.pair()
}

func (g *gate) addr() string { return g.ln.Addr().String() }

// host is a name or an address that clients on this machine can dial, and find in the certificate.
func (g *gate) host() string {
	host, _, _ := net.SplitHostPort(g.addr()) // a listener's address has both
	if g.certs == nil {
		return host
	}
	return g.certs.nameFor(host)
}

func (g *gate) url() string {
	scheme := "http"
	if g.certs != nil {
		scheme = "https"
	}
	_, port, _ := net.SplitHostPort(g.addr())
	return scheme + "://" + net.JoinHostPort(g.host(), port)
}

// check asks the server behind the gate whether it answers.
func (g *gate) check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url()+"/ping", nil)
	if err != nil {
		return err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", g.addr())
	}
	t := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	if g.certs != nil {
		// Whoever signed it, it must be the one that was just read.
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, VerifyConnection: g.certs.isOurs}
	}
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("first request: status %d: %s", resp.StatusCode, body)
	}
	return nil
}

// refuse closes each connection that comes once the child has ended: clients learn of it at once,
// and the port stays this process's until close.
func (g *gate) refuse() {
	go func() {
		for {
			c, err := g.ln.Accept()
			if err != nil {
				return // closed
			}
			_ = c.Close() // it has nothing to flush
		}
	}()
}

func (g *gate) close() (err error) {
	g.once.Do(func() { err = g.ln.Close() })
	return err
}
