package intake

import (
	"github.com/ledgerline/ledgerline/ledger/intake/plan"

	lru "container/list"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// maxStateAge is how long plaintext may be used without asking the vault again (DESIGN
// §4): an erasure counts on it.
const maxStateAge = 30 * time.Second

// maxCachedStates bounds the folded states kept between batches; a device with some hundred apps
// is about 100 KiB.
const maxCachedStates = 2048

// keepBehind is how many events may have been appended to a stream since it was remembered before
// it is folded once more: as many the next import reads of it at most.
const keepBehind = 2 * keepEvery

// stateCache keeps folded states between batches, the least recently used leaving first. Whoever
// takes a state owns it until it is put back, so that two imports never plan on one.
type stateCache struct {
	mu    sync.Mutex // guards what follows
	order *lru.List  // of *StreamState, most recent first
	by    map[schemas.Stream]*lru.Element
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
	st := e.Value.(*plan.StreamState)
	c.order.Remove(e)
	delete(c.by, s)
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

// put keeps a state that agrees with its stream, and drops what has become too old.
func (c *stateCache) put(st *plan.StreamState, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.by[st.Stream]; e != nil {
		c.order.Remove(e)
	}
	c.by[st.Stream] = c.order.PushFront(st)
	for e := c.order.Back(); e != nil; e = c.order.Back() {
		old := e.Value.(*plan.StreamState)
		if c.order.Len() <= maxCachedStates && now.Sub(old.Folded) <= maxStateAge {
			break
		}
		c.order.Remove(e)
		delete(c.by, old.Stream)
	}
}

// clear drops everything.
func (c *stateCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	clear(c.by)
}
