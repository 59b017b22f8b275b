//go:build unix

package clickhouse

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/ledgerline/ledgerline/deploy/embedded/clickhouse/front"
)

func TestHealth(t *testing.T) {
	for _, path := range []string{"/ping", "/", "/replicas_status"} {
		resp, err := http.Get("http://" + shared.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil || resp.StatusCode != 200 || string(b) != "Ok.\n" {
			t.Errorf("%s: %d %q %v", path, resp.StatusCode, b, err)
		}
	}
	resp, err := http.Get("http://" + shared.Addr() + "/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != 404 {
		t.Errorf("/nowhere: %d", resp.StatusCode)
	}
}

func TestFormats(t *testing.T) {
	const query = "SELECT number AS n, concat('line\n', toString(number)) AS s FROM numbers(3)"
	for _, c := range []struct{ format, contentType, want string }{
		{"TabSeparated", "text/tab-separated-values; charset=UTF-8", "0\tline\\n0\n1\tline\\n1\n2\tline\\n2\n"},
		{"CSV", "text/csv; charset=UTF-8; header=absent", "0,\"line\n0\"\n1,\"line\n1\"\n2,\"line\n2\"\n"},
		{"CSVWithNames", "text/csv; charset=UTF-8; header=present",
			"\"n\",\"s\"\n0,\"line\n0\"\n1,\"line\n1\"\n2,\"line\n2\"\n"},
		{"JSONEachRow", "application/x-ndjson; charset=UTF-8", `{"n":0,"s":"line\n0"}` + "\n" +
			`{"n":1,"s":"line\n1"}` + "\n" + `{"n":2,"s":"line\n2"}` + "\n"},
		{"Null", "text/plain; charset=UTF-8", ""},
	} {
		for how, a := range map[string]httpAnswer{
			"clause": post(t, query+" FORMAT "+c.format), "parameter": post(t, query, "default_format", c.format),
			"get":                   get(t, "query", query, "default_format", c.format),
			"clause over parameter": post(t, query+"\nformat "+c.format+" -- end", "default_format", "XML"),
			"header": send(t, http.MethodPost, strings.NewReader(query),
				http.Header{"X-Clickhouse-Format": {c.format}}),
		} {
			if a.status != 200 || a.body != c.want || a.header.Get("Content-Type") != c.contentType ||
				a.header.Get("X-ClickHouse-Format") != c.format {
				t.Errorf("%s by %s: %+v", c.format, how, a)
			}
		}
	}
	// One document, however many blocks it takes.
	var doc struct {
		Rows int
		Data []struct{ N int }
	}
	a := post(t, "SELECT number::UInt32 AS N FROM numbers(300000) FORMAT JSON SETTINGS max_block_size = 1000")
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Rows != 300000 || len(doc.Data) != 300000 ||
		doc.Data[299999].N != 299999 {
		t.Errorf("JSON: %v, %d rows, %d in data", err, doc.Rows, len(doc.Data))
	}
	a = post(t, "SELECT number FROM numbers(300000) SETTINGS max_block_size = 1000 FORMAT Parquet")
	if !strings.HasPrefix(a.body, "PAR1") || !strings.HasSuffix(a.body, "PAR1") || strings.Count(a.body, "PAR1") != 2 {
		t.Errorf("Parquet: status %d, %d bytes", a.status, len(a.body))
	}
	a = post(t, a.body, "query", "INSERT INTO FUNCTION null('number UInt64') FORMAT Parquet")
	if a.status != 200 || !strings.Contains(a.header.Get("X-ClickHouse-Summary"), `"written_rows":"300000"`) {
		t.Errorf("Parquet in: %+v", a)
	}
	lines := strings.Split(post(t, "SELECT number FROM numbers(200000) SETTINGS max_block_size = 1000 FORMAT "+
		"TSVWithNamesAndTypes").body, "\n")
	if len(lines) != 200003 || lines[0] != "number" || lines[1] != "UInt64" || lines[2] != "0" ||
		lines[200001] != "199999" {
		t.Errorf("TSVWithNamesAndTypes: %d lines", len(lines))
	}
}

func TestHeaders(t *testing.T) {
	a := post(t, "SELECT number FROM numbers(10)", "query_id", "my-id")
	var s map[string]string
	if err := json.Unmarshal([]byte(a.header.Get("X-ClickHouse-Summary")), &s); err != nil || s["read_rows"] != "10" ||
		s["result_rows"] != "10" {
		t.Errorf("summary %q: %v", a.header.Get("X-ClickHouse-Summary"), err)
	}
	if a.header.Get("X-ClickHouse-Query-Id") != "my-id" || a.header.Get("Content-Length") == "" {
		t.Errorf("headers %v", a.header)
	}
	if a, b := post(t, "SELECT 1").header.Get("X-ClickHouse-Query-Id"),
		post(t, "SELECT 1").header.Get("X-ClickHouse-Query-Id"); a == "" || a == b {
		t.Errorf("query ids %q and %q", a, b)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		query, code, text string
		status            int
	}{
		{"SELECT * FROM nope", "60", "(UNKNOWN_TABLE)", 404},
		{"SELEC 1", "62", "Syntax error: failed at position 1", 400},
		{"SELECT", "62", "failed at position 7 (end of query)", 400},
		{"SELECT FORMAT JSON WHERE", "62", "(SYNTAX_ERROR)", 400},
		{"SELECT 1 FORMAT Nonsense", "73", "(UNKNOWN_FORMAT)", 404},
		{"SELECT throwIf(1) FORMAT JSON", "395", "Value passed to 'throwIf'", 500},
		{"SELECT 1; SELECT 2", "62", "Multi-statements are not allowed", 400},
		{"", "62", "Empty query", 400},
		{"-- nothing\n", "62", "Empty query", 400},
		{"INSERT INTO nope VALUES (1)", "60", "(UNKNOWN_TABLE)", 404},
		{"INSERT INTO FUNCTION null('a UInt8') FORMAT CSV\nx", "117", "(INCORRECT_DATA)", 400},
		{"SELECT 1 INTO OUTFILE '/tmp/x'", "48", "INTO OUTFILE", 501},
		{"INSERT INTO t FROM INFILE '/tmp/x' FORMAT CSV", "48", "INFILE", 501},
		{"SELECT {a:UInt8}", "456", "Substitution", 500},
		{"SELECT 1,\n  FROM numbers(1) WHERE", "62", "failed at position 34 (end of query)", 400},
		{"graph = 1 SELECT 1", "62", "failed at position 1 (graph)", 400},
		{"INSERT INTO FUNCTION null('a UInt8') VALUES (1 + 1)", "344", "Interpreting expressions is disabled", 500},
	} {
		a := post(t, c.query)
		if a.status != c.status || a.header.Get("X-ClickHouse-Exception-Code") != c.code ||
			!strings.HasPrefix(a.body, "Code: "+c.code+". DB::Exception: ") || !strings.Contains(a.body, c.text) {
			t.Errorf("%s: %d, code %s: %s", c.query, a.status, a.header.Get("X-ClickHouse-Exception-Code"), a.body)
		}
	}
	for name, params := range map[string][]string{
		"role": {"role", "x"}, "user": {"user", "alice"}, "password": {"password", "x"},
		"dialect": {"dialect", "kusto"}, "injection": {"max_threads = 1, max_block_size", "1"},
		"compression": {"compress", "1", "network_compression_method", "T64"},
		"database":    {"database", "no`such"},
	} {
		if a := post(t, "SELECT 1", params...); a.status < 400 || a.header.Get("X-ClickHouse-Exception-Code") == "" {
			t.Errorf("%s was not refused: %+v", name, a)
		}
	}
	if a := send(t, http.MethodPut, nil, nil); a.status != 405 {
		t.Errorf("PUT: %d", a.status)
	}
}

// GET, and readonly=1, can neither write nor reach a file or another machine. The second half are
// ways that the engine itself leaves open.
func TestReadOnly(t *testing.T) {
	if a := post(t, "CREATE DATABASE read_only ENGINE = Atomic"); a.status != 200 {
		t.Fatal(a)
	}
	if a := post(t, "CREATE TABLE read_only.t (a UInt8) ENGINE = MergeTree ORDER BY a"); a.status != 200 {
		t.Fatal(a)
	}
	for _, query := range []string{
		"INSERT INTO read_only.t VALUES (1)", "INSERT INTO read_only.t SELECT 1", "DROP TABLE read_only.t",
		"CREATE TABLE read_only.u (a UInt8) ENGINE = Memory", "ALTER TABLE read_only.t DELETE WHERE 1",
		"SYSTEM FLUSH LOGS", "SELECT * FROM file('/etc/hostname', 'LineAsString')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "SELECT * FROM remote('127.0.0.1:1', system.one)",
		"SELECT * FROM executable('x', 'TSV', 'a String')", "SELECT * FROM `/etc/hostname`", "SET readonly = 0",
		"SELECT 1 SETTINGS readonly = 0", "SELECT 1 SETTINGS max_threads = 1",

		"SELECT file('/etc/hostname')", "SELECT `file`('/etc/hostname')", "SELECT `\\x66ile`('/etc/hostname')",
		"SELECT \u201cfile\u201d('/etc/hostname')", "SELECT file /* */ ('/etc/hostname')",
		"SELECT * APPLY(file) FROM (SELECT '/etc/hostname')", "SELECT * APPLY file FROM (SELECT '/etc/hostname')",
		"SELECT arrayMap(file, ['/etc/hostname'])",
		"SELECT 1 INTO OUTFILE '/tmp/embedded-clickhouse-outfile'",
		"SELECT * FROM eval('SELECT fi' || 'le(''/etc/hostname'')')",
	} {
		for how, a := range map[string]httpAnswer{
			"GET": get(t, "query", query), "GET readonly=0": get(t, "query", query, "readonly", "0",
				"allow_experimental_eval_table_function", "1"), "POST readonly=1": post(t, query, "readonly", "1"),
		} {
			if a.status < 400 {
				t.Errorf("%s by %s: %+v", query, how, a)
			}
		}
	}
	if a := get(t, "query", "SELECT arrayMap({f:Identifier}, ['/etc/hostname'])", "param_f", "file"); a.status < 400 {
		t.Errorf("a function's name in a parameter: %+v", a)
	}
	if a := get(t, "query", "SELECT 1 FORMAT Template", "format_template_resultset", "/etc/hostname",
		"format_template_row", "/etc/hostname"); a.status < 400 {
		t.Errorf("a file's name in a setting: %+v", a)
	}
	if a := get(t, "query", "SELECT count() FROM read_only.t WHERE a = {a:UInt8}", "param_a", "1", "max_threads",
		"1"); a.body != "0\n" {
		t.Errorf("a plain GET: %+v", a)
	}
}

// A page in a browser on this machine must not be able to use the server.
func TestForeignOrigin(t *testing.T) {
	for _, h := range []http.Header{{"Origin": {"https://example.org"}}, {"Origin": {"null"}}} {
		if a := send(t, http.MethodPost, strings.NewReader("SELECT 1"), h); a.status != 403 {
			t.Errorf("%v: %d", h, a.status)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+shared.Addr()+"/?query=SELECT+1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example.org:8123"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != 403 {
		t.Errorf("a foreign Host: %d", resp.StatusCode)
	}
}

// The statement and its data arrive in every division that the server accepts.
func TestInsertForms(t *testing.T) {
	for _, q := range []string{"CREATE DATABASE insert_forms ENGINE = Atomic",
		"CREATE TABLE insert_forms.t (a UInt32, b String) ENGINE = Memory"} {
		if a := post(t, q); a.status != 200 {
			t.Fatal(a)
		}
	}
	many := strings.Repeat("5,row\n", 400_000) // larger than what is read to find the data
	for _, c := range []struct{ query, body, want string }{
		{"", "INSERT INTO insert_forms.t VALUES (1, 'x'), (2, 'a;b')", "1:x 2:a;b"},
		{"", "INSERT INTO insert_forms.t (b, a) VALUES ('x', 1)", "1:x"},
		{"", "insert into insert_forms.t values (2, 'X');", "2:X"},
		{"", "INSERT INTO insert_forms.t FORMAT CSV\n1,\"two\n\nlines\"\n", "1:two\n\nlines"},
		{"", "INSERT INTO insert_forms.t SETTINGS async_insert = 0 FORMAT TSV\n1\tx\n2\ty\n", "1:x 2:y"},
		{"", "INSERT INTO insert_forms.t FORMAT JSONEachRow {\"a\": 3, \"b\": \"j\"}", "3:j"},
		{"", "/* c */ INSERT INTO TABLE `insert_forms`.`t` (a, `b`) -- c\nFORMAT CSV\n7,seven", "7:seven"},
		{"", "INSERT INTO insert_forms.t SELECT number, 'VALUES' FROM numbers(2)", "0:VALUES 1:VALUES"},
		{"", "INSERT INTO insert_forms.t WITH 1 AS one SELECT one, 'w'", "1:w"},
		{"INSERT INTO insert_forms.t FORMAT CSV", "1,x\n2,y\n", "1:x 2:y"},
		{"INSERT INTO insert_forms.t FORMAT CSV 1,x\n", "2,y\n", "1:x 2:y"},
		{"INSERT INTO insert_forms.t", " FORMAT TSV\n4\tz\n", "4:z"},
		{"INSERT INTO insert_forms.t VALUES", "(1, 'x')", "1:x"},
		{"INSERT INTO insert_forms.t FORMAT TSV", "", ""},
		{"SELECT a, b FROM", " numbers(0)", ""},
	} {
		if a := post(t, "TRUNCATE TABLE insert_forms.t"); a.status != 200 {
			t.Fatal(a)
		}
		params := []string{}
		if c.query != "" {
			params = []string{"query", c.query}
		}
		if a := post(t, c.body, params...); a.status != 200 && !strings.HasPrefix(c.query, "SELECT") {
			t.Errorf("%q + %q: %+v", c.query, c.body, a)
			continue
		}
		a := post(t, "SELECT arrayStringConcat(groupArray(concat(toString(a), ':', b)), ' ') FROM (SELECT * FROM "+
			"insert_forms.t ORDER BY a) FORMAT RawBLOB")
		if a.body != c.want {
			t.Errorf("%q + %q: stored %q, want %q", c.query, c.body, a.body, c.want)
		}
	}
	a := post(t, "INSERT INTO insert_forms.t FORMAT CSV\n"+many)
	if a.status != 200 || post(t, "SELECT count() FROM insert_forms.t WHERE a = 5").body != "400000\n" {
		t.Errorf("a large insert: %+v", a)
	}
}

func TestCompressedBodies(t *testing.T) {
	encode := map[string]func([]byte) []byte{
		"gzip": func(b []byte) []byte {
			var buf bytes.Buffer
			w := gzip.NewWriter(&buf)
			_, _ = w.Write(b)
			_ = w.Close()
			return buf.Bytes()
		},
		"zstd": func(b []byte) []byte {
			w, _ := zstd.NewWriter(nil)
			return w.EncodeAll(b, nil)
		},
		"lz4": func(b []byte) []byte {
			var buf bytes.Buffer
			w := lz4.NewWriter(&buf)
			_, _ = w.Write(b)
			_ = w.Close()
			return buf.Bytes()
		},
	}
	decode := map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
		"lz4":  func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil },
	}
	want := post(t, "SELECT number FROM numbers(500000)").body
	for name, enc := range encode {
		a := send(t, http.MethodPost, bytes.NewReader(enc([]byte("SELECT number FROM numbers(500000)"))),
			http.Header{"Content-Encoding": {name}, "Accept-Encoding": {name}})
		if a.status != 200 || a.header.Get("Content-Encoding") != name {
			t.Errorf("%s: %d %v", name, a.status, a.header)
			continue
		}
		r, err := decode[name](strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, want %d: %v", name, len(got), len(want), err)
		}
		// A body cut short is an error and inserts nothing.
		whole := enc([]byte(want))
		a = send(t, http.MethodPost, bytes.NewReader(whole[:len(whole)-9]), http.Header{"Content-Encoding": {name}},
			"query", "INSERT INTO FUNCTION null('a UInt64') FORMAT TSV")
		if a.status < 400 {
			t.Errorf("%s: a torn body was accepted: %+v", name, a)
		}
	}
	for _, method := range []string{"LZ4", "ZSTD", "NONE", "LZ4HC"} {
		a := post(t, "SELECT number FROM numbers(500000)", "compress", "1", "network_compression_method", method)
		got, err := decodeBlocks(t, a.body)
		if err != nil || string(got) != want {
			t.Errorf("blocks of %s: %d bytes, want %d: %v", method, len(got), len(want), err)
		}
	}
	statement := encodeBlocks(t, "SELECT 1")
	if a := post(t, statement, "decompress", "1"); a.body != "1\n" {
		t.Errorf("a statement in blocks: %+v", a)
	}
	data := encodeBlocks(t, want[:100]) + encodeBlocks(t, want[100:])
	if a := post(t, data, "decompress", "1", "query", "INSERT INTO FUNCTION null('a "+
		"UInt64') FORMAT TSV"); a.status != 200 || !strings.Contains(a.header.Get("X-ClickHouse-Summary"),
		`"written_rows":"500000"`) {
		t.Errorf("data in blocks: %+v", a)
	}
	const blockHeader = 25
	for _, cut := range []int{1, blockHeader, len(data) - 1, len(encodeBlocks(t, want[:100])) + blockHeader} {
		if a := post(t, data[:cut], "decompress", "1", "query",
			"INSERT INTO FUNCTION null('a UInt64') FORMAT TSV"); a.status < 400 {
			t.Errorf("blocks cut after %d bytes were accepted: %+v", cut, a)
		}
	}
	if a := send(t, http.MethodPost, strings.NewReader("x"), http.Header{
		"Content-Encoding": {"snappy"},
	}); a.status != 501 {
		t.Errorf("snappy: %+v", a)
	}
}

func encodeBlocks(t *testing.T, s string) string {
	t.Helper()
	w := chcompress.NewWriter(chcompress.LevelZero, chcompress.LZ4)
	if err := w.Compress([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return string(w.Data)
}

func decodeBlocks(t *testing.T, s string) ([]byte, error) {
	t.Helper()
	return io.ReadAll(front.NewBlockReader(strings.NewReader(s)))
}

// wait_end_of_query turns an error late in a result into a status; without
// it the result breaks off.
func TestWaitEndOfQuery(t *testing.T) {
	for _, format := range []string{"TSV", "JSON"} {
		query := "SELECT number, throwIf(number = 1000000) FROM numbers(2000000) SETTINGS " +
			"max_threads = 1 FORMAT " + format
		if a := post(t, query, "wait_end_of_query", "1"); a.status != 500 ||
			a.header.Get("X-ClickHouse-Exception-Code") != "395" {
			t.Errorf("%s waiting: %d %.100s", format, a.status, a.body)
		}
		a := post(t, query)
		frame := "\r\n__exception__\r\n" + a.header.Get("X-ClickHouse-Exception-Tag") + "\r\nCode: 395. "
		if a.status != 200 || a.err == nil || !strings.Contains(a.body, frame) {
			t.Errorf("%s not waiting: %d, %v, ends with %.300q", format, a.status, a.err,
				a.body[max(0, len(a.body)-300):])
		}
	}
	a := post(t, "SELECT number FROM numbers(1000000)", "wait_end_of_query", "1")
	if lines := strings.Count(a.body, "\n"); lines != 1000000 || a.err != nil ||
		!strings.Contains(a.header.Get("X-ClickHouse-Summary"), `"result_rows":"1000000"`) {
		t.Errorf("%d lines, %v, %s", lines, a.err, a.header.Get("X-ClickHouse-Summary"))
	}
}

// What one request does to its session ends with it.
func TestSessionsAreSeparate(t *testing.T) {
	for _, q := range []string{"CREATE DATABASE separate ENGINE = Atomic", "USE separate", "SET max_threads = 1",
		"CREATE TEMPORARY TABLE tmp (a UInt8)"} {
		if a := post(t, q); a.status != 200 {
			t.Fatal(a)
		}
	}
	if a := post(t, "SELECT currentDatabase()"); a.body != "default\n" {
		t.Errorf("database %q", a.body)
	}
	if a := post(t, "SELECT currentDatabase()", "database", "separate"); a.body != "separate\n" {
		t.Errorf("database %q", a.body)
	}
	if a := post(t, "SELECT * FROM tmp"); a.status != 404 {
		t.Errorf("a temporary table: %+v", a)
	}
}

func TestParameters(t *testing.T) {
	awkward := "'; DROP TABLE x; -- \\ \t \" ` é"
	a := post(t, "SELECT {s:String}, {n:Int64}, {l:Array(String)}, {i:Identifier} FROM (SELECT 1 AS col) FORMAT "+
		"JSONCompactEachRow",
		"param_s", strings.NewReplacer("\\", "\\\\", "\t", "\\t").Replace(awkward), "param_n", "-5", "param_l",
		"['a','b\\'c']", "param_i", "col")
	var got []any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%v: %+v", err, a)
	}
	if want := fmt.Sprint([]any{awkward, "-5", []any{"a", "b'c"}, float64(1)}); fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
