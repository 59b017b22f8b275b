//go:build unix

package clickhouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/front"
	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/statement"
)

// A session has what its client chose in it, and nobody else's; what a request sets by its URL
// goes with the request.
func TestSession(t *testing.T) {
	do := func(id, statement string, params ...string) string {
		t.Helper()
		a := post(t, statement, append([]string{"session_id", id}, params...)...)
		if a.status != 200 {
			t.Errorf("%s: %s: %+v", id, statement, a)
		}
		return a.body
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want+"\n" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	const block = "SELECT getSetting('max_block_size')"
	do("x", "CREATE DATABASE chosen ENGINE = Atomic")
	do("a", "USE chosen")
	do("a", "SET max_block_size = 77, max_threads = 3", "max_block_size", "5", "max_insert_threads", "2")
	expect(do("a", "SELECT currentDatabase()"), "chosen")
	expect(do("a", block), "77")
	expect(do("a", block, "max_block_size", "9"), "9")
	expect(do("a", block), "77")
	expect(do("a", "SELECT getSetting('max_insert_threads')"), "0")
	expect(do("a", "SELECT currentDatabase()", "database", "default"), "default")
	expect(do("b", "SELECT currentDatabase()"), "default")
	expect(get(t, "query", block, "session_id", "a").body, "77")
	do("a", "SET max_block_size = DEFAULT")
	expect(do("a", block), strings.TrimSpace(post(t, block).body))
	expect(do("a", "SELECT getSetting('max_threads')"), "3")
	do("a", "SET max_execution_time = 5")
	expect(do("a", "SELECT getSetting('max_execution_time')"), "5")

	// Temporary tables, with the rest around them.
	do("a", "CREATE TEMPORARY TABLE mine (x UInt32)", "max_block_size", "5")
	do("a", "INSERT INTO mine VALUES (1), (2)")
	do("a", "INSERT INTO mine SELECT number FROM numbers(3)", "max_insert_threads", "2")
	expect(do("a", "SELECT sum(x), currentDatabase(), getSetting('max_threads'), "+
		"getSetting('max_insert_threads') FROM mine"),
		"6\tchosen\t3\t0")
	expect(do("a", "SELECT count() FROM mine FORMAT TSV"), "5")
	if n := len(do("a", "SELECT * FROM mine FORMAT JSON")); n < 100 {
		t.Errorf("JSON of %d bytes", n)
	}
	do("a", "USE default")
	expect(do("a", "SELECT currentDatabase(), count() FROM mine GROUP BY 1"), "default\t5")
	for name, a := range map[string]httpAnswer{
		"another session": post(t, "SELECT * FROM mine", "session_id", "b"), "none": post(t, "SELECT * FROM mine"),
		"a failed statement": post(t, "SELECT throwIf(1) FROM mine", "session_id", "a"),
	} {
		if a.status < 400 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	expect(do("a", "SELECT count() FROM mine"), "5")
	// A table sent along is the request's, not the session's.
	for range 2 {
		expect(form(t, map[string]string{"query": "SELECT count() FROM sent", "sent_structure": "x UInt8"},
			map[string]string{"sent": "1\n2\n"}, "session_id", "a").body, "2")
	}
	if a := post(t, "SELECT * FROM sent", "session_id", "a"); a.status != 404 {
		t.Errorf("a table that was sent along stays: %+v", a)
	}
	// What would lift a bound of the front's does not last either: it is refused.
	for _, statement := range []string{"SET readonly = 0", "SET readonly = DEFAULT",
		"SET max_threads = 1, log_comment = 'x'"} {
		if a := post(t, statement, "session_id", "c"); a.status != 403 {
			t.Errorf("%s: %+v", statement, a)
		}
	}
	do("a", "SELECT 1", "close_session", "1")
	for name, c := range map[string]struct {
		code   string
		params []string
	}{
		"of a closed one": {"372", []string{"session_id", "a", "session_check", "1"}},
		"timeout":         {"374", []string{"session_id", "d", "session_timeout", "3601"}},
		"no number":       {"374", []string{"session_id", "d", "session_timeout", "-1"}},
		"a long id":       {"36", []string{"session_id", strings.Repeat("x", 300)}},
	} {
		if a := post(t, "SELECT 1", c.params...); a.header.Get("X-ClickHouse-Exception-Code") != c.code {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := post(t, "SET param_x = 1", "session_id", "d"); a.status != 501 {
		t.Errorf("a parameter in a session: %+v", a)
	}
}

// A session takes one statement at a time, and ends when it was idle for its timeout.
func TestSessionIsLockedAndEnds(t *testing.T) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if resp, err := rawQuery(ctx, shared, endless, "locked&session_id=locked"); err == nil {
			_ = resp.Body.Close()
		}
	})
	waitRunning(t, "locked")
	if a := post(t, "SELECT 1", "session_id", "locked"); a.header.Get("X-ClickHouse-Exception-Code") != "373" {
		t.Errorf("a second statement: %+v", a)
	}
	cancel()
	wg.Wait()
	if a := post(t, "SET max_threads = 2", "session_id", "short", "session_timeout", "1"); a.status != 200 {
		t.Fatal(a)
	}
	// Looking at it is using it, so each look leaves it no time.
	for begin := time.Now(); ; {
		a := post(t, "SELECT 1", "session_id", "short", "session_check", "1", "session_timeout", "0")
		if a.header.Get("X-ClickHouse-Exception-Code") == "372" {
			break
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("the session does not end: %+v", a)
		}
	}
}

// The number of sessions is bounded: by those that hold something. Others give way.
func TestSessionLimit(t *testing.T) {
	s := start(t, t.TempDir())
	do := func(statement, id string) error {
		resp, err := rawQuery(t.Context(), s, statement, "q&session_id="+id)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != 200 {
			err = errors.New(string(b))
		}
		return err
	}
	for n := range 2 * front.MaxSessions {
		if err := do("SELECT 1", fmt.Sprint("empty", n)); err != nil {
			t.Fatal(err)
		}
	}
	var refused int
	for n := range front.MaxSessions {
		if err := do("SET max_threads = 1", fmt.Sprint("full", n)); err != nil {
			if !strings.Contains(err.Error(), "USER_SESSION_LIMIT_EXCEEDED") {
				t.Fatal(err)
			}
			refused++
		}
	}
	if refused != front.MaxSessions-front.MaxAccountSessions {
		t.Errorf("%d of %d sessions of one account were refused", refused, front.MaxSessions)
	}
	if err := do("SELECT 1", "full0"); err != nil {
		t.Error(err)
	}
}

const endless = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"

func processes(t *testing.T, id string) string {
	t.Helper()
	a := post(t, "SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE {id:String}",
		"param_id", "query_id="+id+" %")
	if a.status != 200 {
		t.Fatal(a)
	}
	return strings.TrimSpace(a.body)
}

func waitRunning(t *testing.T, id string) {
	t.Helper()
	for processes(t, id) == "0" {
		if t.Context().Err() != nil {
			t.Fatal("never started")
		}
	}
}

// KILL QUERY finds a statement by the id that its client gave it, and really ends it, whatever it
// is doing.
func TestKillQuery(t *testing.T) {
	if a := post(t, "CREATE TABLE IF NOT EXISTS default.kill_target (n UInt64) ENGINE = Memory"); a.status != 200 {
		t.Fatal(a)
	}
	for id, run := range map[string]func(id string) httpAnswer{
		"kill-stream": func(id string) httpAnswer { return post(t, endless, "query_id", id) },
		"kill-pipe":   func(id string) httpAnswer { return post(t, endless+"\n\tFORMAT JSON", "query_id", id) },
		"kill-sleep": func(id string) httpAnswer {
			return post(t, "SELECT sleepEachRow(0.1) FROM numbers(1000) SETTINGS max_block_size = 10", "query_id", id)
		},
		"kill-insert-select": func(id string) httpAnswer {
			return post(t, "INSERT INTO FUNCTION null('n UInt64') SELECT number FROM numbers(1000000000000)",
				"query_id", id)
		},
		"kill-in-session": func(id string) httpAnswer {
			return post(t, endless, "query_id", id, "session_id", "killed")
		},
		"kill'quoted": func(id string) httpAnswer { return post(t, endless, "query_id", id) },
		"kill-insert": func(id string) httpAnswer { // waits for data that never comes
			r, w := io.Pipe()
			defer func() { _ = w.Close() }()
			go func() { _, _ = io.WriteString(w, "1\n") }()
			return send(t, http.MethodPost, r, nil, "query", "INSERT INTO default.kill_target FORMAT TSV",
				"query_id", id)
		},
	} {
		t.Run(id, func(t *testing.T) {
			ended := make(chan httpAnswer, 1)
			go func() { ended <- run(id) }()
			kill := "KILL QUERY WHERE query_id = " + statement.Literal(id)
			var rows struct{ Data []map[string]string }
			for len(rows.Data) == 0 { // until it runs
				a := post(t, kill+" TEST FORMAT JSON")
				if err := json.Unmarshal([]byte(a.body), &rows); err != nil {
					t.Fatalf("%v: %+v", err, a)
				}
			}
			got := rows.Data[0]
			if got["query_id"] != id || got["user"] != "default" || got["query"] == "" ||
				got["kill_status"] != "unknown_status" {
				t.Errorf("TEST: %v", got)
			}
			a := post(t, kill+" SYNC")
			if !strings.HasPrefix(a.body, "finished\t"+strings.ReplaceAll(id, "'", "\\'")+"\tdefault\t") {
				t.Errorf("SYNC: %+v", a)
			}
			if n := processes(t, id); n != "0" {
				t.Errorf("%s still run", n)
			}
			if a := <-ended; a.header.Get("X-ClickHouse-Exception-Code") != "394" {
				t.Errorf("the killed statement: %+v", a)
			}
			if a := post(t, kill+";"); a.status != 200 || a.body != "" {
				t.Errorf("nothing to kill: %+v", a)
			}
		})
	}
	// By the official client, which waits for its own statement.
	c := open(t, shared, nil)
	failed := make(chan error, 1)
	go func() { failed <- c.Exec(chgo.Context(t.Context(), chgo.WithQueryID("kill-go")), endless) }()
	waitRunning(t, "kill-go")
	mustExec(t, c, "KILL QUERY WHERE query_id IN ('kill-go', 'none') ASYNC")
	var ex *chgo.Exception
	if err := <-failed; !errors.As(err, &ex) || ex.Code != 394 {
		t.Errorf("clickhouse-go: %v", err)
	}
}

// One that waits for its turn is stopped before it has one.
func TestKillQueryThatWaits(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxConcurrent = 1
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop(context.Background()) }()
	ask := func(statement, id string) string {
		resp, err := rawQuery(t.Context(), s, statement, id)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	answers := make(chan string, 2)
	for range 2 {
		go func() { answers <- ask(endless, "waits") }()
	}
	for strings.Count(ask("KILL QUERY WHERE query_id = 'waits' TEST", "look"), "waits") < 2 {
		if t.Context().Err() != nil {
			t.Fatal("never started")
		}
	}
	if got := ask("KILL QUERY WHERE query_id = 'waits' SYNC", "kill"); strings.Count(got, "finished") != 2 {
		t.Errorf("killed: %q", got)
	}
	for range 2 {
		if got := <-answers; !strings.Contains(got, "QUERY_WAS_CANCELLED") {
			t.Errorf("the statement got %q", got)
		}
	}
}

// form sends a multipart form of fields and files.
func form(t *testing.T, fields, files map[string]string, params ...string) httpAnswer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range files {
		f, err := w.CreateFormFile(name, name)
		if err == nil {
			_, err = io.WriteString(f, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return send(t, http.MethodPost, &body, http.Header{"Content-Type": {w.FormDataContentType()}}, params...)
}

// Fields of a form are what they would be in the URL.
func TestForm(t *testing.T) {
	many := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		fields, files map[string]string
		params        []string
		want          string
	}{
		"parameter": {map[string]string{"query": "SELECT length({s:String})", "param_s": many}, nil, nil, "100000\n"},
		"statement in the URL": {map[string]string{"param_n": "5"}, nil,
			[]string{"query", "SELECT {n:UInt8} + 1"}, "6\n"},
		"setting": {map[string]string{"query": "SELECT getSetting('max_block_size')", "max_block_size": "12"},
			nil, nil, "12\n"},
		"database": {map[string]string{"query": "SELECT currentDatabase()", "database": "system"}, nil,
			nil, "system\n"},
		"format": {map[string]string{"query": "SELECT 1", "default_format": "CSVWithNames"}, nil, nil, "\"1\"\n1\n"},
		"the URL wins": {map[string]string{"query": "SELECT {n:UInt8}", "param_n": "5"}, nil,
			[]string{"param_n", "7"}, "7\n"},
		"a file, described behind it": {map[string]string{
			"query": "SELECT sum(a) + {n:UInt8} FROM f", "f_structure": "a UInt8", "f_format": "CSV", "param_n": "1",
		}, map[string]string{"f": "1\n2\n"}, nil, "4\n"},
	} {
		if a := form(t, c.fields, c.files, c.params...); a.body != c.want {
			t.Errorf("%s: %+v", name, a)
		}
	}
	a := form(t, map[string]string{"query": "SELECT {n:UInt8}", "param_n": "1"}, nil, "readonly", "1")
	if a.body != "1\n" {
		t.Errorf("parameters of a request that reads: %+v", a)
	}
	for name, a := range map[string]httpAnswer{
		"a file in readonly": form(t, map[string]string{"query": "SELECT 1", "f_structure": "a UInt8"},
			map[string]string{"f": "1\n"}, "readonly", "1"),
		"a session":  form(t, map[string]string{"query": "SELECT 1", "session_id": "x"}, nil),
		"a password": form(t, map[string]string{"query": "SELECT 1", "password": "x"}, nil),
		"a huge field": form(t, map[string]string{"query": "SELECT 1",
			"param_s": strings.Repeat("x", front.FormFieldLimit+1)}, nil),
		"no such setting": form(t, map[string]string{"query": "SELECT 1", "no_such_setting": "x"}, nil),
	} {
		if a.status < 400 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// An error after the first megabyte stands inside what the client unpacks, in each of ClickHouse's
// block compressions.
func TestErrorInsideBlocks(t *testing.T) {
	for _, method := range []string{"LZ4", "ZSTD", "NONE", "LZ4HC"} {
		a := post(t, `SELECT number, toString(cityHash64(number)), throwIf(number = 300000)
			FROM numbers(100000000) SETTINGS max_threads = 1`, "compress", "1", "network_compression_method", method)
		if a.err == nil {
			t.Errorf("%s: the response is complete", method)
		}
		got, err := decodeBlocks(t, a.body)
		tag := a.header.Get("X-ClickHouse-Exception-Tag")
		_, framed, ok := strings.Cut(string(got), "\r\n__exception__\r\n"+tag+"\r\nCode: 395.")
		if err != nil || tag == "" || !ok || !strings.HasSuffix(framed, tag+"\r\n__exception__\r\n") {
			t.Errorf("%s: %v, ends in %q", method, err, got[max(0, len(got)-200):])
		}
	}
}

// Whoever speaks another protocol is told so, in a way that its client shows.
func TestWrongProtocol(t *testing.T) {
	c, err := chgo.Open(&chgo.Options{Protocol: chgo.Native, Addr: []string{shared.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP") {
		t.Errorf("a native client: %v", err)
	}
	said := func(first string) string {
		conn, err := net.Dial("tcp", shared.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	got := said("\x16\x03\x01\x02\x00\x01\x00")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "plain HTTP") {
		t.Errorf("TLS: %q", got)
	}
	if got := said("\x00\x11ClickHouse client"); !strings.Contains(got, "HTTP") {
		t.Errorf("native: %q", got)
	}
	if _, err := http.Get("https://" + shared.Addr() + "/ping"); err == nil || !strings.Contains(err.Error(), "HTTP") {
		t.Errorf("an HTTPS client: %v", err)
	}
}
