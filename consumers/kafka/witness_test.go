package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
)

// witness is franz-go, a client of other authors with its own port of Java's default partitioner.
type witness struct {
	brokers []string
	opts    []kgo.Opt // its login
}

func (w witness) with(use func(*kgo.Client) error, opts ...kgo.Opt) error {
	cl, err := kgo.NewClient(append(append(opts, w.opts...), kgo.SeedBrokers(w.brokers...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return use(cl)
}

func (w witness) Topics(ctx context.Context) (map[string]kafkatest.Topic, error) {
	out := map[string]kafkatest.Topic{}
	err := w.with(func(cl *kgo.Client) error {
		res, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, t := range res.Topics {
			out[*t.Topic] = kafkatest.Topic{ID: t.TopicID, Partitions: len(t.Partitions)}
		}
		return nil
	})
	return out, err
}

func (w witness) Delete(ctx context.Context, topics ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	for _, name := range topics {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, name)
	}
	return w.with(func(cl *kgo.Client) error {
		_, err := req.RequestWith(ctx, cl)
		return err
	})
}

func (w witness) Configs(ctx context.Context, topic string) (map[string]string, error) {
	out := map[string]string{}
	err := w.with(func(cl *kgo.Client) error {
		req := kmsg.NewPtrDescribeConfigsRequest()
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		req.Resources = append(req.Resources, r)
		res, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, c := range res.Resources[0].Configs {
			if c.Value != nil {
				out[c.Name] = *c.Value
			}
		}
		return kerr.ErrorForCode(res.Resources[0].ErrorCode)
	})
	return out, err
}

func (w witness) DeleteRecords(ctx context.Context, topic string, partition int, below int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = int32(partition), below
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return w.with(func(cl *kgo.Client) error {
		res, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(res.Topics[0].Partitions[0].ErrorCode)
	})
}

func (w witness) Produce(ctx context.Context, topic, key, value string) (partition int, err error) {
	err = w.with(func(cl *kgo.Client) error {
		rec, err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}).First()
		if err == nil {
			partition = int(rec.Partition)
		}
		return err
	})
	return partition, err
}

func (w witness) Read(
	ctx context.Context, topic string, partition int, offset int64,
) (headers map[string]string, value string, err error) {
	headers = map[string]string{}
	err = w.with(func(cl *kgo.Client) error {
		f := cl.PollRecords(ctx, 1)
		if err := f.Err(); err != nil {
			return err
		}
		rec := f.Records()[0]
		for _, h := range rec.Headers {
			headers[h.Key] = string(h.Value)
		}
		value = string(rec.Value)
		return nil
	}, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {int32(partition): kgo.NewOffset().At(offset)}}))
	return headers, value, err
}

// spoilers are records that are no events. A compacted topic takes none without a key.
func spoilers(topic string, partition int) []*kgo.Record {
	records := []*kgo.Record{
		{Value: []byte(`{"garbage":1}`)}, {}, {Value: bytes.Repeat([]byte("long "), 50_000)},
		{Headers: []kgo.RecordHeader{{Key: "ce_id", Value: nil}, {Key: "", Value: []byte{0xff, 0}}},
			Timestamp: time.UnixMilli(1)},
	}
	for _, r := range records {
		r.Topic, r.Partition = topic, int32(partition)
		if topic == consumers.PositionTopic {
			r.Key = []byte("somebody")
		}
	}
	return records
}

func (w witness) Spoil(ctx context.Context, topic string, partition int) (n int, err error) {
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(),
		kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		err := w.produce(ctx, spoilers(topic, partition), kgo.ProducerBatchCompression(codec))
		if err != nil {
			return n, err
		}
		n += len(spoilers(topic, partition))
	}
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		cl, err := kgo.NewClient(append(slices.Clone(w.opts), kgo.SeedBrokers(w.brokers...),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.TransactionalID(fmt.Sprintf("spoil-%v", end)))...)
		if err != nil {
			return n, err
		}
		records := spoilers(topic, partition)
		err = errors.Join(cl.BeginTransaction(), cl.ProduceSync(ctx, records...).FirstErr(),
			cl.EndTransaction(ctx, end))
		cl.Close()
		if err != nil {
			return n, err
		}
		n += len(records)
	}
	return n, nil
}

func (w witness) produce(ctx context.Context, records []*kgo.Record, opts ...kgo.Opt) error {
	cl, err := kgo.NewClient(append(append(opts, w.opts...), kgo.SeedBrokers(w.brokers...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.ProduceSync(ctx, records...).FirstErr()
}
