package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// BenchmarkFollow follows events of a device's usual size from a store in memory,
// with a fresh index: what counting and judging cost beside the store. It must stay
// above 100,000 events a second.
func BenchmarkFollow(b *testing.B) {
	const n = 50_000
	store := ledgertest.NewMemory()
	if _, err := ledger.Create(b.Context(), ledgertest.Config(store, "")); err != nil {
		b.Fatal(err)
	}
	e := ledgertest.Event(b, ledgertest.NewStream(), 1)
	e.Data = []byte(`{"set":{"serialNumber":"` + strings.Repeat("sealed:v1:", 120) + `"}}`)
	for range n {
		e.ID, e.Stream = uuid.New(), ledgertest.NewStream()
		if err := store.Plant(e.Stream, ledger.NoStream, schemastest.Sign(e, 0)); err != nil {
			b.Fatal(err)
		}
	}
	done := errors.New("done")
	for _, judging := range []bool{true, false} {
		name := "judging"
		if !judging {
			name = "without a vault"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c := ledgertest.Config(store, filepath.Join(b.TempDir(), "sequence.index"))
				if !judging {
					c.Origin = nil
				}
				l, err := ledger.Open(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				err = l.Follow(b.Context(), nil, func(_ context.Context, batch []schemas.Envelope) error {
					if batch[len(batch)-1].Seq == n {
						return done
					}
					return nil
				})
				if !errors.Is(err, done) || l.Foreign().Count+l.Forged().Count > 0 {
					b.Fatal(err, l.Foreign(), l.Forged())
				}
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("InLedger alone", func(b *testing.B) {
		events := store.Events()
		for b.Loop() {
			for _, r := range events {
				if !schemas.InLedger(r.Event) {
					b.Fatal("foreign")
				}
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
