//go:build unix

package intake

import (
	"context"
	"io/fs"
	"os"
	"testing"

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
	in := w.intake()
	b.ReportAllocs()
	b.ResetTimer()
	began, records := cputime.Used(), 0
	for b.Loop() {
		found := make(chan *entry)
		done := make(chan error, 1)
		go func() {
			done <- in.walk(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil, found)
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
	}
	used := cputime.Used() - began
	b.ReportMetric(float64(used.Microseconds())/float64(records), "cpu-µs/record")
	b.ReportMetric(float64(records)/used.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(size)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
}
