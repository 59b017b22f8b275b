package intake

import (
	lru "container/list"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/schemas"
)

// maxStateAge is how long plaintext may be used without asking the vault again (DESIGN
// §4): an erasure counts on it.
const maxStateAge = 30 * time.Second

// maxCachedBytes bounds the folded states kept between batches, by what they say they take: a
// device of forty apps is about 25 KiB, one of 20,000 apps 6 MiB.
const maxCachedBytes = 32 << 20

// keepBehind is how many events may have been appended to a stream since it was remembered before
// it is folded once more: as many the next import reads of it at most.
const keepBehind = 2 * keepEvery

// stateCache keeps folded states between batches, the least recently used leaving first. Whoever
// takes a state owns it until it is put back, so that two imports never plan on one.
type stateCache struct {
	mu    sync.Mutex // guards what follows
	order *lru.List  // of *cachedState, most recent first
	by    map[schemas.Stream]*lru.Element
	bytes int // that all of them take, about
}

type cachedState struct {
	*plan.StreamState
	size int // when it was put here
}

func newStateCache() *stateCache {
	return &stateCache{order: lru.New(), by: map[schemas.Stream]*lru.Element{}}
}

// take removes and returns the state of a stream, nil where none is kept or it is too old to be
// used.
func (c *stateCache) take(s schemas.Stream, now time.Time) *plan.StreamState {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.by[s]
	if e == nil {
		return nil
	}
	st := c.drop(e)
	if tooOld(st, now) {
		return nil
	}
	if st.Behind >= keepBehind {
		return nil // folded once more, it is remembered
	}
	return st
}

// tooOld reports whether a batch that begins may use the state no more: it has five seconds.
func tooOld(st *plan.StreamState, now time.Time) bool {
	return now.Sub(st.Folded) > maxStateAge-5*time.Second || now.Before(st.Folded)
}

// drop removes an element and returns its state. The caller holds mu.
func (c *stateCache) drop(e *lru.Element) *plan.StreamState {
	old := c.order.Remove(e).(*cachedState)
	delete(c.by, old.Stream)
	c.bytes -= old.size
	return old.StreamState
}

// put keeps a state that agrees with its stream, unless it alone is too large, and drops what has
// become too old or too much.
func (c *stateCache) put(st *plan.StreamState, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.by[st.Stream]; e != nil {
		c.drop(e)
	}
	kept := &cachedState{st, st.Size()}
	c.by[st.Stream] = c.order.PushFront(kept)
	c.bytes += kept.size
	for e := c.order.Back(); e != nil; e = c.order.Back() {
		if c.bytes <= maxCachedBytes && now.Sub(e.Value.(*cachedState).Folded) <= maxStateAge {
			break
		}
		c.drop(e)
	}
}

// clear drops everything.
func (c *stateCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	clear(c.by)
	c.bytes = 0
}
