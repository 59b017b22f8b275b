package schemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"
)

// Frame returns the bytes whose hash stands for the event in the log (FORMATS §7): exactly what is
// stored.
func (r RecordedEvent) Frame() []byte {
	b := make([]byte, 0, 19+4*4+8+16+len(r.Stream)+len(r.Type)+len(r.Data)+len(r.Metadata))
	b = append(b, "ledgerline/leaf/v1\n"...)
	b = LP(b, string(r.Stream))
	b = binary.BigEndian.AppendUint64(b, r.Revision)
	b = append(b, r.ID[:]...)
	b = LP(b, r.Type)
	b = LP(b, []byte(r.Data))
	return LP(b, []byte(r.Metadata))
}

// LogLabel returns the label by which the holder of x (a tenant, a stream's uuid or an alias)
// recognises its event in the log, given the event's frame hash.
func LogLabel(x uuid.UUID, h [32]byte) [16]byte {
	b := make([]byte, 0, 20+len(x)+len(h))
	b = append(append(append(b, "ledgerline/label/v1\n"...), x[:]...), h[:]...)
	sum := sha256.Sum256(b)
	return [16]byte(sum[:16])
}

// Entry returns the log entry: 0x01, the frame hash, and the distinct labels sorted bytewise.
func (e Envelope) Entry() []byte {
	h := sha256.Sum256(e.Frame())
	m := e.Meta()
	owners := make([]uuid.UUID, 0, 8)
	owners = append(owners, m.Tenant, e.Stream.UUID())
	for _, s := range m.Subjects {
		owners = append(owners, s.ID)
	}
	slices.SortFunc(owners, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	owners = slices.Compact(owners)
	labels := make([][16]byte, 0, 8)
	for _, x := range owners {
		labels = append(labels, LogLabel(x, h))
	}
	slices.SortFunc(labels, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	entry := make([]byte, 0, 1+len(h)+1+16*len(labels))
	entry = append(append(entry, 0x01), h[:]...)
	entry = append(entry, byte(len(labels)))
	for _, l := range labels {
		entry = append(entry, l[:]...)
	}
	return entry
}

// LeafHash returns SHA-256(0x00 ‖ entry), RFC 6962's hash of a leaf.
func LeafHash(entry []byte) [32]byte {
	return sha256.Sum256(append([]byte{0x00}, entry...))
}
