package schemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/google/uuid"
)

// Frame returns the bytes whose hash stands for the event in the log (FORMATS §7): exactly what is stored.
func (r Recorded) Frame() []byte {
	b := make([]byte, 0, 19+4*4+8+16+len(r.Stream)+len(r.Type)+len(r.Data)+len(r.Metadata))
	b = append(b, "ledgerline/leaf/v1\n"...)
	b = LP(b, string(r.Stream))
	b = binary.BigEndian.AppendUint64(b, r.Revision)
	b = append(b, r.ID[:]...)
	b = LP(b, r.Type)
	b = LP(b, []byte(r.Data))
	return LP(b, []byte(r.Metadata))
}

// LogLabel returns the label by which the holder of x (a tenant, a stream's uuid or an alias) recognises its event in
// the log, given the event's frame hash.
func LogLabel(x uuid.UUID, h [32]byte) [16]byte {
	b := append([]byte("ledgerline/label/v1\n"), x[:]...)
	sum := sha256.Sum256(append(b, h[:]...))
	return [16]byte(sum[:16])
}

// Entry returns the log entry: 0x01, the frame hash, and the distinct labels sorted bytewise.
// It errs when the stream or the metadata are not of the ledger's form, since labels cannot be known then.
func (r Recorded) Entry() ([]byte, error) {
	if !r.Stream.Valid() {
		return nil, fmt.Errorf("log entry: stream %q is not a ledger stream", r.Stream)
	}
	m, err := ParseMetadata(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("log entry of event %s: %w", r.ID, err)
	}
	return r.entry(m), nil
}

func (r Recorded) entry(m Metadata) []byte {
	h := sha256.Sum256(r.Frame())
	owners := map[uuid.UUID]bool{m.Tenant: true, r.Stream.UUID(): true}
	for _, s := range m.Subjects {
		owners[s.ID] = true
	}
	labels := make([][16]byte, 0, len(owners))
	for x := range owners {
		labels = append(labels, LogLabel(x, h))
	}
	sort.Slice(labels, func(i, j int) bool { return bytes.Compare(labels[i][:], labels[j][:]) < 0 })
	e := append([]byte{0x01}, h[:]...)
	e = append(e, byte(len(labels)))
	for _, l := range labels {
		e = append(e, l[:]...)
	}
	return e
}

// Leaf returns the RFC 6962 leaf hash of the event's log entry; its index in the tree is the ledger sequence.
func (r Recorded) Leaf() ([32]byte, error) {
	e, err := r.Entry()
	if err != nil {
		return [32]byte{}, err
	}
	return LeafHash(e), nil
}

// Anchor returns the position that may be persisted of the event, in the ledger of that id. Seq must be set.
func (r Recorded) Anchor(ledger uuid.UUID) (Anchor, error) {
	leaf, err := r.Leaf()
	if err != nil {
		return Anchor{}, fmt.Errorf("anchor at sequence %d: %w", r.Seq, err)
	}
	return Anchor{LedgerID: ledger, Seq: r.Seq, EventID: r.ID, Leaf: leaf, Position: r.Position}, nil
}

// LeafOf is Leaf for a reader that has parsed the event's metadata already; m must be what r.Metadata says.
func (r Recorded) LeafOf(m Metadata) [32]byte { return LeafHash(r.entry(m)) }

// LeafHash returns SHA-256(0x00 ‖ entry), RFC 6962's hash of a leaf.
func LeafHash(entry []byte) [32]byte {
	return sha256.Sum256(append([]byte{0x00}, entry...))
}
