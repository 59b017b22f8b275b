package eventstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// clientTLS trusts the server's certificate and nothing else.
func clientTLS(t testing.TB, s *Server) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(readFile(t, s.CertificateFile())) {
		t.Fatal("the server's certificate is none")
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// The self-signed certificate is made once, for its owner's eyes, under every name by which this machine is reached.
func TestSelfSignedCertificate(t *testing.T) {
	cfg := secureConfig(t)
	s, err := Start(testContext(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stopServer(t, s)
	certFile, keyFile := filepath.Join(cfg.Dir, selfSignedCert), filepath.Join(cfg.Dir, selfSignedKey)
	for _, name := range []string{certFile, keyFile} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, name := range names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	before := readFile(t, certFile)
	s = startServer(t, cfg)
	if !bytes.Equal(before, readFile(t, certFile)) {
		t.Error("a restart made another certificate")
	}
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`))
}

// A new one is made where the old one ends soon, does not name the address, or does not fit its key; never otherwise.
func TestSelfSignedCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, selfSignedCert), filepath.Join(dir, selfSignedKey)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var last []byte
	for _, step := range []struct {
		name, host string
		at         time.Time
		prepare    func()
		renewed    bool
	}{
		{"first", "127.0.0.1", now, func() {}, true},
		{"again", "127.0.0.1", now.AddDate(1, 0, 0), func() {}, false},
		{"every address", "0.0.0.0", now, func() {}, false},
		{"another address", "10.1.2.3", now, func() {}, true},
		{"about to end", "10.1.2.3", now.AddDate(selfSignedYears, 0, -29), func() {}, true},
		{"a crash between the two files", "10.1.2.3", now, func() {
			_, key, _, err := newSelfSigned("10.1.2.3", now)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, keyFile, key)
		}, true},
		{"no key", "10.1.2.3", now, func() {
			if err := os.Remove(keyFile); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		step.prepare()
		if err := ensureSelfSigned(certFile, keyFile, step.host, slog.New(slog.DiscardHandler), step.at); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := readFile(t, certFile)
		if bytes.Equal(got, last) == step.renewed {
			t.Errorf("%s: renewed is %v, want %v", step.name, !step.renewed, step.renewed)
		}
		last = got
		if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

// served is the certificate that the server shows now.
func served(t *testing.T, s *Server) []byte {
	t.Helper()
	s.certs.mu.Lock()
	s.certs.checked = time.Time{} // as if a while had passed
	s.certs.mu.Unlock()
	c, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protoHTTP2}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}

// An own certificate is taken from its files when they change; one that cannot be used leaves the last.
func TestOwnCertificateIsReloaded(t *testing.T) {
	cfg := secureConfig(t)
	dir := t.TempDir()
	cfg.TLS = &TLSConfig{CertFile: filepath.Join(dir, "c.pem"), KeyFile: filepath.Join(dir, "k.pem")}
	install := func() []byte {
		cert, key, _, err := newSelfSigned("ledger.example", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, cfg.TLS.KeyFile, key)
		writeFile(t, cfg.TLS.CertFile, cert)
		block, _ := pem.Decode(cert)
		return block.Bytes
	}
	first := install()
	s := startServer(t, cfg)
	if !bytes.Equal(served(t, s), first) {
		t.Error("the server shows another certificate than its own")
	}
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`)) // also this machine's own clients
	second := install()
	if !bytes.Equal(served(t, s), second) {
		t.Error("the new certificate is not shown")
	}
	writeFile(t, cfg.TLS.CertFile, []byte("half a certif"))
	if !bytes.Equal(served(t, s), second) {
		t.Error("a file that is no certificate was taken for one")
	}
}

func TestCertificateThatCannotBeUsed(t *testing.T) {
	cfg := secureConfig(t)
	dir := t.TempDir()
	for name, c := range map[string]TLSConfig{
		"missing files":      {CertFile: filepath.Join(dir, "none.pem"), KeyFile: filepath.Join(dir, "none.key")},
		"missing authority":  {ClientCAFile: filepath.Join(dir, "none.pem")},
		"no authority in it": {ClientCAFile: writeFile(t, filepath.Join(dir, "text"), []byte("text"))},
	} {
		cfg.TLS = &c
		if s, err := Start(testContext(t), cfg); err == nil {
			stopServer(t, s)
			t.Errorf("%s: the server started", name)
		}
	}
	cfg.TLS = &TLSConfig{}
	startServer(t, cfg) // what was refused left nothing locked
}

// authority signs clients' certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return authority{cert, key, file}
}

// client writes a certificate and its key for a name, and returns the files.
func (a authority) client(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return writeFile(t, filepath.Join(dir, "c.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		writeFile(t, filepath.Join(dir, "k.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// A client's certificate stands for the user whom it names; one that names nobody is no credentials, and one of
// another authority does not come past the handshake. A password goes before it.
func TestClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	cfg := secureConfig(t, User{Name: "anna"}, testUser(t, "piet", "p"))
	cfg.TLS.ClientCAFile = ca.file
	s := startServer(t, cfg)
	with := func(a authority, name string, user *url.Userinfo) *fixture {
		certFile, keyFile := a.client(t, name)
		u, err := url.Parse(s.ConnectionString())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("userCertFile", certFile)
		q.Set("userKeyFile", keyFile)
		q.Set("maxDiscoverAttempts", "1")
		u.RawQuery, u.User = q.Encode(), user
		return &fixture{t: t, ctx: testContext(t), s: s, c: dialString(t, u.String())}
	}
	anna := with(ca, "anna", nil)
	if err := anna.write("s", `{}`); err != nil {
		t.Errorf("by her certificate: %v", err)
	}
	_, err := anna.readAll(esdb.Forwards, esdb.Start{}, 1)
	denied(t, "anna", "read $all", err)
	wantCode(t, with(ca, "nobody", nil).write("s", `{}`), esdb.ErrorCodeUnauthenticated)
	if _, err := with(ca, "anna", url.UserPassword(adminName, adminPassword)).readAll(esdb.Forwards, esdb.Start{}, 1); err != nil {
		t.Errorf("an administrator's password from anna's machine: %v", err)
	}
	wantCode(t, with(ca, "anna", url.UserPassword("piet", "wrong")).write("s", `{}`), esdb.ErrorCodeUnauthenticated)
	wantCode(t, login(t, s, "anna", "").appendError("s", esdb.Any{}, event(`{}`)), esdb.ErrorCodeUnauthenticated) // she has no password

	certFile, keyFile := newAuthority(t).client(t, "anna")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	conf := clientTLS(t, s)
	conf.NextProtos = []string{protoHTTP2}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // whatever the server asks for
	c, err := tls.Dial("tcp", s.Addr(), conf)
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1)) // TLS 1.3: the refusal comes after the client's side is done
	}
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another authority's certificate: %v", err)
	}
}

// One port over TLS: gRPC for who offers h2 alone, plain HTTP for who also speaks HTTP/1.1; health asks for nothing.
func TestHTTPOverTLSOnTheSamePort(t *testing.T) {
	s := startServer(t, secureConfig(t))
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`))
	for _, offered := range [][]string{nil, {protoHTTP1}, {protoHTTP2, protoHTTP1}} {
		conf := clientTLS(t, s)
		conf.NextProtos = offered
		transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: len(offered) == 2}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + s.Addr() + "/health/live")
		if err != nil {
			t.Fatalf("offering %v: %v", offered, err)
		}
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("offering %v: %d", offered, resp.StatusCode)
		}
	}
	conf := clientTLS(t, s)
	conf.MaxVersion = tls.VersionTLS11
	if c, err := tls.Dial("tcp", s.Addr(), conf); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 was spoken")
	}
}

// Who speaks plaintext to a TLS port, or TLS to a plaintext one, is told so at once.
func TestWrongProtocol(t *testing.T) {
	secure := startServer(t, secureConfig(t))
	for name, hello := range map[string]string{"gRPC": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP": "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := net.Dial("tcp", secure.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, hello); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(got), "set tls=true") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	f := &fixture{t: t, ctx: testContext(t), c: dialString(t, "esdb://"+secure.Addr()+"?tls=false&maxDiscoverAttempts=1")}
	if err := f.write("s", `{}`); err == nil || !strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
		t.Errorf("a plaintext client on a TLS port: %v", err)
	}

	plain := startServer(t, testConfig(t.TempDir()))
	f = &fixture{t: t, ctx: testContext(t), c: dialString(t, "esdb://"+plain.Addr()+"?tls=true&maxDiscoverAttempts=1")}
	if err := f.write("s", `{}`); err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("a TLS client on a plaintext port: %v", err)
	}
}

// A connection that does not finish its handshake is closed after a while, and holds up no stop before that.
func TestUnfinishedHandshakes(t *testing.T) {
	cfg := secureConfig(t)
	cfg.sniff = 20 * time.Millisecond
	s := startServer(t, cfg)
	silent := func(s *Server) net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write([]byte{firstTLSByte, 3}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := io.Copy(io.Discard, silent(s)); err != nil {
		t.Errorf("want it closed: %v", err)
	}
	patient := secureConfig(t)
	patient.sniff = 24 * time.Hour
	s, err := Start(testContext(t), patient)
	if err != nil {
		t.Fatal(err)
	}
	silent(s)
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`)) // accepted after it
	stopServer(t, s)
}

// What Validate refuses: passwords in plaintext, and a port that others can reach without TLS or users.
func TestAccessIsValidated(t *testing.T) {
	admin := testUser(t, adminName, adminPassword, groupAdmins)
	users := []User{admin}
	for name, tc := range map[string]struct {
		addr  string
		tls   *TLSConfig
		users []User
		wrong string
	}{
		"loopback":                   {addr: "127.0.0.1:0"},
		"TLS":                        {addr: "localhost:0", tls: &TLSConfig{}},
		"TLS and users":              {addr: "[::1]:0", tls: &TLSConfig{}, users: users},
		"beyond":                     {addr: ":2113", tls: &TLSConfig{}, users: users},
		"users in plaintext":         {addr: "127.0.0.1:0", users: users, wrong: "take TLS"},
		"beyond in plaintext":        {addr: "0.0.0.0:0", wrong: "not a loopback address"},
		"beyond without users":       {addr: "10.0.0.1:0", tls: &TLSConfig{}, wrong: "not a loopback address"},
		"beyond by name":             {addr: "es.example:0", users: users, wrong: "not a loopback address"},
		"half a pair":                {addr: "127.0.0.1:0", tls: &TLSConfig{CertFile: "x"}, wrong: "go together"},
		"a user twice":               {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{admin, admin}, wrong: "twice"},
		"no name":                    {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{testUser(t, "", "x")}, wrong: "name"},
		"a colon":                    {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{testUser(t, "a:b", "x")}, wrong: "name"},
		"a group's name":             {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{testUser(t, "a", "x", "b"), testUser(t, "b", "x")}, wrong: "a user and a group"},
		"a group there is not":       {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{testUser(t, "a", "x", "$admin")}, wrong: "no group"},
		"no password":                {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{{Name: "a"}}, wrong: "no password"},
		"a certificate's user":       {addr: "127.0.0.1:0", tls: &TLSConfig{ClientCAFile: "x"}, users: []User{{Name: "a"}}},
		"a password for a hash":      {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{{Name: "a", PasswordHash: "hunter22"}}, wrong: "not bcrypt's"},
		"a hash that takes for ever": {addr: "127.0.0.1:0", tls: &TLSConfig{}, users: []User{{Name: "a", PasswordHash: strings.Replace(admin.PasswordHash, "$04$", "$31$", 1)}}, wrong: "costs"},
	} {
		cfg := testConfig(t.TempDir())
		cfg.Addr, cfg.TLS, cfg.Users = tc.addr, tc.tls, tc.users
		err := cfg.Validate()
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want %q", name, err, tc.wrong)
		}
		if err != nil && regexp.MustCompile(`hunter22|\$2a\$`).MatchString(err.Error()) {
			t.Errorf("%s: the error quotes a hash", name)
		}
	}
}
