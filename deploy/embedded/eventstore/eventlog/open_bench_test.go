package eventlog

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	benchEvents = flag.Int("open-events", 100_000, "events of the store that BenchmarkOpen opens")
	benchBatch  = flag.Int("open-batch", 50, "events in each append to it")
	benchCheck  = flag.Bool("open-check", false, "have BenchmarkOpen also check the store once, and report the "+
		"events checked a second")
)

// BenchmarkOpen opens a store on disk. The first time is after one long
// session, and so has all to do that Open ever has: first-ms.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir() + "/s"
	o := testOptions(vfs.Default)
	o.CacheBytes = 64 << 20
	if err := Create(dir, o); err != nil {
		b.Fatal(err)
	}
	s, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	const callers = 64
	for c := range callers {
		wg.Go(func() {
			for n := c * *benchBatch; n < *benchEvents; n += callers * *benchBatch {
				r := appendRequest(fmt.Sprintf("s-%d", n%100_000), min(*benchBatch, *benchEvents-n))
				for i := range r.Events {
					r.Events[i].Data = make([]byte, 200)
				}
				if _, err := s.Submit(context.Background(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if *benchCheck {
		r, err := Check(context.Background(), dir, o, nil)
		if err != nil || !r.Whole() {
			b.Fatal(r, err)
		}
		b.Logf("%d events, %d streams, %d bytes checked in %v", r.Events, r.Streams, r.Bytes, r.Duration)
	}
	runtime.GC()
	var first time.Duration
	for b.Loop() {
		began := time.Now()
		s, err := Open(dir, o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if first == 0 {
			first = time.Since(began)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(first.Microseconds())/1000, "first-ms")
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
}
