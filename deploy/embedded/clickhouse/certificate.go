package clickhouse

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// keyPair is a certificate chain and its key in PEM, as the parent sends them. The child cannot
// open the files.
type keyPair struct{ Cert, Key []byte }

// certificateFiles are the parent's side: the files, and what was last read from them.
type certificateFiles struct {
	cert, key string

	mu      sync.Mutex
	current keyPair
	parsed  tls.Certificate
	version [2]fileVersion
}

type fileVersion struct {
	modified time.Time
	size     int64
}

// certificateCheck is how often the files are looked at.
const certificateCheck = time.Second

// A chain of certificates is a few kilobytes.
const certificateLimit = 1 << 20

func (c *certificateFiles) versions() (v [2]fileVersion, err error) {
	for i, name := range [...]string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return v, err
		}
		if info.Size() > certificateLimit {
			return v, fmt.Errorf("%s is larger than a certificate", name)
		}
		v[i] = fileVersion{info.ModTime(), info.Size()}
	}
	return v, nil
}

// load reads the files. What does not fit together changes nothing.
func (c *certificateFiles) load() error {
	version, err := c.versions()
	if err != nil {
		return fmt.Errorf("TLS certificate (CertFile, KeyFile): %w", err)
	}
	cert, err := os.ReadFile(c.cert)
	if err != nil {
		return fmt.Errorf("TLS certificate (CertFile): %w", err)
	}
	key, err := os.ReadFile(c.key)
	if err != nil {
		return fmt.Errorf("TLS certificate (KeyFile): %w", err)
	}
	parsed, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("TLS certificate (CertFile %s, KeyFile %s): %w", c.cert, c.key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.parsed, c.version = keyPair{cert, key}, parsed, version
	return nil
}

func (c *certificateFiles) pair() *keyPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.current
	return &p
}

func (c *certificateFiles) isOurs(s tls.ConnectionState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, c.parsed.Leaf.Raw) {
		return errors.New("the certificate shown is not the one in CertFile")
	}
	return nil
}

// nameFor is the first of host, localhost and the certificate's own names that it holds.
func (c *certificateFiles) nameFor(host string) string {
	c.mu.Lock()
	leaf := c.parsed.Leaf
	c.mu.Unlock()
	names := append([]string{host, "localhost"}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil && ip.IsUnspecified() {
			continue
		}
		if leaf.VerifyHostname(name) == nil { // a wildcard is no name
			return name
		}
	}
	return host
}

// watch sends what the files hold whenever they have changed, until ctx ends. What cannot be used
// leaves the last certificate in place.
func (c *certificateFiles) watch(ctx context.Context, logger *slog.Logger, send func(*keyPair) error) {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	failed := c.version // a version that could not be used, so that it is told once
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		version, err := c.versions()
		if err == nil && (version == c.version || version == failed) {
			continue
		}
		if err == nil {
			err = c.load()
		}
		if err == nil {
			err = send(c.pair())
		}
		if err != nil {
			if version != failed {
				logger.Warn("the changed TLS certificate cannot be used; the last one stays", "error", err)
			}
			failed = version
			continue
		}
		logger.Info("the TLS certificate has changed and is in use", "until", c.parsed.Leaf.NotAfter)
	}
}

// certificate is the child's side: what is shown to clients.
type certificate struct {
	current atomic.Pointer[tls.Certificate]
}

func (c *certificate) set(p *keyPair) error {
	parsed, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return fmt.Errorf("use the TLS certificate: %w", err)
	}
	c.current.Store(&parsed)
	return nil
}

// config speaks HTTP/1.1 alone, as ClickHouse does.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// names says whether the certificate holds this host.
func (c *certificate) names(host string) bool {
	return c.current.Load().Leaf.VerifyHostname(host) == nil
}
