package intake

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file folds streams on from where an earlier folding was, so that importing costs the same
// whatever their length. The vault remembers what folding came to; the ledger alone decides: what
// is remembered names the event up to which it goes, and is used only where the stream has that
// event in that place. So a store that was restored, or a vault, misleads nobody.

// foldingForm is raised with each change of what folding makes of the same events: what an older
// program kept is then not used.
const foldingForm = 1

// keepEvery is how many events are read behind what is remembered before it is remembered anew: as
// many a fold may cost more than that of a young stream. Where what is remembered is large, it is
// as many events as are half its size: what is written then is in proportion to what was appended.
const keepEvery = 8

// memory is what is remembered of a stream.
type memory struct {
	revision uint64    // of the last event in it
	event    uuid.UUID // that event's id
	known    []byte    // the kind's
}

const memoryHead = 1 + 8 + 8 + 16

// encode writes the form, the catalogue's version, the event and what the kind keeps.
func (m memory) encode(c *schemas.Catalogue) []byte {
	b := make([]byte, 0, memoryHead+len(m.known))
	version := c.Version()
	b = append(append(b, foldingForm), version[:]...)
	b = binary.BigEndian.AppendUint64(b, m.revision)
	return append(append(b, m.event[:]...), m.known...)
}

// decodeMemory returns nil for what another program, or another catalogue, made.
func decodeMemory(b []byte, c *schemas.Catalogue) *memory {
	if len(b) < memoryHead || b[0] != foldingForm || [8]byte(b[1:]) != c.Version() {
		return nil
	}
	return &memory{binary.BigEndian.Uint64(b[9:]), uuid.UUID(b[17:memoryHead]), b[memoryHead:]}
}

// recall returns what is remembered of the streams.
func (in *Intake) recall(
	ctx context.Context, tenant uuid.UUID, streams []schemas.Stream,
) (map[schemas.Stream]*memory, error) {
	var entities []schemas.Stream
	for _, s := range streams {
		if in.kinds.Wave(s.Kind()) == plan.WaveEntities {
			entities = append(entities, s)
		}
	}
	if len(entities) == 0 {
		return nil, nil
	}
	out := map[schemas.Stream]*memory{}
	err := in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		known, err := tx.Recall(entities)
		for s, text := range known {
			if m := decodeMemory(text, in.cfg.Catalogue); m != nil {
				out[s] = m
			}
		}
		return err
	})
	return out, err
}

// folded is a stream as it was read: its state, and what is to be remembered of it.
type folded struct {
	*plan.StreamState
	remember *vault.Memory
}

// fold reads what the tenant's own events of a stream say, from what is remembered on where that
// is of this stream. What its kind leaves out of them is counted.
func (in *Intake) fold(
	ctx context.Context, tenant uuid.UUID, left *leftOut, s schemas.Stream, from *memory,
) (folded, error) {
	if from != nil {
		if st, ok, err := in.foldFrom(ctx, tenant, left, s, from); err == nil && ok {
			return st, nil
		}
	}
	st, _, err := in.foldFrom(ctx, tenant, left, s, nil)
	return st, err
}

// foldFrom folds the stream from what is remembered on, all of it where that is nil; ok is false
// where it is not of this stream.
func (in *Intake) foldFrom(
	ctx context.Context, tenant uuid.UUID, left *leftOut, s schemas.Stream, from *memory,
) (st folded, ok bool, err error) {
	st.StreamState = &plan.StreamState{Stream: s, Folded: in.cfg.Clock()}
	reading := ledger.Reading{Disowned: left.disowned}
	h := plan.History{Stream: s, Left: &reading.Left}
	if from != nil {
		reading.From, h.Known = from.revision, from.known
	}
	read := 0 // bytes behind what is remembered
	var last ledger.Own
	for own, err := range ledger.ReadGenuine(ctx, in.cfg.Ledger, in.cfg.Catalogue, s, tenant, &reading) {
		if err != nil {
			return st, false, fmt.Errorf("read %s: %w", s, err)
		}
		last = own
		if from != nil && reading.Own == 1 {
			if own.Revision != from.revision || own.ID != from.event {
				return st, false, nil
			}
			continue
		}
		read += own.Size()
		if own.Draft.Type != nil { // else a kind of event that only a newer program writes
			h.Events = append(h.Events, own)
		}
	}
	if from != nil && reading.Own == 0 {
		return st, false, nil
	}
	st.Exists, st.Expect = reading.Own > 0, reading.Expect()
	st.Behind = len(h.Events)
	entity := in.kinds.Wave(s.Kind()) == plan.WaveEntities
	err = in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) (err error) {
		if entity && st.Behind >= in.keepEvery && read >= len(h.Known)/2 {
			h.Keep = func(known []byte, persons []uuid.UUID) error {
				m := memory{last.Revision, last.ID, known}
				said, ok, err := tx.Memorise(s, m.encode(in.cfg.Catalogue), persons)
				if ok {
					st.remember, st.Behind = &said, 0
				}
				return err
			}
		}
		st.Content, err = in.kinds.Fold(tx, h)
		return err
	})
	left.note(s, reading.Left)
	if err != nil {
		return st, false, fmt.Errorf("%s: %w", s, err)
	}
	return st, true, nil
}
