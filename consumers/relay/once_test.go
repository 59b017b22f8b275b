package relay_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Between append and row an event passes two processes: the one that follows the store and
// publishes, and the one that reads the topics. Each parses its metadata once and hashes its leaf
// once, judging its origin included.
func TestEachProcessReadsAnEventOnce(t *testing.T) {
	const n = 200
	l, _ := ledgertest.Create(t, ledgertest.NewMemory())
	work := schemastest.CountWork(t)
	ledgertest.Append(t, l, n)
	expect := func(what string, parsed, hashed uint64) {
		t.Helper()
		if p, h := work.Parsed.Swap(0), work.Hashed.Swap(0); p != parsed || h != hashed {
			t.Errorf("%s: metadata parsed %d times and leaves hashed %d times, want %d and %d", what, p, h, parsed,
				hashed)
		}
	}
	expect("append, which checks what it writes", n, 0)

	r := newRig(t, 1)
	cfg := r.config()
	cfg.Ledger = l
	if err := r.client.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run(t, cfg, n); err != nil {
		t.Fatal(err)
	}
	expect("follow, judge, route, publish, note", n+1, n+1)

	rows := 0
	partitions, err := r.client.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range partitions {
		_, _, ends, err := r.client.Describe(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		for p, end := range ends {
			rows += readRows(t, r.client, topic, p, end)
		}
	}
	if rows != n+1 {
		t.Fatalf("%d rows of %d events", rows, n+1)
	}
	expect("message, window, row", n+1, n+1)
}

// readRows decodes a partition, drops repetitions and makes rows, and returns how many.
func readRows(t *testing.T, c *kafka.Client, topic string, partition int, end int64) (rows int) {
	t.Helper()
	var w consumers.Window
	for at := int64(0); at < end; {
		messages, next, err := c.Partitions().Read(t.Context(), topic, partition, at)
		if err != nil {
			t.Fatal(err)
		}
		at = next
		for _, m := range messages {
			d, err := consumers.Decode(m)
			if err != nil {
				t.Fatal(err)
			}
			h := consumers.Handled{Seq: d.Seq, Leaf: d.Leaf()}
			if again, err := w.Repeats(h); again || err != nil {
				t.Fatal(again, err)
			}
			w.Add(h)
			if row := projections.RowOf(d.Envelope); row.Leaf == d.Leaf() {
				rows++
			}
		}
	}
	return rows
}

// BenchmarkFromStoreToRow is what reading costs beside the servers: every event is followed and
// judged, becomes a message, and the message a row.
func BenchmarkFromStoreToRow(b *testing.B) {
	const n = 20_000
	store := ledgertest.NewMemory()
	l, err := ledger.Create(b.Context(), ledgertest.Config(store, ""))
	if err != nil {
		b.Fatal(err)
	}
	id := l.ID()
	for _, e := range newRig(b, 1).gen.Events(n)[1:] {
		stream := ledgertest.NewStream()
		event := schemastest.Sign(schemas.Event{ID: uuid.New(), Stream: stream, Type: e.Type, Data: e.Data,
			Metadata: e.Metadata}, 0)
		if err := store.Plant(stream, ledger.NoStream, event); err != nil {
			b.Fatal(err)
		}
	}
	done := errors.New("done")
	for b.Loop() {
		l, err := ledger.Open(b.Context(), ledgertest.Config(store, filepath.Join(b.TempDir(), "sequence.index")))
		if err != nil {
			b.Fatal(err)
		}
		err = l.Follow(b.Context(), nil, func(_ context.Context, batch []schemas.Envelope) error {
			for _, e := range batch {
				d, err := consumers.Decode(consumers.Encode(id, e))
				if err != nil {
					return err
				}
				if row := projections.RowOf(d.Envelope); row.Seq == n-1 {
					return done
				}
			}
			return nil
		})
		if !errors.Is(err, done) {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
