package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file is the cryptography of FORMATS §5 and the derivations of §§1 to 3: pure
// functions of their inputs.

// keySize is the length in bytes of every secret key: Ks, Kp, K_lookup, K_record, K_stream.
const keySize = 32

// nonceSize is the length in bytes of the nonce before a ciphertext.
const nonceSize = 12

// padBlock is the multiple to which plaintext is padded, so that a token's length
// tells little of its value.
const padBlock = 32

// Key is a secret key.
type Key [keySize]byte

func mac(k Key, parts ...string) []byte {
	h := hmac.New(sha256.New, k[:])
	var b []byte
	for _, p := range parts {
		b = schemas.LP(b, p)
	}
	h.Write(b)
	return h.Sum(nil)
}

// LookupHash is HMAC(K_lookup, lp(kind) ‖ lp(normalised value)).
func LookupHash(k Key, kind, normalised string) []byte { return mac(k, kind, normalised) }

// FactStream is the stream of a fact whose id is random at its source.
func FactStream(k Key, kind, namespace, recordID string) schemas.Stream {
	return schemas.NewStream(kind, schemas.UUIDv8(mac(k, kind, namespace, schemas.LowerASCII(recordID))))
}

// Correlation is the id of a source's own random correlation id.
func Correlation(k Key, sourceID string) uuid.UUID {
	return schemas.UUIDv8(mac(k, "correlation", schemas.LowerASCII(sourceID)))
}

// Element is the id of a list's entry, by its native key.
func Element(k Key, list, nativeKey string) uuid.UUID {
	return schemas.UUIDv8(mac(k, list, nativeKey))
}

// dataKey is D: both the subject key and the period key are needed for it.
func dataKey(ks, kp Key) (Key, error) {
	d, err := hkdf.Extract(sha256.New, append(ks[:], kp[:]...), []byte("ledgerline/v1/data"))
	if err != nil {
		return Key{}, err
	}
	return Key(d), nil
}

func aliasOf(d Key, tenant uuid.UUID, class, month string) (uuid.UUID, error) {
	info := append([]byte("ledgerline/v1/alias"), tenant[:]...)
	info = schemas.LP(info, class)
	info = append(info, month...)
	out, err := hkdf.Expand(sha256.New, d[:], string(info), 16)
	if err != nil {
		return uuid.Nil, err
	}
	return schemas.UUIDv8(out), nil
}

// eventKey is E ‖ C: the cipher's key for one owner and event, and the commitment to it.
type eventKey struct {
	cipher Key
	commit Key
}

func eventKeyOf(d Key, tenant, alias uuid.UUID, class, month string, event uuid.UUID) (eventKey, error) {
	info := eventInfo(nil, tenant, alias, class, month, event)
	out, err := hkdf.Expand(sha256.New, d[:], string(info), 2*keySize)
	if err != nil {
		return eventKey{}, err
	}
	return eventKey{cipher: Key(out[:keySize]), commit: Key(out[keySize:])}, nil
}

// eventInfo appends what tells the keys of one event from those of another.
func eventInfo(b []byte, tenant, alias uuid.UUID, class, month string, event uuid.UUID) []byte {
	b = append(append(b, "ledgerline/v1/event"...), tenant[:]...)
	b = append(b, alias[:]...)
	b = append(schemas.LP(b, class), month...)
	return append(b, event[:]...)
}

// pad appends P: the text, 0x80, and zeros to the next multiple of padBlock.
func pad(p, text []byte) []byte {
	size := len(p) + (len(text)/padBlock+1)*padBlock
	p = append(append(slices.Grow(p, size-len(p)), text...), 0x80)
	for len(p) < size {
		p = append(p, 0)
	}
	return p
}

var errPadding = errors.New("padding is not of the sealed form")

func unpad(p []byte) ([]byte, error) {
	i := len(p) - 1
	for i >= 0 && p[i] == 0 {
		i--
	}
	if i < 0 || p[i] != 0x80 || len(p) != (i/padBlock+1)*padBlock {
		return nil, errPadding
	}
	return p[:i], nil
}

// Sealer seals the values of one owner in one event.
type Sealer struct {
	aead   cipher.AEAD // nonce ‖ ciphertext ‖ tag, the nonce drawn by the cipher
	commit Key
	tenant uuid.UUID
	buf    *scratch
}

// scratch is memory for sealing one value after another.
type scratch struct{ head, ad, padded, body, token []byte }

// sealerOf returns the cipher of one owner, class and month in one event of the tenant. Those that
// share a scratch are used from one goroutine.
func sealerOf(d Derived, tenant, event uuid.UUID, buf *scratch) (*Sealer, error) {
	ek, err := eventKeyOf(d.data, tenant, d.Alias, d.Class, d.Month, event)
	if err != nil {
		return nil, err
	}
	return newSealer(ek, tenant, buf)
}

func newSealer(ek eventKey, tenant uuid.UUID, buf *scratch) (*Sealer, error) {
	block, err := aes.NewCipher(ek.cipher[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, commit: ek.commit, tenant: tenant, buf: buf}, nil
}

// Seal returns the token of a value.
func (s *Sealer) Seal(h schemas.TokenHeader, text []byte) schemas.Token {
	b := s.buf
	b.head = h.Append(b.head[:0])
	b.ad = append(append(b.ad[:0], s.tenant[:]...), b.head...)
	b.padded = pad(b.padded[:0], text)
	b.body = s.aead.Seal(append(b.body[:0], s.commit[:]...), nil, b.padded, b.ad)
	clear(b.padded)
	b.token = schemas.Base64.AppendEncode(append(b.token[:0], b.head...), b.body)
	return schemas.Token(b.token)
}
