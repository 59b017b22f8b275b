// Package ledgertest owns the conformance suite of ledger.Store and a model of it in memory, for
// tests only.
package ledgertest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// Memory is a ledger.Store in memory. Fail, when set, is called before each append and may return
// an error to give; After is called after each append took effect, and its error hides the
// success (an unknown outcome).
type Memory struct {
	Fail  func(schemas.Stream, []schemas.Event) error
	After func(schemas.Stream, []schemas.Event) error

	mu      sync.Mutex // guards what follows
	all     []schemas.RecordedEvent
	streams map[schemas.Stream][]int // indexes into all
	grown   chan struct{}            // closed and replaced at each append
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{streams: map[schemas.Stream][]int{}, grown: make(chan struct{})}
}

// Append implements ledger.Store.
func (m *Memory) Append(
	ctx context.Context, s schemas.Stream, expect ledger.Expect, events []schemas.Event,
) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if m.Fail != nil {
		if err := m.Fail(s, events); err != nil {
			return 0, err
		}
	}
	last, err := m.append(s, expect, events)
	if err == nil && m.After != nil {
		if err := m.After(s, events); err != nil {
			return 0, err
		}
	}
	return last, err
}

// Plant appends an event as somebody else does, past Fail and After.
func (m *Memory) Plant(s schemas.Stream, expect ledger.Expect, e schemas.Event) error {
	e.Stream = s
	_, err := m.append(s, expect, []schemas.Event{e})
	return err
}

func (m *Memory) append(s schemas.Stream, expect ledger.Expect, events []schemas.Event) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	have := m.streams[s]
	next, want := uint64(len(have)), uint64(len(have))
	if expect.IsNoStream() {
		want = 0
	} else if r, ok := expect.Revision(); ok {
		want = r + 1
	}
	if want != next {
		if want < next && m.sameIDs(have[want:], events) {
			return want + uint64(len(events)) - 1, nil
		}
		return 0, fmt.Errorf("append to %s, expecting %s: %w", s, expect, ledger.ErrConflict)
	}
	for i, e := range events {
		pos := uint64(1000 + 97*len(m.all))
		m.streams[s] = append(m.streams[s], len(m.all))
		m.all = append(m.all, schemas.RecordedEvent{Event: e, Revision: next + uint64(i),
			Position: schemas.Position{Commit: pos, Prepare: pos}, Created: time.Now()})
	}
	close(m.grown)
	m.grown = make(chan struct{})
	return next + uint64(len(events)) - 1, nil
}

func (m *Memory) sameIDs(have []int, events []schemas.Event) bool {
	if len(have) < len(events) {
		return false
	}
	for i, e := range events {
		if m.all[have[i]].ID != e.ID {
			return false
		}
	}
	return true
}

// ReadStream implements ledger.Store.
func (m *Memory) ReadStream(
	ctx context.Context, s schemas.Stream, from uint64,
) iter.Seq2[schemas.RecordedEvent, error] {
	m.mu.Lock()
	var out []schemas.RecordedEvent
	for i, at := range m.streams[s] {
		if uint64(i) >= from {
			out = append(out, m.all[at])
		}
	}
	m.mu.Unlock()
	return func(yield func(schemas.RecordedEvent, error) bool) {
		for _, r := range out {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// ReadAll implements ledger.Store.
func (m *Memory) ReadAll(
	ctx context.Context, after schemas.Position, live bool,
) iter.Seq2[schemas.RecordedEvent, error] {
	return func(yield func(schemas.RecordedEvent, error) bool) {
		next := 0
		for {
			m.mu.Lock()
			all, grown := slices.Clone(m.all[next:]), m.grown
			m.mu.Unlock()
			for _, r := range all {
				next++
				if r.Position.Commit <= after.Commit {
					continue
				}
				if !yield(r, nil) {
					return
				}
			}
			if !live {
				return
			}
			if len(all) > 0 {
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
				yield(schemas.RecordedEvent{}, ctx.Err())
				return
			}
		}
	}
}

// Last implements ledger.Store.
func (m *Memory) Last(context.Context) (schemas.RecordedEvent, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.all) - 1; i >= 0; i-- {
		if schemas.InLedger(m.all[i].Event) {
			return m.all[i], true, nil
		}
	}
	return schemas.RecordedEvent{}, false, nil
}

// Events returns a copy of everything stored, in order.
func (m *Memory) Events() []schemas.RecordedEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all)
}

// Corrupt replaces the id of the event at that index of $all, so that anchors on it no longer
// match.
func (m *Memory) Corrupt(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[i].ID = uuid.New()
}
