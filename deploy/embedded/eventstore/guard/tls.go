package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
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
	// CertFile and KeyFile are the PEM certificate chain and its key, which may
	// be one file; they are read again when they change. Required.
	CertFile, KeyFile string
	// CAFile is the PEM file by which clients trust the server. Empty: they
	// trust it by the authorities that their system knows.
	CAFile string
	// ClientCAFile holds the PEM certificates of authorities; a client's
	// certificate that one of them signed authenticates it as the user named by
	// the certificate's common name. One that none of them signed is as good as
	// none. Empty: client certificates are not asked for.
	ClientCAFile string
}

// certificateCheck is how often the certificate's files are looked at, at most.
const certificateCheck = time.Second

// Validate refuses a certificate without its key, and the other way round.
func (c TLSConfig) Validate() error {
	if c.CertFile == "" || c.KeyFile == "" {
		return errors.New("TLS: cert file or key file is empty: a certificate and its key go together")
	}
	return nil
}

// Certificates are what a server shows, and whom it trusts to sign clients'.
type Certificates struct {
	certFile, keyFile string
	caFile            string         // "": clients know the authority
	clientCAs         *x509.CertPool // nil: no client certificates
	every             time.Duration  // between two looks at the files, at least
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

// OpenCertificates loads what cfg names. The files are looked at again after every
// so long at the earliest; 0 is a second.
func OpenCertificates(cfg TLSConfig, every time.Duration, logger *slog.Logger) (*Certificates, error) {
	if every == 0 {
		every = certificateCheck
	}
	c := &Certificates{certFile: cfg.CertFile, keyFile: cfg.KeyFile, every: every, logger: logger}
	if cfg.CAFile != "" {
		caFile, err := filepath.Abs(cfg.CAFile) // clients that are given the name may run elsewhere
		if err != nil {
			return nil, err
		}
		if _, err := readAuthorities(caFile); err != nil {
			return nil, fmt.Errorf("the server's authority: %w", err)
		}
		c.caFile = caFile
	}
	if info, err := os.Stat(c.keyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		logger.Warn("the key of the TLS certificate can be read by others than its owner", "mode",
			info.Mode().Perm().String())
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	if cfg.ClientCAFile != "" {
		var err error
		if c.clientCAs, err = readAuthorities(cfg.ClientCAFile); err != nil {
			return nil, fmt.Errorf("clients' authorities: %w", err)
		}
	}
	return c, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return pool, nil
}

func (c *Certificates) load() error {
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

func (c *Certificates) versions() (v [2]fileVersion, err error) {
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
func (c *Certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < c.every {
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

// Config is the server's side of a handshake. gRPC clients offer h2 alone;
// whoever also speaks HTTP/1.1 wants the plain endpoints, and gets them so.
func (c *Certificates) Config() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if c.clientCAs != nil {
		// Verified by User: a handshake that fails would refuse the password that comes with it.
		base.ClientAuth, base.ClientCAs = tls.RequestClientCert, c.clientCAs
	}
	h2, http1 := base.Clone(), base.Clone()
	h2.NextProtos, http1.NextProtos = []string{ProtoHTTP2}, []string{ProtoHTTP1}
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, ProtoHTTP1) {
			return http1, nil
		}
		return h2, nil
	}
	return base
}

// User is whom the client's certificate names, "" for nobody. known is false
// where there is one that no authority of clients vouches for: the handshake has
// shown that the client has its key, and nothing else.
func (c *Certificates) User(state tls.ConnectionState) (name string, known bool) {
	if c.clientCAs == nil || len(state.PeerCertificates) == 0 {
		return "", true
	}
	intermediates := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.clientCAs, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", false
	}
	return state.PeerCertificates[0].Subject.CommonName, true
}

// What a handshake can agree on.
const (
	ProtoHTTP2 = "h2"
	ProtoHTTP1 = "http/1.1"
)

// Names returns nil where the certificate is valid for the host, and why it is not otherwise.
func (c *Certificates) Names(host string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cert.Leaf.VerifyHostname(host)
}

// CAFile is the PEM file by which clients trust the server, "" where they know its authority.
func (c *Certificates) CAFile() string { return c.caFile }

// NameFor is a host that this machine's own clients can dial and find in the certificate.
func (c *Certificates) NameFor(host string) string {
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

// handshaken is a connection whose TLS handshake is done: the door did it, to know
// the protocol. state is nil for plaintext; user is whom the client's certificate
// names, "" for nobody.
type handshaken interface {
	Handshake() (state *tls.ConnectionState, user string)
}

// Credentials are gRPC's, of connections that come with their handshake done.
func Credentials(tls bool) credentials.TransportCredentials { return doorCredentials{tls} }

// doorCredentials pass on what the door has learnt.
type doorCredentials struct{ tls bool }

func (d doorCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	var state *tls.ConnectionState
	var user string
	if h, ok := c.(handshaken); ok {
		state, user = h.Handshake()
	}
	if state == nil {
		return c, plainInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
	}
	private := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return c, doorInfo{credentials.TLSInfo{State: *state, CommonAuthInfo: private}, user}, nil
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

// doorInfo is what gRPC's handlers are told of a TLS connection.
type doorInfo struct {
	credentials.TLSInfo
	user string // whom the client's certificate names
}
