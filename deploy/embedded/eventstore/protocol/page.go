package protocol

import (
	"errors"
	"math"
	"time"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/watch"
)

// Bounds of one page: what a reader takes from disk, and holds in memory,
// before it sends. Between pages a reader holds neither an iterator nor a view,
// so a slow one costs nothing but its page.
const (
	PageEvents     = 512
	PageConsidered = 8192
	PageBytes      = 256 << 10
)

const (
	contentTypeJSON   = "application/json"
	contentTypeBinary = "application/octet-stream"
)

var errInvalidPosition = errors.New("invalid position")

// page collects encoded messages until one of its bounds is reached.
type page struct {
	enc        *encoder
	links      *links // nil: links are shown as they are
	buf        []byte
	frames     []frame
	size       int // bytes in frames
	events     int
	considered int
	last       uint64 // position of the last event considered, as far as the metrics need it
	created    int64  // time of the last event added
	first      uint64 // revision of the first event, once there is one
}

// frame is one encoded message.
type frame []byte

func newPage(enc *encoder) *page { return &page{enc: enc} }

// figures are the page as the metrics know it.
func (p *page) figures() watch.Page {
	return watch.Page{Events: p.events, Considered: p.considered, Bytes: p.size, Last: p.last, Created: p.created}
}

func (p *page) reset() {
	// A fresh buffer: the transport may still hold the frames that were sent.
	p.buf = make([]byte, 0, min(p.size+p.size/8+512, PageBytes))
	clear(p.frames)
	p.frames = p.frames[:0]
	p.events, p.considered, p.size = 0, 0, 0
}

func (p *page) addEvent(v *eventlog.View, position uint64, r *eventlog.Record) error {
	p.last, p.created = position, r.Created
	if p.events++; p.events == 1 {
		p.first = r.Revision
	}
	if p.links != nil && string(r.Type) == typeLink {
		return p.addLink(v, position, r)
	}
	p.add(p.enc.event(p.room(p.enc.eventSize(position, r)), position, r))
	return nil
}

func (p *page) addCheckpoint(position uint64, at time.Time) {
	p.add(p.enc.checkpoint(p.room(maxCheckpointSize), position, at))
}

// room returns the buffer to append n bytes to, without moving earlier frames.
func (p *page) room(n int) []byte {
	if cap(p.buf)-len(p.buf) < n {
		p.buf = make([]byte, 0, max(n, PageBytes/8))
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
	return p.events >= PageEvents || p.considered >= PageConsidered || p.size >= PageBytes
}

// addStream adds the stream's events of revisions from ≤ r < to, upwards or
// downwards, and returns the first revision that it did not consider, and
// whether there may be more. limit is the number of events wanted.
func (p *page) addStream(v *eventlog.View, stream string, rng eventlog.Range, from, to, limit uint64,
	back bool) (next uint64, more bool, err error) {
	from = max(from, rng.First)
	to = min(to, uint64(rng.Last+1))
	next = to
	if back {
		next = from
	}
	if from >= to || limit == 0 {
		return next, false, nil
	}
	err = v.ScanStream(stream, from, to, back, func(revision uint64, e eventlog.IndexEntry) (bool, error) {
		if p.full() || uint64(p.events) >= limit {
			next, more = revision, true
			if back {
				next++
			}
			return false, nil
		}
		p.considered++
		if e.Created < rng.Oldest {
			return true, nil
		}
		var added error
		err := v.Event(e.Position, func(r *eventlog.Record) { added = p.addEvent(v, e.Position, r) })
		return true, errors.Join(err, added)
	})
	return next, more, err
}

const noLimit = math.MaxUint64
