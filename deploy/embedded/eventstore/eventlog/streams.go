package eventlog

import (
	"container/list"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

const (
	// RecentIDs is how many of a stream's newest ids an append with Any or
	// StreamExists is compared with.
	RecentIDs = 512
	// cacheCost bounds the cached streams: one for each and one for each id.
	cacheCost = 1 << 20
)

// eventRef is an event's id and where it is.
type eventRef struct {
	id       [16]byte
	position uint64
}

// streamState is the writer's knowledge of one stream, ahead of the disk by
// the group under construction. Owned by the writer goroutine.
type streamState struct {
	name string
	layout.Head
	rawMeta []byte // newest metadata, where it was written while cached

	// refs are the newest events, contiguous and ending at last: refs[i] has
	// revision base+i. loaded says that refs reaches back to revision 0 or
	// holds at least RecentIDs events.
	refs   []eventRef
	base   int64
	loaded bool

	dirty bool // changed in the group under construction
	elem  *list.Element
	cost  int
}

func (st *streamState) push(ref eventRef) {
	st.Last++
	if len(st.refs) == 0 {
		st.base = st.Last
	}
	st.refs = append(st.refs, ref)
}

// trim forgets ids that are on disk and beyond the bound. Not called while the
// group that wrote them is under construction.
func (st *streamState) trim() {
	if n := len(st.refs) - RecentIDs; n > RecentIDs {
		st.refs = append([]eventRef(nil), st.refs[n:]...)
		st.base += int64(n)
	}
}

// find returns the newest of the bounded ids that equals id.
func (st *streamState) find(id [16]byte) (revision int64, ref eventRef, ok bool) {
	low := max(0, len(st.refs)-RecentIDs)
	for i := len(st.refs) - 1; i >= low; i-- {
		if st.refs[i].id == id {
			return st.base + int64(i), st.refs[i], true
		}
	}
	return 0, eventRef{}, false
}

// streamCache holds the states of recently written streams.
type streamCache struct {
	db    *pebble.DB
	byKey map[string]*streamState
	lru   list.List // front is the newest
	cost  int
}

func newStreamCache(db *pebble.DB) *streamCache {
	return &streamCache{db: db, byKey: map[string]*streamState{}}
}

// get returns the stream's state, reading its head from disk if need be. What
// is not cached is not in the group under construction, so the disk is current.
func (c *streamCache) get(name string) (*streamState, error) {
	if st, ok := c.byKey[name]; ok {
		c.lru.MoveToFront(st.elem)
		return st, nil
	}
	h, err := readHead(c.db, name)
	if err != nil {
		return nil, err
	}
	st := &streamState{name: name, Head: h, cost: 1, loaded: h.Last < 0}
	st.elem = c.lru.PushFront(st)
	c.byKey[name] = st
	c.cost++
	return st, nil
}

// settle accounts for what a written group added and evicts the oldest streams.
// Called when no group is under construction.
func (c *streamCache) settle(written []*streamState) {
	for _, st := range written {
		st.dirty = false
		st.trim()
		c.recost(st)
	}
	for c.cost > cacheCost && c.lru.Len() > 1 {
		st := c.lru.Remove(c.lru.Back()).(*streamState)
		delete(c.byKey, st.name)
		c.cost -= st.cost
	}
}

func (c *streamCache) recost(st *streamState) {
	cost := 1 + len(st.refs) + len(st.rawMeta)/32
	c.cost += cost - st.cost
	st.cost = cost
}

// load reads the stream's newest ids from disk, once.
func (c *streamCache) load(st *streamState) error {
	if st.loaded {
		return nil
	}
	before := st.Last + 1 // first revision that refs already holds
	if len(st.refs) > 0 {
		before = st.base
	}
	from := max(0, st.Last+1-RecentIDs)
	var older []eventRef
	if from < before {
		err := scanIndex(c.db, st.name, uint64(from), uint64(before), false,
			func(revision uint64, e IndexEntry) (bool, error) {
				if want := uint64(from) + uint64(len(older)); revision != want {
					return false, fmt.Errorf("%w: stream index misses a revision: %d where %d belongs, at position %d",
						ErrCorrupt, revision, want, e.Position)
				}
				older = append(older, eventRef{e.ID, e.Position})
				return true, nil
			})
		if err != nil {
			return err
		}
		if int64(len(older)) != before-from {
			return fmt.Errorf("%w: stream index ends at revision %d, the head says %d", ErrCorrupt,
				from+int64(len(older))-1, before-1)
		}
		st.refs = append(older, st.refs...)
		st.base = from
	}
	st.loaded = true
	c.recost(st)
	return nil
}

// at returns the event of one revision, which exists.
func (c *streamCache) at(st *streamState, revision int64) (eventRef, error) {
	if len(st.refs) > 0 && revision >= st.base {
		return st.refs[revision-st.base], nil
	}
	v, err := disk.Get(c.db, layout.IndexKey(layout.IndexPrefix(st.name), uint64(revision)))
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = fmt.Errorf("%w: stream index misses revision %d", ErrCorrupt, revision)
		}
		return eventRef{}, err
	}
	e, err := layout.DecodeIndexEntry(v)
	return eventRef{e.ID, e.Position}, err
}

func readHead(r pebble.Reader, stream string) (layout.Head, error) {
	v, err := disk.Get(r, layout.HeadKey(stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return layout.NoHead, nil
	}
	if err != nil {
		return layout.NoHead, err
	}
	return layout.DecodeHead(v)
}
