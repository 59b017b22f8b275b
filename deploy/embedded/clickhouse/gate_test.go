//go:build unix

package clickhouse

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// The port is the parent's: while it lives nobody else can listen there, even when the child has
// died; and clients are not left waiting.
func TestPortStaysTheParents(t *testing.T) {
	s := start(t, t.TempDir())
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if s.Err() == nil {
		t.Error("no word of the child's end")
	}
	if ln, err := net.Listen("tcp", s.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a stranger listens in its place: %v, %v", ln, err)
	}
	client := http.Client{Timeout: 10 * time.Second}
	if resp, err := client.Get(s.URL() + "/ping"); err == nil {
		t.Errorf("a dead server answers: %d", resp.StatusCode)
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Errorf("clients wait for a dead server: %v", err)
	}
	if err := s.Stop(t.Context()); err == nil {
		t.Error("stopping a crashed server says nothing of the crash")
	}
	ln, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatalf("the port is not free after Stop: %v", err)
	}
	defer func() { _ = ln.Close() }()
	cfg := testConfig(t.TempDir())
	cfg.Addr = s.Addr()
	_, err = Start(t.Context(), cfg)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("an address in use: %v", err)
	}
}

// A child that dies before it takes its listener leaves one that can be closed.
func TestGateCloses(t *testing.T) {
	g, err := openGate(Config{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.file()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(int(f.Fd()), false); err != nil { // as passing it to a process does
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), g.unblock()); err != nil {
		t.Fatal(err)
	}
	g.refuse()
	c, err := net.Dial("tcp", g.addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil { // the refusal is at work
		t.Error("a refused connection says something")
	}
	_ = c.Close()
	closed := make(chan error, 1)
	go func() { closed <- g.close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the listener does not close")
	}
}

// The child's environment holds nothing of the parent's that may be secret, and neither do its
// arguments.
func TestChildKnowsNoSecrets(t *testing.T) {
	t.Setenv("LEDGERLINE_TEST_PASSWORD", "of another server")
	cfg := testConfig(t.TempDir())
	cfg.CertFile, cfg.KeyFile = newCertificate(t, t.TempDir(), "localhost")
	key, err := os.ReadFile(cfg.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.Background()) }()
	for _, name := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.PID(), name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("of another server")) || bytes.Contains(b, bytes.Fields(key)[4]) {
			t.Errorf("%s holds a secret: %q", name, b)
		}
	}
}

// newCertificate writes a self-signed certificate for the names, and returns its files.
func newCertificate(t *testing.T, dir string, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames:              names,
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// trusting is a TLS configuration that trusts the certificate in the file.
func trusting(t *testing.T, certFile, name string) *tls.Config {
	t.Helper()
	b, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: name}
}

// Beyond loopback the server speaks TLS, under the certificate's names; a new certificate is taken
// up as it stands there.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t.TempDir())
	cfg.Addr = "0.0.0.0:0"
	cfg.CertFile, cfg.KeyFile = newCertificate(t, dir, "ledger.example", "localhost")
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.Background()) }()
	_, port, _ := net.SplitHostPort(s.Addr())
	addr := "127.0.0.1:" + port
	if want := "https://localhost:" + port; s.URL() != want {
		t.Errorf("URL %s, want %s", s.URL(), want)
	}
	get := func(host string, conf *tls.Config) (int, error) {
		tr := &http.Transport{TLSClientConfig: conf, DialContext: func(ctx context.Context,
			_, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("https://" + host + ":" + port + "/?query=SELECT+1")
		if err != nil {
			return 0, err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for host, want := range map[string]int{
		"ledger.example": 200, "localhost": 200, "127.0.0.1": 200, "rebound.example": 403, "192.0.2.1": 403,
	} {
		if got, err := get(host, trusting(t, cfg.CertFile, "ledger.example")); got != want || err != nil {
			t.Errorf("Host %s: %d, want %d: %v", host, got, want, err)
		}
	}
	before := trusting(t, cfg.CertFile, "ledger.example")
	c := open(t, s, func(o *chgo.Options) { o.Addr, o.TLS = []string{addr}, before })
	if got := scalar[uint8](t, c, "SELECT 7"); got != 7 {
		t.Errorf("clickhouse-go: %d", got)
	}
	old := trusting(t, cfg.CertFile, "ledger.example")
	old.MaxVersion = tls.VersionTLS11
	if _, err := get("ledger.example", old); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	resp, err := http.Get("http://" + addr + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if _ = resp.Body.Close(); err != nil || resp.StatusCode != 400 || !strings.Contains(string(b), "HTTPS") {
		t.Errorf("a plain request: %d %q %v", resp.StatusCode, b, err)
	}
	// A certificate that cannot be used changes nothing, a new one is shown.
	if err := os.WriteFile(cfg.CertFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := get("ledger.example", before); got != 200 {
		t.Errorf("with a broken file: %d, %v", got, err)
	}
	newCertificate(t, dir, "other.example")
	for begin := time.Now(); ; {
		got, err := get("other.example", trusting(t, cfg.CertFile, "other.example"))
		if got == 200 {
			break
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("the new certificate is not shown: %d, %v", got, err)
		}
	}
}

func TestAddressesBeyondLoopbackNeedTLS(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:1", "[::]:0", "example.org:1", "127.0.0.1"} {
		err := (Config{DataDir: "x", Command: []string{"y"}, Addr: addr}).Validate()
		if err == nil || !strings.Contains(err.Error(), "Addr") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, c := range []Config{{CertFile: "x"}, {KeyFile: "x"}} {
		c.DataDir, c.Command = "x", []string{"y"}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "KeyFile") {
			t.Errorf("half a certificate: %v", err)
		}
	}
	cfg := testConfig(t.TempDir())
	cfg.CertFile, cfg.KeyFile = "/no/such/file", "/no/such/key"
	if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "CertFile") {
		t.Errorf("no certificate: %v", err)
	}
}
