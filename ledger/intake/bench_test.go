//go:build unix

package intake

import (
	"context"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/cputime"
)

// BenchmarkImport imports an invented fleet into a ledger in memory and a real vault: new to the
// ledger, and known to it already.
func BenchmarkImport(b *testing.B) {
	dir := fleetDir(b, 2000, 5)
	for _, again := range []string{"new", "known"} {
		b.Run(again, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, false)
				run := func() Summary {
					s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil)
					if err != nil {
						b.Fatal(err)
					}
					return s
				}
				if again == "known" {
					run()
				}
				b.StartTimer()
				began, used := time.Now(), cputime.Used()
				s := run()
				b.ReportMetric(float64((cputime.Used()-used).Microseconds())/float64(s.Read), "cpu-µs/record")
				b.ReportMetric(float64(s.Read)/time.Since(began).Seconds(), "records/s")
				b.ReportMetric(float64(s.EventsAppended), "events")
			}
		})
	}
}
