package chtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ledgerline/ledgerline/projections/clickhouse"
)

// Read is what questions cost the server: a count, which is the same on every machine.
type Read struct{ Questions, Rows, Bytes uint64 }

// Reads counts what the questions of one client read.
type Reads struct {
	mu  sync.Mutex
	sum Read
}

// Of returns what the questions read that do asks.
func (r *Reads) Of(do func()) Read {
	r.mu.Lock()
	before := r.sum
	r.mu.Unlock()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Read{r.sum.Questions - before.Questions, r.sum.Rows - before.Rows, r.sum.Bytes - before.Bytes}
}

func (r *Reads) add(header string) error {
	var s struct {
		Rows  string `json:"read_rows"`
		Bytes string `json:"read_bytes"`
	}
	if err := json.Unmarshal([]byte(header), &s); err != nil {
		return err
	}
	rows, err := strconv.ParseUint(s.Rows, 10, 64)
	if err != nil {
		return err
	}
	bytes, err := strconv.ParseUint(s.Bytes, 10, 64)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Questions++
	r.sum.Rows += rows
	r.sum.Bytes += bytes
	return nil
}

// Count opens the database of a configuration through a proxy that counts what each answer says it
// read. An answer without that is a fault of the test.
func Count(t testing.TB, cfg clickhouse.Config) (*clickhouse.DB, *Reads) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: cfg.Addrs[0]}
	counted := &Reads{}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			q := r.Out.URL.Query()
			q.Set("wait_end_of_query", "1") // what was read is known at the end, and stands in a header
			r.Out.URL.RawQuery = q.Encode()
		},
		ModifyResponse: func(a *http.Response) error {
			if a.StatusCode != http.StatusOK || a.Request.URL.Path == "/ping" {
				return nil
			}
			return counted.add(a.Header.Get("X-ClickHouse-Summary"))
		},
	})
	t.Cleanup(proxy.Close)
	cfg.Addrs = []string{strings.TrimPrefix(proxy.URL, "http://")}
	db, err := clickhouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, counted
}
