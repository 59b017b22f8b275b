package vault

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps, for whoever reads the ledger, what they made of a stream so far: a text that
// could be made anew at any time. It goes with the stream's key, and with every key from which
// something in it was read.

// Memory is what is to be remembered of a stream.
type Memory struct {
	stream  schemas.Stream
	text    []byte
	forgets uint64 // the store's count of forgettings when it was made
}

// Remembered returns for those of the streams of which something is remembered about how many
// bytes that takes.
func (tx *Tx) Remembered(streams []schemas.Stream) (map[schemas.Stream]int, error) {
	ids := make([]uuid.UUID, len(streams))
	for i, s := range streams {
		ids[i] = s.UUID()
	}
	sizes, err := read(tx, func(r store.Rows) (map[uuid.UUID]int, error) { return r.MemorySizes(ids) })
	if err != nil {
		return nil, fmt.Errorf("recall streams: %w", err)
	}
	out := make(map[schemas.Stream]int, len(sizes))
	for _, s := range streams {
		if size, ok := sizes[s.UUID()]; ok {
			out[s] = size
		}
	}
	return out, nil
}

// Recall returns what is remembered of those of the streams of which something is. What does not
// open is left out: the ledger says it all.
func (tx *Tx) Recall(streams []schemas.Stream) (map[schemas.Stream][]byte, error) {
	by := make(map[uuid.UUID]schemas.Stream, len(streams))
	ids := make([]uuid.UUID, 0, len(streams))
	for _, s := range streams {
		by[s.UUID()] = s
		ids = append(ids, s.UUID())
	}
	rows, err := read(tx, func(r store.Rows) ([]store.MemoryRow, error) { return r.Memories(ids) })
	if err == nil {
		err = tx.fetchStreamKeys(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("recall streams: %w", err)
	}
	out := make(map[schemas.Stream][]byte, len(rows))
	for _, r := range rows {
		s := by[r.Stream]
		m, ok, err := tx.memories(s)
		if err != nil {
			return nil, fmt.Errorf("recall stream %s: %w", s, err)
		}
		if !ok {
			continue
		}
		if text, ok := m.Open(r.Sealed); ok {
			out[s] = text
		}
	}
	return out, nil
}

// fetchStreamKeys asks the store at once for the keys of what is remembered.
func (tx *Tx) fetchStreamKeys(rows []store.MemoryRow) error {
	var k store.Keys
	for _, r := range rows {
		k.StreamKeys = append(k.StreamKeys, r.Stream)
		k.Owners = append(k.Owners, schemas.Owner{Kind: schemas.OwnerDevice, ID: r.Stream})
	}
	return tx.set.Fetch(k)
}

// memories is the cipher of a stream that has a key; ok is false where it has none, any more or
// yet.
func (tx *Tx) memories(s schemas.Stream) (m keyring.Memories, ok bool, err error) {
	m, err = tx.keys.Memories(s)
	if errors.Is(err, ErrErased) || errors.Is(err, ErrReadOnly) {
		return m, false, nil
	}
	return m, err == nil, err
}

// Memorise says what is to be remembered of a stream, as it reads in this transaction. persons are
// those whose keys opened something that the text tells; ok is false where the erasure of one of
// them would not find it: that of a device's stream is found by its holders.
func (tx *Tx) Memorise(s schemas.Stream, text []byte, persons []uuid.UUID) (m Memory, ok bool, err error) {
	fail := func(err error) (Memory, bool, error) { return m, false, fmt.Errorf("memorise %s: %w", s, err) }
	if len(persons) > 0 {
		holders, err := tx.set.Holders(s.UUID())
		if err != nil {
			return fail(err)
		}
		for _, p := range persons {
			if !slices.ContainsFunc(holders, func(h store.HoldingRow) bool { return h.Person == p }) {
				return m, false, nil
			}
		}
	}
	return Memory{s, text, tx.forgets}, true, nil
}

// Remember keeps memories in place of older ones. One from before a forgetting is dropped: what it
// tells may have been read under a key that is gone.
func (tx *Tx) Remember(all []Memory) error {
	if len(all) == 0 {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("remember streams: %w", err) }
	if err := tx.keys.Writable(); err != nil {
		return fail(err)
	}
	rows := make([]store.MemoryRow, 0, len(all))
	for _, m := range all {
		if m.forgets != tx.forgets {
			continue
		}
		c, ok, err := tx.memories(m.stream)
		if err != nil {
			return fail(err)
		}
		if ok {
			rows = append(rows, store.MemoryRow{Stream: m.stream.UUID(), Sealed: c.Seal(m.text)})
		}
	}
	// The store takes what is remembered of a stream whose key it has.
	if err := tx.set.After(func(r store.Rows) error { return r.PutMemories(rows) }); err != nil {
		return fail(err)
	}
	return nil
}

// forgetMemories deletes what is remembered of the streams of persons and devices, and of every
// device that such a person holds or held.
func (tx *Tx) forgetMemories(owners ...schemas.Owner) error {
	var streams []uuid.UUID
	for _, o := range owners {
		streams = append(streams, o.ID)
		mappings, err := tx.set.MappingsOf(o.ID)
		if err != nil {
			return err
		}
		for _, m := range mappings {
			streams = append(streams, m.Stream.UUID())
		}
		if o.Kind != schemas.OwnerPerson {
			continue
		}
		holdings, err := tx.set.Holdings(o.ID)
		if err != nil {
			return err
		}
		for _, h := range holdings {
			streams = append(streams, h.Device)
		}
	}
	return tx.rows.DeleteMemories(streams)
}
