package packed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// found notes what is unpacked: each text, message and fault with its place.
type found struct {
	out    []string
	places []Place
	bytes  int64 // of texts and messages
	peak   uint64
	weigh  bool // the heap, and keep no text
}

func (f *found) note(p Place, format string, args ...any) error {
	f.places = append(f.places, p)
	f.out = append(f.out, strings.TrimSpace(p.Name+" "+fmt.Sprintf(format, args...)))
	return nil
}

func (f *found) Text(p Place, r io.Reader) error {
	if f.weigh {
		return f.drain(p, r)
	}
	text, err := io.ReadAll(r)
	f.bytes += int64(len(text))
	if len(text) > 100 {
		text = fmt.Appendf(nil, "(%d bytes)", len(text))
	}
	return f.ended(p, string(text), err)
}

func (f *found) ended(p Place, what string, err error) error {
	var d *Damage
	switch {
	case errors.As(err, &d):
		what = strings.TrimSpace(what + " DAMAGE " + d.Reason)
	case err != nil:
		what = strings.TrimSpace(what + " ERROR " + err.Error())
	}
	return f.note(p, "%s", what)
}

// drain reads a text and weighs the heap now and then.
func (f *found) drain(p Place, r io.Reader) error {
	buf := make([]byte, 64<<10)
	for i := 0; ; i++ {
		n, err := r.Read(buf)
		f.bytes += int64(n)
		if i%2048 == 0 || err != nil {
			f.look()
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return f.ended(p, "", err)
		}
	}
}

func (f *found) look() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.peak = max(f.peak, m.HeapAlloc)
}

func (f *found) Messages(p Place, m *Messages) error {
	for {
		body, err := m.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		f.bytes += int64(len(body))
		if f.weigh {
			if m.Number%(8<<20) == 1 {
				f.look()
			}
			if err == nil {
				continue
			}
		}
		if len(body) > 100 {
			body = fmt.Appendf(nil, "(%d bytes)", len(body))
		}
		what := fmt.Sprintf("#%d %s", m.Number, body)
		if err != nil {
			what = ""
		}
		if err := f.ended(p, what, err); err != nil {
			return err
		}
	}
}

func (f *found) Loose(p Place, r io.Reader) error {
	text, err := io.ReadAll(r)
	return f.ended(p, fmt.Sprintf("LOOSE %d bytes", len(text)), err)
}
func (f *found) OtherAvro(p Place, schema string) error { return f.note(p, "AVRO %s", schema) }
func (f *found) Office(p Place, workbook bool) error    { return f.note(p, "OFFICE %v", workbook) }
func (f *found) Fault(p Place, err error) error         { return f.ended(p, "FAULT", err) }
func (f *found) Notice(p Place, what string) error      { return f.note(p, "NOTICE %s", what) }

// unpackText unpacks content as a file.
func unpackText(t testing.TB, content string, l limits) *found {
	t.Helper()
	f := &found{}
	into(t, f, content, l)
	return f
}

func into(t testing.TB, f *found, content string, l limits) {
	t.Helper()
	in := File{Reader: strings.NewReader(content), At: strings.NewReader(content), Size: int64(len(content)),
		Modified: packedAt}
	if err := unpack(in, f, l); err != nil {
		t.Fatal(err)
	}
}

// packedAt is when the files of tests were modified.
var packedAt = time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)

func entry1(name, text string) packedtest.Entry { return packedtest.Entry{Name: name, Text: text} }

// cut is a text without its last bytes.
func cut(s string, n int) string { return s[:len(s)-n] }

// with is a text with another byte at a place, from the end where that is negative.
func with(s string, at int, b byte) string {
	c := []byte(s)
	if at < 0 {
		at += len(c)
	}
	c[at] ^= b
	return string(c)
}

// listed is an archive in whose list of entries the nth has another byte at a place of its header.
func listed(archive string, nth, at int, is byte) string {
	from := 0
	for range nth {
		from += strings.Index(archive[from:], "PK\x01\x02") + 4
	}
	from += strings.Index(archive[from:], "PK\x01\x02")
	return archive[:from+at] + string([]byte{is}) + archive[from+at+1:]
}

// noise is text that does not pack, so that what is cut off is not all of it.
func noise(n int) string {
	var b bytes.Buffer
	x := uint64(1)
	for b.Len() < n {
		x = x*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, "%x\n", x)
	}
	return b.String()[:n]
}

// What each kind of packing holds is handed out; what is wrong is told once, with its place, and
// what is whole before it and behind it is handed out all the same.
func TestWhatIsPackedIsHandedOut(t *testing.T) {
	gz := func(texts ...string) string { return packedtest.Gzip(t, texts...) }
	zip := func(e ...packedtest.Entry) string { return packedtest.Zip(t, e...) }
	long := noise(300)
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"plain":        {"text", []string{"text"}},
		"short":        {"ab", []string{"ab"}},
		"nothing":      {"", []string{""}},
		"gzip":         {gz("a"), []string{"a"}},
		"members":      {gz("a", "", "b"), []string{"ab"}},
		"filled up":    {gz("a") + "\x00\x00\x00", []string{"a"}},
		"gzip in gzip": {gz(gz("a")), []string{"a"}},
		"too many layers": {gz(gz(gz(gz("a")))),
			[]string{"FAULT DAMAGE is packed in more than 3 layers: unpack it first"}},
		"cut off": {gz("a", long)[:200],
			[]string{"(284 bytes) DAMAGE member 2 of its gzip is cut off: what stands before that is read"}},
		"its sum cut off": {cut(gz(long), 3),
			[]string{"(300 bytes) DAMAGE member 1 of its gzip is cut off: what stands before that is read"}},
		"a wrong sum": {with(gz("a"), -8, 1),
			[]string{"a DAMAGE member 1 of its gzip has another checksum than was written: what was read of it " +
				"may be wrong"}},
		"broken inside": {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
			[]string{"DAMAGE member 1 of its gzip is broken: what stands before that is read"}},
		"rest behind": {gz("a") + "rest",
			[]string{"a DAMAGE what stands behind member 1 of its gzip is no gzip"}},
		"rest behind zeros": {gz("a") + "\x00rest",
			[]string{"a DAMAGE what stands behind member 1 of its gzip is no gzip"}},
		"no header":        {"\x1f\x8b\x09", []string{"FAULT DAMAGE the header of its gzip is broken"}},
		"zip":              {zip(entry1("b", "2"), entry1("a", "1")), []string{"a 1", "b 2"}},
		"stored":           {zip(packedtest.Entry{Name: "a", Text: "1", Stored: true}), []string{"a 1"}},
		"folders":          {zip(entry1("a/", ""), entry1(`b\`, ""), entry1("a/b", "1")), []string{"a/b 1"}},
		"one part":         {"PK\x07\x08" + zip(entry1("a", "1")), []string{"a 1"}},
		"nothing in it":    {zip(), nil},
		"nothing in one":   {zip(entry1("a", "")), []string{"a"}},
		"gzip in zip":      {zip(entry1("a.gz", gz("1"))), []string{"a.gz 1"}},
		"zip in zip":       {zip(entry1("a.zip", zip(entry1("b", "1")))), []string{"a.zip » b 1"}},
		"zip in gzip":      {gz(zip(entry1("b", "1"))), []string{"b 1"}},
		"backslashes":      {zip(entry1(`a\b`, "1")), []string{"a/b 1"}},
		"what macOS adds":  {zip(entry1("__MACOSX/._a", "\x00\x05\x16\x07x"), entry1("a", "1")), []string{"a 1"}},
		"records in there": {zip(entry1("__MACOSX/a", "1")), []string{"__MACOSX/a 1"}},
		"two of one name": {zip(entry1("a", "1"), entry1("a", "2")),
			[]string{"NOTICE 1 of its entries have the name of another: each is read", "a 1", "a (#2) 2"}},
		"an address as name": {zip(entry1("x", "1"), entry1("anna@example.com.json", "2")),
			[]string{"#2 2", "x 1"}},
		"controls in a name": {zip(entry1("a\x1b[2J", "1")), []string{"#1 1"}},
		"a sum in zip": {listed(zip(entry1("a", "1")), 0, 16, 0),
			[]string{"a 1 DAMAGE has another checksum than its archive says: what was read of it may be wrong"}},
		"a small size": {listed(zip(entry1("a", "12345")), 0, 24, 4),
			[]string{"a 12345 DAMAGE does not measure what its archive says: what was read of it may be wrong"}},
		"a large size": {listed(zip(entry1("a", "12345")), 0, 24, 6),
			[]string{"a 12345 DAMAGE does not measure what its archive says: what was read of it may be wrong"}},
		"encrypted": {listed(zip(entry1("a", "1")), 0, 8, 9),
			[]string{"a FAULT DAMAGE is encrypted: unpack it with its password first"}},
		"Deflate64": {listed(zip(entry1("a", "1")), 0, 10, 9),
			[]string{"a FAULT DAMAGE is packed by method 9 (Deflate64), which is not understood: pack it anew " +
				"by Deflate"}},
		"no such place": {listed(zip(entry1("a", "1")), 0, 42, 5),
			[]string{"a FAULT DAMAGE its place in the archive holds no such entry"}},
		"the same bytes": {listed(zip(entry1("a", "1"), entry1("b", "2")), 1, 42, 0),
			[]string{"FAULT DAMAGE its entries 1 and 2 claim the same bytes: such an archive is made to " +
				"deceive, and nothing of it is read"}},
		"from a pipe": {listed(listed(zip(entry1("a", "1")), 0, 41, 0x10), 0, 5, 3), []string{"a 1"}},
		"a link": {listed(listed(zip(entry1("a", "1")), 0, 41, 0xa0), 0, 5, 3),
			[]string{"a FAULT DAMAGE is a link in its archive, and no file: it is not read"}},
		"a zip cut off": {cut(zip(entry1("a", "1")), 5),
			[]string{"FAULT DAMAGE is a zip archive whose directory cannot be read: it is cut off, broken, or " +
				"one part of several"}},
		"a workbook": {zip(entry1("[Content_Types].xml", "1"), entry1("xl/workbook.xml", "2")),
			[]string{"OFFICE true"}},
		"broken in zip": {zip(entry1("a.gz", cut(gz("1"), 1)), entry1("b", "2")), []string{
			"a.gz 1 DAMAGE member 1 of its gzip is cut off: what stands before that is read", "b 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := unpackText(t, c.content, theLimits).out
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
