package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ledgerline/ledgerline/schemas"
)

// Expect is the revision a stream must have for an append to be accepted.
type Expect struct {
	kind     expectKind
	revision uint64
}

type expectKind uint8

const (
	expectNoStream expectKind = iota
	expectExact
)

// NoStream expects a stream without events. There is no expectation of any revision: an event's
// origin is made over the revision that it gets (FORMATS §3).
var NoStream = Expect{kind: expectNoStream}

// Exact expects the stream's last event to have that revision.
func Exact(revision uint64) Expect { return Expect{kind: expectExact, revision: revision} }

// Revision returns the expected revision and whether there is one.
func (e Expect) Revision() (uint64, bool) { return e.revision, e.kind == expectExact }

// first returns the revision that the first event of an append gets.
func (e Expect) first() uint64 {
	if e.kind == expectNoStream {
		return 0
	}
	return e.revision + 1
}

// After returns what an append expects that follows n further events.
func (e Expect) After(n uint64) Expect {
	if n == 0 {
		return e
	}
	return Exact(e.first() + n - 1)
}

// IsNoStream reports whether the stream must be empty.
func (e Expect) IsNoStream() bool { return e.kind == expectNoStream }

// String names the expectation for errors and logs.
func (e Expect) String() string {
	if e.kind == expectNoStream {
		return "no stream"
	}
	return fmt.Sprintf("revision %d", e.revision)
}

// Errors by which callers of a Store branch.
var (
	// ErrConflict: the stream was not at the expected revision. Nothing was appended.
	ErrConflict = errors.New("stream is not at the expected revision")
	// ErrUnknownOutcome: the append may or may not have happened. Repeat it
	// with the same event ids.
	ErrUnknownOutcome = errors.New("outcome of the append is unknown")
)

// Store is what the ledger needs of an event store. ledger/eventstore is the adapter to
// EventStoreDB; ledgertest has the conformance suite and a model in memory.
type Store interface {
	// Append stores the events, all or none, and returns the last one's revision once they are
	// durable. Repeating an append with the same ids and expectation returns the same answer.
	// A conflict wraps ErrConflict.
	Append(ctx context.Context, s schemas.Stream, expect Expect, events []schemas.Event) (last uint64, err error)
	// ReadStream yields the stream's events from that revision on, foreign ones too; a stream that
	// does not exist yields nothing.
	ReadStream(ctx context.Context, s schemas.Stream, from uint64) iter.Seq2[schemas.RecordedEvent, error]
	// ReadAll yields the events of $all but for system streams', foreign ones too
	// (schemas.InLedger tells them apart), in its order after the given position, the zero
	// position meaning from the start. With live it goes on until ctx ends, reconnecting after a
	// drop; without, it stops when it has caught up. Seq is not set.
	ReadAll(ctx context.Context, after schemas.Position, live bool) iter.Seq2[schemas.RecordedEvent, error]
	// Last returns the last ledger event, and false where there is none. Seq is not set.
	Last(ctx context.Context) (schemas.RecordedEvent, bool, error)
}
