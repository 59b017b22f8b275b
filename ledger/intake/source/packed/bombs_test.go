package packed

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// zeros reads as many.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// bombOf is gzip of so many bytes.
func bombOf(t testing.TB, n int64) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, &zeros{n}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipBomb is an archive of n entries, each of so many bytes.
func zipBomb(t testing.TB, n int, size int64) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		w, err := z.Create(fmt.Sprintf("%03d", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, &zeros{size}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// overlapping is an archive in whose list n entries name the bytes of the first: what others have
// called the better bomb.
func overlapping(t testing.TB, n int, size int64) string {
	t.Helper()
	one := zipBomb(t, 1, size)
	at := strings.Index(one, "PK\x01\x02")
	end := strings.LastIndex(one, "PK\x05\x06")
	tail := []byte(one[end:])
	list := strings.Repeat(one[at:end], n)
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(list)))
	return one[:at] + list + string(tail)
}

// avroBomb is a file of Avro with a block of one message, whose body measures n bytes.
func avroBomb(t testing.TB, codec string, n int64) string {
	t.Helper()
	file := packedtest.Avro(t, packedtest.TextSchema, codec, 1, map[string]any{"Body": "a", "Partition": 1})
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(binary.AppendVarint(nil, n)), &zeros{n + 1})); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file + string(binary.AppendVarint([]byte{2}, int64(b.Len()))) + b.String() + marker(file)
}

const heapMiB = 1 << 20

// What comes out of a bomb is bounded, and so is the memory that it takes; what it is is told.
func TestBombsAreReadNoFurtherThanTheyMayBe(t *testing.T) {
	const exceeds = "more than 200 times what the file measures comes out of it: it is read no further"
	for name, c := range map[string]struct {
		content string
		says    string
		most    int64 // bytes handed out
	}{
		"gzip":           {bombOf(t, 80<<20), exceeds, 65 << 20},
		"gzip in gzip":   {packedtest.Gzip(t, bombOf(t, 80<<20)), exceeds, 65 << 20},
		"zip":            {zipBomb(t, 4, 20<<20), exceeds, 65 << 20},
		"zip in zip":     {packedtest.Zip(t, entry1("a.zip", zipBomb(t, 4, 20<<20))), exceeds, 65 << 20},
		"overlapping":    {overlapping(t, 1000, 1<<20), "claim the same bytes", 0},
		"deflate":        {avroBomb(t, "deflate", 80<<20), exceeds, 1},
		"deflate in one": {avroBomb(t, "deflate", 60<<20), "message 2 measures more than 20 MiB", 1},
		"snappy's claim": {snappyClaim(t, 1<<31), "block 2 is", 1},
		"a body's claim": {bodyClaim(t, 19<<20), "block 2 is", 1},
		"not yet one":    {bombOf(t, 30<<20), "", 30 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			f := &found{weigh: true}
			f.look()
			before := f.peak
			into(t, f, c.content, theLimits)
			told := 0
			for _, line := range f.out {
				if strings.Contains(line, c.says) && c.says != "" {
					told++
				}
			}
			if told != min(1, len(c.says)) || f.bytes > c.most {
				t.Errorf("told %d times, %d bytes: %.300q", told, f.bytes, f.out)
			}
			if grown := int64(f.peak) - int64(before); grown > 8*heapMiB {
				t.Errorf("the heap grew by %d MiB", grown/heapMiB)
			}
			runtime.KeepAlive(c.content)
		})
	}
}

// snappyClaim is a block that claims to unpack to so much.
func snappyClaim(t testing.TB, n uint64) string {
	t.Helper()
	file := packedtest.Avro(t, packedtest.TextSchema, "snappy", 1, map[string]any{"Body": "a", "Partition": 1})
	block := string(binary.AppendUvarint(nil, n)) + "\x00xxxx"
	size := binary.AppendVarint(binary.AppendVarint(nil, 1), int64(len(block)))
	return file + string(size) + block + marker(file)
}

// bodyClaim is a block with a body that claims to measure so much.
func bodyClaim(t testing.TB, n int64) string {
	t.Helper()
	file := packedtest.Avro(t, packedtest.TextSchema, "null", 1, map[string]any{"Body": "a", "Partition": 1})
	block := string(binary.AppendVarint(nil, n))
	size := binary.AppendVarint(binary.AppendVarint(nil, 1), int64(len(block)))
	return file + string(size) + block + marker(file)
}

// Behind a bomb nothing else of its archive is read, and how much that is, is told; what stands
// before it is handed out.
func TestWhatIsNotReadBehindABombIsCounted(t *testing.T) {
	l := theLimits
	l.free, l.ratio = 1000, 2
	got := unpackText(t, packedtest.Zip(t, entry1("a", "1"), entry1("b", strings.Repeat("b", 5000)), entry1("c", "3"),
		entry1("d", "4")), l).out
	want := []string{"a 1",
		"b (768 bytes) DAMAGE more than 2 times what the file measures comes out of it: it is read no further",
		"FAULT DAMAGE 2 further entries of it are not read"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
}

// Each limit is told as what it is, and just below it everything is read.
func TestEachLimitSaysWhatItIs(t *testing.T) {
	many := func(n int) (out []packedtest.Entry) {
		for i := range n {
			out = append(out, entry1(fmt.Sprintf("%03d", i), "1"))
		}
		return out
	}
	for name, c := range map[string]struct {
		set     func(*limits)
		content string
		says    string // "" where all is read
	}{
		"most of a file": {func(l *limits) { l.most = 1 << 30 }, packedtest.Gzip(t, "a"), ""},
		"entries":        {func(l *limits) { l.entries = 10 }, packedtest.Zip(t, many(10)...), ""},
		"more entries":   {func(l *limits) { l.entries = 10 }, packedtest.Zip(t, many(11)...), "more than 10 entries"},
		"entries of archives": {func(l *limits) { l.entries = 10 },
			packedtest.Zip(t, entry1("a", packedtest.Zip(t, many(5)...)), entry1("b", packedtest.Zip(t, many(5)...))),
			"more than 10 entries"},
		"a long list": {func(l *limits) { l.directory = 1 << 20 },
			packedtest.Zip(t, entry1(strings.Repeat("a", 60000), "1"), entry1(strings.Repeat("b", 60000), "1")), ""},
		"a longer list": {func(l *limits) { l.directory = 1 << 16 },
			packedtest.Zip(t, entry1(strings.Repeat("a", 60000), "1"), entry1(strings.Repeat("b", 60000), "1")),
			"whose directory measures more than"},
		"an inner archive": {func(l *limits) { l.held = 1 << 20 },
			packedtest.Zip(t, entry1("a.zip", packedtest.Zip(t, entry1("b", noise(2<<20))))),
			"is a zip archive of more than 1 MiB inside another"},
		"a body": {func(l *limits) { l.body = 10 }, packedtest.Capture(t, "null", 1, "0123456789"), ""},
		"a larger body": {func(l *limits) { l.body = 10 }, packedtest.Capture(t, "null", 1, "01234567890"),
			"message 1 measures more than"},
		"a larger block": {func(l *limits) { l.block = 100 }, packedtest.Capture(t, "null", 1, noise(200)),
			"block 1 measures more than"},
	} {
		l := theLimits
		c.set(&l)
		got := strings.Join(unpackText(t, c.content, l).out, "\n")
		if strings.Contains(got, "DAMAGE") != (c.says != "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %.500q", name, got)
		}
	}
	b := budget{limits: theLimits, size: 1 << 40}
	b.out = b.most
	if err := b.take(1); err == nil || !strings.Contains(err.Error(), "more than 64 GiB") {
		t.Errorf("%v", err)
	}
}
