package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// boundaries walks the checked mark and the commit records.
type boundaries struct {
	it   *pebble.Iterator
	err  error
	more bool
	boundary
}

func (c *checker) boundaries() *boundaries {
	b := &boundaries{}
	if v, err := disk.Get(c.db, layout.KeyChecked); err == nil {
		if m, err := layout.DecodeChecked(v); err == nil {
			b.more, b.boundary = true, boundary{fmt.Sprintf("the checked mark (commit %d)", m.Commit), m.Next, m.Total}
		}
	}
	b.it, b.err = c.db.NewIter(commitRange)
	if b.err != nil {
		return b
	}
	b.it.First()
	if !b.more {
		b.advance()
	}
	return b
}

// advance goes to the next commit record that can be read; verify has reported the others.
func (b *boundaries) advance() {
	for b.more = false; b.err == nil && b.it.Valid() && !b.more; b.it.Next() {
		v, err := b.it.ValueAndErr()
		if err != nil {
			b.err = err
			return
		}
		if r, err := layout.DecodeCommit(v); err == nil && len(b.it.Key()) == 9 {
			n := binary.BigEndian.Uint64(b.it.Key()[1:])
			b.more, b.boundary = true, boundary{fmt.Sprintf("commit %d", n), r.Next, r.Total}
		}
	}
}

func (b *boundaries) close() error {
	if b.it == nil {
		return b.err
	}
	return errors.Join(b.err, b.it.Close())
}

// boundary compares what is known at a boundary with the events up to there:
// the next one begins at position, or the last one ended there.
func (c *checker) boundary(b *boundaries, position, seen uint64, holes bool) {
	switch {
	case holes: // that has been reported
	case b.next != position:
		c.found("%s ends at position %d, where no event ends", b.name, b.next)
	case b.total != seen:
		c.found("%s has %d events, %d are there", b.name, b.total, seen)
	}
	b.advance()
}

// fingerprint is a sum of keyed hashes: two sets of the same size that differ
// have the same one with a probability of 2^-128, in whatever order they come.
type fingerprint struct{ a, b, n uint64 }

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func (f *fingerprint) add(stream []byte, revision uint64, e IndexEntry) {
	var buf [256]byte
	b := binary.BigEndian.AppendUint64(append(buf[:0], stream...), revision)
	var v [layout.IndexEntrySize]byte
	e.Put(v[:])
	b = append(b, v[:]...)
	f.a += maphash.Bytes(fingerprintSeeds[0], b)
	f.b += maphash.Bytes(fingerprintSeeds[1], b)
	f.n++
}

// decodeIndexKey is the inverse of layout.IndexKey.
func decodeIndexKey(dst, key []byte) (stream []byte, revision uint64, ok bool) {
	if len(key) < 1+2+8 {
		return dst, 0, false
	}
	name, end := key[1:len(key)-10], key[len(key)-10:]
	if end[0] != 0 || end[1] != 1 {
		return dst, 0, false
	}
	for i := 0; i < len(name); i++ {
		dst = append(dst, name[i])
		if name[i] == 0 {
			if i++; i == len(name) || name[i] != 0xFF {
				return dst, 0, false
			}
		}
	}
	return dst, binary.BigEndian.Uint64(end[2:]), true
}

// indexed is what a stream's index says of it.
type indexed struct {
	stream  []byte
	last    int64 // newest revision but a tombstone's, -1 for none
	at      IndexEntry
	deleted bool
	first   uint64 // position of the first entry, which names the stream in findings
}

// indexWalk yields the streams of the index in the order of their names.
type indexWalk struct {
	it    *pebble.Iterator
	valid bool
	next  []byte // stream of the entry that it stands on
	rev   uint64
	entry func(stream []byte, revision uint64, e IndexEntry) error // sees each; may be nil
	found func(format string, args ...any)
	err   error
}

func (c *checker) walkIndex(lower, upper []byte, found func(string, ...any),
	entry func([]byte, uint64, IndexEntry) error) (*indexWalk, error) {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	w := &indexWalk{it: it, entry: entry, found: found}
	w.decode(it.First())
	return w, nil
}

// decode takes the key that the iterator stands on, over unknown ones.
func (w *indexWalk) decode(valid bool) {
	for ; valid; valid = w.it.Next() {
		var ok bool
		if w.next, w.rev, ok = decodeIndexKey(w.next[:0], w.it.Key()); ok {
			break
		}
		w.found("stream index key of %d bytes that names no stream and revision", len(w.it.Key()))
	}
	w.valid = valid
}

// stream reads the next stream's entries, which must be dense and rise in
// position and time; ok is false at the end.
func (w *indexWalk) stream() (s indexed, ok bool) {
	if !w.valid || w.err != nil {
		return s, false
	}
	s = indexed{stream: bytes.Clone(w.next), last: -1}
	var before IndexEntry
	for any := false; w.valid && bytes.Equal(w.next, s.stream); w.decode(w.it.Next()) {
		v, err := w.it.ValueAndErr()
		if err != nil {
			w.err = err
			return s, any
		}
		e, err := layout.DecodeIndexEntry(v)
		if err != nil {
			w.found("%v at revision %d of the stream whose index begins at position %d", err, w.rev, s.first)
			continue
		}
		if !any {
			s.first = e.Position
		} else if e.Position <= before.Position || e.Created < before.Created {
			w.found("stream index: revision %d is at position %d, the one before it at %d", w.rev, e.Position,
				before.Position)
		}
		if w.rev == layout.TombstoneRevision {
			s.deleted = true
		} else {
			if w.rev != uint64(s.last+1) {
				w.found("stream index: revision %d, at position %d, follows revision %d", w.rev, e.Position, s.last)
			}
			s.last, s.at = int64(w.rev), e
		}
		if w.entry != nil {
			if w.err = w.entry(s.stream, w.rev, e); w.err != nil {
				return s, false
			}
		}
		before, any = e, true
	}
	return s, true
}

func (w *indexWalk) close() error { return errors.Join(w.err, w.it.Close()) }

// streams walks the index, the heads and the metastreams side by side, each in
// the order of the streams' names, and derives every head from the other two.
func (c *checker) streams() error {
	lower, upper := []byte{layout.PrefixIndex}, []byte{layout.PrefixIndex + 1}
	var done uint64
	index, err := c.walkIndex(lower, upper, c.found, func(stream []byte, revision uint64, e IndexEntry) error {
		c.entries.add(stream, revision, e)
		done++
		return c.step("index", done, c.end.total)
	})
	if err != nil {
		return err
	}
	silent := func(string, ...any) {} // the first walk has said it
	metaLower := append(append([]byte(nil), layout.PrefixIndex), layout.MetaPrefix...)
	metaUpper := append(append([]byte(nil), layout.PrefixIndex), '$', '$'+1)
	metas, err := c.walkIndex(metaLower, metaUpper, silent, nil)
	if err != nil {
		return errors.Join(err, index.close())
	}
	heads, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{layout.PrefixHead},
		UpperBound: []byte{layout.PrefixHead + 1}})
	if err != nil {
		return errors.Join(err, index.close(), metas.close())
	}
	c.merge(index, metas, heads)
	if c.ctx.Err() != nil {
		return errors.Join(c.ctx.Err(), index.close(), metas.close(), heads.Close())
	}
	for _, w := range [...]struct {
		what  string
		close func() error
	}{{"stream index", index.close}, {"metastreams' index", metas.close}, {"stream heads", heads.Close}} {
		if err := w.close(); err != nil {
			c.found("the %s cannot be read to its end: %v", w.what, err)
		}
	}
	return nil
}

func (c *checker) merge(index, metas *indexWalk, heads *pebble.Iterator) {
	s, haveStream := index.stream()
	m, haveMeta := metas.stream()
	haveHead := heads.First()
	for haveStream || haveMeta || haveHead {
		var name []byte
		lowest := false
		for _, candidate := range [...]struct {
			have bool
			name []byte
		}{{haveStream, s.stream}, {haveMeta, original(m.stream)}, {haveHead, headName(heads, haveHead)}} {
			if candidate.have && (!lowest || bytes.Compare(candidate.name, name) < 0) {
				name, lowest = candidate.name, true
			}
		}
		name = bytes.Clone(name)
		want, first := layout.NoHead, uint64(0)
		if haveMeta && bytes.Equal(original(m.stream), name) {
			first = m.first
			c.meta(m, &want)
			m, haveMeta = metas.stream()
		}
		if haveStream && bytes.Equal(s.stream, name) {
			c.report.Streams++
			first = s.first
			want.Last, want.Deleted = s.last, s.deleted
			s, haveStream = index.stream()
		}
		if !haveHead || !bytes.Equal(headName(heads, true), name) {
			if want != layout.NoHead {
				c.found("the stream whose index begins at position %d has no head", first)
			}
			continue
		}
		c.head(heads, want, first)
		haveHead = heads.Next()
	}
}

func original(metastream []byte) []byte {
	return metastream[min(len(metastream), len(layout.MetaPrefix)):]
}

func headName(heads *pebble.Iterator, valid bool) []byte {
	if !valid {
		return nil
	}
	return heads.Key()[1:]
}

// meta derives a stream's metadata from the newest event of its metastream.
func (c *checker) meta(m indexed, want *layout.Head) {
	if m.last < 0 {
		return // only a tombstone
	}
	want.MetaPosition = m.at.Position
	v, err := disk.Get(c.db, layout.EventKey(m.at.Position))
	if err == nil {
		var r Record
		if r, err = layout.DecodeRecord(m.at.Position, v); err == nil {
			want.Meta = layout.ParseMeta(r.Data)
			return
		}
	}
	c.found("the metadata at position %d cannot be read", m.at.Position)
}

func (c *checker) head(heads *pebble.Iterator, want layout.Head, first uint64) {
	v, err := heads.ValueAndErr()
	if err != nil {
		return // heads.Close says it
	}
	h, err := layout.DecodeHead(v)
	switch {
	case err != nil:
		c.found("%v, of the stream whose index begins at position %d", err, first)
	case want == layout.NoHead:
		c.found("a stream's head says last revision %d, metadata at position %d; the stream has neither "+
			"events nor metadata", h.Last, h.MetaPosition)
	case h != want || v[1]&^1 != 0:
		c.found("stream whose index begins at position %d: its head says last revision %d, tombstoned %v, metadata "+
			"at position %d with $maxCount %d, $maxAge %d, $tb %d; "+
			"its events say %d, %v, %d with %d, %d, %d", first,
			h.Last, h.Deleted, h.MetaPosition, h.Meta.MaxCount, h.Meta.MaxAge, h.Meta.TruncateBefore,
			want.Last, want.Deleted, want.MetaPosition, want.Meta.MaxCount, want.Meta.MaxAge, want.Meta.TruncateBefore)
	}
}

const maxUnreadable = 20

var errGaveUp = errors.New("too many records cannot be read")

// differences names the events and index entries that do not belong to each
// other, where the fingerprints say that there are some.
func (c *checker) differences() error {
	if c.events == c.entries {
		return nil
	}
	before := c.report.Found
	var done uint64
	// Each look into a damaged block costs Pebble a tenth of a second.
	unreadable := 0
	lookUp := func(key []byte) ([]byte, error) {
		if unreadable == maxUnreadable {
			return nil, errGaveUp
		}
		v, err := disk.Get(c.db, key)
		if err != nil && !errors.Is(err, pebble.ErrNotFound) {
			unreadable++
			return nil, nil // reported where the events and the index were read
		}
		return v, err
	}
	err := c.eachEvent(func(position uint64, r *Record) error {
		done++
		if err := c.step("differences", done, 2*c.end.total); err != nil {
			return err
		}
		want := IndexEntry{Position: position, ID: r.ID, Created: r.Created}
		v, err := lookUp(layout.IndexKey(layout.IndexPrefix(string(r.Stream)), r.Revision))
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			c.found("event at position %d, revision %d of its stream, is not in the stream's index",
				position, r.Revision)
			return nil
		case err != nil || v == nil:
			return err
		}
		if e, err := layout.DecodeIndexEntry(v); err == nil && e != want {
			c.found("event at position %d, revision %d of its stream: the stream's index has position %d, id equal "+
				"%v, time equal %v",
				position, r.Revision, e.Position, e.ID == want.ID, e.Created == want.Created)
		}
		return nil
	})
	if errors.Is(err, errGaveUp) {
		c.found("more than %d records cannot be read; the rest was not compared one by one", maxUnreadable)
		return nil
	}
	if err != nil {
		return err
	}
	w, err := c.walkIndex([]byte{layout.PrefixIndex}, []byte{layout.PrefixIndex + 1}, func(string, ...any) {},
		func(stream []byte, revision uint64, e IndexEntry) error {
			done++
			if err := c.step("differences", done, 2*c.end.total); err != nil {
				return err
			}
			v, err := lookUp(layout.EventKey(e.Position))
			if errors.Is(err, pebble.ErrNotFound) {
				c.found("stream index: revision %d names position %d, where no event is", revision, e.Position)
				return nil
			} else if err != nil || v == nil {
				return err
			}
			if r, err := layout.DecodeRecord(e.Position, v); err == nil &&
				(!bytes.Equal(r.Stream, stream) || r.Revision != revision) {
				c.found("stream index: revision %d names position %d, where another event is", revision, e.Position)
			}
			return nil
		})
	if err != nil {
		return err
	}
	for _, ok := w.stream(); ok; _, ok = w.stream() {
	}
	if err := w.close(); err != nil && c.ctx.Err() != nil {
		return err
	} else if errors.Is(err, errGaveUp) {
		c.found("more than %d records cannot be read; the rest was not compared one by one", maxUnreadable)
	}
	if c.report.Found == before {
		c.found("%d events and %d stream index entries do not belong to each other", c.events.n, c.entries.n)
	}
	return nil
}

// eachEvent visits the events that can be read.
func (c *checker) eachEvent(visit func(position uint64, r *Record) error) error {
	for from := uint64(0); from != math.MaxUint64; {
		it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: layout.EventKey(from),
			UpperBound: []byte{layout.PrefixEvent + 1}})
		if err != nil {
			return err
		}
		at := from
		for it.First(); it.Valid(); it.Next() {
			position, err := layout.PositionOf(it.Key())
			if err != nil {
				continue
			}
			v, err := it.ValueAndErr()
			if err != nil {
				break
			}
			at = position + layout.LogSize(len(v))
			if r, err := layout.DecodeRecord(position, v); err == nil {
				if err := visit(position, &r); err != nil {
					return errors.Join(err, it.Close())
				}
			}
		}
		if it.Close() == nil {
			return nil
		}
		var ok bool
		if from, ok = c.beyond(at); !ok {
			return nil
		}
	}
	return nil
}
