//go:build unix

package intake

import (
	"context"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"

	"github.com/ledgerline/ledgerline/internal/cputime"
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
	w := newWorld(b, false)
	b.ReportAllocs()
	b.ResetTimer()
	began, records := cputime.Used(), 0
	for b.Loop() {
		records += walkAll(b, w, Source{Paths: []string{dir}})
	}
	used := cputime.Used() - began
	b.ReportMetric(float64(used.Microseconds())/float64(records), "cpu-µs/record")
	b.ReportMetric(float64(records)/used.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(size)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
}

// BenchmarkReadingForms reads, recognises and parses the same devices, told by Graph and in
// tables, and plans nothing.
func BenchmarkReadingForms(b *testing.B) {
	graph, monitor, portal := aDeviceInEveryForm()
	const devices = 5000
	var objects, jobs, lists []map[string]any
	for n := range devices {
		objects = append(objects, with(graph, "id", guid(20, n)))
		jobs = append(jobs, with(monitor, "DeviceId", guid(20, n)))
		lists = append(lists, with(inLanguage(portal, 1), "Apparaat-id", guid(20, n)))
	}
	page := asLine(map[string]any{"value": objects})
	for _, c := range []struct{ name, content string }{{"graph", page}, {"export-job", asTable(',', jobs...)},
		{"portal-dutch", asTable(';', lists...)}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, true)
			src := Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": aFile(c.content)}}
			b.ReportAllocs()
			b.ResetTimer()
			began, records := cputime.Used(), 0
			for b.Loop() {
				records += walkAll(b, w, src)
			}
			used := cputime.Used() - began
			if records != devices*b.N {
				b.Fatalf("%d records", records)
			}
			b.ReportMetric(float64(used.Microseconds())/float64(records), "cpu-µs/record")
			b.ReportMetric(float64(records)/used.Seconds(), "records/cpu-s")
			b.ReportMetric(float64(len(c.content))*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
		})
	}
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
