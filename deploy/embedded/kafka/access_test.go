package kafka

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	kgoplain "github.com/twmb/franz-go/pkg/sasl/plain"
	kgoscram "github.com/twmb/franz-go/pkg/sasl/scram"
)

const secret = "a-password-of-the-tests"

// three accounts as a caller might have them.
var three = []Account{
	{Name: "writer", Password: secret + "-writer", Allow: []Rule{
		{Resource: "topic", Name: "ledger.", Prefix: true,
			Operations: []string{"Create", "Delete", "Describe", "DescribeConfigs", "Read", "Write"}}}},
	{Name: "consumer", Password: secret + "-consumer", Allow: []Rule{
		{Resource: "topic", Name: "ledger.", Prefix: true, Operations: []string{"Read", "DescribeConfigs"}},
		{Resource: "topic", Name: "ledger.dead-letter", Operations: []string{"Write"}},
		{Resource: "group", Name: "*", Operations: []string{"Read"}}}},
	{Name: "reader", Password: secret + "-reader", Allow: []Rule{
		{Resource: "topic", Name: "ledger.", Prefix: true, Operations: []string{"Read", "DescribeConfigs"}}}},
}

// mostInTests is as many connections as are opened in a moment.
const mostInTests = 64

func startWith(t *testing.T, dir string, accounts []Account, log io.Writer) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Dir: dir, Addr: "127.0.0.1:0", Accounts: accounts, MaxOfAccount: mostInTests,
		Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

// dialRaw ends the test's wait after a while, whatever the broker does.
func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// send writes one request, receive reads the answer to it.
func send(conn net.Conn, req kmsg.Request, version int16) error {
	req.SetVersion(version)
	_, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7))
	return err
}

func receive(conn net.Conn, req kmsg.Request) (kmsg.Response, error) {
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	body = body[4:] // correlation id
	if req.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		body = body[1:] // no tagged fields
	}
	res := req.ResponseKind()
	return res, res.ReadFrom(body)
}

func roundTrip(conn net.Conn, req kmsg.Request, version int16) (kmsg.Response, error) {
	if err := send(conn, req, version); err != nil {
		return nil, err
	}
	return receive(conn, req)
}

// login does what a client does, with the SCRAM of another's hand.
func login(conn net.Conn, name, password string) error {
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = "SCRAM-SHA-256"
	res, err := roundTrip(conn, hello, 1)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(res.(*kmsg.SASLHandshakeResponse).ErrorCode); err != nil {
		return err
	}
	m, err := scram.Mechanism(scram.SHA256, name, password)
	if err != nil {
		return err
	}
	state, message, err := m.Start(context.Background())
	for done := false; err == nil && !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = message
		var res kmsg.Response
		if res, err = roundTrip(conn, req, 2); err != nil {
			return err
		}
		r := res.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
		done, message, err = state.Next(context.Background(), r.SASLAuthBytes)
	}
	return err
}

func dialAs(t *testing.T, addr string, a Account) net.Conn {
	t.Helper()
	conn := dialRaw(t, addr)
	must(t, login(conn, a.Name, a.Password))
	return conn
}

func ended(conn net.Conn) bool {
	n, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	return n == 0 && err != nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}

// Before the login every request but the three of the login ends the connection, whatever its key
// and version.
func TestStrangersMayAskNothing(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	for key := range int16(kmsg.MaxKey + 1) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for _, version := range []int16{0, req.MaxVersion()} {
			switch kmsg.Key(key) {
			case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
				continue
			}
			conn := dialRaw(t, s.Addr())
			must(t, send(conn, req, version))
			if !ended(conn) {
				t.Errorf("%s v%d: the connection goes on", kmsg.NameForKey(key), version)
			}
			// Nor after half a login.
			conn = dialRaw(t, s.Addr())
			_, err := roundTrip(conn, &kmsg.SASLHandshakeRequest{Mechanism: mechanism}, 1)
			must(t, err)
			first := kmsg.NewPtrSASLAuthenticateRequest()
			first.SASLAuthBytes = []byte("n,,n=writer,r=abc")
			_, err = roundTrip(conn, first, 2)
			must(t, err)
			must(t, send(conn, req, version))
			if !ended(conn) {
				t.Errorf("%s v%d after half a login: the connection goes on", kmsg.NameForKey(key), version)
			}
			conn.Close()
		}
	}
}

// What ApiVersions says is the same before the login and after, and is what is served; newer
// questions get an answer.
func TestApiVersions(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	open := startServer(t, filepath.Join(t.TempDir(), "open"), "127.0.0.1:0")
	versions := func(conn net.Conn, version int16) []kmsg.ApiVersionsResponseApiKey {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
		res, err := roundTrip(conn, req, version)
		must(t, err)
		r := res.(*kmsg.ApiVersionsResponse)
		must(t, kerr.ErrorForCode(r.ErrorCode))
		return r.ApiKeys
	}
	for version := range int16(5) {
		got := versions(dialRaw(t, s.Addr()), version)
		for name, conn := range map[string]net.Conn{"after the login": dialAs(t, s.Addr(), three[2]),
			"open": dialRaw(t, open.Addr())} {
			if other := versions(conn, version); !slices.EqualFunc(got, other,
				func(a, b kmsg.ApiVersionsResponseApiKey) bool {
					return a.ApiKey == b.ApiKey && a.MaxVersion == b.MaxVersion &&
						// kfake's own counts for nothing
						(a.MinVersion == b.MinVersion || a.ApiKey == int16(kmsg.SASLHandshake))
				}) {
				t.Errorf("v%d: before the login %v, %s %v", version, got, name, other)
			}
		}
		if len(got) != len(served) {
			t.Errorf("v%d: %d kinds of requests, want %d", version, len(got), len(served))
		}
	}
	conn := dialRaw(t, s.Addr())
	req := kmsg.NewPtrApiVersionsRequest()
	must(t, send(conn, req, 99))
	req.SetVersion(0) // the answer's form
	res, err := receive(conn, req)
	must(t, err)
	if r := res.(*kmsg.ApiVersionsResponse); r.ErrorCode != kerr.UnsupportedVersion.Code || len(r.ApiKeys) != 1 ||
		r.ApiKeys[0].MaxVersion != 4 {
		t.Errorf("to a question from the future: %+v", r)
	}
	if len(versions(conn, 4)) != len(served) {
		t.Error("no second question on the same connection")
	}
}

// A login that fails says so, with Kafka's own error, through two clients of others.
func TestFailedLoginsSaySo(t *testing.T) {
	var log syncBuffer
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, &log)
	must(t, login(dialRaw(t, s.Addr()), "reader", secret+"-reader"))
	for name, try := range map[string]struct{ account, password string }{
		"wrong password":            {"reader", secret},
		"another's":                 {"reader", secret + "-writer"},
		"unknown account":           {"nobody", secret},
		"kfake's default superuser": {"admin", "admin"},
		"kfake's anonymous":         {"ANONYMOUS", "x"},
		"everybody":                 {"*", "x"},
	} {
		if err := login(dialRaw(t, s.Addr()), try.account, try.password); !errors.Is(err,
			kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", name, err)
		}
		err := kgoRequest(t, s.Addr(), kgoscram.Auth{User: try.account, Pass: try.password}.AsSha256Mechanism())
		if !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s, franz-go: %v", name, err)
		}
	}
	for name, m := range map[string]sasl.Mechanism{
		"plain":                 kgoplain.Auth{User: "reader", Pass: secret + "-reader"}.AsMechanism(),
		"plain, unknown, empty": kgoplain.Auth{User: "nobody", Pass: "x"}.AsMechanism(),
		"scram 512":             kgoscram.Auth{User: "reader", Pass: secret + "-reader"}.AsSha512Mechanism(),
	} {
		if err := kgoRequest(t, s.Addr(), m); err == nil || !strings.Contains(err.Error(), "SCRAM-SHA-256") &&
			!errors.Is(err, kerr.UnsupportedSaslMechanism) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := kgoRequest(t, s.Addr(), kgoscram.Auth{User: "reader",
		Pass: secret + "-reader"}.AsSha256Mechanism()); err != nil {
		t.Errorf("the right one, franz-go: %v", err)
	}
	must(t, s.Stop(t.Context()))
	text := log.String()
	if n := strings.Count(text, "refused connections"); n < 1 || n > 2 {
		t.Errorf("%d lines about refused logins, want one when it began and one at the end:\n%s", n, text)
	}
	for _, word := range []string{secret, "nobody", "admin"} {
		if strings.Contains(text, word) {
			t.Errorf("the log names %q:\n%s", word, text)
		}
	}
}

func kgoRequest(t *testing.T, addr string, m sasl.Mechanism) error {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.SASL(m), kgo.RequestRetries(0))
	must(t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	return err
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Every way to bend the two messages of a login is refused, with an answer.
func TestBentLogins(t *testing.T) {
	l, err := newLogins(three)
	must(t, err)
	for _, first := range []string{"", "n,,", "n,,n=reader", "n,,r=x", "y,,n=reader,r=x", "p=tls-unique,,n=reader,r=x",
		"n,a=writer,n=reader,r=x",
		"n,,m=1,n=reader,r=x", "n,,n=reader,r=x,tokenauth=true", "n,,n=reader,r=", "n,,n=reader,r=\x00",
		"n,,n=reader,r=x,"} {
		if _, _, err := l.first([]byte(first)); !errors.Is(err, errLogin) {
			t.Errorf("%q: %v", first, err)
		}
	}
	good := func() (*exchange, string) {
		e, _, err := l.first([]byte("n,,n=reader,r=x"))
		must(t, err)
		return e, "c=biws,r=" + e.nonce
	}
	zero := strings.Repeat("A", 43) + "="
	for name, final := range map[string]func(head string) string{
		"nothing":           func(string) string { return "" },
		"no proof":          func(h string) string { return h },
		"empty proof":       func(h string) string { return h + ",p=" },
		"zero proof":        func(h string) string { return h + ",p=" + zero },
		"no base64":         func(h string) string { return h + ",p=" + strings.Repeat("!", 44) },
		"other nonce":       func(string) string { return "c=biws,r=x,p=" + zero },
		"other binding":     func(h string) string { return "c=eSws" + h[6:] + ",p=" + zero },
		"further attribute": func(h string) string { return h + ",x=1,p=" + zero },
	} {
		e, head := good()
		if out, err := e.final([]byte(final(head))); !errors.Is(err, errLogin) || out != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The nonce may come as older versions of librdkafka send it, and the proof is then over that.
	e, _ := good()
	head := "c=biws,r=" + e.client + e.nonce
	salted, err := pbkdf2.Key(sha256.New, three[2].Password, e.v.salt, scramIterations, sha256.Size)
	must(t, err)
	key := mac(salted, "Client Key")
	proof := make([]byte, len(key))
	subtle.XORBytes(proof, key, mac(e.v.storedKey, e.messages+","+head))
	if out, err := e.final([]byte(head + ",p=" + base64.StdEncoding.EncodeToString(proof))); err != nil ||
		!bytes.HasPrefix(out, []byte("v=")) {
		t.Errorf("a nonce that is repeated: %s %v", out, err)
	}
	// A name that is no account gets a salt, and the same one again.
	salt := func(name string) string {
		_, answer, err := l.first([]byte("n,,n=" + name + ",r=x"))
		must(t, err)
		return strings.Split(string(answer), ",")[1]
	}
	first, again := salt("nobody"), salt("nobody")
	if first != again || first == salt("somebody") || len(salt("nobody")) != len(salt("reader")) {
		t.Error("the salt tells who is an account")
	}
}

// A wrong order of the login's requests is told as such.
func TestLoginOutOfOrder(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	conn := dialRaw(t, s.Addr())
	res, err := roundTrip(conn, kmsg.NewPtrSASLAuthenticateRequest(), 2)
	must(t, err)
	if code := res.(*kmsg.SASLAuthenticateResponse).ErrorCode; code != kerr.IllegalSaslState.Code || !ended(conn) {
		t.Errorf("authenticate without handshake: %d", code)
	}
	conn = dialRaw(t, s.Addr())
	res, err = roundTrip(conn, &kmsg.SASLHandshakeRequest{Mechanism: mechanism}, 0)
	must(t, err)
	if code := res.(*kmsg.SASLHandshakeResponse).ErrorCode; code != kerr.UnsupportedVersion.Code || !ended(conn) {
		t.Errorf("the oldest handshake: %d", code)
	}
	conn = dialRaw(t, s.Addr())
	for _, want := range []int16{0, kerr.IllegalSaslState.Code} {
		res, err := roundTrip(conn, &kmsg.SASLHandshakeRequest{Mechanism: mechanism}, 1)
		must(t, err)
		if code := res.(*kmsg.SASLHandshakeResponse).ErrorCode; code != want {
			t.Errorf("handshake: %d, want %d", code, want)
		}
	}
	// Who has logged in cannot become another.
	conn = dialAs(t, s.Addr(), three[2])
	must(t, send(conn, &kmsg.SASLHandshakeRequest{Mechanism: mechanism}, 1))
	if !ended(conn) {
		t.Error("a second login on the same connection")
	}
}

// Strangers that connect and stay silent take each other's places and nobody else's; what they
// send is bounded.
func TestStrangersAreBounded(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	inside := dialAs(t, s.Addr(), three[2])
	var silent []net.Conn
	for range maxStrangers + 50 {
		silent = append(silent, dialRaw(t, s.Addr()))
	}
	if err := login(dialRaw(t, s.Addr()), three[1].Name, three[1].Password); err != nil {
		t.Errorf("a login among silent strangers: %v", err)
	}
	for i, c := range silent[:50] {
		if !ended(c) {
			t.Fatalf("stranger %d is still there", i)
		}
	}
	if _, err := roundTrip(inside, kmsg.NewPtrMetadataRequest(), 12); err != nil {
		t.Errorf("who was inside: %v", err)
	}
	s.guard.mu.Lock()
	n := len(s.guard.strangers)
	s.guard.mu.Unlock()
	if n > maxStrangers {
		t.Errorf("%d strangers", n)
	}
	// A request larger than any login ends the connection at its head.
	conn := dialRaw(t, s.Addr())
	_, err := conn.Write([]byte{0, 0, 0x40, 1, 0, byte(kmsg.SASLAuthenticate), 0, 2, 0, 0, 0, 1})
	must(t, err)
	if !ended(conn) {
		t.Error("a stranger's large request is waited for")
	}
	// Who may not write sends no large requests either.
	conn = dialAs(t, s.Addr(), three[2])
	_, err = conn.Write([]byte{0, 0x10, 0, 1, 0, byte(kmsg.Produce), 0, 9, 0, 0, 0, 1})
	must(t, err)
	if !ended(conn) {
		t.Error("a reader's large request is waited for")
	}
}

// One account's connections end at their number, and leave the others theirs.
func TestConnectionsOfAnAccountAreBounded(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	var conns []net.Conn
	for range mostInTests {
		conns = append(conns, dialAs(t, s.Addr(), three[2]))
	}
	ask := func(c net.Conn) error { _, err := roundTrip(c, kmsg.NewPtrMetadataRequest(), 12); return err }
	for _, c := range conns {
		must(t, ask(c))
	}
	if err := ask(dialAs(t, s.Addr(), three[2])); err == nil {
		t.Error("one connection too many")
	}
	must(t, ask(dialAs(t, s.Addr(), three[0])))
	conns[0].Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if ask(dialAs(t, s.Addr(), three[2])) == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place that was left is not free again")
		}
	}
}

// A stranger has so long and no longer, however slowly it speaks.
func TestSlowLogin(t *testing.T) {
	s := startWith(t, filepath.Join(t.TempDir(), "broker"), three, io.Discard)
	client, server := net.Pipe()
	defer client.Close()
	c := &guardedConn{Conn: &shortDeadline{server}, g: s.guard}
	if !s.guard.add(c) {
		t.Fatal("not accepted")
	}
	s.guard.work.Go(func() { s.guard.admit(c) })
	if _, err := client.Write([]byte{0, 0, 0, 20, 0}); err != nil { // and nothing more
		t.Fatal(err)
	}
	if !ended(client) {
		t.Error("a slow stranger is waited for")
	}
}

// shortDeadline makes the login's time pass quickly.
type shortDeadline struct{ net.Conn }

func (c *shortDeadline) SetDeadline(at time.Time) error {
	if left := time.Until(at); left < loginTime-time.Second || left > loginTime {
		return errors.New("the deadline is not the login's")
	}
	return c.Conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
}

// journal is a connection that notes what is done with it.
type journal struct {
	net.Conn
	done []string
}

func (j *journal) note(what string) { j.done = append(j.done, what) }

func (j *journal) Write(p []byte) (int, error) { j.note("write"); return j.Conn.Write(p) }
func (j *journal) Read(p []byte) (int, error)  { j.note("read"); return j.Conn.Read(p) }
func (j *journal) Close() error                { j.note("close"); return j.Conn.Close() }
func (j *journal) CloseWrite() error           { j.note("close"); return nil }

// Between a refusal and the end of the connection the broker waits for the client to read: a
// client may drop an answer that comes together with the end.
func TestARefusalDoesNotComeWithTheEndOfTheConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	j := &journal{Conn: ours}
	refused := make(chan error, 1)
	go func() {
		c := &guardedConn{Conn: j}
		refused <- c.refuse(kmsg.NewPtrSASLHandshakeResponse(), 1)
	}()
	if _, err := theirs.Read(make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	_, err := theirs.Write([]byte("the next request")) // ends the wait; so does the client's own end
	must(t, err)
	if err := <-refused; !errors.Is(err, errLogin) {
		t.Error(err)
	}
	if want := []string{"write", "read"}; !slices.Equal(j.done, want) {
		t.Errorf("the broker did %v, want %v", j.done, want)
	}
}
