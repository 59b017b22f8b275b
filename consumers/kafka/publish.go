package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// Route returns the topic of an event and the key that chooses its partition.
func (c *Client) Route(e schemas.Envelope) (topic, key string) { return consumers.Route(e) }

// Partition returns the partition of a key among n, as Java's default partitioner has it.
func (c *Client) Partition(key string, n int) int { return Partition([]byte(key), n) }

// Partition returns the partition of a key among n: murmur2, its sign bit cleared, modulo n.
func Partition(key []byte, n int) int { return int(murmur2(key)&0x7fffffff) % n }

// murmur2 is the hash of org.apache.kafka.common.utils.Utils.
func murmur2(data []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := 0x9747b28c ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// Publish writes the events, in their order, to one partition of their topic, and returns how many
// of them, from the first, every in-sync replica acknowledged, with the offset of the first and
// the one after the last of those. It tries once: the caller repeats the rest after an error,
// which may leave a second copy of what was written and not answered.
//
// Each request is one record batch, which a broker stores whole or not at all, and the next is
// sent only after its acknowledgement: what is in the partition is always a beginning of what was
// to be written.
func (c *Client) Publish(
	ctx context.Context, ledger uuid.UUID, topic string, partition int, events []schemas.Envelope,
) (acked int, base, next int64, err error) {
	messages := make([]consumers.Message, len(events))
	for i, e := range events {
		messages[i] = consumers.Encode(ledger, e)
		if messages[i].Topic != topic {
			return 0, 0, 0, fmt.Errorf("kafka: event %d belongs to %s, not to %s", e.Seq, messages[i].Topic, topic)
		}
	}
	base = -1
	for acked < len(messages) {
		n := c.chunk(messages[acked:])
		at, err := c.produce(ctx, topic, partition, messages[acked:acked+n])
		if errors.Is(err, kafkago.MessageSizeTooLarge) && n > 1 {
			c.shrink(n, messages[acked:acked+n])
			continue
		}
		if err != nil {
			return acked, base, next, translate("produce to", topic, partition, err)
		}
		if base < 0 {
			base = at
		}
		acked += n
		next = at + int64(n)
	}
	return acked, base, next, nil
}

// produce sends one batch with acks=all. It never retries: only its caller knows what may come
// twice.
func (c *Client) produce(
	ctx context.Context, topic string, partition int, messages []consumers.Message,
) (base int64, err error) {
	now := c.cfg.Clock()
	records := make([]kafkago.Record, len(messages))
	for i, m := range messages {
		h := make([]kafkago.Header, len(m.Headers))
		for j, x := range m.Headers {
			h[j] = kafkago.Header{Key: x.Key, Value: x.Value}
		}
		records[i] = kafkago.Record{Time: now, Key: kafkago.NewBytes(m.Key), Value: kafkago.NewBytes(m.Value),
			Headers: h}
	}
	res, err := c.client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll,
		Records: kafkago.NewRecordReader(records...),
	})
	if err != nil {
		return 0, c.because(err)
	}
	if res.Error != nil {
		return 0, res.Error
	}
	for _, e := range res.RecordErrors {
		return 0, e
	}
	if res.BaseOffset < 0 {
		return 0, fmt.Errorf("acknowledged at offset %d", res.BaseOffset)
	}
	return res.BaseOffset, nil
}

// recordBytes is an upper bound of what a message takes in a batch.
func recordBytes(m consumers.Message) int {
	n := 64 + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += 8 + len(h.Key) + len(h.Value)
	}
	return n
}

// chunk returns how many of the messages, at least one, fit in a request.
func (c *Client) chunk(messages []consumers.Message) int {
	c.mu.Lock()
	limit := c.batch
	c.mu.Unlock()
	size := 0
	for i, m := range messages {
		if size += recordBytes(m); size > limit && i > 0 {
			return i
		}
	}
	return len(messages)
}

// shrink lowers the size of a request after a broker refused one of n messages.
func (c *Client) shrink(n int, refused []consumers.Message) {
	size := 0
	for _, m := range refused {
		size += recordBytes(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batch = max(1, min(c.batch, size)/2)
}

// Park writes a message that could not be handled to ledger.dead-letter, with where it came from
// and why. It returns when the copy is durable. The cause's text goes along: it must hold no
// personal data.
func (c *Client) Park(ctx context.Context, m consumers.Message, cause error) error {
	text := cause.Error()
	if len(text) > 2048 {
		text = text[:2048]
	}
	parked := consumers.Message{Key: m.Key, Value: m.Value, Headers: append(append([]consumers.Header{}, m.Headers...),
		consumers.Header{Key: "deadletter_topic", Value: []byte(m.Topic)},
		consumers.Header{Key: "deadletter_partition", Value: []byte(fmt.Sprint(m.Partition))},
		consumers.Header{Key: "deadletter_offset", Value: []byte(fmt.Sprint(m.Offset))},
		consumers.Header{Key: "deadletter_consumer", Value: []byte(c.cfg.ClientID)},
		consumers.Header{Key: "deadletter_error", Value: []byte(text)})}
	_, err := c.produce(ctx, consumers.DeadLetterTopic, 0, []consumers.Message{parked})
	return translate("park in", consumers.DeadLetterTopic, 0, err)
}
