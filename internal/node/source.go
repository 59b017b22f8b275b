package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/projections"
)

// Source lets the projector read the ledger's topics. A partition is named "topic/number#id", the
// id being the beginning of the topic's own: a topic that is made anew has other partitions.
type Source struct {
	client     *kafka.Client
	partitions *kafka.Partitions
	// relay, where it runs in this process, tells what it noted: what lies in ledger.position need
	// not be believed then.
	relay interface {
		Noted() (p consumers.Position, ok bool, changed <-chan struct{})
	}
}

var _ projections.Source = (*Source)(nil)

// NewSource returns a source that reads through that client.
func NewSource(c *kafka.Client) *Source {
	return &Source{client: c, partitions: c.Partitions()}
}

func partitionName(topic string, id fmt.Stringer, partition int) string {
	return fmt.Sprintf("%s/%d#%.8s", topic, partition, id.String())
}

// SplitPartition returns the topic and number in a partition's name.
func SplitPartition(name string) (topic string, partition int, err error) {
	place, _, _ := strings.Cut(name, "#")
	topic, number, ok := strings.Cut(place, "/")
	partition, err = strconv.Atoi(number)
	if !ok || err != nil {
		return "", 0, fmt.Errorf("partition %q is not topic/number", name)
	}
	return topic, partition, nil
}

// Partitions lists the partitions that there are now.
func (s *Source) Partitions(ctx context.Context) ([]string, error) {
	list, err := s.partitions.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = partitionName(p.Topic, p.TopicID, p.Partition)
	}
	return out, nil
}

// Read yields the records of a partition from that offset on, and goes on until ctx ends or it
// errs.
func (s *Source) Read(ctx context.Context, name string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		topic, partition, err := SplitPartition(name)
		if err == nil && from == projections.FirstOffset {
			from, err = s.firstOffset(ctx, topic, partition)
		}
		for err == nil {
			var messages []consumers.Message
			if messages, from, err = s.partitions.Read(ctx, topic, partition, from); err != nil {
				break
			}
			for _, m := range messages {
				if !yield(decode(m), nil) {
					return
				}
			}
		}
		if errors.Is(err, consumers.ErrUnreadable) {
			err = fmt.Errorf("%w; to remove them: %s", err, consumers.Refill(topic))
		}
		yield(projections.Item{}, err)
	}
}

func (s *Source) firstOffset(ctx context.Context, topic string, partition int) (int64, error) {
	first, _, err := s.bounds(ctx, topic, partition)
	return first, err
}

// Bounds returns the first offset that a partition holds, and the one behind its last.
func (s *Source) Bounds(ctx context.Context, name string) (first, end int64, err error) {
	topic, partition, err := SplitPartition(name)
	if err != nil {
		return 0, 0, err
	}
	return s.bounds(ctx, topic, partition)
}

func (s *Source) bounds(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	_, firsts, ends, err := s.client.Describe(ctx, topic)
	if err == nil && partition >= len(firsts) {
		err = fmt.Errorf("%s/%d: %w", topic, partition, kafka.ErrNoTopic)
	}
	if err != nil {
		return 0, 0, err
	}
	return firsts[partition], ends[partition], nil
}

// Fetch returns one record, or projections.ErrNoItem.
func (s *Source) Fetch(ctx context.Context, name string, offset int64) (projections.Item, error) {
	topic, partition, err := SplitPartition(name)
	if err != nil {
		return projections.Item{}, err
	}
	m, err := s.partitions.FetchOne(ctx, topic, partition, offset)
	if errors.Is(err, kafka.ErrOffset) || errors.Is(err, kafka.ErrNoTopic) {
		return projections.Item{}, fmt.Errorf("%w: %w", projections.ErrNoItem, err)
	}
	if err != nil {
		return projections.Item{}, err
	}
	return decode(m), nil
}

// notedPoll is how often ledger.position is looked at where the relay is in another process.
const notedPoll = 50 * time.Millisecond

// Noted returns what the relay has noted as soon as that is another than last.
func (s *Source) Noted(ctx context.Context, last *projections.Noted) (*projections.Noted, error) {
	for {
		var p consumers.Position
		var ok bool
		var changed <-chan struct{}
		var err error
		if s.relay != nil {
			p, ok, changed = s.relay.Noted()
		} else if p, ok, err = s.partitions.LastPosition(ctx); err != nil {
			return nil, err
		}
		if ok {
			if n := notedOf(p); !sameNote(n, last) {
				return n, nil
			}
		}
		poll, cancel := ctx, context.CancelFunc(func() {})
		if s.relay == nil {
			poll, cancel = context.WithTimeout(ctx, notedPoll)
		}
		select {
		case <-poll.Done():
		case <-changed:
		}
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// LastNoted returns what the relay noted last in the topics, nil where it noted nothing.
func (s *Source) LastNoted(ctx context.Context) (*projections.Noted, error) {
	p, ok, err := s.partitions.LastPosition(ctx)
	if err != nil || !ok {
		return nil, err
	}
	return notedOf(p), nil
}

func notedOf(p consumers.Position) *projections.Noted {
	n := &projections.Noted{Through: p.Through.Seq, Ends: map[string]int64{}}
	for name, t := range p.Topics {
		for i, end := range t.Ends {
			n.Ends[partitionName(name, t.ID, i)] = end
		}
	}
	return n
}

func sameNote(a, b *projections.Noted) bool {
	return b != nil && a.Through == b.Through && maps.Equal(a.Ends, b.Ends)
}

func decode(m consumers.Message) projections.Item {
	d, err := consumers.Decode(m)
	return projections.Item{Envelope: d.Envelope, Offset: m.Offset, Foreign: err}
}
