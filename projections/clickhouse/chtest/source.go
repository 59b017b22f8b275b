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

// Topics is a projections.Source in memory: a topic per kind of stream, each of so many
// partitions. It may repeat, fail and be made anew, as the real ones may.
type Topics struct {
	mu         sync.Mutex
	partitions map[string][]projections.Item
	perTopic   uint32
	made       int    // how often the topics were made anew
	published  uint64 // sequences noted, 0: none
	noted      *projections.Noted
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

// Partition names the partition of a stream's events.
func (t *Topics) Partition(s schemas.Stream) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return fmt.Sprintf("ledger.%s/%d#%d", s.Kind(), h.Sum32()%t.perTopic, t.made)
}

// Publish appends the events in order, and notes the highest sequence and the ends. Publishing
// some again is a relay's repeated round.
func (t *Topics) Publish(events ...Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		t.put(t.Partition(e.Stream), projections.Item{Envelope: e.Envelope})
		t.published = max(t.published, e.Seq+1)
	}
	t.note()
}

// Write appends items to a partition as somebody else than the relay would: nothing is noted.
func (t *Topics) Write(partition string, items ...projections.Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, it := range items {
		t.put(partition, it)
	}
	t.wake()
}

func (t *Topics) put(partition string, it projections.Item) {
	it.Offset = int64(len(t.partitions[partition]))
	t.partitions[partition] = append(t.partitions[partition], it)
}

// Note notes the ends as they are, with what others wrote.
func (t *Topics) Note() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note()
}

func (t *Topics) note() {
	if t.published > 0 {
		t.noted = &projections.Noted{Through: t.published - 1, Ends: make(map[string]int64, len(t.partitions))}
		for p, items := range t.partitions {
			t.noted.Ends[p] = int64(len(items))
		}
	}
	t.wake()
}

// Recreate empties every topic, as if the broker had lost them; they are refilled with Publish.
func (t *Topics) Recreate(perTopic int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partitions, t.perTopic, t.published = map[string][]projections.Item{}, uint32(perTopic), 0
	t.made++
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
			case items == nil && from > 0, from > int64(len(items)):
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

// Noted implements projections.Source.
func (t *Topics) Noted(ctx context.Context, last *projections.Noted) (*projections.Noted, error) {
	for {
		t.mu.Lock()
		noted, more, err := t.noted, t.more, t.failure("noted")
		t.mu.Unlock()
		if err != nil || noted != last {
			return noted, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-more:
		}
	}
}

// Rows returns the rows of events, as the projector would make them, for tests that need no
// topics.
func Rows(events ...Event) []projections.Row {
	out := make([]projections.Row, 0, len(events))
	for _, e := range events {
		out = append(out, projections.RowOf(e.Envelope))
	}
	return out
}

// Envelopes returns the events without their drafts.
func Envelopes(events []Event) []schemas.Envelope {
	out := make([]schemas.Envelope, len(events))
	for i := range events {
		out[i] = events[i].Envelope
	}
	return out
}

// Load inserts events that begin at sequence 0 and have no gap, and saves the position that covers
// them, so that Through is the last of them.
func Load(t testing.TB, db *clickhouse.DB, events ...schemas.Envelope) {
	t.Helper()
	rows := make([]projections.Row, len(events))
	for i, e := range events {
		if e.Seq != uint64(i) {
			t.Fatalf("event %d has sequence %d", i, e.Seq)
		}
		rows[i] = projections.RowOf(e)
	}
	if err := db.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if err := db.SavePosition(t.Context(), "projector", projections.Position{Saved: 1,
		Applied: uint64(len(rows))}); err != nil {
		t.Fatal(err)
	}
}
