package vault

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// FactStream returns the stream of a fact whose record id is random at its source: derived, so
// the same record finds the same stream without the vault remembering it. namespace names the
// issuing system and record kind.
func (tx *Tx) FactStream(kind, namespace, recordID string) schemas.Stream {
	return keyring.FactStream(tx.keys.Own.Record, kind, namespace, recordID)
}

// Correlation returns the correlation id of a source's own random correlation id.
func (tx *Tx) Correlation(sourceID string) uuid.UUID {
	return keyring.Correlation(tx.keys.Own.Record, sourceID)
}

// MappedStream returns the stream of a record whose id is not random, by its canonical form;
// created tells that it was minted now. The mapping can be deleted, a derived stream could be
// guessed.
func (tx *Tx) MappedStream(kind string, canonical []byte) (s schemas.Stream, created bool, err error) {
	return tx.mapped(kind, string(canonical), uuid.Nil)
}

// RefusalStream returns the stream that counts what one rule refused of the stream concerned. It
// is forgotten with that stream's own mapping.
func (tx *Tx) RefusalStream(concerned schemas.Stream, rule string) (s schemas.Stream, created bool, err error) {
	canonical := schemas.LP(schemas.LP([]byte("refusal"), string(concerned)), rule)
	return tx.mapped("refusal", string(canonical), concerned.UUID())
}

// PersonStream returns the stream of what one kind of record tells of a person, minted where there
// is none. It is forgotten with the person, with the key of its elements.
func (tx *Tx) PersonStream(kind string, person uuid.UUID) (s schemas.Stream, created bool, err error) {
	return tx.mapped(kind, string(schemas.LP([]byte("person"), person.String())), person)
}

// RefusalsOf lists the streams that count what was refused of the stream concerned.
func (tx *Tx) RefusalsOf(concerned schemas.Stream) ([]schemas.Stream, error) {
	rows, err := tx.set.MappingsOf(concerned.UUID())
	if err != nil {
		return nil, fmt.Errorf("refusals of a stream: %w", err)
	}
	var out []schemas.Stream
	for _, r := range rows {
		if r.Stream.Kind() == "refusal" {
			out = append(out, r.Stream)
		}
	}
	return out, nil
}

// Await remembers that a stream names an id of which nobody knows yet whose it is. Only who has
// the id finds it again, as an HMAC.
func (tx *Tx) Await(id string, stream schemas.Stream) error {
	if err := tx.keys.Writable(); err != nil {
		return fmt.Errorf("await an id: %w", err)
	}
	id = schemas.LowerASCII(strings.TrimSpace(id))
	canonical := schemas.LP(schemas.LP(nil, id), string(stream))
	row := store.MappingRow{Hash: tx.hash("awaiting", string(canonical)), Stream: stream, Concerned: tx.awaited(id)}
	if err := tx.set.PutMapping(row); err != nil {
		return fmt.Errorf("await an id: %w", err)
	}
	return nil
}

// awaited is what the rows of an id concern while nobody knows whose it is.
func (tx *Tx) awaited(id string) uuid.UUID {
	return schemas.UUIDv8(tx.hash("awaited", schemas.LowerASCII(strings.TrimSpace(id))))
}

// Awaiting lists the streams of those kinds that wait for ids that turned out to be the owner's,
// in order of name. From then on they are forgotten with the owner.
func (tx *Tx) Awaiting(owner uuid.UUID, kinds []string, ids ...string) ([]schemas.Stream, error) {
	fail := func(err error) ([]schemas.Stream, error) { return nil, fmt.Errorf("who awaits an id: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	for _, id := range ids {
		if schemas.Junk(id) {
			continue
		}
		rows, err := tx.set.MappingsOf(tx.awaited(id))
		if err != nil {
			return fail(err)
		}
		for _, r := range rows {
			r.Concerned = owner
			if err := tx.set.PutMapping(r); err != nil {
				return fail(err)
			}
		}
	}
	rows, err := tx.set.MappingsOf(owner)
	if err != nil {
		return fail(err)
	}
	var out []schemas.Stream
	for _, r := range rows {
		if slices.Contains(kinds, r.Stream.Kind()) && !slices.Contains(out, r.Stream) {
			out = append(out, r.Stream)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Forget ends that streams wait for the owner.
func (tx *Tx) Forget(owner uuid.UUID, streams ...schemas.Stream) error {
	if err := tx.keys.Writable(); err != nil {
		return fmt.Errorf("forget what waits: %w", err)
	}
	rows, err := tx.set.MappingsOf(owner)
	for _, r := range rows {
		if err == nil && slices.Contains(streams, r.Stream) {
			err = tx.set.DeleteMapping(r.Hash)
		}
	}
	if err != nil {
		return fmt.Errorf("forget what waits: %w", err)
	}
	return nil
}

func (tx *Tx) mapped(kind, canonical string, concerned uuid.UUID) (schemas.Stream, bool, error) {
	hash := tx.recordHash(kind, canonical)
	had, err := tx.mapping(hash, concerned)
	if err != nil {
		return "", false, fmt.Errorf("stream of a record: %w", err)
	}
	if had != nil {
		return had.Stream, false, nil
	}
	if err := tx.keys.Writable(); err != nil {
		return "", false, fmt.Errorf("stream of a record: %w", err)
	}
	row := store.MappingRow{Hash: hash, Stream: schemas.NewStream(kind, uuid.New()), Concerned: concerned}
	if !row.Stream.Valid() {
		return "", false, fmt.Errorf("stream of a record: %q is not a kind of stream", kind)
	}
	if err := tx.set.PutMapping(row); err != nil {
		return "", false, fmt.Errorf("stream of a record: %w", err)
	}
	return row.Stream, true, nil
}

// recordHash is by what the stream of a record is found.
func (tx *Tx) recordHash(kind, canonical string) []byte { return tx.hash("record."+kind, canonical) }

// mapping returns the mapping of a hash, nil where there is none. One that concerns somebody is
// looked for among all that do: they come at once with what else is known of its owner.
func (tx *Tx) mapping(hash []byte, concerned uuid.UUID) (*store.MappingRow, error) {
	if concerned == uuid.Nil {
		return tx.set.Mapping(hash)
	}
	all, err := tx.set.MappingsOf(concerned)
	i, found := slices.BinarySearchFunc(all, hash, func(m store.MappingRow, h []byte) int {
		return bytes.Compare(m.Hash, h)
	})
	if err != nil || !found {
		return nil, err
	}
	return &all[i], nil
}

// Element returns the uuid of a list entry, derived from its native key under a random key kept
// with the stream. ErrErased: the stream is an erased device's. ErrReadOnly: in a view, of a
// stream that has no key yet.
func (tx *Tx) Element(stream schemas.Stream, list, nativeKey string) (uuid.UUID, error) {
	id := stream.UUID()
	if id == uuid.Nil {
		return uuid.Nil, fmt.Errorf("element: %q is not an entity's stream", stream)
	}
	k, err := tx.keys.StreamKey(stream)
	if err != nil {
		return uuid.Nil, fmt.Errorf("element: %w", err)
	}
	return keyring.Element(k, list, nativeKey), nil
}

// deleteStreamKey destroys the key of a stream, with the slot it may have of its own.
func (tx *Tx) deleteStreamKey(stream uuid.UUID) error {
	row, err := tx.set.StreamKey(stream)
	if err != nil || row == nil {
		return err
	}
	if row.Slot > 0 {
		if err := tx.set.DestroySlot(row.Slot); err != nil {
			return err
		}
	}
	return tx.set.DeleteStreamKey(stream)
}
