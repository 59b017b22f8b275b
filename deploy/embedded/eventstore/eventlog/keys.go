package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The keys of the store, by their first byte. They are frozen: DESIGN.md
// explains each, formatVersion names this layout as a whole.
//
//	01 "format"                           what this directory is
//	01 "checked"                          the commit up to which Open has verified the counter
//	02 ‖ commit[8]                        one per fsynced group, dense
//	03 ‖ position[8]                      the event itself; key order is $all order
//	04 ‖ escaped stream ‖ 00 01 ‖ revision[8]   position, id, created of that event
//	05 ‖ stream                           the stream's head: last revision, tombstone, metadata
const (
	prefixSystem = 0x01
	prefixCommit = 0x02
	prefixEvent  = 0x03
	prefixIndex  = 0x04
	prefixHead   = 0x05
)

const (
	formatVersion = 1
	formatMagic   = "esnode\x00\x00"

	// firstPosition leaves room before the first event, so that no event has
	// position 0, which clients and the protocol use for "the start".
	firstPosition = 256
)

var (
	keyFormat  = []byte("\x01format")
	keyChecked = []byte("\x01checked")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func commitKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixCommit}, n)
}

func eventKey(position uint64) []byte {
	return appendEventKey(make([]byte, 0, 9), position)
}

func appendEventKey(dst []byte, position uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixEvent), position)
}

func positionOf(key []byte) (uint64, error) {
	if len(key) != 9 || key[0] != prefixEvent {
		return 0, fmt.Errorf("%w: event key of %d bytes", ErrCorrupt, len(key))
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// indexPrefix is prefix-free: no stream's prefix begins another's, whatever
// bytes the names hold, because 00 is escaped as 00 FF and the name ends in 00 01.
func indexPrefix(stream string) []byte {
	dst := make([]byte, 0, len(stream)+3+8)
	dst = append(dst, prefixIndex)
	for i := 0; i < len(stream); i++ {
		dst = append(dst, stream[i])
		if stream[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return append(dst, 0x00, 0x01)
}

func indexKey(prefix []byte, revision uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(prefix), revision)
}

func headKey(stream string) []byte {
	return append([]byte{prefixHead}, stream...)
}

// IndexEntry is the value of a stream index key. It repeats the event's id and
// time, so that idempotency checks and $maxAge read no events.
type IndexEntry struct {
	Position uint64
	ID       [16]byte
	Created  int64 // 100 ns ticks since the Unix epoch
}

const indexEntrySize = 8 + 16 + 8

func (e IndexEntry) put(dst []byte) {
	binary.BigEndian.PutUint64(dst, e.Position)
	copy(dst[8:], e.ID[:])
	binary.BigEndian.PutUint64(dst[24:], uint64(e.Created))
}

func decodeIndexEntry(v []byte) (IndexEntry, error) {
	if len(v) != indexEntrySize {
		return IndexEntry{}, fmt.Errorf("%w: stream index entry of %d bytes", ErrCorrupt, len(v))
	}
	e := IndexEntry{Position: binary.BigEndian.Uint64(v), Created: int64(binary.BigEndian.Uint64(v[24:]))}
	copy(e.ID[:], v[8:])
	return e, nil
}

// commitRecord describes one group of events that became durable together.
// Consecutive records chain: first equals the previous record's next.
type commitRecord struct {
	first  uint64 // position of the group's first event
	next   uint64 // position after its last event
	events uint32 // events in this group
	total  uint64 // events in the store, this group included
}

func (c commitRecord) encode() []byte {
	dst := make([]byte, 0, 32)
	dst = binary.BigEndian.AppendUint64(dst, c.first)
	dst = binary.BigEndian.AppendUint64(dst, c.next)
	dst = binary.BigEndian.AppendUint32(dst, c.events)
	dst = binary.BigEndian.AppendUint64(dst, c.total)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func decodeCommit(v []byte) (commitRecord, error) {
	if len(v) != 32 || crc32.Checksum(v[:28], castagnoli) != binary.BigEndian.Uint32(v[28:]) {
		return commitRecord{}, fmt.Errorf("%w: commit record", ErrCorrupt)
	}
	return commitRecord{
		first:  binary.BigEndian.Uint64(v),
		next:   binary.BigEndian.Uint64(v[8:]),
		events: binary.BigEndian.Uint32(v[16:]),
		total:  binary.BigEndian.Uint64(v[20:]),
	}, nil
}

// checkedMark says that the commit counter has been verified up to commit n.
type checkedMark struct {
	commit, next, total uint64
}

func (m checkedMark) encode() []byte {
	dst := make([]byte, 0, 28)
	dst = binary.BigEndian.AppendUint64(dst, m.commit)
	dst = binary.BigEndian.AppendUint64(dst, m.next)
	dst = binary.BigEndian.AppendUint64(dst, m.total)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func decodeChecked(v []byte) (checkedMark, error) {
	if len(v) != 28 || crc32.Checksum(v[:24], castagnoli) != binary.BigEndian.Uint32(v[24:]) {
		return checkedMark{}, fmt.Errorf("%w: checked mark", ErrCorrupt)
	}
	return checkedMark{
		commit: binary.BigEndian.Uint64(v),
		next:   binary.BigEndian.Uint64(v[8:]),
		total:  binary.BigEndian.Uint64(v[16:]),
	}, nil
}

// formatRecord is written once, by Create.
type formatRecord struct {
	version uint32
	id      [16]byte // random, names this store in gossip
}

func (f formatRecord) encode() []byte {
	dst := append([]byte(nil), formatMagic...)
	dst = binary.BigEndian.AppendUint32(dst, f.version)
	dst = append(dst, f.id[:]...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func decodeFormat(v []byte) (formatRecord, error) {
	const size = len(formatMagic) + 4 + 16 + 4
	if len(v) < len(formatMagic)+4 || string(v[:len(formatMagic)]) != formatMagic {
		return formatRecord{}, fmt.Errorf("%w: not an event store's format record", ErrCorrupt)
	}
	f := formatRecord{version: binary.BigEndian.Uint32(v[len(formatMagic):])}
	if f.version != formatVersion {
		return f, fmt.Errorf("%w: on-disk format %d, this program reads format %d", ErrFormat, f.version, formatVersion)
	}
	if len(v) != size || crc32.Checksum(v[:size-4], castagnoli) != binary.BigEndian.Uint32(v[size-4:]) {
		return f, fmt.Errorf("%w: format record", ErrCorrupt)
	}
	copy(f.id[:], v[len(formatMagic)+4:])
	return f, nil
}
