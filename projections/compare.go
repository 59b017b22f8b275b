package projections

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// What a comparison finds.
type What string

// What a row is found to be.
const (
	Missing     What = "missing"    // what it is compared with has it
	Extra       What = "extra"      // what it is compared with has none
	Other       What = "other"      // another row than it should be
	OtherEvent  What = "event"      // in events: another event than the ledger's at that sequence
	Unrefreshed What = "catalogue"  // in events: its values were read by another version of the catalogue
	BrokenLeaf  What = "leaf"       // in events: its stored bytes do not give its stored leaf
	Forged      What = "origin"     // in the ledger: its origin is not that of a genuine event
	Definition  What = "definition" // a view is not defined as this program defines it, or is not there
)

// Finding is one difference. It names no value, only keys.
type Finding struct {
	View   string    `json:"view"` // "events", or the view's name
	What   What      `json:"what"`
	Tenant uuid.UUID `json:"tenant,omitzero"`
	Stream string    `json:"stream,omitempty"`
	Seq    uint64    `json:"sequence"`
	Key    string    `json:"key,omitempty"` // of a view's row
}

// Compared is what the comparison of a part of a view came to.
type Compared struct {
	Rows      uint64    // of the view, that were compared
	Count     uint64    // of the findings, those that are not listed included
	Findings  []Finding // bounded
	Unsettled uint64    // rows that could not be judged, since their events were not through for too long
}

// Shape is what the views' database consists of, and how each part is defined.
type Shape struct {
	Views       []string // that are compared with what their definitions make of events
	Plain       []string // views without rows of their own, whose definitions are compared
	NotCompared []Uncompared
	Findings    []Finding
	Fingerprint string // another once a view is made anew, or defined anew
}

// Uncompared is an object of the database that is not compared, and why.
type Uncompared struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Portion is a part of a view, and of events: by tenants, and where one alone is too
// much by a range of its streams.
type Portion struct {
	Tenants []uuid.UUID
	From    string // streams from here, where To is set
	To      string // and before here
}

// Mark stands for one row of events.
type Mark struct {
	Seq       uint64
	Tenant    uuid.UUID
	Stream    string
	EventID   uuid.UUID
	Leaf, Sum [32]byte // Sum: of all columns, see RowSum
	Catalogue [8]byte
}

// Marks are the digests of a range of events: of their leaves, and of their rows.
type Marks struct{ Leaves, Rows Digests }

// NewMarks returns the digests of no event.
func NewMarks() Marks { return Marks{Digests{}, Digests{}} }

// Add takes a row in.
func (m Marks) Add(k Mark) {
	m.Leaves.Add(k.Tenant, k.Seq, k.Leaf)
	m.Rows.Add(k.Tenant, k.Seq, k.Sum)
}

// MarkOf returns the mark of a row.
func MarkOf(r *Row) Mark {
	return Mark{Seq: r.Seq, Tenant: r.Tenant, Stream: string(r.Stream), EventID: r.EventID, Leaf: r.Leaf,
		Sum: RowSum(r), Catalogue: r.Catalogue}
}

// RowSum is the SHA-256 of all that a row says of its event: every column but partition and
// catalogue, which say where and by which program it was read. Numbers are little-endian, times
// are milliseconds, text has its length before it.
func RowSum(r *Row) [32]byte {
	h := sha256.New()
	var buf []byte
	text := func(s string) {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(s)))
		buf = append(buf, s...)
	}
	buf = binary.LittleEndian.AppendUint64(buf, r.Seq)
	buf = append(buf, r.Tenant[:]...)
	text(string(r.Stream))
	buf = binary.LittleEndian.AppendUint64(buf, r.Revision)
	buf = append(buf, r.EventID[:]...)
	text(r.Type)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(r.Occurred.UnixMilli()))
	buf = append(buf, flagByte(r.Timed))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(r.Recorded.UnixMilli()))
	text(r.Source)
	buf = append(buf, r.Correlation[:]...)
	buf = append(buf, r.Causation[:]...)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(r.Data)))
	h.Write(buf)
	h.Write(r.Data)
	buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(r.Metadata)))
	buf = append(buf, r.Metadata...)
	buf = append(buf, r.Leaf[:]...)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(r.Subjects)))
	for _, s := range r.Subjects {
		buf = append(buf, s.Alias[:]...)
		text(s.Role)
	}
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(r.Values)))
	for i := range r.Values {
		v := &r.Values[i]
		text(v.Attribute)
		text(v.Element)
		text(v.Text)
		buf = append(buf, flagByte(v.Removed))
		buf = binary.LittleEndian.AppendUint64(buf, uint64(v.Observed.UnixMilli()))
	}
	h.Write(buf)
	return [32]byte(h.Sum(nil))
}

func flagByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
