package projections

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/google/uuid"
)

// Bucket is 65,536 sequences of one tenant: Number is the sequence shifted right by 16.
type Bucket struct {
	Tenant uuid.UUID
	Number uint64
}

// BucketOf returns the bucket of a tenant's event.
func BucketOf(tenant uuid.UUID, seq uint64) Bucket { return Bucket{tenant, seq >> 16} }

// Digest stands for a set of events: how many, and the sum of their leaves as little-endian
// integers modulo 2^256. A sum tells an event that is there twice, which XOR would hide.
type Digest struct {
	Count uint64
	Sum   [32]byte // little-endian
}

// Add takes one more event's leaf in.
func (d *Digest) Add(leaf [32]byte) {
	d.Count++
	var carry uint64
	for i := 0; i < 32; i += 8 {
		var s uint64
		s, carry = bits.Add64(binary.LittleEndian.Uint64(d.Sum[i:]), binary.LittleEndian.Uint64(leaf[i:]), carry)
		binary.LittleEndian.PutUint64(d.Sum[i:], s)
	}
}

// Digests are the digests of a ledger, or of the views.
type Digests map[Bucket]Digest

// Add takes an event in.
func (d Digests) Add(tenant uuid.UUID, seq uint64, leaf [32]byte) {
	b := BucketOf(tenant, seq)
	x := d[b]
	x.Add(leaf)
	d[b] = x
}

// Differ returns the buckets in which the two hold other events, by tenant and number.
func (d Digests) Differ(other Digests) []Bucket {
	var out []Bucket
	for b, x := range d {
		if other[b] != x {
			out = append(out, b)
		}
	}
	for b := range other {
		if _, ok := d[b]; !ok {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b Bucket) int {
		return cmp.Or(bytes.Compare(a.Tenant[:], b.Tenant[:]), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// Leaf is an event's leaf as a view holds it.
type Leaf struct {
	Seq     uint64
	EventID uuid.UUID
	Leaf    [32]byte
}

// Difference is an event whose stored bytes do not give the leaf that is stored with them.
type Difference struct {
	Tenant           uuid.UUID
	Seq              uint64
	EventID          uuid.UUID
	Stored, Computed [32]byte
}
