package relay

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// publishing bounds how many partitions are written at the same time.
const publishing = 8

// topic is what the relay knows of a topic. Ends are read and written by one goroutine per
// partition while a round is published, and by the relay's own otherwise.
type topic struct {
	id   uuid.UUID
	ends []int64 // per partition, the offset after the last acknowledged or recovered record
}

// state belongs to the goroutine of Run or Refill.
type state struct {
	through *schemas.Anchor // nil before the first round
	topics  map[string]*topic
	tail    *tail // what was found after the noted ends; nil when all of it was matched with the ledger

	notedAt int64 // the offset of the newest position, -1 before one was noted
	trimmed int64 // positions below were trimmed
	again   bool  // the newest position is not the relay's, or behind the ends: note it again soon
}

func (s *state) contiguous(events []schemas.Envelope) error {
	var want uint64
	if s.through != nil {
		want = s.through.Seq + 1
	}
	for _, e := range events {
		if e.Seq != want {
			return fmt.Errorf("the ledger handed over sequence %d where %d follows", e.Seq, want)
		}
		want++
	}
	return nil
}

// position returns what is to be noted. Where the tail of a partition is not matched yet, the end
// is where that begins: it is the ledger's, and the ledger has not handed it over.
func (s *state) position() consumers.Position {
	p := consumers.Position{Through: *s.through, Topics: make(map[string]consumers.TopicPosition, len(s.topics))}
	for name, t := range s.topics {
		ends := slices.Clone(t.ends)
		if s.tail != nil {
			s.tail.limit(name, ends)
		}
		p.Topics[name] = consumers.TopicPosition{ID: t.id, Ends: ends}
	}
	return p
}

type part struct {
	name      string
	topic     *topic
	partition int
	events    []schemas.Envelope
}

// split sorts events by partition, in order, leaving out those that are published already and,
// where only is given, those of other topics.
func (r *Relay) split(
	ctx context.Context, s *state, events []schemas.Envelope, only map[string]bool,
) ([]*part, error) {
	type place struct {
		topic     string
		partition int
	}
	var parts []*part
	at := map[place]*part{}
	for _, e := range events {
		name, key := r.cfg.Publisher.Route(e)
		if only != nil && !only[name] {
			continue
		}
		t := s.topics[name]
		if t == nil {
			var err error
			if t, err = r.create(ctx, name); err != nil {
				return nil, err
			}
			s.topics[name] = t
		}
		p := r.cfg.Publisher.Partition(key, len(t.ends))
		if s.tail != nil {
			there, err := s.tail.match(ctx, e, name, p)
			if err != nil {
				return nil, err
			}
			if s.tail.done() {
				s.tail = nil
			}
			if there {
				continue
			}
		}
		pl := place{name, p}
		if at[pl] == nil {
			at[pl] = &part{name: name, topic: t, partition: p}
			parts = append(parts, at[pl])
		}
		at[pl].events = append(at[pl].events, e)
	}
	return parts, nil
}

// create makes the topic of a kind that was not known before its first event.
func (r *Relay) create(ctx context.Context, name string) (*topic, error) {
	var t topic
	err := r.until(ctx, "create topic "+name, func(ctx context.Context) (bool, error) {
		if err := r.cfg.Publisher.Ensure(ctx, name); err != nil {
			return false, err
		}
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err == nil && len(end) == 0 {
			err = fmt.Errorf("topic %s is not there after its creation", name)
		}
		for i := range end {
			if end[i] != 0 || first[i] != 0 {
				// Another relay was first. Starting again reads what it wrote.
				return true, fmt.Errorf("topic %s appeared with records in it; start the relay again", name)
			}
		}
		t = topic{id: id, ends: end}
		return false, err
	})
	return &t, err
}

// publish writes the parts and returns when each is acknowledged. On an error others may be
// written in part: that is what recovery reads.
func (r *Relay) publish(ctx context.Context, s *state, parts []*part) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(publishing)
	for _, p := range parts {
		g.Go(func() error {
			if err := r.cfg.Hook(PointPublish); err != nil {
				return err
			}
			if err := r.publishPart(ctx, p); err != nil {
				return err
			}
			return r.cfg.Hook(PointPublished)
		})
	}
	return g.Wait()
}

func (r *Relay) publishPart(ctx context.Context, p *part) error {
	return r.until(ctx, fmt.Sprintf("publish to %s/%d", p.name, p.partition),
		func(whole context.Context) (bool, error) {
			acked, base, next, err := r.cfg.Publisher.Publish(whole, r.cfg.Ledger.ID(), p.name, p.partition, p.events)
			if acked > 0 {
				if base < p.topic.ends[p.partition] {
					lost := fmt.Sprintf("%s/%d: acknowledged at offset %d, below the known end %d",
						p.name, p.partition, base, p.topic.ends[p.partition])
					return true, lossError(map[string]string{p.name: lost})
				}
				p.topic.ends[p.partition] = next
				p.events = p.events[acked:]
			}
			if err == nil {
				return false, nil
			}
			// Repeating into a topic that is gone, or another one by now, would never end or
			// leave a hole.
			if id, first, end, derr := r.cfg.Publisher.Describe(ctx, p.name); derr == nil {
				// Other partitions' ends belong to their own goroutines.
				known := make([]int64, len(p.topic.ends))
				known[p.partition] = p.topic.ends[p.partition]
				if lost := lossOf(p.name, p.topic.id, known, id, first, end); lost != "" {
					return true, lossError(map[string]string{p.name: lost})
				}
			}
			return false, err
		})
}

// lossOf says what a topic lost compared with what was known of it, or "" for nothing.
func lossOf(name string, id uuid.UUID, ends []int64, nowID uuid.UUID, nowFirst, nowEnds []int64) string {
	switch {
	case len(nowEnds) == 0:
		return fmt.Sprintf("topic %s is gone", name)
	case id != nowID:
		return fmt.Sprintf("topic %s was recreated: its id is %s and was %s", name, nowID, id)
	case len(ends) != len(nowEnds):
		return fmt.Sprintf("topic %s has %d partitions and had %d", name, len(nowEnds), len(ends))
	}
	for p := range ends {
		if nowFirst[p] > 0 {
			return fmt.Sprintf("%s/%d begins at offset %d: records were deleted", name, p, nowFirst[p])
		}
		if nowEnds[p] < ends[p] {
			return fmt.Sprintf("%s/%d ends at offset %d and was at %d", name, p, nowEnds[p], ends[p])
		}
	}
	return ""
}
