// Package consumers is the public SDK for programs that follow the ledger through Kafka: the
// message format, the position record of the relay, and a run loop that fetches, handles, persists
// and commits.
//
// It owns the one place where an event becomes a Kafka message and a message becomes an event
// again (docs/FORMATS.md §8). It may lose nothing that a source has not been told was handled: a
// batch is committed only after its handler, its parking and its saved positions succeeded, so
// what a crash leaves is a repetition. It trusts no broker: every message is decoded strictly and
// its leaf is recomputed from the bytes. What others wrote between the relay's records is skipped
// and counted, where the source knows the relay's position.
//
// One admin action may be several events of one stream. Who counts actions counts
// adminaction.recorded.v1; adminaction.continued.v1 has further targets of it,
// adminaction.supplemented.v1 what its first telling lacked, adminaction.disputed.v1 what another
// tells otherwise.
//
// A message, its topic, key and headers are message.go; what is skipped is told from what comes by
// window.go (repetitions) and run.go (what the relay has not noted), and counted by foreign.go.
package consumers

import (
	"context"
	"errors"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// Handler handles events of one or several partitions, in order within each partition. It
// must be idempotent: after a crash or a failed attempt it is called again with some of
// the same events. An error that wraps ErrUnavailable says that its own surroundings are
// down, not that the events are bad.
type Handler func(ctx context.Context, events []schemas.Envelope) error

// RawHandler is a Handler for topics that are not the ledger's: it receives messages as they are.
type RawHandler func(ctx context.Context, messages []Message) error

// Header is one record header. Keys are not unique in Kafka; Decode refuses
// a known key that comes twice.
type Header struct {
	Key   string
	Value []byte
}

// Message is a Kafka record. Time is when it was produced, never when the event occurred.
type Message struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time
}

// Source hands out messages. Within a partition they come in order of offset.
type Source interface {
	// Fetch blocks until there is at least one message, or ctx ends, which loses none. Messages
	// that were fetched but not committed come again after a restart, not from the same Source.
	Fetch(ctx context.Context) ([]Message, error)
	// Commit records that the messages, and all before them in their partitions, were handled.
	Commit(ctx context.Context, messages []Message) error
}

// DeadLetter keeps a message that could not be handled. It returns only when
// the message is durable.
type DeadLetter interface {
	Park(ctx context.Context, m Message, cause error) error
}

// Positions keeps what was handled last of each partition, where it outlives the broker's group
// offsets. What it must keep is bounded: MaxRound events of a partition.
type Positions interface {
	// Load returns the last events handled of a partition, at most MaxRound, the oldest first.
	Load(ctx context.Context, topic string, partition int) ([]Handled, error)
	// Save adds events in the order in which they were handled, and is durable when it returns.
	// What is older than the last MaxRound of a partition may be forgotten.
	Save(ctx context.Context, topic string, partition int, handled []Handled) error
}

// Noted tells the newest position that the relay noted. A Source that has it makes Run wait with
// each record until the relay has noted an end above it (FORMATS §8).
type Noted interface {
	// LastPosition returns false where nothing was noted.
	LastPosition(ctx context.Context) (Position, bool, error)
}

var (
	// ErrTampered says that a message contradicts itself: its leaf or a header
	// does not follow from its bytes.
	ErrTampered = errors.New("message is not what the ledger holds")
	// ErrMalformed says that a message does not have the form of FORMATS §8.
	ErrMalformed = errors.New("message is not a ledger message")
	// ErrUnreadable says that a partition holds bytes at an offset that no client can
	// take apart. It may be somebody's, or damage: nothing is skipped over it, and
	// filling the topic again heals it.
	ErrUnreadable = errors.New("the partition holds records that cannot be read")
	// ErrUnavailable, wrapped by a handler's error, means: try again later, nothing is wrong with
	// the events. Such events are retried until the run ends and never parked.
	ErrUnavailable = errors.New("handler's surroundings are unavailable")
	// ErrAuthentication says that client and broker do not accept each other: TLS, certificate,
	// mechanism, name or password are not what the other wants. Repeating changes nothing.
	ErrAuthentication = errors.New("client and broker do not accept each other")
	// ErrNotAuthorized says that the broker knows the account and does not allow it
	// this. Repeating changes nothing.
	ErrNotAuthorized = errors.New("the account is not allowed this")
)
