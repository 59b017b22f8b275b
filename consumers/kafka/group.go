package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/ledgerline/ledgerline/consumers"
)

// GroupConfig of a consumer group.
type GroupConfig struct {
	Group string
	// Topics to read; where empty, all topics of events, new ones as they appear.
	Topics []string
	// MaxMessages of one Fetch; default 500. Where they are large it has fewer: of no more than
	// 8 MiB and one.
	MaxMessages int
}

// What one Fetch hands out at most, and how many messages wait for the next one: the driver counts
// them, and one has up to 256 KiB.
const (
	fetchedBytes = 8 << 20
	waitingMost  = 64
)

// Group is a consumers.Source that shares the partitions with the group's other members and keeps
// its offsets at the broker, where they expire: keep consumers.Positions beside them. It belongs
// to one goroutine.
type Group struct {
	c      *Client
	cfg    GroupConfig
	topics []string // what the reader was opened with
	reader *kafkago.Reader
}

var _ consumers.Source = (*Group)(nil)
var _ consumers.Noted = (*Group)(nil)
var _ consumers.DeadLetter = (*Client)(nil)

// Group returns a source. It joins the group at the first Fetch, when there is a topic to read.
func (c *Client) Group(cfg GroupConfig) (*Group, error) {
	if cfg.Group == "" || cfg.MaxMessages < 0 {
		return nil, errors.New("kafka: a group needs a name, and at least one message a fetch")
	}
	if cfg.MaxMessages == 0 {
		cfg.MaxMessages = 500
	}
	return &Group{c: c, cfg: cfg}, nil
}

// LastPosition returns the newest valid position in ledger.position, and false where there is
// none.
func (g *Group) LastPosition(ctx context.Context) (consumers.Position, bool, error) {
	return g.c.LastPosition(ctx)
}

// Fetch blocks until there is a message. A group opened before its topic exists would get nothing
// for ever, so a new topic makes it join again, here, where nothing it handed out is uncommitted.
func (g *Group) Fetch(ctx context.Context) ([]consumers.Message, error) {
	for {
		if err := g.open(ctx); err != nil {
			return nil, err
		}
		wait, cancel := context.WithTimeout(ctx, g.c.cfg.TopicRefresh)
		if g.reader == nil {
			<-wait.Done()
			cancel()
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue
		}
		m, err := g.reader.FetchMessage(wait)
		cancel()
		switch {
		case err == nil:
			return g.more(ctx, message(m)), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("kafka: group %s: closed: %w", g.cfg.Group, err)
		case errors.Is(err, kafkago.OffsetOutOfRange):
			return nil, fmt.Errorf("kafka: group %s: %w: %w", g.cfg.Group, ErrOffset, err)
		default:
			return nil, fmt.Errorf("kafka: group %s: fetch: %w", g.cfg.Group, refused(err))
		}
	}
}

// more adds what is there already, without waiting for what is not.
func (g *Group) more(ctx context.Context, first consumers.Message) []consumers.Message {
	out := append(make([]consumers.Message, 0, 64), first)
	soon, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
	defer cancel()
	for size := len(first.Value); len(out) < g.cfg.MaxMessages && size < fetchedBytes; {
		m, err := g.reader.FetchMessage(soon)
		if err != nil {
			break // an error that stays comes again at the next Fetch
		}
		out = append(out, message(m))
		size += len(m.Value)
	}
	return out
}

func message(m kafkago.Message) consumers.Message {
	out := consumers.Message{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value,
		Time: m.Time}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, consumers.Header{Key: h.Key, Value: h.Value})
	}
	return out
}

// open joins the group, again where there are other topics than last time.
func (g *Group) open(ctx context.Context) error {
	topics := g.cfg.Topics
	if len(topics) == 0 {
		all, err := g.c.list(ctx)
		if err != nil {
			return fmt.Errorf("kafka: group %s: %w", g.cfg.Group, err)
		}
		for _, t := range all {
			topics = append(topics, t.name)
		}
	}
	if slices.Equal(topics, g.topics) {
		return nil
	}
	if err := g.Close(); err != nil {
		return err
	}
	g.topics = slices.Clone(topics)
	if len(topics) == 0 {
		return nil
	}
	g.reader = kafkago.NewReader(kafkago.ReaderConfig{
		Brokers: g.c.cfg.Brokers, GroupID: g.cfg.Group, GroupTopics: g.topics,
		Dialer:   &kafkago.Dialer{ClientID: g.c.cfg.ClientID, Timeout: g.c.cfg.DialTimeout, DialFunc: g.c.dial},
		MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait, QueueCapacity: waitingMost,
		StartOffset:           kafkago.FirstOffset,
		WatchPartitionChanges: true,
		JoinGroupBackoff:      250 * time.Millisecond,
		// Without it a reader whose records were removed would jump over the hole in silence.
		OffsetOutOfRangeError: true,
	})
	return nil
}

// Commit stores the offsets. Where the group was rebalanced meanwhile they are not stored, which
// is no error: the partitions' next owner gets the messages again and drops them by its positions.
func (g *Group) Commit(ctx context.Context, messages []consumers.Message) error {
	if g.reader == nil || len(messages) == 0 {
		return nil
	}
	// Only the last of each partition matters.
	type place struct {
		topic     string
		partition int
	}
	at := map[place]kafkago.Message{}
	for _, m := range messages {
		p := place{m.Topic, m.Partition}
		if k, ok := at[p]; !ok || m.Offset > k.Offset {
			at[p] = kafkago.Message{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}
		}
	}
	commit := make([]kafkago.Message, 0, len(at))
	for _, m := range at {
		commit = append(commit, m)
	}
	// Without a broker there is no generation to commit in, and the driver would wait for one.
	ctx, cancel := context.WithTimeout(ctx, 2*g.c.cfg.RequestTimeout)
	defer cancel()
	err := g.reader.CommitMessages(ctx, commit...)
	for _, moved := range []kafkago.Error{kafkago.IllegalGeneration, kafkago.UnknownMemberId,
		kafkago.RebalanceInProgress} {
		if errors.Is(err, moved) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("kafka: group %s: commit: %w", g.cfg.Group, refused(err))
	}
	return nil
}

// Close leaves the group.
func (g *Group) Close() error {
	if g.reader == nil {
		return nil
	}
	r := g.reader
	g.reader, g.topics = nil, nil
	if err := r.Close(); err != nil {
		return fmt.Errorf("kafka: group %s: close: %w", g.cfg.Group, err)
	}
	return nil
}
