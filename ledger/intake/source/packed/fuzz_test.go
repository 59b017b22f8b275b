package packed

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/hamba/avro/v2/ocf"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// fuzzLimits are reached by small files.
var fuzzLimits = limits{ratio: 100, free: 1 << 20, most: 8 << 20, entries: 100, directory: 1 << 16, held: 1 << 18,
	layers: 3, header: 1 << 14, block: 1 << 16, unpacked: 1 << 18, body: 1 << 15}

// bounded unpacks content and fails the test where more comes out than may, or more is told than
// there can be.
func bounded(t *testing.T, content string) *found {
	f := unpackText(t, content, fuzzLimits)
	if f.bytes > fuzzLimits.most+int64(len(content)) {
		t.Errorf("%d bytes came out of %d", f.bytes, len(content))
	}
	return f
}

// Whatever an archive is, unpacking it ends within its limits. What another reads of it without a
// fault is handed out.
func FuzzAnArchiveIsUnpacked(f *testing.F) {
	inner := packedtest.Zip(f, entry1("a", "1"))
	archive := packedtest.Zip(f, entry1("a/b", "12345"), entry1("c.gz", packedtest.Gzip(f, "1", "2")),
		packedtest.Entry{Name: "d.zip", Text: inner, Stored: true})
	for _, seed := range []string{archive, zip64(archive), zip64(inner), cut(archive, 30), packedtest.Zip(f),
		packedtest.Gzip(f, "a", "b"), overlapping(f, 3, 100), listed(archive, 1, 42, 0), listed(archive, 0, 8, 1),
		listed(archive, 0, 24, 0xff), packedtest.Zip(f, entry1("../a", "1"), entry1(`\x`, "2"))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got := bounded(t, string(content))
		z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil || !bytes.HasPrefix(content, []byte(zipBegins)) || strings.Contains(strings.Join(got.out, "\n"),
			"FAULT") || named(z, "[Content_Types].xml") {
			return
		}
		var sum int64
		for _, e := range z.File {
			r, err := e.Open()
			if err != nil || strings.HasSuffix(e.Name, "/") {
				return
			}
			text, err := io.ReadAll(io.LimitReader(r, 1<<20))
			if err != nil || len(text) == 1<<20 || len(text) > 3 { // what is longer may be packed itself
				return
			}
			sum += int64(len(text))
		}
		if sum != got.bytes {
			t.Errorf("%d bytes are handed out, and another reads %d: %q", got.bytes, sum, got.out)
		}
	})
}

// Whatever a file of Avro is, reading it ends within its limits. What another reads of a file of
// Capture is handed out.
func FuzzMessagesAreRead(f *testing.F) {
	for _, codec := range []string{"null", "deflate", "snappy"} {
		file := packedtest.Capture(f, codec, 2, "one", "", "three", "four")
		f.Add([]byte(file))
		f.Add([]byte(cut(file, 20)))
		f.Add([]byte(with(file, -30, 1)))
		f.Add([]byte(packedtest.Avro(f, packedtest.TextSchema, codec, 1, map[string]any{"Body": "a", "Partition": 1})))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if !bytes.HasPrefix(content, []byte(avroBegins)) {
			return
		}
		got := bounded(t, string(content)).out
		if strings.Contains(strings.Join(got, ""), "DAMAGE") || strings.Contains(strings.Join(got, ""), "AVRO") ||
			!bytes.Contains(content, []byte(packedtest.CaptureSchema)) || bytes.Contains(content, []byte("deflate")) {
			return
		}
		d, err := ocf.NewDecoder(bytes.NewReader(content))
		if err != nil {
			return
		}
		n := 0
		for d.HasNext() {
			var v struct{ Body []byte }
			if d.Decode(&v) != nil {
				return
			}
			n++
		}
		if d.Error() == nil && n != len(got) {
			t.Errorf("%d messages are handed out, and another reads %d: %q", len(got), n, got)
		}
	})
}
