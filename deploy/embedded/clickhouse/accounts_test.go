//go:build unix

package clickhouse

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/front"
)

// logBuffer keeps what a server logs.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func asker(t testing.TB, method, params, body string, header map[string]string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+askingServer(t).Addr()+"/"+params,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return req
}

// Nobody gets in without an account's name and password, and nobody
// learns which of them was wrong.
func TestCredentials(t *testing.T) {
	basic := func(name, password string) map[string]string {
		r, _ := http.NewRequest(http.MethodGet, "http://x", nil)
		r.SetBasicAuth(name, password)
		return map[string]string{"Authorization": r.Header.Get("Authorization")}
	}
	own := func(name, password string) map[string]string {
		return map[string]string{"X-ClickHouse-User": name, "X-ClickHouse-Key": password}
	}
	both := own("ledger", ledgerPassword)
	both["Authorization"] = basic("reader", readerPassword)["Authorization"]
	for name, c := range map[string]struct {
		params string
		header map[string]string
		status int
		code   string
	}{
		"nothing":              {"", nil, 401, "194"},
		"a wrong password":     {"", basic("ledger", "x"), 401, "516"},
		"another's password":   {"", basic("ledger", readerPassword), 401, "516"},
		"an unknown name":      {"", basic("nobody", ledgerPassword), 401, "516"},
		"no name":              {"", basic("", ledgerPassword), 401, "516"},
		"no password":          {"", basic("ledger", ""), 401, "516"},
		"default":              {"", own("default", ""), 401, "516"},
		"a name in capitals":   {"", own("LEDGER", ledgerPassword), 401, "516"},
		"two different ones":   {"", both, 401, "516"},
		"a bearer's token":     {"", map[string]string{"Authorization": "Bearer " + ledgerPassword}, 401, "194"},
		"in the URL":           {"?user=ledger&password=" + ledgerPassword, nil, 401, "516"},
		"user in the URL":      {"?user=ledger", basic("ledger", ledgerPassword), 401, "516"},
		"Basic":                {"", basic("ledger", ledgerPassword), 200, ""},
		"ClickHouse's headers": {"", own("reader", readerPassword), 200, ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			params, body := c.params, "SELECT 40 + 2"
			if method == http.MethodGet {
				body = ""
				params = "?query=SELECT+40+%2B+2&" + strings.TrimPrefix(params, "?")
			}
			a := do(t, asker(t, method, params, body, c.header))
			if a.status != c.status || a.code() != c.code || c.status == 200 && a.body != "42\n" {
				t.Errorf("%s by %s: %+v", name, method, a)
			}
			challenge := a.header.Get("WWW-Authenticate")
			if (c.status == 401) != strings.HasPrefix(challenge, "Basic realm=") {
				t.Errorf("%s: WWW-Authenticate %q", name, challenge)
			}
			if strings.Contains(a.body, ledgerPassword) || strings.Contains(a.body, readerPassword) {
				t.Errorf("%s: the answer has the password: %s", name, a.body)
			}
		}
	}
	one, other := do(t, asker(t, http.MethodPost, "", "SELECT 1", basic("nobody", "x"))),
		do(t, asker(t, http.MethodPost, "", "SELECT 1", basic("reader", "x")))
	one.header.Del("Date")
	other.header.Del("Date")
	if fmt.Sprint(one) != fmt.Sprint(other) {
		t.Errorf("an unknown name and a wrong password differ:\n%v\n%v", one, other)
	}
	// The client shows what the server says.
	c := open(t, askingServer(t), func(o *chgo.Options) { o.Auth.Username, o.Auth.Password = "ledger", "wrong" })
	if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "516") ||
		strings.Contains(err.Error(), "wrong") {
		t.Errorf("clickhouse-go with a wrong password: %v", err)
	}
	log := guarded.log.String()
	if n := strings.Count(log, "were turned away"); n == 0 || n > 2 {
		t.Errorf("failed logins were told %d times: %s", n, log)
	}
	for _, secret := range []string{"nobody", ledgerPassword, readerPassword} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if a := do(t, asker(t, http.MethodGet, "ping", "", nil)); a.status != 200 || a.body != "Ok.\n" ||
		a.header.Get("X-ClickHouse-Server-Display-Name") != "" {
		t.Errorf("ping: %+v", a)
	}
}

// The account is asked before anything else is: what the request says makes no difference.
func TestStrangersAreNotListenedTo(t *testing.T) {
	for _, c := range []struct{ params, body string }{
		{"", "nonsense"}, {"?dialect=kusto", ""}, {"?query=SELECT+1&session_id=x", ""}, {"?query=%00", ""},
		{"", "DROP DATABASE default"},
		{"?decompress=1", "not compressed"}, {"?query=INSERT+INTO+x+FORMAT+TSV", "1\n"},
	} {
		if a := do(t, asker(t, http.MethodPost, c.params, c.body, nil)); a.status != 401 || a.code() != "194" {
			t.Errorf("%v: %+v", c, a)
		}
	}
	// A body without an end is not read to its end: the answer comes, and the connection ends.
	conn, err := net.Dial("tcp", askingServer(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: "+
		"1000000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	sent := make(chan int, 1)
	go func() {
		n, chunk := 0, make([]byte, 32<<10)
		for err := error(nil); err == nil; {
			var k int
			k, err = conn.Write(chunk)
			n += k
		}
		sent <- n
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 401 || !resp.Close {
		t.Fatalf("%v, %v", resp, err)
	}
	if n := <-sent; n > 32<<20 { // what lies in the sockets' buffers is not read either
		t.Errorf("%d bytes of a stranger's were taken", n)
	}
}

// A page of elsewhere cannot use the server, even where the browser knows a right password.
func TestBrowsers(t *testing.T) {
	for _, c := range []struct {
		header map[string]string
		status int
	}{
		{map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{map[string]string{"Sec-Fetch-Site": "whatever"}, 403},
		{map[string]string{"Origin": "https://example.org"}, 403},
		{map[string]string{"Sec-Fetch-Site": "none"}, 200}, {map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{map[string]string{"Origin": "http://" + askingServer(t).Addr()}, 200},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			req := asker(t, method, "?query=SELECT+1", "", c.header)
			req.SetBasicAuth("ledger", ledgerPassword)
			if a := do(t, req); a.status != c.status {
				t.Errorf("%v by %s: %+v", c.header, method, a)
			}
			if c.status == 403 { // whoever it says it is: it is not asked
				if a := do(t, asker(t, method, "?query=SELECT+1", "", c.header)); a.status != 403 ||
					a.header.Get("WWW-Authenticate") != "" {
					t.Errorf("%v without credentials: %+v", c.header, a)
				}
			}
		}
	}
}

// However many connections strangers hold open, an account gets in.
func TestStrangersCannotFillTheDoor(t *testing.T) {
	s := askingServer(t)
	for range 4 * front.MaxStrangers {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET /?query=SELECT+1 HTTP/1.1\r\nHost: lo"); err != nil &&
			!strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
			t.Fatal(err)
		}
	}
	got := 0
	for range 20 {
		tr := &http.Transport{}
		req := asker(t, http.MethodPost, "", "SELECT 1", nil)
		req.SetBasicAuth("ledger", ledgerPassword)
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Errorf("an account was kept out: %v", err)
			continue
		}
		if resp.StatusCode == 200 {
			got++
		}
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
	}
	if got != 20 {
		t.Errorf("%d of 20 statements were answered", got)
	}
}

// Readers who take their results slowly hold their own share of the
// statements, never the ledger's.
func TestReadersCannotHoldEverything(t *testing.T) {
	s := askingServer(t)
	const readers = 12 // of 16 statements, readers have 4
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for range readers {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		r := asker(t, http.MethodGet, "", "", nil)
		r.SetBasicAuth("reader", readerPassword)
		if _, err := fmt.Fprintf(c, "GET /?query=%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n",
			"SELECT+repeat('x',1000)+FROM+numbers(100000000000)", r.Header.Get("Authorization")); err != nil {
			t.Fatal(err)
		}
	}
	c := as(t, "ledger")
	running := func() uint64 {
		return scalar[uint64](t, c, "SELECT count() FROM system.processes WHERE startsWith(query, 'SELECT repeat(')")
	}
	for running() < 4 {
		if t.Context().Err() != nil {
			t.Fatal("the readers' statements never ran")
		}
	}
	began := time.Now()
	for range 20 {
		if n := running(); n != 4 {
			t.Errorf("%d readers' statements run, want 4", n)
		}
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("20 of the ledger's statements took %v", d)
	}
}
