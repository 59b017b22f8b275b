package chtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/clickhouse"
	"github.com/ledgerline/ledgerline/schemas"
)

// Topics is a projections.Source in memory: a topic per kind of stream, each of so many partitions. It may repeat, fail
// and be made anew, as the real ones may.
type Topics struct {
	mu         sync.Mutex
	partitions map[string][]projections.Item
	perTopic   uint32
	published  uint64 // sequences noted, 0: none
	more       chan struct{}
	fail       func(operation string) error
}

// NewTopics returns topics without a message.
func NewTopics(perTopic int) *Topics {
	return &Topics{partitions: map[string][]projections.Item{}, perTopic: uint32(perTopic), more: make(chan struct{})}
}

// FailWith sets what decides, before each call and each message read, whether it fails.
func (t *Topics) FailWith(fail func(operation string) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = fail
}

// Publish appends the events in order and notes the highest sequence. Publishing some again is a relay's repeated round.
func (t *Topics) Publish(events ...Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		h := fnv.New32a()
		_, _ = h.Write([]byte(e.Stream))
		p := fmt.Sprintf("ledger.%s/%d", e.Stream.Kind(), h.Sum32()%t.perTopic)
		t.partitions[p] = append(t.partitions[p], projections.Item{Recorded: e.Recorded, Offset: int64(len(t.partitions[p]))})
		t.published = max(t.published, e.Seq+1)
	}
	t.wake()
}

// Recreate empties every topic, as if the broker had lost them; they are refilled with Publish.
func (t *Topics) Recreate(perTopic int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partitions, t.perTopic, t.published = map[string][]projections.Item{}, uint32(perTopic), 0
	t.wake()
}

func (t *Topics) wake() {
	close(t.more)
	t.more = make(chan struct{})
}

func (t *Topics) failure(operation string) error {
	if t.fail == nil {
		return nil
	}
	return t.fail(operation)
}

// Partitions implements projections.Source.
func (t *Topics) Partitions(context.Context) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for p := range t.partitions {
		names = append(names, p)
	}
	slices.Sort(names)
	return names, t.failure("partitions")
}

// Read implements projections.Source.
func (t *Topics) Read(ctx context.Context, partition string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		from = max(from, 0)
		for {
			t.mu.Lock()
			items, more, err := t.partitions[partition], t.more, t.failure("read")
			t.mu.Unlock()
			switch {
			case err != nil:
				yield(projections.Item{}, err)
				return
			case from > int64(len(items)):
				yield(projections.Item{}, errors.New("offset out of range"))
				return
			case from == int64(len(items)):
				select {
				case <-ctx.Done():
					return
				case <-more:
				}
				continue
			}
			if !yield(items[from], nil) {
				return
			}
			from++
		}
	}
}

// Fetch implements projections.Source.
func (t *Topics) Fetch(_ context.Context, partition string, offset int64) (projections.Item, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failure("fetch"); err != nil {
		return projections.Item{}, err
	}
	items := t.partitions[partition]
	if offset < 0 || offset >= int64(len(items)) {
		return projections.Item{}, projections.ErrNoItem
	}
	return items[offset], nil
}

// Published implements projections.Source.
func (t *Topics) Published(context.Context) (uint64, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.published - 1, t.published > 0, t.failure("published")
}

// Rows returns the rows of events, as the projector would make them, for tests that need no topics.
func Rows(events ...Event) ([]projections.Row, error) {
	out := make([]projections.Row, 0, len(events))
	for _, e := range events {
		r, err := projections.RowOf(e.Recorded)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Recorded returns the events without their drafts.
func Recorded(events []Event) []schemas.Recorded {
	out := make([]schemas.Recorded, len(events))
	for i := range events {
		out[i] = events[i].Recorded
	}
	return out
}

// Load inserts events that begin at sequence 0 and have no gap, and saves the position that covers them, so that
// Through is the last of them.
func Load(t testing.TB, db *clickhouse.DB, events ...schemas.Recorded) {
	t.Helper()
	rows := make([]projections.Row, len(events))
	for i, e := range events {
		if e.Seq != uint64(i) {
			t.Fatalf("event %d has sequence %d", i, e.Seq)
		}
		var err error
		if rows[i], err = projections.RowOf(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1, Applied: uint64(len(rows))}); err != nil {
		t.Fatal(err)
	}
}
