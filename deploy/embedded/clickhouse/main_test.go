//go:build unix

package clickhouse

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// The test binary is its own child: the first argument makes it run RunChild. The others are
// processes that a test kills or breaks.
const (
	childArgument  = "run-embedded-clickhouse"
	parentArgument = "run-parent"
	panicArgument  = "run-panic"
	rawArgument    = "run-raw-engine" // a child that hands each statement to the engine, with no front before it
)

// shared is the server that all tests but those about its life use.
var shared *Server

// guardedDir is where the server that asks for passwords lives.
var guardedDir string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if len(os.Args) > 1 && (os.Args[1] == childArgument || os.Args[1] == rawArgument) {
		cfg, err := ChildConfigFromEnv()
		if err == nil && os.Args[1] == rawArgument {
			err = runRaw(cfg)
		} else if err == nil {
			err = RunChild(context.Background(), cfg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	if len(os.Args) == 3 && os.Args[1] == parentArgument {
		return runParent(os.Args[2])
	}
	if len(os.Args) == 4 && os.Args[1] == panicArgument {
		return runPanic(os.Args[2], os.Args[3])
	}
	dir, err := os.MkdirTemp("", "embedded-clickhouse-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the first run fetches the library
	defer cancel()
	if shared, err = Start(ctx, testConfig(filepath.Join(dir, "open"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	guardedDir = filepath.Join(dir, "guarded")
	code := m.Run()
	for _, s := range []*Server{shared, guarded.s} {
		if s == nil {
			continue
		}
		if err := s.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func testConfig(dir string) Config {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Config{
		DataDir: dir, Open: true, Command: []string{exe, childArgument}, LibPath: os.Getenv("EMBEDDED_CLICKHOUSE_LIB"),
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Progress: func(p FetchProgress) { fmt.Fprintln(os.Stderr, "fetch libchdb:", p.Stage) },
	}
}

func open(t testing.TB, s *Server, change func(*chgo.Options)) chgo.Conn {
	t.Helper()
	opt := &chgo.Options{Protocol: chgo.HTTP, Addr: []string{s.Addr()}}
	if change != nil {
		change(opt)
	}
	c, err := chgo.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mustExec(t testing.TB, c chgo.Conn, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if err := c.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// scalar runs a query of one value.
func scalar[T any](t testing.TB, c chgo.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func named(name string, v any) any { return chgo.Named(name, fmt.Sprint(v)) }

type httpAnswer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// post sends a body to the shared server with the given URL parameters (name, value, …).
func post(t testing.TB, body string, params ...string) httpAnswer {
	t.Helper()
	return send(t, http.MethodPost, strings.NewReader(body), nil, params...)
}

func get(t testing.TB, params ...string) httpAnswer {
	t.Helper()
	return send(t, http.MethodGet, nil, nil, params...)
}

func send(t testing.TB, method string, body io.Reader, header http.Header, params ...string) httpAnswer {
	t.Helper()
	q := make(url.Values)
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+shared.Addr()+"/?"+q.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	// A client that neither asks for compression nor undoes it.
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return httpAnswer{resp.StatusCode, resp.Header, string(b), err}
}
