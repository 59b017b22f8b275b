package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/schemas"
)

// found collects what a scan finds, readably.
type found struct{ out []string }

func (f *found) record(it Item) error {
	m, err := testRecogniser.decode(it.Raw)
	if err != nil {
		return f.broken(Flaw{Line: it.Line, Number: it.Number, Reason: err.Error()})
	}
	text := string(it.Raw)
	if m.Members != nil {
		text = m.Text("id")
	}
	f.out = append(f.out, strings.TrimSpace(fmt.Sprintf("%d@%d %s %s", it.Number, it.Line, text,
		contextPath(it.Context))))
	return nil
}

func (f *found) broken(b Flaw) error {
	f.out = append(f.out, fmt.Sprintf("%d@%d broken: %s", b.Number, b.Line, strings.TrimSpace(b.Field+" "+b.Reason)))
	return nil
}

func (f *found) foreign(l Looks) error {
	f.out = append(f.out, "foreign: "+l.Kind)
	return nil
}

func (f *found) notice(line int, what string) error {
	f.out = append(f.out, fmt.Sprintf("@%d notice: %s", line, what))
	return nil
}

func (f *found) page(p page) error {
	if p.more {
		f.out = append(f.out, fmt.Sprintf("@%d more: %s", p.line, p.collection))
	}
	return nil
}

func TestRecordsAreFoundHoweverTheyAreHeld(t *testing.T) {
	const ctx = `"@odata.context":"https://graph.microsoft.com/beta/$metadata#deviceManagement/managedDevices"`
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"an empty file":                 {"", nil},
		"white space":                   {" \r\n\n\t", nil},
		"no JSON":                       {"# Notes\n{}", []string{"foreign: text without JSON"}},
		"UTF-16":                        {"\xff\xfe{\x00}\x00", []string{"1@1"}},
		"one record":                    {`{"id":"a"}`, []string{"1@1 a"}},
		"one record over several lines": {"{\n \"id\" : \"a\"\n}\n", []string{"1@1 a"}},
		"a byte order mark":             {"\xef\xbb\xbf{\"id\":\"a\"}", []string{"1@1 a"}},
		"lines with LF":                 {"{\"id\":\"a\"}\n{\"id\":\"b\"}\n", []string{"1@1 a", "2@2 b"}},
		"lines with CRLF":               {"{\"id\":\"a\"}\r\n\r\n{\"id\":\"b\"}\r\n", []string{"1@1 a", "2@3 b"}},
		"lines without a last line end": {"{\"id\":\"a\"}\n{\"id\":\"b\"}", []string{"1@1 a", "2@2 b"}},
		"several records on a line":     {`{"id":"a"} {"id":"b"}`, []string{"1@1 a", "2@1 b"}},
		"a page": {`{` + ctx + `,"@odata.count":2,"value":[{"id":"a"},{"id":"b"}]}`,
			[]string{"1@1 a deviceManagement/managedDevices", "2@1 b deviceManagement/managedDevices"}},
		"a page over several lines": {"{\n" + ctx +
			",\n\"value\": [\n{\"id\": \"a\"}\n ,\n {\n\"id\": \"b\"}\n]\n}",
			[]string{"1@4 a deviceManagement/managedDevices", "2@6 b deviceManagement/managedDevices"}},
		"an empty page": {`{` + ctx + `,"value":[]}`, nil},
		"a page a line": {"{\"value\":[{\"id\":\"a\"}]}\n{\"value\":[{\"id\":\"b\"}]}\n",
			[]string{"1@1 a", "2@2 b"}},
		"the documentation's form": {`{"value":{"id":"a","value":[1]}}`, []string{"1@1 a"}},
		"a batch": {`{"records":[{"id":"a"},{"id":"b","value":[{"id":"no"}]}]}`,
			[]string{"1@1 a", "2@1 b"}},
		"an array": {`[{"id":"a"},{"records":[{"id":"b"}]},[{"id":"c"}]]`,
			[]string{"1@1 a", "2@1 b", "3@1 c"}},
		"responses": {`[{"url":"u","body":{` + ctx +
			`,"value":[{"id":"a"}]}},{"url":"v","body":{"id":"b"}}]`,
			[]string{"1@1 a deviceManagement/managedDevices", "2@1 b"}},
		"a batch of responses": {`{"responses":[{"id":"1","status":200,"body":{"value":[{"id":"a"}]}}]}`,
			[]string{"1@1 a"}},
		"a record with a value of its own": {`{"id":"a","value":[{"id":"no"}]}`, []string{"1@1 a"}},
		"what is no object": {`{"value":["Get Audit Categories value",7,null,[1]]}`,
			[]string{`1@1 "Get Audit Categories value"`, "2@1 7", "3@1 null", "4@1 [1]"}},
		"brackets and quotes in texts": {`{"value":[{"id":"a}]\"{[","x":"\\"},{"id":"b"}]}`,
			[]string{`1@1 a}]"{[`, "2@1 b"}},
		"a broken line": {"{\"id\":\"a\"}\n{\"id\":\n{\"id\":\"b\"}\nrubbish\n{\"id\":\"c\"}",
			[]string{"1@1 a", "2@2 broken: malformed JSON at byte 6 of the line", "3@3 b",
				"4@4 broken: malformed JSON at byte 1 of the line", "5@5 c"}},
		"a broken first line": {"{\"id\":\"a\n{\"id\":\"b\"}\n",
			[]string{"1@1 broken: malformed JSON at byte 8 of the line", "2@2 b"}},
		"a cut document": {"{\n\"value\": [\n{\"id\":\"a\"},\n{\"id\":",
			[]string{"1@3 a", "2@1 broken: ends inside a JSON value"}},
		"a broken record of a page": {`{"value":[{"id":"a"},{"id":},{"id":"b"}]}`,
			[]string{"1@1 a", "2@1 broken: malformed JSON", "3@1 b"}},
		"a missing comma": {"{\n\"value\": [{\"id\":\"a\"} {\"id\":\"b\"}]\n}\n{\"id\":\"c\"}",
			[]string{"1@2 a", "@2 notice: a comma is missing between records", "2@2 b", "3@4 c"}},
		"a comma too many": {"{\"value\":[\n{\"id\":\"a\"},\n]}\n",
			[]string{"1@2 a", "@3 notice: a comma stands behind the last record"}},
		"bytes that are no UTF-8": {"{\"id\":\"a\xff\"}\n{\"id\":\"b\"}\n",
			[]string{"1@1 broken: not valid UTF-8", "2@2 b"}},
		"nested deeper than containers": {strings.Repeat("[", 20) + `{"id":"a"}` + strings.Repeat("]", 20),
			[]string{`1@1 [[[[{"id":"a"}]]]]`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)),
				iotest.DataErrReader(strings.NewReader(c.in))} {
				f := &found{}
				if err := testRecogniser.scan(src, f); err != nil {
					t.Fatal(err)
				}
				if got, want := strings.Join(f.out, "\n"), strings.Join(c.want, "\n"); got != want {
					t.Errorf("found\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}

func TestARecordTooLargeIsNamedAndTheRestIsRead(t *testing.T) {
	huge := `{"id":"huge","x":"` + strings.Repeat("x", maxRecordBytes) + `"}`
	for name, in := range map[string]string{
		"a line":          "{\"id\":\"a\"}\n" + huge + "\n{\"id\":\"b\"}\n",
		"a row of a page": `{"value":[{"id":"a"},` + huge + `,{"id":"b"}]}`,
	} {
		f := &found{}
		if err := testRecogniser.scan(strings.NewReader(in), f); err != nil {
			t.Fatal(err)
		}
		if len(f.out) != 3 || !strings.HasPrefix(f.out[0], "1@1 a") ||
			!strings.Contains(f.out[1], errTooLarge.reason) || !strings.Contains(f.out[2], " b") {
			t.Errorf("%s: found %q", name, f.out)
		}
	}
}

// endless is a page without end, to see that a scan holds only what it looks at.
type endless struct {
	rows    int
	pending string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.pending == "" {
		if e.rows == 0 {
			return 0, io.EOF
		}
		e.rows--
		e.pending = `{"id":"a","text":"` + strings.Repeat("y", 1000) + `"},`
	}
	n := copy(p, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

func TestAPageIsStreamed(t *testing.T) {
	f := &found{}
	s := &scanner{number: new(int), forms: testRecogniser, seen: &record.Scanner{},
		window: newWindow(io.MultiReader(strings.NewReader(`{"value":[`), &endless{rows: 40_000},
			strings.NewReader(`{"id":"z"}]}`))), to: f}
	if _, ok := s.skipSpace(); !ok {
		t.Fatal("nothing to read")
	}
	if err := s.top('{'); err != nil {
		t.Fatal(err)
	}
	if len(f.out) != 40_001 {
		t.Errorf("%d records, want 40001", len(f.out))
	}
	if len(s.buf) > 2*maxRecordBytes {
		t.Errorf("the window grew to %d bytes for a page of 40 MB", len(s.buf))
	}
}

func TestAnErrorOfReadingIsReturned(t *testing.T) {
	for _, in := range []string{`{"id":"a"}` + "\n", `{"value":[{"id":"a"}`} {
		src := io.MultiReader(strings.NewReader(in), iotest.ErrReader(io.ErrUnexpectedEOF))
		if err := testRecogniser.scan(src, &found{}); err != io.ErrUnexpectedEOF {
			t.Errorf("%s: error %v", in, err)
		}
	}
}

// FuzzScan: whatever a file holds, the scan ends, counts every record once, and finds each line of
// JSON lines.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{"", "{}", "[]", `{"value":[{"id":"a"},{}]}`, "{\"id\":1}\n{\"id\":2}\r\n",
		`[{"url":"u","body":{"value":[1,null]}}]`, "{\n\"a\": [\n", "\xef\xbb\xbf{}", "{\"a\":\n{}\n",
		`{"records":[{]}`,
		`{"records":[,{"id":1},,{"id":}{"id":2}]}`, `{"tables":[{"columns":[{"name":"a"}],"rows":[[1],[1,2]]}]}`,
		`{"x":{"y":"{\"category\":\"Devices\",\"properties\":{}}"}}`, "\xff\xfe{\x00}\x00", "{\x00\"\x00", "\x1f\x8b",
		`{"responses":[{"status":429,"body":{"error":{"code":"x"}}},{"status":200,"body":"["}]}`,
		`{"Id":"x","LastSyncDateTime":"/Date(1)/","AdditionalProperties":{"@odata.type":"y"}}`,
		`{"TimeGenerated":"t","Type":"IntuneDevices","DeviceId":""}`,
		`{"value":{"value":{"value":[]}},"@odata.nextLink":"x"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &counted{t: t}
		if err := testRecogniser.scan(iotest.HalfReader(bytes.NewReader(raw)), c); err != nil {
			t.Fatalf("scan: %v", err)
		}
		// After a broken line the lines that follow are found all the same.
		c = &counted{t: t}
		in := "{\"id\":\"first\"}\n" + strings.ReplaceAll(string(raw), "\n", " ") + "\n{\"id\":\"last\"}\n"
		if err := testRecogniser.scan(strings.NewReader(in), c); err != nil {
			t.Fatalf("scan: %v", err)
		}
		if !c.last && len(raw) < maxRecordBytes {
			t.Errorf("the line after %q is lost", raw)
		}
		// Before a broken row the rows of its batch are found, and what a text holds ends with it.
		for _, around := range [][2]string{{`{"records":[`, `]}`}, {"{\n\"value\": [\n", "\n]\n}"},
			{`{"Body":`, `}`}} {
			c = &counted{t: t}
			row := `{"id":"first","category":"Devices","properties":{}},`
			in := around[0] + row + string(raw) + around[1]
			if strings.HasPrefix(in, `{"Body"`) {
				in = around[0] + string(schemas.JSON("["+row+string(raw)+"]")) + around[1]
			}
			if err := testRecogniser.scan(strings.NewReader(in), c); err != nil {
				t.Fatalf("scan: %v", err)
			}
			if !c.first {
				t.Errorf("the record before %q is lost in %s", raw, around)
			}
		}
	})
}

type counted struct {
	t      *testing.T
	number int
	last   bool
	first  bool
}

func (c *counted) record(it Item) error {
	c.count(it.Number, it.Line)
	var m struct{ ID string }
	ok := json.Unmarshal(it.Raw, &m) == nil
	c.last = ok && m.ID == "last"
	c.first = c.first || ok && m.ID == "first"
	return nil
}

func (c *counted) broken(f Flaw) error {
	c.count(f.Number, f.Line)
	return nil
}

func (c *counted) foreign(Looks) error      { return nil }
func (c *counted) notice(int, string) error { return nil }
func (c *counted) page(page) error          { return nil }

func (c *counted) count(number, line int) {
	if number != c.number+1 || line < 1 {
		c.t.Errorf("record %d at line %d came after record %d", number, line, c.number)
	}
	c.number = number
}
