package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

func packedEntry(name, text string) packedtest.Entry { return packedtest.Entry{Name: name, Text: text} }

const aDevice = `{"time":"x","category":"Devices","properties":{"DeviceId":"1"}}`

// told are items without where they come from.
func told(items []Item) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%d:%d %s %v %s %s\n", it.Line, it.Number, it.Kind.Name, it.Decoded, it.Context, it.Raw)
	}
	return b.String()
}

// Records packed in any nesting give the items that they give unpacked, byte for byte, and so do
// those of an archive of several files.
func TestWhatIsPackedGivesTheSameItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, entries := map[string]string{}, []packedtest.Entry{}
		for i := range rapid.IntRange(1, 3).Draw(t, "files") {
			c := &composer{t: t}
			name, text := fmt.Sprintf("%d", i), c.holder(3, true)+"\n"+c.record()
			files[name] = text
			if rapid.Bool().Draw(t, "in gzip") {
				text = packedtest.Gzip(t, text)
			}
			entries = append(entries, packedEntry(name, text))
		}
		plain := walkAll(t, files)
		together := walkAll(t, map[string]string{"x": packedtest.Zip(t, entries...)})
		if told(plain.items) != told(together.items) || len(plain.flaws) != len(together.flaws) {
			t.Fatalf("plain:\n%s%q\npacked:\n%s%q", told(plain.items), plain.out, told(together.items), together.out)
		}
		for name, text := range files {
			one := walkAll(t, map[string]string{"x": text})
			same := walkAll(t, map[string]string{"x": pack(t, text)})
			if told(one.items) != told(same.items) || one.has("broken") != same.has("broken") {
				t.Fatalf("%s, plain:\n%s\npacked:\n%s", name, told(one.items), told(same.items))
			}
		}
	})
}

// walkAll reads files.
func walkAll(t *rapid.T, content map[string]string) *collector {
	l, err := filesOf(content).List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{flaws: map[string]Flaw{}}
	if err := testRecogniser.Read(context.Background(), l, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The messages of Event Hubs Capture give the items that they give as JSON lines, whatever packs
// them and in whatever encoding they are; one that is none costs itself.
func TestMessagesGiveTheItemsOfTheirLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines, bodies []string
		c := &composer{t: t}
		for range rapid.IntRange(1, 6).Draw(t, "messages") {
			line := c.record()
			if rapid.Bool().Draw(t, "a batch") {
				line = `{"records":[` + line + `,` + c.record() + `]}`
			}
			lines = append(lines, line)
			switch rapid.IntRange(0, 5).Draw(t, "encoding") {
			case 0:
				line = toUTF16("\ufeff"+line, "", true)
			case 1:
				line = "\xef\xbb\xbf" + line + "\r\n"
			case 2:
				line = "\n" + strings.Replace(line, ",", ",\n", 1) // and is still one message
				lines[len(lines)-1] = strings.ReplaceAll(line, "\n", " ")
			}
			bodies = append(bodies, line)
		}
		codec := rapid.SampledFrom([]string{"null", "deflate", "snappy"}).Draw(t, "codec")
		file := packedtest.Capture(t, codec, rapid.IntRange(1, 3).Draw(t, "a block"), bodies...)
		if rapid.Bool().Draw(t, "packed again") {
			file = packedtest.Zip(t, packedEntry("a.avro", file))
		}
		want := told(walkAll(t, map[string]string{"x": strings.Join(lines, "\n")}).items)
		got := told(walkAll(t, map[string]string{"x": file}).items)
		if strings.ReplaceAll(got, "\n", " ") != strings.ReplaceAll(want, "\n", " ") {
			t.Fatalf("lines:\n%s\nmessages:\n%s", want, got)
		}
	})
}

// What is wrong inside something packed is told with its place, and the rest is read.
func TestFaultsInWhatIsPackedHaveTheirPlaces(t *testing.T) {
	gz, zip := func(s string) string { return packedtest.Gzip(t, s) }, packedtest.Zip
	capture := func(bodies ...string) string { return packedtest.Capture(t, "null", 10, bodies...) }
	two := gz(aDevice + "\n" + aDevice + "\n")
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"a broken line in an entry": {
			zip(t, packedEntry("a/b", aDevice+"\n{\n"+aDevice+"\n"), packedEntry("c", aDevice)),
			[]string{"x » a/b:1 1 Devices", "x » a/b:2 2 broken: malformed JSON at byte 1 of the line",
				"x » a/b:3 3 Devices", "x » c:1 1 Devices"}},
		"gzip with a wrong sum": {two[:len(two)-8] + "\x00\x00\x00\x00" + two[len(two)-4:],
			[]string{"x:1 1 Devices", "x:2 2 Devices", "x:3 0 broken: member 1 of its gzip has another checksum " +
				"than was written: what was read of it may be wrong"}},
		"gzip that is cut off": {two[:len(two)-9], []string{"x:1 1 Devices", "x:2 2 Devices",
			"x:3 0 broken: member 1 of its gzip is cut off: what stands before that is read"}},
		"an entry that is none of ours": {zip(t, packedEntry("a", "Dear all"), packedEntry("b", aDevice)),
			[]string{"x » a:0 0 text without JSON", "x » a:0 unknown: text without JSON", "x » b:1 1 Devices"}},
		"an archive of nothing known": {zip(t, packedEntry("a", `{"surprise":1}`)),
			[]string{"x » a:1 1 unnamed", "x » a:0 unknown: JSON whose records have no known name"}},
		"messages of others": {capture(aDevice, "\x01\x02", "text", "", aDevice),
			[]string{"x:1 1 Devices", "x:2 2 binary data", "x:3 3 text without JSON", "x:5 4 Devices",
				"x:0 notice: 1 of its messages have no Body"}},
		"only messages of others": {capture("\x01\x02", "text"),
			[]string{"x:1 1 binary data", "x:2 2 text without JSON", "x:0 unknown: binary data"}},
		"gzip in a message": {capture(gz(aDevice)), []string{"x:1 1 gzip", "x:0 unknown: gzip"}},
		"a broken message": {capture(aDevice, `{"category":"Devices",`, aDevice),
			[]string{"x:1 1 Devices", "x:2 2 broken: ends inside a JSON value", "x:3 3 Devices"}},
		"a broken block": {strings.Replace(capture(aDevice, aDevice, "short"), "\x0ashort", "\x0dshort", 1),
			[]string{"x:1 1 Devices", "x:2 2 Devices", "x:2 0 broken: block 1 is broken: 2 of the 3 messages that " +
				"it claims are read, and the blocks behind it"}},
		"a header that an editor broke": {strings.ToValidUTF8(strings.Replace(capture(
			`{"records":[`+aDevice+`,`+aDevice+`]}`, "no JSON {", aDevice), "{", "\r\n{", 1), "?"),
			[]string{"x:1 1 Devices", "x:1 2 Devices", "x:2 3 Devices",
				"x:0 notice: is a file of Avro whose header is broken: its messages were found by their JSON"}},
		"and a batch": {"Obj\x01" + `{"records":[` + aDevice + `,{"a":` + "\x00" + `}]}` + aDevice,
			[]string{"x:1 1 broken: malformed JSON", "x:1 2 Devices", "x:2 3 Devices",
				"x:0 notice: is a file of Avro whose header is broken: its messages were found by their JSON"}},
		"and everything": {"Obj\x01\xff\xff{{{",
			[]string{"x:0 0 broken: is a file of Avro whose header is broken: what it held is not read"}},
	} {
		if got := collect(t, testRecogniser, oneFile(c.content)).out; !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Pages in an archive are followed in its folders, as those of files are.
func TestAPageInAnArchiveIsFollowedThere(t *testing.T) {
	page := func(more string) string {
		return `{"@odata.context":"https://x/$metadata#deviceManagement/managedDevices",` + more +
			`"value":[{"id":"1"}]}`
	}
	link := `"@odata.nextLink":"https://x/next",`
	zip := func(entries ...packedtest.Entry) string { return packedtest.Zip(t, entries...) }
	first, last := packedEntry("1", page(link)), packedEntry("2", page(""))
	for name, c := range map[string]struct {
		files map[string]string
		want  int
	}{
		"the last is in it":         {map[string]string{"a.zip": zip(first, last)}, 0},
		"the last is not":           {map[string]string{"a.zip": zip(first)}, 1},
		"it is beside the archive":  {map[string]string{"a.zip": zip(first), "2": page("")}, 1},
		"it is in another archive":  {map[string]string{"a.zip": zip(first), "b.zip": zip(last)}, 1},
		"it is in a folder of it":   {map[string]string{"a.zip": zip(first, packedEntry("b/2", page("")))}, 1},
		"both are in an inner one":  {map[string]string{"a.zip": zip(packedEntry("b.zip", zip(first, last)))}, 0},
		"each is of gzip, for them": {map[string]string{"1.gz": packedtest.Gzip(t, page(link)), "2": page("")}, 0},
	} {
		got := collect(t, testRecogniser, filesOf(c.files))
		if got.has("notice") != c.want {
			t.Errorf("%s: %q", name, got.out)
		}
	}
}

// Entries have their own dates, and how far it is grows to the total of what is packed.
func TestEntriesAreDatedAndCountedByTheirFile(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	archive := packedtest.Zip(t, packedtest.Entry{Name: "new", Text: aDevice, Modified: at(3)},
		packedtest.Entry{Name: "old", Text: strings.Repeat(aDevice+"\n", 10_000), Modified: at(2)})
	compressed := packedtest.Gzip(t, aDevice)
	c := collect(t, testRecogniser, folders.Source{Paths: []string{"."}, FS: fstest.MapFS{
		"a.zip": {Data: []byte(archive), ModTime: at(4)}, "b.gz": {Data: []byte(compressed), ModTime: at(1)}}})
	var order []string
	for i, p := range c.places {
		if i == 0 || p.File != c.places[i-1].File {
			order = append(order, fmt.Sprintf("%s %d", p.File, p.Modified.Day()))
		}
	}
	if !slices.Equal(order, []string{"b.gz 1", "a.zip » old 2", "a.zip » new 3"}) {
		t.Errorf("%q", order)
	}
	byRead := func(a, b Position) int { return int(a.Read - b.Read) }
	last := c.places[len(c.places)-1]
	if !slices.IsSortedFunc(c.places, byRead) || last.Read > last.Total ||
		last.Total != int64(len(archive)+len(compressed)) {
		t.Errorf("%+v", last)
	}
}

// sequential is a file system whose files can only be read from their beginning.
type sequential struct{ fstest.MapFS }

func (s sequential) Open(name string) (fs.File, error) {
	f, err := s.MapFS.Open(name)
	if _, dir := f.(fs.ReadDirFile); err != nil || dir {
		return f, err
	}
	return struct{ fs.File }{f}, nil
}

// An archive is read where its file can only be read from the beginning, too.
func TestAnArchiveIsReadFromAFileThatCannotBeReadAnywhere(t *testing.T) {
	archive := packedtest.Zip(t, packedEntry("a", aDevice))
	c := collect(t, testRecogniser, folders.Source{Paths: []string{"x"},
		FS: sequential{fstest.MapFS{"x": {Data: []byte(archive)}}}})
	if !slices.Equal(c.out, []string{"x » a:1 1 Devices"}) {
		t.Errorf("%q", c.out)
	}
}

// A walk that is stopped ends inside something packed that has no record for long.
func TestAWalkEndsInsideWhatIsPacked(t *testing.T) {
	blanks := packedtest.Gzip(t, strings.Repeat(" ", 8<<20)+aDevice)
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := fmt.Errorf("enough")
	long := fstest.MapFS{"x": {Data: bytes.Repeat([]byte(blanks), 20)}}
	files := folders.Source{Paths: []string{"x"}, FS: stopping2{long, func() { cancel(stop) }}}
	l, err := files.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{flaws: map[string]Flaw{}}
	if err := testRecogniser.Read(ctx, l, c); err != stop || len(c.out) != 0 {
		t.Errorf("%v: %q", err, c.out)
	}
}

// stopping2 calls stop when a file is read for the second time.
type stopping2 struct {
	fstest.MapFS
	stop func()
}

func (s stopping2) Open(name string) (fs.File, error) {
	f, err := s.MapFS.Open(name)
	return &stoppedFile{File: f, stop: s.stop}, err
}

type stoppedFile struct {
	fs.File
	stop  func()
	reads int
}

func (s *stoppedFile) Read(p []byte) (int, error) {
	if s.reads++; s.reads > 1 {
		s.stop()
	}
	return s.File.Read(p[:min(len(p), 100)])
}

// repeated is a text that says one thing over and over.
type repeated struct {
	begin, of string
	left      int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.begin != "" {
		n := copy(p, r.begin)
		r.begin = r.begin[n:]
		return n, nil
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, strings.Repeat(r.of, len(p)/len(r.of)+1))
	n = min(n, r.left)
	r.left -= n
	return n, nil
}

// A bomb that looks like records is read within bounded memory, and told once as what it is; so it
// is where only its tenants are looked for.
func TestABombThatLooksLikeRecordsIsRead(t *testing.T) {
	const most = 70 << 20
	for name, of := range map[string]*repeated{
		"blanks in a list": {`{"value":[`, " ", most},
		"a text":           {`{"value":[{"deviceName":"`, "x", most},
		"a number":         {"[", "1", most},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := io.Copy(w, of); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			files := folders.Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": {Data: b.Bytes()}}}
			l, err := files.List(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c := &weighing{bombs: map[string]int{}}
			if err := testRecogniser.Read(context.Background(), l, c); err != nil {
				t.Fatal(err)
			}
			if _, err := testRecogniser.Foreign(context.Background(), l, declared, c.looked); err != nil {
				t.Fatal(err)
			}
			const exceeds = "more than 200 times what the file measures comes out of it: it is read no further"
			if c.bombs[exceeds] != 1 {
				t.Errorf("told: %v", c.bombs)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(max(c.peak, after.HeapSys)) - int64(before.HeapSys); grown > 64<<20 {
				t.Errorf("the heap took %d MiB more", grown>>20)
			}
		})
	}
}

// weighing counts what it is told by its words, and weighs the heap.
type weighing struct {
	bombs map[string]int
	peak  uint64 // bytes that the heap took of the system
}

func (w *weighing) looked(Position) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, m.HeapSys)
	return nil
}

func (w *weighing) Record(p Position, _ Item) error { return w.looked(p) }
func (w *weighing) Broken(p Position, f Flaw) error {
	w.bombs[f.Reason]++
	return w.looked(p)
}
func (w *weighing) Notice(Position, int, string) error { return nil }
func (w *weighing) Unknown(Position, Looks) error      { return nil }
