package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

// fetchWait is how long a broker holds a fetch for which it has nothing.
const fetchWait = 250 * time.Millisecond

// fetchBytes bounds one fetch; a broker goes over it for a single batch that is larger. A reader
// of all partitions at once holds as many.
const fetchBytes = 2 << 20

// TopicPartition is a partition of a topic of events.
type TopicPartition struct {
	Topic     string
	TopicID   uuid.UUID // changes when the topic is recreated; zero where the broker has no topic ids
	Partition int
}

// Partitions reads partitions of the ledger's topics from chosen offsets, without a group: for
// readers that keep their positions themselves. It is safe for concurrent use.
type Partitions struct{ c *Client }

// Partitions returns the reader of partitions.
func (c *Client) Partitions() *Partitions { return &Partitions{c} }

// List returns the partitions of all topics of events, in order of name and number. A new topic is
// in it at the latest TopicRefresh after its creation.
func (p *Partitions) List(ctx context.Context) ([]TopicPartition, error) {
	ts, err := p.c.list(ctx)
	if err != nil {
		return nil, err
	}
	var out []TopicPartition
	for _, t := range ts {
		for i := range t.partitions {
			out = append(out, TopicPartition{Topic: t.name, TopicID: t.id, Partition: i})
		}
	}
	return out, nil
}

// Read returns messages from that offset on, some megabytes at most, and the offset to go on from;
// none where there was nothing new for 250 ms. It errs with ErrOffset where the partition does not
// hold the offset: records were removed, or the topic is another one now.
func (p *Partitions) Read(ctx context.Context, topic string, partition int,
	from int64) (messages []consumers.Message, next int64, err error) {
	messages, next, _, err = p.c.fetch(ctx, topic, partition, from, fetchWait)
	return messages, next, err
}

// FetchOne returns the message at that offset, or ErrOffset where there is none.
func (p *Partitions) FetchOne(
	ctx context.Context, topic string, partition int, offset int64,
) (consumers.Message, error) {
	messages, _, end, err := p.c.fetch(ctx, topic, partition, offset, time.Millisecond)
	if err == nil && (len(messages) == 0 || messages[0].Offset != offset) {
		err = fmt.Errorf("kafka: fetch %s/%d@%d: the end is %d: %w", topic, partition, offset, end, ErrOffset)
	}
	if err != nil {
		return consumers.Message{}, err
	}
	return messages[0], nil
}

// Ends returns the offset after the last record of each partition of the topic, ErrNoTopic where
// it does not exist.
func (p *Partitions) Ends(ctx context.Context, topic string) ([]int64, error) {
	_, _, ends, err := p.c.Describe(ctx, topic)
	if err == nil && len(ends) == 0 {
		err = fmt.Errorf("kafka: ends of %s: %w", topic, ErrNoTopic)
	}
	return ends, err
}

// LastPosition returns the newest valid position in ledger.position, and false where there is
// none.
func (p *Partitions) LastPosition(ctx context.Context) (consumers.Position, bool, error) {
	return p.c.LastPosition(ctx)
}

// ReadEvents reads the partition from offset from on and before offset to, at least one record of
// it. It returns the events of that ledger with the offset of each, and the offset after the last
// record read. What is not that ledger's is skipped and counted.
func (c *Client) ReadEvents(ctx context.Context, ledger uuid.UUID, topic string, partition int, from,
	to int64) (events []schemas.Envelope, offsets []int64, next int64, err error) {
	for tries := 0; ; tries++ {
		messages, next, end, err := c.fetch(ctx, topic, partition, from, fetchWait)
		if err != nil {
			return nil, nil, from, err
		}
		for _, m := range messages {
			if m.Offset >= to {
				break
			}
			d, err := consumers.Decode(m)
			if err != nil || d.Ledger != ledger {
				c.cfg.Foreign.Add(topic, partition, m.Offset)
				continue
			}
			events, offsets = append(events, d.Envelope), append(offsets, m.Offset)
		}
		if next = min(next, to); next > from {
			return events, offsets, next, nil
		}
		if end < to || tries == 10 {
			return nil, nil, from, fmt.Errorf("kafka: read %s/%d from %d to %d: nothing there, the end is %d: %w",
				topic, partition, from, to, end, ErrOffset)
		}
	}
}

// fetch returns messages from offset on, the offset to go on from, and the partition's end. At its
// end it waits that long for more.
func (c *Client) fetch(ctx context.Context, topic string, partition int, offset int64,
	wait time.Duration) (messages []consumers.Message, next, end int64, err error) {
	err = c.retry(ctx, "fetch", func(ctx context.Context) error {
		messages, next, end, err = c.fetchOnce(ctx, topic, partition, offset, wait)
		return err
	})
	return messages, next, end, translate("fetch", topic, partition, err)
}

func (c *Client) fetchOnce(ctx context.Context, topic string, partition int, offset int64,
	wait time.Duration) (out []consumers.Message, next, end int64, err error) {
	res, err := c.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: wait,
	})
	if err != nil {
		return nil, 0, 0, c.because(unreadable(err))
	}
	if res.Error != nil {
		return nil, 0, 0, res.Error
	}
	next = offset
	batches := []protocol.RecordReader{res.Records}
	if s, ok := res.Records.(*protocol.RecordStream); ok {
		batches = s.Records
	}
	for _, batch := range batches {
		// Transactions leave markers, which the driver would hide: a reader that does not pass
		// them asks for them again and again.
		_, marker := batch.(*protocol.ControlBatch)
		for {
			r, err := batch.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, 0, 0, fmt.Errorf("record after %d: %w", next-1, unreadable(err))
			}
			key, err := readBytes(r.Key)
			if err != nil {
				return nil, 0, 0, err
			}
			value, err := readBytes(r.Value)
			if err != nil {
				return nil, 0, 0, err
			}
			// A fetch may begin before the offset asked for: batches are sent whole.
			if r.Offset < offset {
				continue
			}
			next = r.Offset + 1
			if marker {
				continue
			}
			m := consumers.Message{Topic: topic, Partition: partition, Offset: r.Offset, Key: key, Value: value,
				Time: r.Time}
			for _, h := range r.Headers {
				m.Headers = append(m.Headers, consumers.Header{Key: h.Key, Value: h.Value})
			}
			out = append(out, m)
		}
	}
	return out, next, res.HighWatermark, nil
}

func readBytes(b kafkago.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	raw, err := kafkago.ReadAll(b)
	return raw, errors.Join(err, b.Close())
}
