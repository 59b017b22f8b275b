package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/internal/retry"
)

// Prepare creates the topics that must exist before any consumer starts: those of events, and
// those for positions, dead letters and checkpoints. Topics that exist are left as they are.
func (c *Client) Prepare(ctx context.Context) error {
	names := []string{consumers.PositionTopic, consumers.DeadLetterTopic, consumers.CheckpointTopic}
	return c.Ensure(ctx, append(names, consumers.EventTopics()...)...)
}

// Ensure creates those of the topics that do not exist, and returns when every one can be written
// to. Only the ledger's own topics can be asked for.
func (c *Client) Ensure(ctx context.Context, topics ...string) error {
	var missing []kafkago.TopicConfig
	have, err := c.askTopics(ctx)
	if err != nil {
		return err
	}
	for _, name := range topics {
		if slices.ContainsFunc(have, func(t topicInfo) bool { return t.name == name }) {
			continue
		}
		cfg, err := c.topicConfig(name)
		if err != nil {
			return err
		}
		missing = append(missing, cfg)
	}
	if len(missing) > 0 {
		res, err := c.client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: missing})
		if err != nil {
			return fmt.Errorf("kafka: create topics: %w", refused(c.because(err)))
		}
		for _, t := range missing {
			// Another process may have been first.
			if err := res.Errors[t.Topic]; err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
				return fmt.Errorf("kafka: create topic %s: %w", t.Topic, refused(err))
			}
		}
	}
	return c.retry(ctx, "wait for topics", func(ctx context.Context) error {
		have, err := c.askTopics(ctx, topics...)
		if err != nil {
			return err
		}
		for _, t := range have {
			if t.err != nil {
				return fmt.Errorf("topic %s: %w", t.name, t.err)
			}
			// A new partition's leader is announced a moment before it serves.
			if slices.ContainsFunc(missing, func(m kafkago.TopicConfig) bool { return m.Topic == t.name }) {
				if _, _, err := c.offsets(ctx, t.name, t.partitions); err != nil {
					return fmt.Errorf("topic %s: %w", t.name, err)
				}
			}
		}
		c.forget()
		return nil
	})
}

func (c *Client) topicConfig(name string) (kafkago.TopicConfig, error) {
	t := kafkago.TopicConfig{Topic: name, NumPartitions: 1, ReplicationFactor: c.cfg.ReplicationFactor}
	set := func(k, v string) {
		t.ConfigEntries = append(t.ConfigEntries, kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
	}
	switch {
	case name == consumers.PositionTopic:
		set("cleanup.policy", "compact")
		// Only whole segments are compacted, or trimmed: small ones bound what is kept beside the
		// newest.
		set("segment.bytes", strconv.Itoa(positionSegment))
	case name == consumers.DeadLetterTopic, name == consumers.CheckpointTopic:
		set("cleanup.policy", "delete")
	case consumers.EventTopic(name):
		set("cleanup.policy", "delete")
		t.NumPartitions = c.cfg.Partitions
	default:
		return t, fmt.Errorf("kafka: %q is not a topic of the ledger", name)
	}
	if name != consumers.PositionTopic {
		set("retention.ms", "-1")
		set("retention.bytes", "-1")
	}
	set("max.message.bytes", strconv.Itoa(maxMessageBytes))
	set("unclean.leader.election.enable", "false")
	set("message.timestamp.type", "CreateTime")
	if c.cfg.ReplicationFactor >= 3 {
		set("min.insync.replicas", "2")
	}
	return t, nil
}

// positionSegment is the size of a segment of ledger.position; a broker takes no less.
const positionSegment = 1 << 20

// Topics returns the names of the topics that exist now of those that events are published to,
// sorted.
func (c *Client) Topics(ctx context.Context) ([]string, error) {
	all, err := c.askTopics(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	own := consumers.EventTopics()
	for _, t := range all {
		if slices.Contains(own, t.name) {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Describe returns a topic's id and, per partition, the offset of its first record and the one
// after its last. A topic that does not exist has no partitions and is no error.
func (c *Client) Describe(ctx context.Context, topic string) (id uuid.UUID, first, end []int64, err error) {
	err = c.retry(ctx, "describe "+topic, func(ctx context.Context) error {
		first, end = nil, nil
		ts, err := c.askTopics(ctx, topic)
		if err != nil {
			return err
		}
		if len(ts) != 1 || ts[0].name != topic {
			return fmt.Errorf("the broker answered for %d other topics", len(ts))
		}
		if errors.Is(ts[0].err, kafkago.UnknownTopicOrPartition) {
			id = uuid.Nil
			return nil
		}
		if ts[0].err != nil {
			return ts[0].err
		}
		id = ts[0].id
		first, end, err = c.offsets(ctx, topic, ts[0].partitions)
		return err
	})
	return id, first, end, err
}

func (c *Client) offsets(ctx context.Context, topic string, partitions int) (first, end []int64, err error) {
	ask := make([]kafkago.OffsetRequest, 0, 2*partitions)
	for p := range partitions {
		ask = append(ask, kafkago.FirstOffsetOf(p), kafkago.LastOffsetOf(p))
	}
	res, err := c.client.ListOffsets(ctx,
		&kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{topic: ask}})
	if err != nil {
		return nil, nil, c.because(err)
	}
	first, end = make([]int64, partitions), make([]int64, partitions)
	for p := range partitions {
		first[p], end[p] = -1, -1
	}
	for _, o := range res.Topics[topic] {
		if o.Error != nil {
			return nil, nil, o.Error
		}
		if o.Partition >= 0 && o.Partition < partitions {
			first[o.Partition], end[o.Partition] = o.FirstOffset, o.LastOffset
		}
	}
	for p := range partitions {
		if first[p] < 0 || end[p] < first[p] {
			return nil, nil, fmt.Errorf("no offsets for partition %d: %w", p, kafkago.LeaderNotAvailable)
		}
	}
	return first, end, nil
}

// Drop deletes a topic of events, or that of positions, and returns when the cluster no longer
// knows it. One that does not exist is no error.
func (c *Client) Drop(ctx context.Context, topic string) error {
	if !consumers.EventTopic(topic) && topic != consumers.PositionTopic {
		return fmt.Errorf("kafka: %q is not a topic of events", topic)
	}
	res, err := c.client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		err = c.because(err)
	} else {
		err = res.Errors[topic]
	}
	if err != nil && !errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return fmt.Errorf("kafka: delete topic %s: %w", topic, refused(err))
	}
	return c.retry(ctx, "wait for the deletion of "+topic, func(ctx context.Context) error {
		ts, err := c.askTopics(ctx, topic)
		if err == nil && len(ts) == 1 && errors.Is(ts[0].err, kafkago.UnknownTopicOrPartition) {
			c.forget()
			return nil
		}
		if err == nil {
			err = errors.New("still there")
		}
		return err
	})
}

// forget makes the next list of topics a fresh one.
func (c *Client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listedAt = time.Time{}
}

// list returns the topics of events, no older than TopicRefresh.
func (c *Client) list(ctx context.Context) ([]topicInfo, error) {
	c.mu.Lock()
	if c.cfg.Clock().Sub(c.listedAt) < c.cfg.TopicRefresh {
		defer c.mu.Unlock()
		return c.topics, nil
	}
	c.mu.Unlock()
	all, err := c.askTopics(ctx)
	if err != nil {
		return nil, err
	}
	// A topic whose leader is not elected yet has fewer partitions than it will have: it is listed
	// when it is whole.
	all = slices.DeleteFunc(all, func(t topicInfo) bool { return !consumers.EventTopic(t.name) || t.err != nil })
	slices.SortFunc(all, func(a, b topicInfo) int { return strings.Compare(a.name, b.name) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics, c.listedAt = all, c.cfg.Clock()
	return all, nil
}

// retry repeats a call that changes nothing until it succeeds, ctx ends, or RequestTimeout has
// passed. Only what a cluster says while leaders move or metadata spreads is worth repeating;
// ErrOffset and a refusal are not.
func (c *Client) retry(ctx context.Context, op string, call func(context.Context) error) error {
	deadline, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	pauses := retry.Policy{First: 20 * time.Millisecond, Longest: 500 * time.Millisecond}.Begin()
	var said error // by the last attempt that ended by itself: one that the deadline cuts says nothing
	for {
		err := call(deadline)
		if err == nil {
			return nil
		}
		if said == nil || deadline.Err() == nil {
			said = err
		}
		if errors.Is(err, kafkago.OffsetOutOfRange) || errors.Is(err, ErrUnreadable) ||
			isRefused(err) || ctx.Err() != nil {
			return fmt.Errorf("kafka: %s: %w", op, errors.Join(ctx.Err(), refused(err)))
		}
		if pauses.Wait(deadline) != nil {
			return fmt.Errorf("kafka: %s: %w", op, said)
		}
	}
}
