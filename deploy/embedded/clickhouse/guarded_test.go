//go:build unix

package clickhouse

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// The accounts of the server that asks.
var (
	ledgerPassword = strings.Repeat("l", 43)
	readerPassword = strings.Repeat("r", 43)
	testAccounts   = []Account{
		{Name: "ledger", Password: sha256.Sum256([]byte(ledgerPassword))},
		{Name: "reader", Password: sha256.Sum256([]byte(readerPassword)), ReadOnly: true},
	}
)

// guarded is a server that asks, started by the first test that needs it.
var guarded struct {
	once sync.Once
	s    *Server
	err  error
	log  logBuffer
}

func askingServer(t testing.TB) *Server {
	t.Helper()
	guarded.once.Do(func() {
		cfg := testConfig(guardedDir)
		cfg.Open, cfg.Accounts, cfg.MaxConcurrent = false, testAccounts, 16
		cfg.Logger = guarded.log.logger()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		guarded.s, guarded.err = Start(ctx, cfg)
	})
	if guarded.err != nil {
		t.Fatal(guarded.err)
	}
	return guarded.s
}

// as opens the client as an account.
func as(t testing.TB, name string) chgo.Conn {
	t.Helper()
	return open(t, askingServer(t), func(o *chgo.Options) {
		o.Auth.Username, o.Auth.Password = name, passwordOf(name)
	})
}

func passwordOf(name string) string {
	if name == "reader" {
		return readerPassword
	}
	return ledgerPassword
}

var keepAlive = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}}

// ask sends a statement to the server that asks, as an account.
func ask(t testing.TB, account, method, query string, params ...string) httpAnswer {
	t.Helper()
	q := make(url.Values)
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	var body io.Reader
	if method == http.MethodGet {
		q.Set("query", query)
	} else {
		body = strings.NewReader(query)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+askingServer(t).Addr()+"/?"+q.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	if account != "" {
		req.SetBasicAuth(account, passwordOf(account))
	}
	return do(t, req)
}

func do(t testing.TB, req *http.Request) httpAnswer {
	t.Helper()
	resp, err := keepAlive.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return httpAnswer{resp.StatusCode, resp.Header, string(b), err}
}

func (a httpAnswer) code() string { return a.header.Get("X-ClickHouse-Exception-Code") }
