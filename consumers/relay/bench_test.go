package relay_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// BenchmarkRelay publishes a ledger of 100,000 events to kfake, in memory and as the embedded
// broker runs it, on disk with an fsync before each answer. An event has about 400 bytes, a
// message 1,000.
func BenchmarkRelay(b *testing.B) {
	for name, disk := range map[string]bool{"memory": false, "disk": true} {
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			seed := newLedger()
			gen := newRig(b, 1).gen
			seed.append(gen.Events(n)...)
			events := seed.all()
			for b.Loop() {
				b.StopTimer()
				var opts []kfake.Opt
				if disk {
					opts = append(opts, kfake.DataDir(b.TempDir()), kfake.SyncWrites())
				}
				r := newRig(b, 1, opts...)
				r.ledger.batch = 4096
				for _, e := range events { // read anew, as a follower of the store reads them
					r.ledger.append(schemastest.Changed(e, func(*schemas.RecordedEvent) {}))
				}
				cfg := r.config()
				cfg.MaxEvents = 4096
				if err := r.client.Prepare(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := run(b, cfg, n-1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
