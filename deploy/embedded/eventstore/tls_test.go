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
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/deploy/embedded/authority"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/guard"
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
	if !roots.AppendCertsFromPEM(readFile(t, s.CAFile())) {
		t.Fatal("the server's certificate is none")
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// testTLS is a certificate of a new authority, under the hosts that this machine's
// own clients dial and more.
func testTLS(t testing.TB, more ...string) *guard.TLSConfig {
	t.Helper()
	ca := newServerAuthority(t)
	certFile, keyFile := ca.issue(t, more...)
	return &guard.TLSConfig{CertFile: certFile, KeyFile: keyFile, CAFile: ca.CAFile()}
}

type serverAuthority struct{ *authority.Authority }

func newServerAuthority(t testing.TB) serverAuthority {
	t.Helper()
	a, err := authority.Open(authority.Config{Dir: filepath.Join(t.TempDir(), "tls"),
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return serverAuthority{a}
}

func (a serverAuthority) issue(t testing.TB, more ...string) (certFile, keyFile string) {
	t.Helper()
	hosts, err := authority.Hosts("127.0.0.1:0", more...)
	if err == nil {
		certFile, keyFile, err = a.Issue("eventstore", hosts)
	}
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// served is the certificate that the server shows now.
func served(t *testing.T, s *Server) []byte {
	t.Helper()
	c, err := tls.Dial("tcp", s.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{guard.ProtoHTTP2}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}

// A certificate is taken from its files when they change; one that cannot be used leaves the last.
func TestCertificateIsReloaded(t *testing.T) {
	cfg := secureConfig(t)
	ca := newServerAuthority(t)
	certFile, _ := ca.issue(t)
	first := readFile(t, certFile)
	cfg.recheck = time.Nanosecond
	mine := filepath.Join(t.TempDir(), "both.pem")
	cfg.TLS = &guard.TLSConfig{CertFile: writeFile(t, mine, first), KeyFile: mine, CAFile: ca.CAFile()}
	leafOf := func(text []byte) []byte {
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	s := startServer(t, cfg)
	if !bytes.Equal(served(t, s), leafOf(first)) {
		t.Error("the server shows another certificate than its own")
	}
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`))
	ca.issue(t, "other.example")
	second := readFile(t, certFile)
	writeFile(t, mine, second)
	if !bytes.Equal(served(t, s), leafOf(second)) {
		t.Error("the new certificate is not shown")
	}
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`)) // the authority is the same
	writeFile(t, mine, []byte("half a certif"))
	if !bytes.Equal(served(t, s), leafOf(second)) {
		t.Error("a file that is no certificate was taken for one")
	}
}

func TestCertificateThatCannotBeUsed(t *testing.T) {
	cfg := secureConfig(t)
	good := *cfg.TLS
	dir := t.TempDir()
	text := writeFile(t, filepath.Join(dir, "text"), []byte("text"))
	for name, change := range map[string]func(*Config){
		"missing files": func(c *Config) {
			c.TLS.CertFile, c.TLS.KeyFile = filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.key")
		},
		"missing authority": func(c *Config) {
			c.TLS.CAFile = filepath.Join(dir, "none.pem")
		},
		"no authority in it": func(c *Config) { c.TLS.CAFile = text },
		"missing authority of clients": func(c *Config) {
			c.TLS.ClientCAFile = filepath.Join(dir, "none.pem")
		},
		"no authority of clients in it":                    func(c *Config) { c.TLS.ClientCAFile = text },
		"an advertised name that is not the certificate's": func(c *Config) { c.Advertise = "other.example:2113" },
	} {
		broken, c := cfg, good
		broken.TLS = &c
		change(&broken)
		if s, err := Start(testContext(t), broken); err == nil {
			stopServer(t, s)
			t.Errorf("%s: the server started", name)
		}
	}
	startServer(t, cfg) // what was refused left nothing locked
}

// What clients are told to dial, and to trust: a public authority needs no file.
func TestConnectionStringsOverTLS(t *testing.T) {
	cfg := secureConfig(t)
	cfg.TLS = testTLS(t, "ledger.example")
	cfg.Addr, cfg.Advertise = "0.0.0.0:0", "ledger.example:32113"
	s := startServer(t, cfg)
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	query := "?tls=true&tlsCAFile=" + url.QueryEscape(cfg.TLS.CAFile)
	if got, want := s.ConnectionString(), "esdb://127.0.0.1:"+port+query; got != want {
		t.Errorf("this machine dials %s, want %s", got, want)
	}
	if got, want := s.AdvertisedConnectionString(), "esdb://ledger.example:32113"+query; got != want ||
		s.CAFile() != cfg.TLS.CAFile {
		t.Errorf("others dial %s, want %s; they trust %s", got, want, s.CAFile())
	}
	public := secureConfig(t)
	public.TLS.CAFile = ""
	s = startServer(t, public)
	if s.CAFile() != "" || s.ConnectionString() != "esdb://"+s.Addr()+"?tls=true" ||
		s.AdvertisedConnectionString() != s.ConnectionString() {
		t.Errorf("without a file: %s, %q", s.ConnectionString(), s.CAFile())
	}
}

// clientAuthority signs clients' certificates.
type clientAuthority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	file  string
	until time.Time // of what it signs
}

func newClientAuthority(t *testing.T) clientAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return clientAuthority{cert, key, file, time.Now().Add(time.Hour)}
}

// client writes a certificate and its key for a name, and returns the files.
func (a clientAuthority) client(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: a.until,
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

// A client's certificate stands for the user whom it names, and one that names nobody is no
// credentials, also beside a password. Where both are a user's the password says who acts.
func TestClientCertificates(t *testing.T) {
	w := newCertificateWorld(t)
	anna := w.with(w.ca, "anna", nil)
	if err := anna.write("s", `{}`); err != nil {
		t.Errorf("by her certificate: %v", err)
	}
	_, err := anna.readAll(esdb.Forwards, esdb.Start{}, 1)
	denied(t, "anna", "read $all", err)
	if _, err := w.with(w.ca, "anna", url.UserPassword(adminName, adminPassword)).readAll(esdb.Forwards, esdb.Start{},
		1); err != nil {
		t.Errorf("an administrator's password from anna's machine: %v", err)
	}
	for name, f := range map[string]*fixture{
		"nobody's certificate":                      w.with(w.ca, "nobody", nil),
		"nobody's certificate, a right password":    w.with(w.ca, "nobody", url.UserPassword("piet", "p")),
		"anna's certificate, a wrong password":      w.with(w.ca, "anna", url.UserPassword("piet", "wrong")),
		"no certificate of one who has no password": login(t, w.s, "anna", ""),
	} {
		if e := asError(t, f.write("s", `{}`)); e.Code() != esdb.ErrorCodeUnauthenticated {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// A certificate that no known authority signed, or that has ended, is as good as none: the
// password beside it counts, and without one nobody is logged in.
func TestUnknownClientCertificates(t *testing.T) {
	w := newCertificateWorld(t)
	other := newClientAuthority(t)
	ended := w.ca
	ended.until = time.Now().Add(-time.Minute)
	for name, ca := range map[string]clientAuthority{"of another authority": other, "that has ended": ended} {
		certFile, keyFile := ca.client(t, "anna")
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		conf := clientTLS(t, w.s)
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &pair, nil // whatever the server asks for
		}
		conn, err := grpc.NewClient(w.s.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(conf)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		for header, want := range map[string]codes.Code{
			"": codes.Unauthenticated, basic("piet", "wrong"): codes.Unauthenticated, basic("piet", "p"): codes.OK,
		} {
			ctx := testContext(t)
			if header != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", header)
			}
			_, err := streams.NewStreamsClient(conn).Tombstone(ctx, anyTombstone("s"+uuid.NewString()))
			if status.Code(err) != want {
				t.Errorf("a certificate %s, header %q: %v, want %v", name, header, err, want)
			}
		}
	}
}

// certificateWorld is a server that knows clients' certificates of one authority.
type certificateWorld struct {
	t  *testing.T
	ca clientAuthority
	s  *Server
}

func newCertificateWorld(t *testing.T) certificateWorld {
	t.Helper()
	ca := newClientAuthority(t)
	cfg := secureConfig(t, guard.User{Name: "anna"}, testUser(t, "piet", "p"))
	cfg.TLS.ClientCAFile = ca.file
	return certificateWorld{t, ca, startServer(t, cfg)}
}

// with is a client that has a certificate of the authority and perhaps a password.
func (w certificateWorld) with(a clientAuthority, name string, user *url.Userinfo) *fixture {
	w.t.Helper()
	certFile, keyFile := a.client(w.t, name)
	u, err := url.Parse(w.s.ConnectionString())
	if err != nil {
		w.t.Fatal(err)
	}
	q := u.Query()
	q.Set("userCertFile", certFile)
	q.Set("userKeyFile", keyFile)
	q.Set("maxDiscoverAttempts", "1")
	u.RawQuery, u.User = q.Encode(), user
	return &fixture{t: w.t, ctx: testContext(w.t), s: w.s, c: dialString(w.t, u.String())}
}

// One port over TLS: gRPC for who offers h2 alone, plain HTTP for who also speaks
// HTTP/1.1; health asks for nothing.
func TestHTTPOverTLSOnTheSamePort(t *testing.T) {
	s := startServer(t, secureConfig(t))
	login(t, s, adminName, adminPassword).append("s", nil, event(`{}`))
	for _, offered := range [][]string{nil, {guard.ProtoHTTP1}, {guard.ProtoHTTP2, guard.ProtoHTTP1}} {
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
	for name, hello := range map[string]string{"gRPC": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP": "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"} {
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
	f := &fixture{t: t, ctx: testContext(t), c: dialString(t,
		"esdb://"+secure.Addr()+"?tls=false&maxDiscoverAttempts=1")}
	if err := f.write("s", `{}`); err == nil || !strings.Contains(err.Error(), "looked like an HTTP/1.1 header") {
		t.Errorf("a plaintext client on a TLS port: %v", err)
	}

	plain := startServer(t, testConfig(t.TempDir()))
	f = &fixture{t: t, ctx: testContext(t), c: dialString(t, "esdb://"+plain.Addr()+"?tls=true&maxDiscoverAttempts=1")}
	if err := f.write("s", `{}`); err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("a TLS client on a plaintext port: %v", err)
	}
}

// A connection that does not finish its handshake is closed after a while, and
// holds up no stop before that.
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

// What Validate refuses: passwords in plaintext, and a port that others can
// reach without TLS or users.
func TestAccessIsValidated(t *testing.T) {
	admin := testUser(t, adminName, adminPassword, "$admins")
	users := []guard.User{admin}
	files := &guard.TLSConfig{CertFile: "c", KeyFile: "k", CAFile: "ca"}
	clients := &guard.TLSConfig{CertFile: "c", KeyFile: "k", ClientCAFile: "x"}
	secret := guard.User{Name: "a", SecretSHA256: [32]byte{1}}
	for name, tc := range map[string]struct {
		addr      string
		tls       *guard.TLSConfig
		users     []guard.User
		open      bool
		readOnly  []string
		advertise string
		wrong     string
	}{
		"nothing":              {addr: "127.0.0.1:0", wrong: "users is empty"},
		"TLS and nothing else": {addr: "127.0.0.1:0", tls: files, wrong: "users is empty"},
		"open":                 {addr: "127.0.0.1:0", open: true},
		"open and TLS":         {addr: "localhost:0", tls: files, open: true},
		"open and users": {addr: "localhost:0", tls: files, users: users, open: true,
			wrong: "exclude each other"},
		"TLS and users":             {addr: "[::1]:0", tls: files, users: users},
		"beyond":                    {addr: ":2113", tls: files, users: users},
		"users in plaintext":        {addr: "127.0.0.1:0", users: users, wrong: "take TLS"},
		"beyond and open":           {addr: "0.0.0.0:0", open: true, wrong: "not a loopback address"},
		"beyond and open, with TLS": {addr: "10.0.0.1:0", tls: files, open: true, wrong: "not a loopback address"},
		"beyond by name":            {addr: "es.example:0", users: users, wrong: "not a loopback address"},
		"no certificate": {addr: "127.0.0.1:0", tls: &guard.TLSConfig{}, users: users,
			wrong: "cert file or key file is empty"},
		"half a pair": {addr: "127.0.0.1:0", tls: &guard.TLSConfig{CertFile: "x"}, users: users,
			wrong: "go together"},
		"a user twice": {addr: "127.0.0.1:0", tls: files, users: []guard.User{admin, admin},
			wrong: "twice"},
		"no name": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{testUser(t, "", "x")}, wrong: "name"},
		"a colon": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{testUser(t, "a:b", "x")}, wrong: "name"},
		"a group's name": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{testUser(t, "a", "x", "b"), testUser(t, "b", "x")}, wrong: "a user and a group"},
		"a group there is not": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{testUser(t, "a", "x", "$admin")}, wrong: "no group"},
		"a secret": {addr: "127.0.0.1:0", tls: files, users: []guard.User{secret}},
		"a password and a secret": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{{Name: "a", PasswordHash: admin.PasswordHash, SecretSHA256: [32]byte{1}}},
			wrong: "take one away"},
		"neither": {addr: "127.0.0.1:0", tls: files, users: []guard.User{{Name: "a"}},
			wrong: "no password hash and no secret"},
		"a certificate's user": {addr: "127.0.0.1:0", tls: clients, users: []guard.User{{Name: "a"}}},
		"a password for a hash": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{{Name: "a", PasswordHash: "hunter22"}}, wrong: "not bcrypt's"},
		"a hash that takes for ever": {addr: "127.0.0.1:0", tls: files,
			users: []guard.User{{Name: "a", PasswordHash: strings.Replace(admin.PasswordHash, "$04$", "$31$", 1)}},
			wrong: "costs"},
		"a reader": {addr: "127.0.0.1:0", tls: files, users: []guard.User{admin, secret},
			readOnly: []string{"a"}},
		"everybody reads only": {addr: "127.0.0.1:0", tls: files, users: users, readOnly: []string{"$all"},
			wrong: "no group of your own"},
		"a reading administrator": {addr: "127.0.0.1:0", tls: files, users: users, readOnly: []string{adminName},
			wrong: "take one away"},
		"advertised": {addr: "127.0.0.1:0", tls: files, users: users, advertise: "ledger.example:2113"},
		"advertised without a port": {addr: "127.0.0.1:0", tls: files, users: users, advertise: "ledger.example",
			wrong: "advertise"},
		"advertised port of none": {addr: "127.0.0.1:0", tls: files, users: users, advertise: "ledger.example:0",
			wrong: "advertise"},
		"advertised everywhere": {addr: "127.0.0.1:0", tls: files, users: users, advertise: "0.0.0.0:2113",
			wrong: "advertise"},
	} {
		cfg := testConfig(t.TempDir())
		cfg.Addr, cfg.TLS, cfg.Users, cfg.Open = tc.addr, tc.tls, tc.users, tc.open
		cfg.ReadOnlyRoles, cfg.Advertise = tc.readOnly, tc.advertise
		err := cfg.Validate()
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want %q", name, err, tc.wrong)
		}
		if err != nil && regexp.MustCompile(`hunter22|\$2a\$`).MatchString(err.Error()) {
			t.Errorf("%s: the error quotes a hash", name)
		}
	}
}
