package keyring

import (
	"crypto/cipher"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file seals what is remembered of a stream under a key that follows from the stream's: so it
// is forgotten with that.

// kindMemory is the kind under which a memory is sealed.
const kindMemory = "stream.memory"

// Memories is the cipher of what is remembered of a stream. ErrReadOnly: in a view, of a stream
// that has no key yet.
func (tx *Tx) Memories(stream schemas.Stream) (Memories, error) {
	k, err := tx.StreamKey(stream)
	if err != nil {
		return Memories{}, err
	}
	own := Key(mac(k, kindMemory))
	defer clear(own[:])
	a, err := newOwnerAEAD(own)
	return Memories{a, wrapAD(tx.tenant, stream.UUID(), kindMemory, 0)}, err
}

// Memories seals and opens what is remembered of one stream.
type Memories struct {
	aead cipher.AEAD
	ad   []byte
}

// Seal returns the text sealed.
func (m Memories) Seal(text []byte) []byte { return m.aead.Seal(nil, nil, text, m.ad) }

// Open returns the text, and false where it was sealed under another key or altered.
func (m Memories) Open(sealed []byte) (text []byte, ok bool) {
	text, err := m.aead.Open(nil, nil, sealed, m.ad)
	return text, err == nil
}
