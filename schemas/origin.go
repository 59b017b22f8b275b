package schemas

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Origin is an event's origin (FORMATS §3): a code that only a holder of the vault can make, over the
// event's place in the store and everything it says. So a forged event, or a true one repeated
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

// Sign returns the event with the origin it has at that revision of its stream, in place of any that
// it had. The event's other bytes stay.
func Sign(e Event, revision uint64, k OriginKey) Event {
	m := unsigned(e.Metadata)
	o := k.of(e, revision, m)
	b := make([]byte, 0, len(m)+originBytes)
	b = append(b, bytes.TrimSuffix(m, []byte("}"))...)
	b = append(b, originHead...)
	b = Base64.AppendEncode(b, o[:])
	e.Metadata = append(b, `"}`...)
	return e
}

// Genuine reports whether the event has the origin of its stream and revision under the tenant's key.
func (r Recorded) Genuine(k OriginKey) bool {
	var s metadataScanner
	var m Metadata
	if s.scan(r.Metadata, &m) != nil {
		return false
	}
	want := k.of(r.Event, r.Revision, unsigned(r.Metadata))
	return subtle.ConstantTimeCompare(want[:], m.Origin[:]) == 1
}

func (k OriginKey) of(e Event, revision uint64, m []byte) (o Origin) {
	h := hmac.New(sha256.New, k[:])
	b := make([]byte, 0, 4*4+8+16+len(e.Stream)+len(e.Type)+len(e.Data)+len(m))
	b = LP(b, string(e.Stream))
	b = binary.BigEndian.AppendUint64(b, revision)
	b = append(b, e.ID[:]...)
	b = LP(b, e.Type)
	b = LP(b, []byte(e.Data))
	h.Write(LP(b, m))
	h.Sum(o[:0])
	return o
}

// unsigned returns metadata without its origin. The result is not to be written to.
func unsigned(metadata []byte) json.RawMessage {
	at := len(metadata) - originBytes - 1
	if at < 0 || !bytes.HasPrefix(metadata[at:], []byte(originHead)) {
		return metadata
	}
	return append(metadata[:at:at], '}')
}
