//go:build bench

package e2e

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
	"github.com/ledgerline/ledgerline/schemas"
)

var visibleRate = flag.Int("visible-rate", 2000, "events a second that are appended")

// TestBenchVisible appends so many events a second, one by one, to an embedded ledger for 20 s,
// and prints how long after its acknowledgement an event is in all views: that is, when a report
// may ask as of its sequence. The views are asked every 20 ms, which is in the figures.
func TestBenchVisible(t *testing.T) {
	const seconds, writers = 20, 64
	rate := *visibleRate
	n := newNode(t, "LEDGERLINE_LOG_LEVEL=warn")
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", uuid.NewString())
	ctx := t.Context()
	p := n.connect(ctx)
	var tenant uuid.UUID
	for e, err := range p.ledger.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Meta().Tenant != uuid.Nil {
			tenant = e.Meta().Tenant
		}
	}
	events := eventsOf(t, tenant, rate*seconds)

	type sample struct {
		at      time.Time
		through uint64
	}
	var samples []sample
	asking, stop := context.WithCancel(ctx)
	defer stop()
	var asked sync.WaitGroup
	asked.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for asking.Err() == nil {
			if seq, ok, err := p.views.Through(asking); err == nil && ok {
				samples = append(samples, sample{time.Now(), seq})
			}
			<-tick.C
		}
	})

	acked := make([]time.Time, len(events))
	next := make(chan int, writers)
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for i := range next {
				_, err := p.ledger.Append(ctx, events[i].Stream, ledger.NoStream, events[i:i+1])
				if err != nil {
					t.Error(err)
				}
				acked[i] = time.Now()
			}
		})
	}
	began := time.Now()
	for i := range events {
		if due := began.Add(time.Duration(i) * time.Second / time.Duration(rate)); time.Until(due) > time.Millisecond {
			time.Sleep(time.Until(due))
		}
		next <- i
	}
	close(next)
	writing.Wait()
	took := time.Since(began)

	seqs, last := map[uuid.UUID]uint64{}, uint64(0)
	for e, err := range p.ledger.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		seqs[e.ID], last = e.Seq, e.Seq
	}
	if err := p.views.WaitThrough(ctx, last); err != nil {
		t.Fatal(err)
	}
	seen := sample{time.Now(), last}
	stop()
	asked.Wait()
	samples = append(samples, seen)
	var waits []time.Duration
	for i, e := range events {
		seq := seqs[e.ID]
		at, _ := slices.BinarySearchFunc(samples, seq, func(s sample, seq uint64) int {
			if s.through < seq {
				return -1
			}
			return 1
		})
		if at == len(samples) {
			t.Fatalf("sequence %d was never seen", seq)
		}
		waits = append(waits, samples[at].at.Sub(acked[i]))
	}
	slices.Sort(waits)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Printf("visible-appended %.0f events/s\n", float64(len(events))/took.Seconds())
	fmt.Printf("visible-p50 %.0f ms\n", ms(waits[len(waits)/2]))
	fmt.Printf("visible-p99 %.0f ms\n", ms(waits[len(waits)*99/100]))
	n.stop()
}

// eventsOf are that many events of the tenant, of the kinds that a fleet has, each in a stream of
// its own.
func eventsOf(t *testing.T, tenant uuid.UUID, n int) (out []schemas.Event) {
	t.Helper()
	l := chtest.NewLedger(1, 1, 400)
	for len(out) < n {
		for _, e := range l.Events(1000) {
			d := e.Draft
			if d.Type == nil || d.Tenant == uuid.Nil || len(out) == n {
				continue
			}
			d.Tenant, d.Stream = tenant, schemas.NewStream(d.Stream.Kind(), uuid.New())
			made, err := schemas.Default().Encode(d)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, made)
		}
	}
	return out
}
