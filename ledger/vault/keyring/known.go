package keyring

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file tells records apart, and seals what is remembered of them, under keys that follow from
// the tenant's.

const (
	kindKnownMark = "known.mark"
	kindKnownPage = "known.page"
)

// Mark tells a record from every other; without the tenant's key it tells nothing.
type Mark [16]byte

// Known makes marks, and is the cipher of pages of what is remembered of records. It is not for
// concurrent use.
type Known struct {
	mark hash.Hash
	aead cipher.AEAD
	ad   []byte
	buf  [sha256.Size]byte
}

// Known returns the tenant's.
func (tx *Tx) Known() (*Known, error) {
	page := Key(mac(tx.Own.Lookup, kindKnownPage))
	defer clear(page[:])
	a, err := newOwnerAEAD(page)
	if err != nil {
		return nil, err
	}
	ad := append(schemas.LP(nil, kindKnownPage), tx.tenant[:]...)
	return &Known{mark: hmac.New(sha256.New, mac(tx.Own.Lookup, kindKnownMark)), aead: a, ad: ad}, nil
}

// Mark returns the mark of a record: its text, and all that what becomes of it goes by.
func (k *Known) Mark(by, text []byte) Mark {
	k.mark.Reset()
	k.mark.Write(by)
	k.mark.Write(text)
	return Mark(k.mark.Sum(k.buf[:0])[:len(Mark{})])
}

// Seal returns the text of a page sealed; as_of is bound to it, as its name is.
func (k *Known) Seal(first Mark, asOf uint64, text []byte) []byte {
	return k.aead.Seal(nil, nil, text, k.page(first, asOf))
}

// Open returns the text of a page, and false where it was sealed under another key or altered.
func (k *Known) Open(first Mark, asOf uint64, sealed []byte) (text []byte, ok bool) {
	text, err := k.aead.Open(nil, nil, sealed, k.page(first, asOf))
	return text, err == nil
}

func (k *Known) page(first Mark, asOf uint64) []byte {
	return binary.BigEndian.AppendUint64(append(k.ad[:len(k.ad):len(k.ad)], first[:]...), asOf)
}
