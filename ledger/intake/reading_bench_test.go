//go:build unix

package intake

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ledgerline/ledgerline/internal/cputime"
	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// BenchmarkReading reads, recognises and parses an invented fleet, and plans nothing.
func BenchmarkReading(b *testing.B) {
	dir := fleetDir(b, 2000, 5)
	var size int64
	err := fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	newWorld(b, false).readAgain(b, Source{Paths: []string{dir}}, size)
}

// readAgain reads a source of so many bytes, unpacked, as often as b wants, and returns what a
// record costs.
func (w *world) readAgain(b *testing.B, src Source, size int64) (microseconds float64) {
	b.ReportAllocs()
	b.ResetTimer()
	began, records := cputime.Used(), 0
	for b.Loop() {
		records += walkAll(b, w, src)
	}
	used := cputime.Used() - began
	microseconds = float64(used.Microseconds()) / float64(records)
	b.ReportMetric(microseconds, "cpu-µs/record")
	b.ReportMetric(float64(records)/used.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(size)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
	return microseconds
}

// BenchmarkReadingPacked reads the same records of an invented fleet plain and packed: what each
// costs beside the plain ones, and how small it makes them.
func BenchmarkReadingPacked(b *testing.B) {
	var lines []string
	for seed := range uint64(200) {
		for _, doc := range fleetForms(b, seed) {
			lines = append(lines, string(doc))
		}
	}
	text := strings.Join(lines, "\n")
	var batches []string
	for part := range slices.Chunk(lines, 50) {
		batches = append(batches, `{"records":[`+strings.Join(part, ",")+`]}`)
	}
	half := strings.Index(text[len(text)/2:], "\n") + len(text)/2
	w := newWorld(b, false)
	plain := 0.0
	for _, c := range []struct{ name, content string }{{"plain", text}, {"gzip", packedtest.Gzip(b, text)},
		{"zip", packedtest.Zip(b, packedtest.Entry{Name: "a", Text: text[:half]},
			packedtest.Entry{Name: "b", Text: text[half:]})},
		{"capture", packedtest.Capture(b, "null", 10, batches...)},
		{"capture-deflate", packedtest.Capture(b, "deflate", 10, batches...)},
		{"capture-snappy", packedtest.Capture(b, "snappy", 10, batches...)}} {
		b.Run(c.name, func(b *testing.B) {
			src := Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": {Data: []byte(c.content)}}, TakeNameless: true}
			cost := w.readAgain(b, src, int64(len(text)))
			if c.name == "plain" {
				plain = cost
			}
			b.ReportMetric(cost/plain, "of-plain")
			b.ReportMetric(float64(len(text))/float64(len(c.content)), "to-1")
		})
	}
}

// BenchmarkReadingForms reads, recognises and parses what the forms of every kind tell, over and
// over, and plans nothing: what a record costs beside Graph's of a device.
func BenchmarkReadingForms(b *testing.B) {
	const device, form, records = "a device", "Graph", 5000
	all := everyThing(b)
	w := newWorld(b, true)
	usual := 0.0
	measure := func(name, form string) {
		b.Run(name+"/"+form, func(b *testing.B) {
			content := again(all[name].forms[form], records)
			src := Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": aFile(content)}, TakeNameless: true}
			cost := w.readAgain(b, src, int64(len(content)))
			if usual == 0 {
				usual = cost
			}
			b.ReportMetric(usual/cost, "of-Graph's-devices/s")
		})
	}
	measure(device, form)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, f := range slices.Sorted(maps.Keys(all[name].forms)) {
			if name != device || f != form {
				measure(name, f)
			}
		}
	}
}

// again repeats the records of a file so many times: of a table all rows but the header.
func again(content string, times int) string {
	if strings.HasPrefix(content, "{") || strings.HasPrefix(content, "[") {
		return strings.Repeat(content+"\n", times)
	}
	head := strings.Index(content, "\n") + 1
	if strings.HasPrefix(content, "#") {
		head += strings.Index(content[head:], "\n") + 1
	}
	return content[:head] + strings.Repeat(content[head:], times)
}

// walkAll reads and parses all of the source, and returns how many records that were.
func walkAll(b *testing.B, w *world, src Source) (records int) {
	b.Helper()
	in, found, done := w.intake(), make(chan *entry), make(chan error, 1)
	go func() {
		done <- in.walk(context.Background(), w.tenant, src, nil, found)
		close(found)
	}()
	for e := range found {
		if e.outcome != noted {
			records++
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return records
}
