// Package layout is what the event store keeps in Pebble, byte by byte: keys, events, heads of
// streams, and what Open verifies.
//
// It owns the format, which is frozen; DESIGN.md explains each key. It keeps nothing and so can
// lose nothing. It trusts no byte that it decodes: each has a checksum or a fixed form, and what
// contradicts it is ErrCorrupt.
package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The keys of the store, by their first byte. They are frozen: DESIGN.md
// explains each, FormatVersion names this layout as a whole.
//
//	01 "format"                           what this directory is
//	01 "checked"                          the commit up to which Open has verified the counter
//	02 ‖ commit[8]                        one per fsynced group, dense
//	03 ‖ position[8]                      the event itself; key order is $all order
//	04 ‖ escaped stream ‖ 00 01 ‖ revision[8]   position, id, created of that event
//	05 ‖ stream                           the stream's head: last revision, tombstone, metadata
const (
	prefixSystem = 0x01
	PrefixCommit = 0x02
	PrefixEvent  = 0x03
	PrefixIndex  = 0x04
	PrefixHead   = 0x05
)

const (
	FormatVersion = 1
	formatMagic   = "esnode\x00\x00"

	// FirstPosition leaves room before the first event, so that no event has
	// position 0, which clients and the protocol use for "the start".
	FirstPosition = 256
)

// Keys of what there is one of.
var (
	KeyFormat  = []byte("\x01format")
	KeyChecked = []byte("\x01checked")
)

// Castagnoli is the polynomial of every checksum of the store.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CommitKey is the key of the commit with this number.
func CommitKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{PrefixCommit}, n)
}

// EventKey is the key of the event at this position.
func EventKey(position uint64) []byte {
	return AppendEventKey(make([]byte, 0, 9), position)
}

// AppendEventKey appends it to dst.
func AppendEventKey(dst []byte, position uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, PrefixEvent), position)
}

// PositionOf is the position in an event's key.
func PositionOf(key []byte) (uint64, error) {
	if len(key) != 9 || key[0] != PrefixEvent {
		return 0, fmt.Errorf("%w: event key of %d bytes", ErrCorrupt, len(key))
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// IndexPrefix is prefix-free: no stream's prefix begins another's, whatever
// bytes the names hold, because 00 is escaped as 00 FF and the name ends in 00 01.
func IndexPrefix(stream string) []byte {
	dst := make([]byte, 0, len(stream)+3+8)
	dst = append(dst, PrefixIndex)
	for i := 0; i < len(stream); i++ {
		dst = append(dst, stream[i])
		if stream[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return append(dst, 0x00, 0x01)
}

// IndexKey is the key of a revision of the stream with this IndexPrefix.
func IndexKey(prefix []byte, revision uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(prefix), revision)
}

// HeadKey is the key of a stream's head.
func HeadKey(stream string) []byte {
	return append([]byte{PrefixHead}, stream...)
}

// IndexEntry is the value of a stream index key. It repeats the event's id and
// time, so that idempotency checks and $maxAge read no events.
type IndexEntry struct {
	Position uint64
	ID       [16]byte
	Created  int64 // 100 ns ticks since the Unix epoch
}

// IndexEntrySize is how many bytes Put writes.
const IndexEntrySize = 8 + 16 + 8

// Put writes the entry to dst, which has IndexEntrySize bytes.
func (e IndexEntry) Put(dst []byte) {
	binary.BigEndian.PutUint64(dst, e.Position)
	copy(dst[8:], e.ID[:])
	binary.BigEndian.PutUint64(dst[24:], uint64(e.Created))
}

// DecodeIndexEntry is the inverse of Put. It errs with ErrCorrupt.
func DecodeIndexEntry(v []byte) (IndexEntry, error) {
	if len(v) != IndexEntrySize {
		return IndexEntry{}, fmt.Errorf("%w: stream index entry of %d bytes", ErrCorrupt, len(v))
	}
	e := IndexEntry{Position: binary.BigEndian.Uint64(v), Created: int64(binary.BigEndian.Uint64(v[24:]))}
	copy(e.ID[:], v[8:])
	return e, nil
}

// CommitRecord describes one group of events that became durable together.
// Consecutive records chain: first equals the previous record's next.
type CommitRecord struct {
	First  uint64 // position of the group's first event
	Next   uint64 // position after its last event
	Events uint32 // events in this group
	Total  uint64 // events in the store, this group included
}

// Encode returns the record with its checksum.
func (c CommitRecord) Encode() []byte {
	dst := make([]byte, 0, 32)
	dst = binary.BigEndian.AppendUint64(dst, c.First)
	dst = binary.BigEndian.AppendUint64(dst, c.Next)
	dst = binary.BigEndian.AppendUint32(dst, c.Events)
	dst = binary.BigEndian.AppendUint64(dst, c.Total)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, Castagnoli))
}

// DecodeCommit is the inverse of Encode. It errs with ErrCorrupt.
func DecodeCommit(v []byte) (CommitRecord, error) {
	if len(v) != 32 || crc32.Checksum(v[:28], Castagnoli) != binary.BigEndian.Uint32(v[28:]) {
		return CommitRecord{}, fmt.Errorf("%w: commit record", ErrCorrupt)
	}
	return CommitRecord{
		First:  binary.BigEndian.Uint64(v),
		Next:   binary.BigEndian.Uint64(v[8:]),
		Events: binary.BigEndian.Uint32(v[16:]),
		Total:  binary.BigEndian.Uint64(v[20:]),
	}, nil
}

// CheckedMark says that the commit counter has been verified up to commit n.
type CheckedMark struct {
	Commit, Next, Total uint64
}

// Encode returns the mark with its checksum.
func (m CheckedMark) Encode() []byte {
	dst := make([]byte, 0, 28)
	dst = binary.BigEndian.AppendUint64(dst, m.Commit)
	dst = binary.BigEndian.AppendUint64(dst, m.Next)
	dst = binary.BigEndian.AppendUint64(dst, m.Total)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, Castagnoli))
}

// DecodeChecked is the inverse of Encode. It errs with ErrCorrupt.
func DecodeChecked(v []byte) (CheckedMark, error) {
	if len(v) != 28 || crc32.Checksum(v[:24], Castagnoli) != binary.BigEndian.Uint32(v[24:]) {
		return CheckedMark{}, fmt.Errorf("%w: checked mark", ErrCorrupt)
	}
	return CheckedMark{
		Commit: binary.BigEndian.Uint64(v),
		Next:   binary.BigEndian.Uint64(v[8:]),
		Total:  binary.BigEndian.Uint64(v[16:]),
	}, nil
}

// FormatRecord is written once, by Create.
type FormatRecord struct {
	Version uint32
	ID      [16]byte // random, names this store in gossip
}

// Encode returns the record with its checksum.
func (f FormatRecord) Encode() []byte {
	dst := append([]byte(nil), formatMagic...)
	dst = binary.BigEndian.AppendUint32(dst, f.Version)
	dst = append(dst, f.ID[:]...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, Castagnoli))
}

// DecodeFormat is the inverse of Encode. It errs with ErrFormat for another
// version, else ErrCorrupt.
func DecodeFormat(v []byte) (FormatRecord, error) {
	const size = len(formatMagic) + 4 + 16 + 4
	if len(v) < len(formatMagic)+4 || string(v[:len(formatMagic)]) != formatMagic {
		return FormatRecord{}, fmt.Errorf("%w: not an event store's format record", ErrCorrupt)
	}
	f := FormatRecord{Version: binary.BigEndian.Uint32(v[len(formatMagic):])}
	if f.Version != FormatVersion {
		return f, fmt.Errorf("%w: on-disk format %d, this program reads format %d", ErrFormat,
			f.Version, FormatVersion)
	}
	if len(v) != size || crc32.Checksum(v[:size-4], Castagnoli) != binary.BigEndian.Uint32(v[size-4:]) {
		return f, fmt.Errorf("%w: format record", ErrCorrupt)
	}
	copy(f.ID[:], v[len(formatMagic)+4:])
	return f, nil
}
