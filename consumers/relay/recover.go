package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// found is what a look at the broker shows, before anything is changed.
type found struct {
	through *schemas.Anchor
	ids     map[string]uuid.UUID
	ends    map[string][]int64
	lost    map[string]string // topic → what it lost
}

// inspect compares the noted position with the topics as they are.
func (r *Relay) inspect(ctx context.Context) (*found, error) {
	through, ids, ends, err := r.cfg.Publisher.LoadPosition(ctx)
	if err != nil {
		return nil, err
	}
	if through != nil && through.LedgerID != r.cfg.Ledger.ID() {
		return nil, fmt.Errorf("the topics were filled from ledger %s, this is %s: %w", through.LedgerID, r.cfg.Ledger.ID(), ErrDiverged)
	}
	f := &found{through: through, ids: maps.Clone(ids), ends: ends, lost: map[string]string{}}
	if f.ids == nil {
		f.ids = map[string]uuid.UUID{}
	}
	names, err := r.cfg.Publisher.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for name := range ends {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return nil, err
		}
		known, noted := ends[name]
		if !noted {
			// Not noted yet: nothing is known of it but that it must begin at its beginning.
			known, f.ids[name] = make([]int64, len(end)), id
		}
		if lost := lossOf(name, f.ids[name], known, id, first, end); lost != "" {
			f.lost[name] = lost
		}
	}
	return f, nil
}

// recover reads the noted position, refuses data loss, creates the topics that are missing, and prepares the
// comparison of what lies after the noted ends.
func (r *Relay) recover(ctx context.Context) (*state, error) {
	f, err := r.inspect(ctx)
	if err != nil {
		return nil, err
	}
	if len(f.lost) > 0 {
		return nil, lossError(f.lost)
	}
	if err := r.cfg.Publisher.Prepare(ctx); err != nil {
		return nil, err
	}
	names, err := r.cfg.Publisher.Topics(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{through: f.through, topics: make(map[string]*topic, len(names))}
	tl := &tail{publisher: r.cfg.Publisher}
	for _, name := range names {
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return nil, err
		}
		noted, ok := f.ends[name]
		notedID := f.ids[name]
		if !ok {
			noted, notedID = make([]int64, len(end)), id
		}
		if lost := lossOf(name, notedID, noted, id, first, end); lost != "" {
			return nil, lossError(map[string]string{name: lost})
		}
		s.topics[name] = &topic{id: id, ends: end}
		for p := range end {
			c := &cursor{topic: name, partition: p, next: noted[p], end: end[p]}
			if f.through != nil {
				c.seen, c.last = true, f.through.Seq
			}
			if err := tl.add(ctx, c); err != nil {
				return nil, err
			}
		}
	}
	if !tl.done() {
		s.tail = tl
	}
	if s.through != nil {
		r.status.start(*s.through)
	}
	return s, nil
}

func lossError(lost map[string]string) error {
	var what []string
	for _, w := range lost {
		what = append(what, w)
	}
	slices.Sort(what)
	return fmt.Errorf("%s: %w", strings.Join(what, "; "), ErrDataLoss)
}

// tail is what lies in the partitions after the noted ends: parts of at most one round, or, where no position was
// ever noted, everything. It is merged by sequence while the ledger hands over the same events, so it takes no memory to speak of.
type tail struct {
	publisher Publisher
	cursors   []*cursor // those that are not at their end
}

type cursor struct {
	topic     string
	partition int
	next, end int64
	seen      bool
	last      uint64 // the highest sequence passed, if seen: what is not above it is a duplicate
	heads     []head // read and not yet matched; heads[0] is above last
}

type head struct {
	seq    uint64
	offset int64
	leaf   [32]byte
}

func (t *tail) done() bool { return len(t.cursors) == 0 }

// add takes up a cursor unless there is nothing after its offset.
func (t *tail) add(ctx context.Context, c *cursor) error {
	if err := c.fill(ctx, t.publisher); err != nil {
		return err
	}
	if len(c.heads) > 0 {
		t.cursors = append(t.cursors, c)
	}
	return nil
}

// fill reads until there is an event above last or the end is reached.
func (c *cursor) fill(ctx context.Context, p Publisher) error {
	for len(c.heads) == 0 && c.next < c.end {
		events, offsets, err := p.ReadEvents(ctx, c.topic, c.partition, c.next, c.end)
		if err != nil {
			return fmt.Errorf("recover %s/%d from offset %d: %w", c.topic, c.partition, c.next, err)
		}
		if len(events) == 0 || len(events) != len(offsets) {
			return errors.New("the publisher returned no events where there are some")
		}
		highest, seen := c.last, c.seen
		for i, e := range events {
			if seen && e.Seq <= highest {
				continue
			}
			leaf, err := e.Leaf()
			if err != nil {
				return fmt.Errorf("recover %s/%d at offset %d: %w", c.topic, c.partition, offsets[i], err)
			}
			c.heads = append(c.heads, head{seq: e.Seq, offset: offsets[i], leaf: leaf})
			highest, seen = e.Seq, true
		}
		c.next = offsets[len(offsets)-1] + 1
	}
	return nil
}

// match reports whether the event lies in some partition already, and passes it there. It errs with ErrDiverged where
// the sequence holds another event, and with ErrDataLoss where the event is missing before later ones of its partition,
// since consumers would drop it if it came now.
func (t *tail) match(ctx context.Context, e schemas.Recorded, topic string, partition int) (bool, error) {
	there := false
	for i := 0; i < len(t.cursors); i++ {
		c := t.cursors[i]
		if c.heads[0].seq != e.Seq {
			continue
		}
		leaf, err := e.Leaf()
		if err != nil {
			return false, fmt.Errorf("compare event %d: %w", e.Seq, err)
		}
		if c.heads[0].leaf != leaf {
			return false, fmt.Errorf("%s/%d@%d holds another event at sequence %d: %w", c.topic, c.partition, c.heads[0].offset, e.Seq, ErrDiverged)
		}
		there = true
		c.seen, c.last, c.heads = true, e.Seq, c.heads[1:]
		if err := c.fill(ctx, t.publisher); err != nil {
			return false, err
		}
		if len(c.heads) == 0 {
			t.cursors = slices.Delete(t.cursors, i, i+1)
			i--
		}
	}
	if there {
		return true, nil
	}
	for _, c := range t.cursors {
		if c.topic == topic && c.partition == partition && c.heads[0].seq > e.Seq {
			return false, fmt.Errorf("%s/%d lacks sequence %d, which it should hold before %d; refill %s: %w",
				topic, partition, e.Seq, c.heads[0].seq, topic, ErrDataLoss)
		}
	}
	return false, nil
}

// limit lowers the ends of a topic's partitions to where their unmatched part begins.
func (t *tail) limit(topic string, ends []int64) {
	for _, c := range t.cursors {
		if c.topic == topic {
			ends[c.partition] = min(ends[c.partition], c.heads[0].offset)
		}
	}
}
