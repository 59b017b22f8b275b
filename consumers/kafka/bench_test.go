package kafka_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	embedded "github.com/ledgerline/ledgerline/deploy/embedded/kafka"
	"github.com/ledgerline/ledgerline/schemas"
)

// BenchmarkAccounts publishes as the relay does, and reads as a consumer does, on the embedded
// broker with accounts and beside it on one that asks nobody, in turns. The ratio is what accounts
// leave of the open broker's speed.
func BenchmarkAccounts(b *testing.B) {
	open, err := embedded.Start(context.Background(),
		embedded.Config{Dir: filepath.Join(b.TempDir(), "kafka"), Addr: "127.0.0.1:0",
			Open: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer open.Stop(context.Background())
	asks, _ := startEmbedded(b)
	sides := []kafkatest.Logins{kafkatest.WithoutLogin([]string{open.Addr()}), asks}

	const topic, partitions, batch = "ledger.refusal", 4, 1000
	gen := kafkatest.NewGenerator(1)
	var events []schemas.Envelope
	for len(events) < batch {
		for _, e := range gen.Events(batch) {
			if e.Stream.Kind() == "refusal" && len(events) < batch {
				events = append(events, e)
			}
		}
	}
	events = kafkatest.Numbered(0, events)
	relays, readers := make([]*kafka.Client, 2), make([]*kafka.Client, 2)
	for i, side := range sides {
		for role, to := range map[kafka.Role][]*kafka.Client{kafka.RoleRelay: relays, kafka.RoleReader: readers} {
			c, err := kafka.New(side[role])
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			to[i] = c
		}
		if err := relays[i].Prepare(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	ends := make([][partitions]int64, 2)
	measure := func(b *testing.B, do func(side, n int)) {
		var took [2][]float64
		n := 0
		for b.Loop() {
			// The order changes, so that neither side always comes second.
			for k := range 2 {
				side := (n + k) % 2
				began := time.Now()
				do(side, n)
				took[side] = append(took[side], time.Since(began).Seconds())
			}
			n++
		}
		b.ReportMetric(batch/median(took[1]), "events/s")
		b.ReportMetric(median(took[0])/median(took[1]), "ratio")
	}
	b.Run("publish", func(b *testing.B) {
		measure(b, func(side, n int) {
			p := n % partitions
			acked, _, next, err := relays[side].Publish(context.Background(), uuid.Nil, topic, p, events)
			if err != nil || acked != batch {
				b.Fatal(acked, err)
			}
			ends[side][p] = next
		})
	})
	at := make([][partitions]int64, 2)
	b.Run("read", func(b *testing.B) {
		measure(b, func(side, n int) {
			p := n % partitions
			for got := 0; got < batch; {
				if at[side][p] >= ends[side][p] {
					at[side][p] = 0
				}
				messages, _, err := readers[side].Partitions().Read(context.Background(), topic, p, at[side][p])
				if err != nil || len(messages) == 0 {
					b.Fatal(len(messages), err)
				}
				got += len(messages)
				at[side][p] = messages[len(messages)-1].Offset + 1
			}
		})
	})
}

// median is what a machine that does other things meanwhile leaves comparable.
func median(took []float64) float64 {
	slices.Sort(took)
	return took[len(took)/2]
}
