package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/schemas"
)

// collector is a receiver that keeps what a walk finds.
type collector struct {
	out    []string // all of it, readably
	items  []Item
	flaws  map[string]Flaw // by file; the last
	looks  []Looks
	places []Position
}

func (c *collector) note(at Position, line int, format string, args ...any) error {
	c.places = append(c.places, at)
	c.out = append(c.out, fmt.Sprintf("%s:%d ", at.File, line)+fmt.Sprintf(format, args...))
	return nil
}

func (c *collector) Record(at Position, it Item) error {
	c.items = append(c.items, it)
	return c.note(at, it.Line, "%d %s", it.Number, it.Kind.Name)
}

func (c *collector) Broken(at Position, f Flaw) error {
	c.flaws[at.File] = f
	return c.note(at, f.Line, "%d broken: %s", f.Number, strings.TrimSpace(f.Field+" "+f.Reason))
}

func (c *collector) Notice(at Position, line int, what string) error {
	return c.note(at, line, "notice: %s", what)
}

func (c *collector) Unknown(at Position, l Looks) error {
	c.looks = append(c.looks, l)
	return c.note(at, 0, "unknown: %s", l.Kind)
}

// has counts what a walk found of that sort: "notice", "broken", "unknown".
func (c *collector) has(what string) (n int) {
	for _, line := range c.out {
		if strings.Contains(line, what+": ") {
			n++
		}
	}
	return n
}

// collect reads files by these forms, those modified first first.
func collect(t *testing.T, forms *Recogniser, files folders.Source) *collector {
	t.Helper()
	l, err := files.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	l.ByDate()
	c := &collector{flaws: map[string]Flaw{}}
	if err := forms.Read(context.Background(), l, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func filesOf(content map[string]string) folders.Source {
	fsys := fstest.MapFS{}
	for name, c := range content {
		fsys[name] = &fstest.MapFile{Data: []byte(c)}
	}
	return folders.Source{Paths: []string{"."}, FS: fsys}
}

func oneFile(content string) folders.Source { return filesOf(map[string]string{"x": content}) }

// quoted is a text as JSON.
func quoted(text string) string { return string(schemas.JSON(text)) }

// someID is an id of a source's form.
func someID(kind, n int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", kind, n) }

// wrappers are the ways in which pipelines hold one record: as an object or as a text in one.
var wrappers = map[string]func(record string) string{
	"bare":  func(r string) string { return r },
	"wazuh": func(r string) string { return `{"integration":"ms-graph","ms-graph":` + r + `}` },
	"wazuh full": func(r string) string {
		return `{"rule":{"level":3},"data":{"integration":"ms-graph","ms-graph":` + r + `}}`
	},
	"filebeat": func(r string) string {
		return `{"@timestamp":"2026-03-01T00:00:00Z","agent":{"type":"filebeat"},"message":` + quoted(r) + `}`
	},
	"filebeat batch": func(r string) string {
		return `{"@metadata":{},"message":` + quoted(`{"records":[`+r+`]}`) + `}`
	},
	"capture": func(r string) string { return `{"SequenceNumber":1,"Properties":{},"Body":` + quoted(r) + `}` },
	"avro-tools": func(r string) string {
		return `{"SequenceNumber":{"long":1},"Body":{"bytes":` + quoted(r) + `}}`
	},
	"elastic": func(r string) string {
		return `{"_index":"x","_source":{"event":{"original":` + quoted(r) + `}}}`
	},
	"hits":      func(r string) string { return `{"took":1,"hits":{"hits":[{"_source":` + r + `}]}}` },
	"splunk":    func(r string) string { return `{"preview":false,"result":{"_raw":` + quoted(r) + `}}` },
	"records":   func(r string) string { return `{"Records":[` + r + `]}` },
	"value":     func(r string) string { return `{"Value":[` + r + `],"Count":1}` },
	"one value": func(r string) string { return `{"value":` + r + `}` },
	"response":  func(r string) string { return `[{"url":"u","body":` + r + `}]` },
	"a text body": func(r string) string {
		return `{"responses":[{"id":"1","status":200,"body":` + quoted(r) + `}]}`
	},
	"a text":       quoted,
	"text lines":   func(r string) string { return quoted(r) + "\n" },
	"texts":        func(r string) string { return `[` + quoted(r) + `]` },
	"text rows":    func(r string) string { return `{"records":[` + quoted(r) + `]}` },
	"text records": func(r string) string { return `{"records":` + quoted(`[`+r+`]`) + `}` },
	"array":        func(r string) string { return `[` + r + `]` },
	"row of value": func(r string) string { return `{"value":[{"message":` + quoted(r) + `}]}` },
}

// A record is found whatever is wrapped around it.
func TestWrappersAreOpened(t *testing.T) {
	const record = `{"id":"1","enrolledDateTime":"2026-01-05T08:00:00Z","managementAgent":"mdm","model":"X"}`
	for name, wrap := range wrappers {
		c := collect(t, testRecogniser, oneFile(wrap(record)))
		if len(c.out) != 1 || len(c.items) != 1 || c.items[0].Kind.Form == nil || c.items[0].Rec.Text("model") != "X" {
			t.Errorf("%s: %q", name, c.out)
			continue
		}
		text := strings.Contains(wrap("{}"), `"{`) || strings.Contains(wrap("{}"), `"[`)
		if it := c.items[0]; text != (it.Decoded || it.Rec.Decoded) {
			t.Errorf("%s: decoded is %v", name, !text)
		}
	}
}

// A record of a known name is one, whatever members it has and wherever they stand.
func TestARecordIsToldByContentAndNotByItsMembersOrder(t *testing.T) {
	monitor := func(odd string) string {
		return `{` + odd + `"time":"2026-03-01T08:00:00Z","category":"Devices","properties":{"DeviceId":"1"}}`
	}
	graph := func(odd string) string {
		return `{` + odd + `"id":"1","enrolledDateTime":"2026-03-01T08:00:00Z","managementAgent":"mdm"}`
	}
	entity := func(odd string) string {
		return `{` + odd + `"@odata.context":"https://x/$metadata#deviceManagement/managedDevices/$entity","id":"1"}`
	}
	for _, odd := range []string{`"value":[1],`, `"value":{"id":"x"},`, `"records":[{"id":"x"}],`, `"body":{"a":1},`,
		`"responses":[],`, `"tables":[{}],`, `"rows":[[1]],"columns":[{"name":"a"}],`,
		`"value":[` + graph("") + `],`} {
		for i, record := range []string{monitor(odd), graph(odd), entity(odd)} {
			for n, file := range []string{record, `{"value":[` + record + `]}`, record + "\n" + monitor("") + "\n"} {
				c := collect(t, testRecogniser, oneFile(file))
				other := slices.ContainsFunc(c.items, func(it Item) bool { return it.Kind.Form == nil })
				if other || len(c.items) != 1+n/2 || len(c.out) != len(c.items) {
					t.Errorf("%s, form %d: %q", odd, i, c.out)
				}
			}
		}
	}
}

// A page that names another is told of where its folder holds none that ends the collection.
func TestAPageThatWasNotFollowedIsTold(t *testing.T) {
	page := func(more string) string {
		return `{"@odata.context":"https://x/$metadata#deviceManagement/managedDevices",` + more +
			`"value":[{"id":"1"}]}`
	}
	link := `"@odata.nextLink":"https://x/next",`
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"one page, followed by none":  {map[string]string{"a/1.json": page(link)}, 1},
		"the last one is there":       {map[string]string{"a/1.json": page(link), "a/2.json": page("")}, 0},
		"the last one comes first":    {map[string]string{"a/1.json": page(""), "a/2.json": page(link)}, 0},
		"the last one is elsewhere":   {map[string]string{"a/1.json": page(link), "b/2.json": page("")}, 1},
		"two, and the last is absent": {map[string]string{"a/1.json": page(link), "a/2.json": page(link)}, 1},
		"an empty link":               {map[string]string{"a/1.json": page(`"@odata.nextLink":"",`)}, 0},
	} {
		got := collect(t, testRecogniser, filesOf(c.files))
		if got.has("notice") != c.want || len(got.items) != len(c.files) {
			t.Errorf("%s: %q", name, got.out)
		}
	}
}

// Files are read in the order of their dates, those of one date by name; how far it is grows to
// the total.
func TestFilesAreReadInTheOrderOfTheirDates(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	c := collect(t, testRecogniser, folders.Source{Paths: []string{"z", "a"}, FS: fstest.MapFS{
		"a/1": {Data: []byte(`{"category":"Devices","properties":{}}`), ModTime: at(3)},
		"a/2": {Data: []byte("not JSON"), ModTime: at(1)}, "z/1": {Data: []byte(`{`), ModTime: at(2)},
		"z/0": {Data: []byte(`{"a":1}`), ModTime: at(2)}}})
	want := []string{"a/2:0 0 text without JSON", "a/2:0 unknown: text without JSON", "z/0:1 1 unnamed",
		"z/0:0 unknown: JSON whose records have no known name", "z/1:1 1 broken: ends inside a JSON value",
		"a/1:1 1 Devices"}
	if !slices.Equal(c.out, want) {
		t.Errorf("%q", c.out)
	}
	byRead := func(a, b Position) int { return int(a.Read - b.Read) }
	if last := c.places[len(c.places)-1]; !slices.IsSortedFunc(c.places, byRead) || last.Read != last.Total ||
		last.Total != 54 || !last.Modified.Equal(at(3)) {
		t.Errorf("%+v", c.places)
	}
}

// stopping is a receiver that ends a walk at its first record.
type stopping struct {
	*collector
	err error
}

func (s stopping) Record(Position, Item) error { return s.err }

// An error of the receiver ends the walk and is returned; one of a file is told, and the rest
// read.
func TestOnlyTheReceiverEndsAWalk(t *testing.T) {
	files := folders.Source{Paths: []string{"none", "x", "y"}, FS: failing{fstest.MapFS{"x": {Data: []byte(`{"id":`)},
		"y": {Data: []byte(`{"category":"Devices","properties":{}}`)}}}}
	c := collect(t, testRecogniser, files)
	if len(c.items) != 1 || len(c.flaws) != 2 ||
		c.flaws["x"].Reason != "cannot be read to its end: file does not exist" {
		t.Errorf("%q", c.out)
	}
	l, err := files.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	if err := testRecogniser.Read(context.Background(), l, stopping{c, stop}); err != stop {
		t.Errorf("the walk ended with %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	if err := testRecogniser.Read(ctx, l, c); err != stop {
		t.Errorf("the walk ended with %v", err)
	}
	if _, err := files.List(ctx); err != stop {
		t.Errorf("the listing ended with %v", err)
	}
}

// failing is a file system in which reading x fails in the middle.
type failing struct{ fstest.MapFS }

func (f failing) Open(name string) (fs.File, error) {
	file, err := f.MapFS.Open(name)
	if name == "x" && err == nil {
		return &failingFile{File: file}, nil
	}
	return file, err
}

type failingFile struct{ fs.File }

func (f *failingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n == 0 {
		err = &fs.PathError{Op: "read", Path: "x", Err: fs.ErrNotExist}
	}
	return n, err
}
