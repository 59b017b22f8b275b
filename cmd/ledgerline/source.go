package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka"
	"github.com/ledgerline/ledgerline/projections"
)

// topicSource lets the projector read the ledger's topics. A partition is named "topic/number".
type topicSource struct {
	client     *kafka.Client
	partitions *kafka.Partitions
}

var _ projections.Source = (*topicSource)(nil)

func newTopicSource(c *kafka.Client) *topicSource { return &topicSource{c, c.Partitions()} }

func splitPartition(name string) (topic string, partition int, err error) {
	topic, number, ok := strings.Cut(name, "/")
	partition, err = strconv.Atoi(number)
	if !ok || err != nil {
		return "", 0, fmt.Errorf("partition %q is not topic/number", name)
	}
	return topic, partition, nil
}

func (s *topicSource) Partitions(ctx context.Context) ([]string, error) {
	list, err := s.partitions.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.Topic + "/" + strconv.Itoa(p.Partition)
	}
	return out, nil
}

func (s *topicSource) Read(ctx context.Context, name string, from int64) iter.Seq2[projections.Item, error] {
	return func(yield func(projections.Item, error) bool) {
		topic, partition, err := splitPartition(name)
		if err == nil && from == projections.FirstOffset {
			from, err = s.first(ctx, topic, partition)
		}
		for err == nil {
			var messages []consumers.Message
			if messages, err = s.partitions.Read(ctx, topic, partition, from); err != nil {
				break
			}
			for _, m := range messages {
				item, err := decode(m)
				if !yield(item, err) || err != nil {
					return
				}
				from = m.Offset + 1
			}
		}
		yield(projections.Item{}, err)
	}
}

func (s *topicSource) first(ctx context.Context, topic string, partition int) (int64, error) {
	_, first, _, err := s.client.Describe(ctx, topic)
	if err == nil && partition >= len(first) {
		err = fmt.Errorf("%s/%d: %w", topic, partition, kafka.ErrNoTopic)
	}
	if err != nil {
		return 0, err
	}
	return first[partition], nil
}

func (s *topicSource) Fetch(ctx context.Context, name string, offset int64) (projections.Item, error) {
	topic, partition, err := splitPartition(name)
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
	return decode(m)
}

func (s *topicSource) Published(ctx context.Context) (uint64, bool, error) {
	p, ok, err := s.partitions.LastPosition(ctx)
	return p.Through.Seq, ok, err
}

func decode(m consumers.Message) (projections.Item, error) {
	d, err := consumers.Decode(m)
	if err != nil {
		return projections.Item{}, fmt.Errorf("%s/%d@%d: %w: %w", m.Topic, m.Partition, m.Offset, projections.ErrUnreadable, err)
	}
	return projections.Item{Recorded: d.Recorded, Offset: m.Offset}, nil
}
