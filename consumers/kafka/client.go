// Package kafka is the only importer of kafka-go: it creates and inspects the ledger's topics,
// publishes events, reads partitions, and is a group source for consumers.
//
// It owns no state but connections and may lose nothing: a publish is repeated by its caller until
// it is acknowledged by all in-sync replicas. It trusts the broker's acknowledgement, and nothing
// else of it: offsets are compared with those noted before, and messages are decoded strictly by
// package consumers (docs/FORMATS.md §8).
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/ledgerline/ledgerline/consumers"
)

// Config says how to reach the brokers and how topics are made. Zero values of the durations and
// sizes mean the defaults named beside them.
type Config struct {
	Brokers  []string
	ClientID string // in the broker's logs and quotas; default "ledgerline"

	Partitions        int // of a topic of events, fixed for its life; default 4
	ReplicationFactor int // default 1; from 3 on, min.insync.replicas is 2

	DialTimeout    time.Duration // default 5 s
	RequestTimeout time.Duration // of one request and its answer; default 15 s
	MaxBatchBytes  int           // of one produce request; default 3 MiB, below the topics' max.message.bytes
	TopicRefresh   time.Duration // how old a list of topics may be; default 1 s

	TLS  *tls.Config // nil for plain TCP; its certificates log the client in where the brokers want that
	SASL SASL        // the zero value does not log in

	// Foreign counts what is skipped in ledger.position and in what is read for recovery; default
	// a count of its own.
	Foreign *consumers.ForeignCount

	Clock func() time.Time // default time.Now
}

// maxMessageBytes is the topics' max.message.bytes.
const maxMessageBytes = 4 << 20

// Validate joins all errors of the configuration.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka: no broker address"))
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			errs = append(errs, fmt.Errorf("kafka: broker %q: %w", b, err))
		}
	}
	if c.Partitions < 0 || c.Partitions > 1000 {
		errs = append(errs, fmt.Errorf("kafka: %d partitions, want 1 to 1000", c.Partitions))
	}
	if c.ReplicationFactor < 0 || c.ReplicationFactor > 9 {
		errs = append(errs, fmt.Errorf("kafka: replication factor %d, want 1 to 9", c.ReplicationFactor))
	}
	if c.MaxBatchBytes < 0 || c.MaxBatchBytes > maxMessageBytes-64<<10 {
		errs = append(errs, fmt.Errorf("kafka: batches of %d bytes, want at most %d",
			c.MaxBatchBytes, maxMessageBytes-64<<10))
	}
	for _, d := range []time.Duration{c.DialTimeout, c.RequestTimeout, c.TopicRefresh} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("kafka: negative duration %s", d))
		}
	}
	return errors.Join(append(errs, c.validateSASL()...)...)
}

func (c Config) withDefaults() Config {
	or := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.DialTimeout, 5*time.Second)
	or(&c.RequestTimeout, 15*time.Second)
	or(&c.TopicRefresh, time.Second)
	orInt(&c.Partitions, 4)
	orInt(&c.ReplicationFactor, 1)
	orInt(&c.MaxBatchBytes, 3<<20)
	if c.ClientID == "" {
		c.ClientID = "ledgerline"
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Foreign == nil {
		c.Foreign = new(consumers.ForeignCount)
	}
	return c
}

// Errors by which callers branch.
var (
	// ErrNoTopic: the topic, or the partition, does not exist.
	ErrNoTopic = errors.New("topic or partition does not exist")
	// ErrOffset: the partition does not hold the offset: it was removed, or never written.
	ErrOffset = errors.New("offset is not in the partition")
	// Those of package consumers, for callers that know only the client.
	ErrUnreadable     = consumers.ErrUnreadable
	ErrAuthentication = consumers.ErrAuthentication
	ErrNotAuthorized  = consumers.ErrNotAuthorized
)

// The driver's names for what a login is refused with, and a right.
const (
	unsupportedMechanism = kafkago.UnsupportedSASLMechanism
	illegalSaslState     = kafkago.IllegalSASLState
	authenticationFailed = kafkago.SASLAuthenticationFailed
)

var refusals = map[kafkago.Error]error{
	kafkago.TopicAuthorizationFailed:           ErrNotAuthorized,
	kafkago.GroupAuthorizationFailed:           ErrNotAuthorized,
	kafkago.ClusterAuthorizationFailed:         ErrNotAuthorized,
	kafkago.TransactionalIDAuthorizationFailed: ErrNotAuthorized,
	authenticationFailed:                       ErrAuthentication,
	unsupportedMechanism:                       ErrAuthentication,
	illegalSaslState:                           ErrAuthentication,
}

// refused adds to an error of the driver's which refusal it is, if it is one.
func refused(err error) error {
	var code kafkago.Error
	if errors.As(err, &code) && refusals[code] != nil && !errors.Is(err, refusals[code]) {
		return fmt.Errorf("%w: %w", refusals[code], err)
	}
	return err
}

// because adds to an error of the driver's the refusal that stands behind it: where no connection
// can be had the driver says that topics or brokers are not there.
func (c *Client) because(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", c.shut, err)
}

// unreadable adds to an error of a fetch that it is of the bytes that came, where it is neither
// the broker's answer nor the connection's.
func unreadable(err error) error {
	var answer kafkago.Error
	var network net.Error
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, io.EOF,
		io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		if errors.Is(err, other) {
			return err
		}
	}
	if errors.As(err, &answer) || errors.As(err, &network) || isRefused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreadable, err)
}

func isRefused(err error) bool {
	err = refused(err)
	return errors.Is(err, ErrAuthentication) || errors.Is(err, ErrNotAuthorized)
}

// Client talks to the brokers. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport *kafkago.Transport
	client    *kafkago.Client
	stop      context.CancelFunc // ends the transport's own goroutines

	mu       sync.Mutex // guards the fields below
	topics   []topicInfo
	listedAt time.Time
	batch    int             // bytes of one produce; halved when the broker refuses it as too large
	newest   *placedPosition // the newest position that was seen, nil for none
	looked   int64           // the offset in ledger.position up to which newest is the newest
	shut     error           // why the last connection was refused, nil where it was let in
	welcomed bool            // a broker has let this client in
}

// New returns a client. It does not connect; the first call does.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, stop: stop, batch: cfg.MaxBatchBytes}
	c.transport = &kafkago.Transport{
		Dial:        c.dial,
		DialTimeout: cfg.DialTimeout,
		IdleTimeout: 30 * time.Second,
		// How soon a moved partition's new leader is known.
		MetadataTTL: time.Second,
		ClientID:    cfg.ClientID,
		Context:     ctx,
	}
	c.client = &kafkago.Client{Addr: kafkago.TCP(cfg.Brokers...), Timeout: cfg.RequestTimeout, Transport: c.transport}
	return c, nil
}

// Foreign returns what was skipped in ledger.position, and in what was read for recovery.
func (c *Client) Foreign() []consumers.Foreign { return c.cfg.Foreign.List() }

// Close ends the client's connections. Calls in progress fail.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	c.stop()
	return nil
}

// translate turns the driver's errors on which callers branch into this package's own.
func translate(op, topic string, partition int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kafkago.UnknownTopicOrPartition), errors.Is(err, kafkago.UnknownTopicID):
		return fmt.Errorf("kafka: %s %s/%d: %w: %w", op, topic, partition, ErrNoTopic, err)
	case errors.Is(err, kafkago.OffsetOutOfRange):
		return fmt.Errorf("kafka: %s %s/%d: %w: %w", op, topic, partition, ErrOffset, err)
	}
	return fmt.Errorf("kafka: %s %s/%d: %w", op, topic, partition, refused(err))
}
