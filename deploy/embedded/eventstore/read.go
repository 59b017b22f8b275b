package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds of one page: what a reader takes from disk, and holds in memory,
// before it sends. Between pages a reader holds neither an iterator nor a view,
// so a slow one costs nothing but its page.
const (
	pageEvents     = 512
	pageConsidered = 8192
	pageBytes      = 256 << 10
)

var (
	errStreamNotFound  = errors.New("stream not found")
	errStreamDeleted   = errors.New("stream is deleted")
	errInvalidPosition = errors.New("invalid position")
)

// scanIndex calls visit for revisions from ≤ r < to, upwards, until it returns false.
func scanIndex(r pebble.Reader, stream string, from, to uint64, visit func(revision uint64, e indexEntry) (bool, error)) (err error) {
	prefix := indexPrefix(stream)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: indexKey(prefix, from), UpperBound: indexKey(prefix, to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		if more, err := visitIndex(it, visit); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// scanIndexBack is scanIndex downwards.
func scanIndexBack(r pebble.Reader, stream string, from, to uint64, visit func(revision uint64, e indexEntry) (bool, error)) (err error) {
	prefix := indexPrefix(stream)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: indexKey(prefix, from), UpperBound: indexKey(prefix, to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.Last(); it.Valid(); it.Prev() {
		if more, err := visitIndex(it, visit); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

func visitIndex(it *pebble.Iterator, visit func(uint64, indexEntry) (bool, error)) (bool, error) {
	k := it.Key()
	v, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	e, err := decodeIndexEntry(v)
	if err != nil {
		return false, err
	}
	return visit(binary.BigEndian.Uint64(k[len(k)-8:]), e)
}

// scanAll calls visit for events at positions from ≤ p < to, in $all order or
// against it. The record is valid only during the call.
func (v *view) scanAll(from, to uint64, back bool, visit func(position uint64, r *record) bool) (err error) {
	if from >= to {
		return nil
	}
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: eventKey(from), UpperBound: eventKey(to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	valid, next := it.First, it.Next
	if back {
		valid, next = it.Last, it.Prev
	}
	for ok := valid(); ok; ok = next() {
		position, err := positionOf(it.Key())
		if err != nil {
			return err
		}
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		rec, err := decodeRecord(position, val)
		if err != nil {
			return err
		}
		if !visit(position, &rec) {
			return nil
		}
	}
	return it.Error()
}

// isPosition tells whether a reader may begin at position: at an event, before
// the first, or at or after the end.
func (v *view) isPosition(position uint64) (bool, error) {
	if position == 0 || position >= v.end {
		return true, nil
	}
	_, closer, err := v.snap.Get(eventKey(position))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// lastBefore is the position of the newest event below end, 0 for none.
func (v *view) lastBefore(end uint64) (last uint64, err error) {
	err = v.scanAll(0, end, true, func(position uint64, _ *record) bool {
		last = position
		return false
	})
	return last, err
}

// event calls visit with the event at position, which is named by an index entry.
func (v *view) event(position uint64, visit func(r *record)) error {
	val, closer, err := v.snap.Get(eventKey(position))
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = fmt.Errorf("%w: a stream index names position %d, where no event is", ErrCorrupt, position)
		}
		return err
	}
	rec, err := decodeRecord(position, val)
	if err == nil {
		visit(&rec)
	}
	return errors.Join(err, closer.Close())
}

// streamHead returns the stream's head; errStreamDeleted where it, or for a
// metastream its stream, is tombstoned; errStreamNotFound where it shows nothing.
func (v *view) streamHead(stream string) (head, error) {
	h, err := readHead(v.snap, stream)
	if err != nil {
		return h, err
	}
	deleted := h.deleted
	if isMetastream(stream) && !deleted {
		orig, err := readHead(v.snap, originalOf(stream))
		if err != nil {
			return h, err
		}
		deleted = orig.deleted
	}
	switch {
	case deleted:
		return h, errStreamDeleted
	case h.last < 0 || h.meta.softDeleted():
		return h, errStreamNotFound
	}
	return h, nil
}

// page collects encoded messages until one of its bounds is reached.
type page struct {
	enc        *encoder
	buf        []byte
	frames     []frame
	size       int // bytes in frames
	events     int
	considered int
}

// frame is one encoded message.
type frame []byte

func newPage(enc *encoder) *page { return &page{enc: enc} }

func (p *page) reset() {
	// A fresh buffer: the transport may still hold the frames that were sent.
	p.buf = make([]byte, 0, min(p.size+p.size/8+512, pageBytes))
	clear(p.frames)
	p.frames = p.frames[:0]
	p.events, p.considered, p.size = 0, 0, 0
}

func (p *page) addEvent(position uint64, r *record) {
	p.events++
	p.add(p.enc.event(p.room(p.enc.eventSize(position, r)), position, r))
}

func (p *page) addCheckpoint(position uint64) {
	p.add(p.enc.checkpoint(p.room(maxCheckpointSize), position))
}

// room returns the buffer to append n bytes to, without moving earlier frames.
func (p *page) room(n int) []byte {
	if cap(p.buf)-len(p.buf) < n {
		p.buf = make([]byte, 0, max(n, pageBytes/8))
	}
	return p.buf
}

func (p *page) add(buf []byte) {
	start := len(p.buf)
	p.buf = buf
	p.size += len(buf) - start
	p.frames = append(p.frames, frame(buf[start:len(buf):len(buf)]))
}

func (p *page) full() bool {
	return p.events >= pageEvents || p.considered >= pageConsidered || p.size >= pageBytes
}

// streamRange is the part of a stream that one page may show.
type streamRange struct {
	head   head
	first  uint64 // lowest revision that is shown
	oldest int64  // created time before which an event is hidden
}

func (v *view) streamRange(stream string, now time.Time) (streamRange, error) {
	h, err := v.streamHead(stream)
	return streamRange{head: h, first: uint64(h.firstVisible(stream)), oldest: h.oldestVisible(now)}, err
}

// streamPage adds the events of revisions from ≤ r < to, upwards or downwards,
// and returns the first revision that it did not consider, and whether there
// may be more. limit is the number of events wanted.
func (v *view) streamPage(p *page, stream string, sr streamRange, from, to, limit uint64, back bool) (next uint64, more bool, err error) {
	from = max(from, sr.first)
	to = min(to, uint64(sr.head.last+1))
	next = to
	if back {
		next = from
	}
	if from >= to || limit == 0 {
		return next, false, nil
	}
	visit := func(revision uint64, e indexEntry) (bool, error) {
		if p.full() || uint64(p.events) >= limit {
			next, more = revision, true
			if back {
				next++
			}
			return false, nil
		}
		p.considered++
		if e.created < sr.oldest {
			return true, nil
		}
		return true, v.event(e.position, func(r *record) { p.addEvent(e.position, r) })
	}
	if back {
		err = scanIndexBack(v.snap, stream, from, to, visit)
	} else {
		err = scanIndex(v.snap, stream, from, to, visit)
	}
	return next, more, err
}

const noLimit = math.MaxUint64
