package relay_test

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/consumers/kafka/kafkatest"
	"github.com/ledgerline/ledgerline/schemas"
)

var errLedgerDiverged = errors.New("fake ledger: the anchor does not match")

// fakeLedger holds events in memory and follows them as the ledger does.
type fakeLedger struct {
	id uuid.UUID

	mu     sync.Mutex
	events []schemas.Envelope
	grown  chan struct{} // closed when events grow
	batch  int           // events handed over at once
}

func newLedger() *fakeLedger {
	return &fakeLedger{id: uuid.New(), grown: make(chan struct{}), batch: 1000}
}

func (l *fakeLedger) ID() uuid.UUID { return l.id }

func (l *fakeLedger) At(_ context.Context, seq uint64) (schemas.Envelope, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq >= uint64(len(l.events)) {
		return schemas.Envelope{}, false, nil
	}
	return l.events[seq], true, nil
}

func (l *fakeLedger) append(events ...schemas.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, kafkatest.Numbered(uint64(len(l.events)), events)...)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *fakeLedger) all() []schemas.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]schemas.Envelope(nil), l.events...)
}

func (l *fakeLedger) Follow(
	ctx context.Context, from *schemas.Anchor, handle func(context.Context, []schemas.Envelope) error,
) error {
	next := uint64(0)
	if from != nil {
		events := l.all()
		if from.LedgerID != l.id || from.Seq >= uint64(len(events)) || events[from.Seq].ID != from.EventID {
			return errLedgerDiverged
		}
		if events[from.Seq].Leaf() != from.Leaf {
			return errLedgerDiverged
		}
		next = from.Seq + 1
	}
	for {
		l.mu.Lock()
		batch := l.events[next:]
		grown := l.grown
		l.mu.Unlock()
		if len(batch) > l.batch {
			batch = batch[:l.batch]
		}
		if len(batch) == 0 {
			select {
			case <-grown:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := handle(ctx, batch); err != nil {
			return err
		}
		next += uint64(len(batch))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
