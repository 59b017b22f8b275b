package working

import (
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
)

// cacheAge is how long rows may be used without asking the store again (DESIGN §4).
const cacheAge = 30 * time.Second

// maxRows bounds the keys of which one tenant's rows are kept; past it they are dropped and read
// anew. A key and its rows are some 300 bytes.
const maxRows = 200_000

// maxTenants bounds the tenants of whom rows are kept.
const maxTenants = 8

// Shared are the rows that transactions have read, each tenant's as of one count of its changes.
// It is safe for concurrent use.
type Shared struct {
	clock func() time.Time

	mu sync.Mutex
	of map[uuid.UUID]*held // guarded by mu
}

// held is the rows of one tenant.
type held struct {
	count  uint64
	begun  time.Time
	tables *tables
}

func (h *held) stale(now time.Time) bool {
	age := now.Sub(h.begun)
	return age < 0 || age >= cacheAge
}

// NewShared returns one that holds no row.
func NewShared(clock func() time.Time) *Shared {
	return &Shared{clock: clock, of: map[uuid.UUID]*held{}}
}

// Drop forgets every row.
func (c *Shared) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.of)
}

// Kept tells where the rows of a transaction are kept for those that follow.
type Kept struct{ in *held }

// Kept returns where the rows will be kept.
func (s *Set) Kept() *Kept { return s.kept }

// Has reports whether all rows that were kept there count here, so that whoever read them need not
// ask for them again. Where they are dropped meanwhile, each is asked for.
func (s *Set) Has(k *Kept) bool {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	h := s.sharedRows()
	return h != nil && h == k.in
}

// sharedRows returns the rows of earlier transactions that count here, nil for none. The caller
// holds the lock of all that is shared.
func (s *Set) sharedRows() *held {
	if s.alone {
		return nil
	}
	h := s.shared.of[s.tenant]
	if h == nil || h.count != s.count || h.stale(s.begun) {
		return nil
	}
	return h
}

// Share gives what a transaction has read, and put, to those that follow: the transaction has
// committed.
func (s *Set) Share() {
	if s.alone || s.err != nil {
		return
	}
	s.local.slots = nil
	c := s.shared
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	mine := &held{count: s.count, begun: s.begun, tables: s.local}
	if s.changed {
		mine.count++
	}
	if mine.stale(now) {
		delete(c.of, s.tenant)
		return
	}
	have := c.of[s.tenant]
	switch {
	case have == nil || have.stale(now) || have.tables.size() > maxRows:
	case have.count == s.count || have.count == mine.count:
		// Nobody else changed anything between the two.
		merge(have.tables, s.local)
		have.count, s.kept.in = mine.count, have
		if s.begun.Before(have.begun) {
			have.begun = s.begun
		}
		return
	case have.count > mine.count:
		return
	}
	if len(c.of) >= maxTenants && have == nil {
		clear(c.of)
	}
	c.of[s.tenant], s.kept.in = mine, mine
}

func merge(into, from *tables) {
	maps.Copy(into.owners, from.owners)
	maps.Copy(into.names, from.names)
	maps.Copy(into.suppressions, from.suppressions)
	maps.Copy(into.holders, from.holders)
	maps.Copy(into.subjectKeys, from.subjectKeys)
	maps.Copy(into.keys, from.keys)
	maps.Copy(into.periods, from.periods)
	maps.Copy(into.aliases, from.aliases)
	maps.Copy(into.mappings, from.mappings)
	maps.Copy(into.concerned, from.concerned)
	maps.Copy(into.streamKeys, from.streamKeys)
}
