package vault

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file leads from what sources tell of one thing to its stream, where none of them has an id
// that all others have too: by any number of canonical forms, each kept as an HMAC alone.

// FindNamed returns the streams of the kind to which canonical forms lead, "" for a form that
// leads to none. It mints nothing, and asks the store once.
func (tx *Tx) FindNamed(kind string, forms ...[]byte) ([]schemas.Stream, error) {
	fail := func(err error) ([]schemas.Stream, error) { return nil, fmt.Errorf("streams by name: %w", err) }
	keys := store.Keys{Mappings: make([][]byte, len(forms))}
	for i, f := range forms {
		keys.Mappings[i] = tx.hash("named."+kind, string(f))
	}
	if err := tx.set.Fetch(keys); err != nil {
		return fail(err)
	}
	out := make([]schemas.Stream, len(forms))
	for i, h := range keys.Mappings {
		row, err := tx.set.Mapping(h)
		if err != nil {
			return fail(err)
		}
		if row != nil {
			out[i] = row.Stream
		}
	}
	return out, nil
}

// NameStream leads canonical forms to a stream. One that leads to a stream already stays with it.
// The forms are forgotten with the person or device that they concern; uuid.Nil: with none.
func (tx *Tx) NameStream(s schemas.Stream, concerned uuid.UUID, forms ...[]byte) error {
	fail := func(err error) error { return fmt.Errorf("name a stream: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	if concerned != uuid.Nil {
		concerned = tx.namedBy(concerned)
	}
	for _, f := range forms {
		hash := tx.hash("named."+s.Kind(), string(f))
		row, err := tx.set.Mapping(hash)
		if err == nil && row == nil {
			err = tx.set.PutMapping(store.MappingRow{Hash: hash, Stream: s, Concerned: concerned})
		}
		if err != nil {
			return fail(err)
		}
	}
	return nil
}

// namedBy is what the names concern of which an owner is a part: apart from the owner's own
// streams, and from those that wait for them.
func (tx *Tx) namedBy(owner uuid.UUID) uuid.UUID {
	return schemas.UUIDv8(tx.hash("named-by", owner.String()))
}
