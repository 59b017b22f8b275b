package layout

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Flags of a stored event.
const (
	FlagJSON      = 1 << 0 // content type application/json, otherwise application/octet-stream
	FlagTombstone = 1 << 1 // the event that ends a stream for good
)

// TombstoneRevision is the revision of a tombstone, as a real server's.
const TombstoneRevision = math.MaxInt64

const recordVersion = 1

// Record is one stored event. Decoded records alias the buffer they came from.
//
//	version[1] flags[1] id[16] created[8] revision[8]
//	uvarint‖stream  uvarint‖type  uvarint‖custom metadata  uvarint‖data
//	crc32c[4] over position[8] and everything before it
type Record struct {
	Flags    byte
	ID       [16]byte
	Created  int64 // 100 ns ticks since the Unix epoch
	Revision uint64
	Stream   []byte
	Type     []byte
	Meta     []byte
	Data     []byte
}

const recordFixed = 1 + 1 + 16 + 8 + 8 + 4

func uvarintLen(n int) int {
	size := 1
	for v := uint64(n); v >= 0x80; v >>= 7 {
		size++
	}
	return size
}

// Size is how many bytes Put writes.
func (r *Record) Size() int {
	n := recordFixed
	for _, f := range [...]int{len(r.Stream), len(r.Type), len(r.Meta), len(r.Data)} {
		n += uvarintLen(f) + f
	}
	return n
}

// LogSize is how far an event of n stored bytes moves the next position: the
// record with a length before and after it, as in a real server's log.
func LogSize(n int) uint64 { return uint64(n) + 8 }

// Put writes the record to dst, which is exactly Size() long.
func (r *Record) Put(dst []byte, position uint64) {
	b := dst[:0]
	b = append(b, recordVersion, r.Flags)
	b = append(b, r.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Created))
	b = binary.BigEndian.AppendUint64(b, r.Revision)
	for _, f := range [...][]byte{r.Stream, r.Type, r.Meta, r.Data} {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	binary.BigEndian.AppendUint32(b, recordChecksum(position, b))
}

func recordChecksum(position uint64, body []byte) uint32 {
	var p [8]byte
	binary.BigEndian.PutUint64(p[:], position)
	return crc32.Update(crc32.Checksum(p[:], Castagnoli), Castagnoli, body)
}

// DecodeRecord checks the checksum and returns the record stored at position.
func DecodeRecord(position uint64, v []byte) (Record, error) {
	var r Record
	if len(v) < recordFixed+4 {
		return r, fmt.Errorf("%w: event at position %d has %d bytes", ErrCorrupt, position, len(v))
	}
	body := v[:len(v)-4]
	if recordChecksum(position, body) != binary.BigEndian.Uint32(v[len(body):]) {
		return r, fmt.Errorf("%w: checksum of the event at position %d", ErrCorrupt, position)
	}
	if body[0] != recordVersion {
		return r, fmt.Errorf("%w: event at position %d has record version %d", ErrFormat, position, body[0])
	}
	r.Flags = body[1]
	copy(r.ID[:], body[2:])
	r.Created = int64(binary.BigEndian.Uint64(body[18:]))
	r.Revision = binary.BigEndian.Uint64(body[26:])
	rest := body[34:]
	for _, f := range [...]*[]byte{&r.Stream, &r.Type, &r.Meta, &r.Data} {
		n, w := binary.Uvarint(rest)
		if w <= 0 || n > uint64(len(rest)-w) {
			return r, fmt.Errorf("%w: event at position %d ends early", ErrCorrupt, position)
		}
		*f = rest[w : w+int(n)]
		rest = rest[w+int(n):]
	}
	if len(rest) != 0 {
		return r, fmt.Errorf("%w: event at position %d has %d bytes too many", ErrCorrupt, position, len(rest))
	}
	return r, nil
}
