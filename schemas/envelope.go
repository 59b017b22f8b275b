package schemas

import (
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas/internal/work"
)

// ErrForeign says that an event does not belong to the ledger (FORMATS §3).
var ErrForeign = errors.New("event does not belong to the ledger")

// Envelope is an event of the ledger with what its bytes say: its parsed metadata and its leaf. It
// is made where bytes enter a process, by NewEnvelope alone, and passed on from there, so that no
// event's metadata is parsed twice and no leaf hashed twice.
//
// It never travels: whoever reads bytes that somebody else could have altered (a store, a topic,
// a view) makes a new one, and so learns what those bytes say. Seq, Position and Created are the
// reader's to set; the other fields are not to be changed, and Meta and Leaf panic where they
// were.
type Envelope struct {
	RecordedEvent
	read *reading // nil only in the zero Envelope
}

// reading is what was read in an event's bytes.
type reading struct {
	of   RecordedEvent // what was read
	meta Metadata
	once sync.Once // guards leaf
	leaf [32]byte
}

// NewEnvelope reads an event. The error wraps ErrForeign where it does not belong to the ledger
// (InLedger). The event's bytes are kept, not copied.
func NewEnvelope(r RecordedEvent) (Envelope, error) {
	in := &reading{of: r}
	if why := examine(r.Event, &in.meta); why != nil {
		return Envelope{}, fmt.Errorf("event %s: %w: %w", r.ID, ErrForeign, why)
	}
	return Envelope{r, in}, nil
}

// Meta returns what the event's metadata says. Its subjects are shared: they are not to be
// changed.
func (e Envelope) Meta() Metadata {
	e.unchanged()
	return e.read.meta
}

// Leaf returns the RFC 6962 leaf hash of the event's log entry; its index in the tree is the
// ledger sequence. It is hashed when it is first asked for.
func (e Envelope) Leaf() [32]byte {
	e.unchanged()
	e.read.once.Do(func() {
		work.Hashed()
		e.read.leaf = LeafHash(e.Entry())
	})
	return e.read.leaf
}

// Anchor returns the position that may be persisted of the event, in the ledger of that id. Seq
// must be set.
func (e Envelope) Anchor(ledger uuid.UUID) Anchor {
	return Anchor{LedgerID: ledger, Seq: e.Seq, EventID: e.ID, Leaf: e.Leaf(), Position: e.Position}
}

// unchanged panics where the envelope was not made by NewEnvelope, or a field was changed that its
// leaf covers: what it would tell is then of other bytes than it carries.
func (e Envelope) unchanged() {
	if e.read == nil {
		panic("schemas: an Envelope that NewEnvelope did not make")
	}
	of := &e.read.of
	if e.ID != of.ID || e.Stream != of.Stream || e.Type != of.Type || e.Revision != of.Revision ||
		!same(e.Data, of.Data) || !same(e.Metadata, of.Metadata) {
		panic("schemas: an Envelope's event was changed after it was read")
	}
}

// same reports whether two slices are one piece of memory. Neither is empty.
func same(a, b []byte) bool { return len(a) == len(b) && &a[0] == &b[0] }
