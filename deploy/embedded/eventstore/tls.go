package eventstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// TLSConfig says with which certificate a server speaks TLS, and whose
// certificates it takes for credentials.
type TLSConfig struct {
	// CertFile and KeyFile are the PEM certificate chain and its key; they are
	// read again when they change. Both empty: a self-signed certificate is
	// made at the first start, in the store's directory.
	CertFile, KeyFile string
	// ClientCAFile holds the PEM certificates of authorities; a client's
	// certificate that one of them signed authenticates it as the user named by
	// the certificate's common name. Empty: client certificates are not asked for.
	ClientCAFile string
}

// The self-signed certificate. It is its own root: clients are given the file.
const (
	selfSignedCert  = "server.crt"
	selfSignedKey   = "server.key"
	selfSignedYears = 10
	renewBefore     = 30 * 24 * time.Hour
)

// certificateCheck is how often the certificate's files are looked at, at most.
const certificateCheck = time.Second

func (c TLSConfig) validate() error {
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("TLS: a certificate and its key go together")
	}
	return nil
}

// certificates are what a server shows, and whom it trusts to sign clients'.
type certificates struct {
	certFile, keyFile string
	clientCAs         *x509.CertPool // nil: no client certificates
	logger            *slog.Logger

	mu      sync.Mutex
	cert    *tls.Certificate
	version [2]fileVersion
	checked time.Time
}

type fileVersion struct {
	modified time.Time
	size     int64
}

// openCertificates loads, or makes, what cfg.TLS names.
func openCertificates(cfg Config) (*certificates, error) {
	c := &certificates{certFile: cfg.TLS.CertFile, keyFile: cfg.TLS.KeyFile, logger: cfg.Logger}
	if c.certFile == "" {
		host, _, err := net.SplitHostPort(cfg.Addr)
		if err != nil {
			return nil, err
		}
		c.certFile, c.keyFile = filepath.Join(cfg.Dir, selfSignedCert), filepath.Join(cfg.Dir, selfSignedKey)
		if err := ensureSelfSigned(c.certFile, c.keyFile, host, cfg.Logger, time.Now()); err != nil {
			return nil, fmt.Errorf("self-signed certificate: %w", err)
		}
	}
	certFile, err := filepath.Abs(c.certFile) // clients that are given the name may run elsewhere
	if err != nil {
		return nil, err
	}
	c.certFile = certFile
	if info, err := os.Stat(c.keyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		cfg.Logger.Warn("the key of the TLS certificate can be read by others than its owner", "mode", info.Mode().Perm().String())
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	if cfg.TLS.ClientCAFile != "" {
		raw, err := os.ReadFile(cfg.TLS.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("clients' authorities: %w", err)
		}
		c.clientCAs = x509.NewCertPool()
		if !c.clientCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("clients' authorities: no certificate in %s", cfg.TLS.ClientCAFile)
		}
	}
	return c, nil
}

func (c *certificates) load() error {
	version, err := c.versions()
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	c.cert, c.version = &cert, version
	return nil
}

func (c *certificates) versions() (v [2]fileVersion, err error) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return v, err
		}
		v[i] = fileVersion{info.ModTime(), info.Size()}
	}
	return v, nil
}

// get returns the certificate, from its files where they have changed. What
// cannot be loaded leaves the last one in use.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certificateCheck {
		return c.cert, nil
	}
	c.checked = time.Now()
	if version, err := c.versions(); err == nil && version == c.version {
		return c.cert, nil
	}
	if err := c.load(); err != nil {
		c.logger.Warn("the changed TLS certificate cannot be used; the last one stays", "error", err)
		return c.cert, nil
	}
	c.logger.Info("the TLS certificate has changed and is loaded", "until", c.cert.Leaf.NotAfter)
	return c.cert, nil
}

// config is the server's side of a handshake. gRPC clients offer h2 alone;
// whoever also speaks HTTP/1.1 wants the plain endpoints, and gets them so.
func (c *certificates) config() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if c.clientCAs != nil {
		base.ClientAuth, base.ClientCAs = tls.VerifyClientCertIfGiven, c.clientCAs
	}
	h2, http1 := base.Clone(), base.Clone()
	h2.NextProtos, http1.NextProtos = []string{protoHTTP2}, []string{protoHTTP1}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, protoHTTP1) {
			return http1, nil
		}
		return h2, nil
	}
	return base
}

const (
	protoHTTP2 = "h2"
	protoHTTP1 = "http/1.1"
)

// nameFor is a host that this machine's own clients can dial and find in the certificate.
func (c *certificates) nameFor(host string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range [...]string{host, "localhost"} {
		if c.cert.Leaf.VerifyHostname(h) == nil {
			return h
		}
	}
	for _, h := range c.cert.Leaf.DNSNames {
		if c.cert.Leaf.VerifyHostname(h) == nil { // not a wildcard
			return h
		}
	}
	return host
}

// ensureSelfSigned makes the certificate where there is none that can be used
// under that host at that time.
func ensureSelfSigned(certFile, keyFile, host string, logger *slog.Logger, now time.Time) error {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	why := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		return err
	case err != nil:
		why = "it cannot be read"
	case now.Add(renewBefore).After(pair.Leaf.NotAfter):
		why = "it is about to expire"
	case !isWildcard(host) && pair.Leaf.VerifyHostname(host) != nil:
		why = "it does not name the address listened on"
	default:
		return nil
	}
	certPEM, keyPEM, until, err := newSelfSigned(host, now)
	if err != nil {
		return err
	}
	// The key first: a pair that does not match is made anew.
	if err := errors.Join(replaceFile(keyFile, keyPEM), replaceFile(certFile, certPEM)); err != nil {
		return err
	}
	if why != "" {
		logger.Warn("a new self-signed certificate replaces the old one: clients need the new file", "why", why, "certificate", certFile, "until", until)
	} else {
		logger.Info("a self-signed certificate was made: give it to clients as tlsCAFile", "certificate", certFile, "until", until)
	}
	return nil
}

func newSelfSigned(host string, now time.Time) (certPEM, keyPEM []byte, until time.Time, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, until, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, until, err
	}
	// No authority: some clients' TLS refuses to meet one at the other end, and
	// all take a certificate that is in their file as it is.
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "ledgerline event store"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(selfSignedYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	names := []string{host}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if isWildcard(host) {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return nil, nil, until, err
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				names = append(names, n.IP.String())
			}
		}
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		switch {
		case name == "" || ip != nil && (ip.IsUnspecified() || slices.ContainsFunc(t.IPAddresses, ip.Equal)):
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case !slices.Contains(t.DNSNames, name):
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, until, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, until, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), t.NotAfter, nil
}

// isWildcard tells whether a listen host means every address of the machine.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// replaceFile puts a file that only its owner may read in place of name.
func replaceFile(name string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Connections come to gRPC with their handshake done: the door did it, to know
// the protocol. doorCredentials passes on what was learnt.
type doorCredentials struct{ tls bool }

func (d doorCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	state, ok := tlsState(c)
	if !ok {
		return c, plainInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
	}
	return c, credentials.TLSInfo{State: state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

func (d doorCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("a server's credentials")
}

func (d doorCredentials) Info() credentials.ProtocolInfo {
	if d.tls {
		return credentials.ProtocolInfo{SecurityProtocol: "tls"}
	}
	return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
}

func (d doorCredentials) Clone() credentials.TransportCredentials { return d }

func (d doorCredentials) OverrideServerName(string) error { return nil }

type plainInfo struct{ credentials.CommonAuthInfo }

func (plainInfo) AuthType() string { return "insecure" }

// tlsState is what the handshake of a door's connection learnt.
func tlsState(c net.Conn) (state tls.ConnectionState, ok bool) {
	sc, isSniffed := c.(*sniffedConn)
	if !isSniffed {
		return state, false
	}
	tc, isTLS := sc.Conn.(*tls.Conn)
	if !isTLS {
		return state, false
	}
	return tc.ConnectionState(), true
}

// plainAnswer is what a client gets that does not speak TLS to a port that does.
// gRPC clients, too, say of such an answer that it looks like HTTP/1.1.
const plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks TLS: set tls=true\n"

// commonName is whom a verified client certificate names, "" for nobody.
func commonName(chains [][]*x509.Certificate) string {
	if len(chains) == 0 || len(chains[0]) == 0 {
		return ""
	}
	return chains[0][0].Subject.CommonName
}
