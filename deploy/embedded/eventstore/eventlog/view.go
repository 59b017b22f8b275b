package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// Errors of reading a stream.
var (
	ErrStreamNotFound = errors.New("stream not found")
	ErrStreamDeleted  = errors.New("stream is deleted")
)

// scanIndex calls visit for revisions from ≤ r < to of the stream, upwards or
// downwards, until it returns false.
func scanIndex(r pebble.Reader, stream string, from, to uint64, back bool,
	visit func(revision uint64, e IndexEntry) (bool, error)) (err error) {
	prefix := layout.IndexPrefix(stream)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: layout.IndexKey(prefix, from),
		UpperBound: layout.IndexKey(prefix, to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	valid, next := it.First, it.Next
	if back {
		valid, next = it.Last, it.Prev
	}
	for ok := valid(); ok; ok = next() {
		if more, err := visitIndex(it, visit); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// ScanStream calls visit for the index entries of revisions from ≤ r < to,
// upwards or downwards, until it returns false or an error.
func (v *View) ScanStream(stream string, from, to uint64, back bool,
	visit func(revision uint64, e IndexEntry) (bool, error)) error {
	return scanIndex(v.snap, stream, from, to, back, visit)
}

func visitIndex(it *pebble.Iterator, visit func(uint64, IndexEntry) (bool, error)) (bool, error) {
	k := it.Key()
	v, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	e, err := layout.DecodeIndexEntry(v)
	if err != nil {
		return false, err
	}
	return visit(binary.BigEndian.Uint64(k[len(k)-8:]), e)
}

// ScanAll calls visit for events at positions from ≤ p < to, in $all order or
// against it. The record is valid only during the call.
func (v *View) ScanAll(from, to uint64, back bool, visit func(position uint64, r *Record) bool) (err error) {
	if from >= to {
		return nil
	}
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: layout.EventKey(from), UpperBound: layout.EventKey(to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	valid, next := it.First, it.Next
	if back {
		valid, next = it.Last, it.Prev
	}
	var rec Record // one for all: it escapes to visit
	for ok := valid(); ok; ok = next() {
		position, err := layout.PositionOf(it.Key())
		if err != nil {
			return err
		}
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if rec, err = layout.DecodeRecord(position, val); err != nil {
			return err
		}
		if !visit(position, &rec) {
			return nil
		}
	}
	return it.Error()
}

// IsPosition tells whether a reader may begin at position: at an event, before
// the first, or at or after the end.
func (v *View) IsPosition(position uint64) (bool, error) {
	if position == 0 || position >= v.end {
		return true, nil
	}
	_, closer, err := v.snap.Get(layout.EventKey(position))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// LastBefore is the position of the newest event below end, 0 for none.
func (v *View) LastBefore(end uint64) (last uint64, err error) {
	err = v.ScanAll(0, end, true, func(position uint64, _ *Record) bool {
		last = position
		return false
	})
	return last, err
}

// Event calls visit with the Event at position, which is named by an index entry.
func (v *View) Event(position uint64, visit func(r *Record)) error {
	val, closer, err := v.snap.Get(layout.EventKey(position))
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = fmt.Errorf("%w: a stream index names position %d, where no event is", ErrCorrupt, position)
		}
		return err
	}
	rec, err := layout.DecodeRecord(position, val)
	if err == nil {
		visit(&rec)
	}
	return errors.Join(err, closer.Close())
}

// streamHead returns the stream's head; ErrStreamDeleted where it, or for a
// metastream its stream, is tombstoned; ErrStreamNotFound where it shows nothing.
func (v *View) streamHead(stream string) (layout.Head, error) {
	h, err := readHead(v.snap, stream)
	if err != nil {
		return h, err
	}
	deleted := h.Deleted
	if layout.IsMetastream(stream) && !deleted {
		orig, err := readHead(v.snap, layout.OriginalOf(stream))
		if err != nil {
			return h, err
		}
		deleted = orig.Deleted
	}
	switch {
	case deleted:
		return h, ErrStreamDeleted
	case h.Last < 0 || h.Meta.SoftDeleted():
		return h, ErrStreamNotFound
	}
	return h, nil
}

// Range is the part of a stream that a reader may see.
type Range struct {
	Last   int64  // newest revision, -1 for none
	First  uint64 // lowest revision that is shown
	Oldest int64  // time, in 100 ns ticks, before which an event is hidden
}

// Stream returns what a reader may see of the stream at the time now, by its
// metadata. Errors: ErrStreamDeleted where it, or for a metastream its stream,
// is tombstoned; ErrStreamNotFound, with Last set, where it shows nothing.
func (v *View) Stream(stream string, now time.Time) (Range, error) {
	h, err := v.streamHead(stream)
	return Range{Last: h.Last, First: uint64(h.FirstVisible(stream)), Oldest: h.OldestVisible(now)}, err
}
