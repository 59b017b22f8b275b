package schemas

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Origin is an event's origin (FORMATS §3): a code that only a holder of the vault can make, over
// the event's place in the store and everything it says. So a forged event, or a true one repeated
// elsewhere, is known to whoever holds the vault.
type Origin [32]byte

// OriginKey is a tenant's K_origin.
type OriginKey [32]byte

// The member as it stands before the last brace of metadata: 55 bytes.
const (
	originHead  = `,"origin":"`
	originText  = 43 // characters of b64
	originBytes = len(originHead) + originText + 1
)

// NewOriginKey derives a tenant's K_origin from its K_record.
func NewOriginKey(record []byte) (OriginKey, error) {
	out, err := hkdf.Expand(sha256.New, record, "ledgerline/v1/origin", 32)
	if err != nil {
		return OriginKey{}, fmt.Errorf("derive K_origin: %w", err)
	}
	return OriginKey(out), nil
}

// Sign returns the event with the origin it has at that revision of its stream, in place of any
// that it had. The event's other bytes stay.
func Sign(e Event, revision uint64, k OriginKey) Event {
	m, _, _ := cutOrigin(e.Metadata)
	o := k.of(e, revision, m)
	b := make([]byte, 0, len(m)+originBytes+1)
	b = append(b, m...)
	b = append(b, originHead...)
	b = Base64.AppendEncode(b, o[:])
	e.Metadata = append(b, `"}`...)
	return e
}

// Genuine reports whether the event has the origin of its stream and
// revision under the tenant's key.
func (r RecordedEvent) Genuine(k OriginKey) bool {
	m, has, ok := cutOrigin(r.Metadata)
	if !ok {
		return false
	}
	want := k.of(r.Event, r.Revision, m)
	return subtle.ConstantTimeCompare(want[:], has[:]) == 1
}

// of makes the code over the event with that metadata, which is given without its last brace.
// Nothing is copied: every event that is followed passes here.
func (k OriginKey) of(e Event, revision uint64, m []byte) (o Origin) {
	h := hmac.New(sha256.New, k[:])
	b := make([]byte, 0, 256)
	b = LP(b, string(e.Stream))
	b = binary.BigEndian.AppendUint64(b, revision)
	b = append(b, e.ID[:]...)
	b = LP(b, e.Type)
	h.Write(binary.BigEndian.AppendUint32(b, uint32(len(e.Data))))
	h.Write(e.Data)
	h.Write(binary.BigEndian.AppendUint32(b[:0], uint32(len(m)+1)))
	h.Write(m)
	h.Write([]byte{'}'})
	h.Sum(o[:0])
	return o
}

// cutOrigin returns metadata without its origin and last brace, and the origin, with ok
// where it has one in its place.
func cutOrigin(metadata []byte) (m []byte, o Origin, ok bool) {
	at := len(metadata) - originBytes - 1
	if at < 0 || !bytes.HasPrefix(metadata[at:], []byte(originHead)) {
		return bytes.TrimSuffix(metadata, []byte("}")), o, false
	}
	s := metadataScanner{rest: metadata[at+len(originHead):]}
	o, ok = s.origin()
	return metadata[:at], o, ok && string(s.rest) == `"}`
}
