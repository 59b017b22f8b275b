package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/projections/clickhouse/chtest"
)

// newSeed returns a new seed and prints it, or the one in SEED, to see a failure again.
func newSeed(t testing.TB) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SEED: %v", err)
		}
		seed = n
	}
	t.Logf("SEED=%d", seed)
	return seed
}

// faulty passes rows on; sometimes it fails before, sometimes after, so that
// the projector cannot know.
type faulty struct {
	*clickhouse.DB
	mu   sync.Mutex
	rand *rand.Rand
	off  bool
}

func (f *faulty) roll(percent int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.off && f.rand.IntN(100) < percent
}

func (f *faulty) Insert(ctx context.Context, rows []projections.Row) error {
	if f.roll(10) {
		return errors.New("failed before it wrote")
	}
	if f.roll(10) && len(rows) > 1 {
		// Half a batch is durable: what a crash of the server leaves.
		if err := f.DB.Insert(ctx, rows[:len(rows)/2]); err != nil {
			return err
		}
		return errors.New("failed in the middle")
	}
	if err := f.DB.Insert(ctx, rows); err != nil {
		return err
	}
	if f.roll(10) {
		return errors.New("failed after it wrote")
	}
	return nil
}

func (f *faulty) SavePosition(ctx context.Context, name string, p projections.Position) error {
	if f.roll(15) {
		return errors.New("position not written")
	}
	return f.DB.SavePosition(ctx, name, p)
}

var errCrash = errors.New("crash")

// projectAll runs projectors over the topics until every event is applied, crashing
// them at random on the way.
func projectAll(t *testing.T, db *clickhouse.DB, topics *chtest.Topics, seed uint64, want uint64) (crashes int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	f := &faulty{DB: db, rand: rand.New(rand.NewPCG(seed, 3))}
	for {
		left := 1 + r.IntN(5) // hooks passed before the crash
		if crashes >= 6 {
			left = 1 << 30
			f.mu.Lock()
			f.off = true
			f.mu.Unlock()
		}
		p, err := projections.New(projections.Config{
			Source: topics, Sink: f, Positions: f, Log: slog.New(slog.DiscardHandler),
			BatchRows: 10 + r.IntN(60), BatchWait: 5 * time.Millisecond, Discover: 5 * time.Millisecond,
			Heartbeat:  20 * time.Millisecond,
			BackoffMin: time.Millisecond, BackoffMax: 4 * time.Millisecond,
			Hook: func(string) error {
				if left--; left < 0 {
					return errCrash
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for finished := false; !finished; {
			select {
			case err := <-done:
				cancel()
				if !errors.Is(err, errCrash) {
					t.Fatalf("projector ended: %v", err)
				}
				crashes++
				finished = true
			case <-time.After(2 * time.Millisecond):
				if p.Status().Applied < want {
					continue
				}
				cancel()
				if err := <-done; err != nil && !errors.Is(err, errCrash) {
					t.Fatalf("projector ended: %v", err)
				}
				return crashes
			}
		}
	}
}

func TestEventsSurviveDuplicatesFaultsAndCrashesByteForByte(t *testing.T) {
	seed := newSeed(t)
	db := chtest.Start(t)
	l := chtest.NewLedger(seed, 2, 4)
	topics := chtest.NewTopics(3)
	events := publishWithRepeats(l, topics, 250)
	crashes := projectAll(t, db, topics, seed, uint64(len(events)))
	t.Logf("%d events, %d crashes", len(events), crashes)
	checkEvents(t, db, events)

	// The broker loses its topics; other partitions hold the same events under other offsets.
	topics.Recreate(2)
	for _, e := range events {
		topics.Publish(e)
	}
	more := l.Events(50)
	topics.Publish(more...)
	events = append(events, more...)
	projectAll(t, db, topics, seed+1, uint64(len(events)))
	checkEvents(t, db, events)
}

// publishWithRepeats publishes in rounds, some of them twice, in whole or from their middle on.
func publishWithRepeats(l *chtest.Ledger, topics *chtest.Topics, n int) []chtest.Event {
	events := l.Events(n)
	for from := 0; from < n; {
		to := min(n, from+1+l.Rand.IntN(40))
		topics.Publish(events[from:to]...)
		if l.Rand.IntN(3) == 0 {
			topics.Publish(events[from+l.Rand.IntN(to-from) : to]...)
		}
		from = to
	}
	return events
}

// checkEvents compares the events table, row by row, with what was recorded.
func checkEvents(t *testing.T, db *clickhouse.DB, events []chtest.Event) {
	t.Helper()
	rows, err := db.Query(t.Context(),
		`SELECT ledger_seq, toString(tenant), stream, revision, toString(event_id), type, data, metadata, leaf
		FROM events FINAL ORDER BY ledger_seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for ; rows.Next(); n++ {
		var seq, revision uint64
		var tenant, stream, id, typ, leaf string
		var data, metadata []byte
		if err := rows.Scan(&seq, &tenant, &stream, &revision, &id, &typ, &data, &metadata, &leaf); err != nil {
			t.Fatal(err)
		}
		if n >= len(events) {
			t.Fatalf("row %d: more rows than events", n)
		}
		e := events[n]
		want := e.Leaf()
		got := fmt.Sprint(seq, tenant, stream, revision, id, typ)
		if w := fmt.Sprint(e.Seq, e.Draft.Tenant.String(), string(e.Stream), e.Revision, e.ID.String(),
			e.Type); got != w || leaf != string(want[:]) ||
			!bytes.Equal(data, e.Data) || !bytes.Equal(metadata, e.Metadata) {
			t.Fatalf("row %d:\n got %s %q %q\nwant %s %q %q", n, got, data, metadata, w, e.Data, e.Metadata)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != len(events) {
		t.Fatalf("%d rows, want %d", n, len(events))
	}
}
