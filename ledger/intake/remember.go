package intake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

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
// program kept is then not used. Neither testdata/states.sum nor testdata/kept.hex is written with
// other results under the same form.
const foldingForm = 2

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
	out := map[schemas.Stream]*memory{}
	err := in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		known, err := tx.Recall(streams)
		for s, text := range known {
			if m := decodeMemory(text, in.cfg.Catalogue); m != nil {
				out[s] = m
			}
		}
		return err
	})
	return out, err
}

// readers is how many streams are read at a time: each is a call of its own.
const readers = 16

// Streams that were read are folded together, in one view of the vault, until they are so many or
// measure so much.
const (
	foldedAtOnce = 64
	foldedBytes  = 4 << 20
)

// unfolded is a stream as it was read.
type unfolded struct {
	state    *plan.StreamState
	from     *memory // nil: whole
	reading  ledger.Reading
	events   []ledger.Own // behind what is remembered
	last     ledger.Own
	size     int // bytes of the events
	remember *vault.Memory
	kept     int // bytes of that
}

func (u *unfolded) history() plan.History {
	h := plan.History{Stream: u.state.Stream, Events: u.events, Left: &u.reading.Left}
	if u.from != nil {
		h.Known = u.from.known
	}
	return h
}

// What is remembered of a stream takes up to 7 MiB: the vault is asked for so many bytes together,
// or for what is remembered of one stream.
const recalledBytes = 2 << 20

// recalling asks the vault for what it remembers of streams, some at a time, as they are read.
type recalling struct {
	in     *Intake
	tenant uuid.UUID
	asOf   uint64                 // the vault's count of unsettlings before any of them is read
	part   map[schemas.Stream]int // in which part what is remembered of a stream is

	mu    sync.Mutex                 // guards what follows
	parts [][]schemas.Stream         // nil once they were asked for
	of    map[schemas.Stream]*memory // but for what was taken
}

func (in *Intake) recalling(
	ctx context.Context, tenant uuid.UUID, streams []schemas.Stream,
) (*recalling, error) {
	r := &recalling{in: in, tenant: tenant, part: map[schemas.Stream]int{}, of: map[schemas.Stream]*memory{}}
	entities := slices.DeleteFunc(slices.Clone(streams), func(s schemas.Stream) bool {
		return in.kinds.Wave(s.Kind()) != plan.WaveEntities
	})
	if len(streams) == 0 {
		return r, nil
	}
	var sizes map[schemas.Stream]int
	err := in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) (err error) {
		r.asOf, _ = tx.Known().Count()
		sizes, err = tx.Remembered(entities)
		return err
	})
	if err != nil {
		return nil, err
	}
	size := recalledBytes
	for _, s := range entities {
		own, ok := sizes[s]
		if !ok {
			continue
		}
		if size += own; size > recalledBytes {
			r.parts, size = append(r.parts, nil), own
		}
		last := len(r.parts) - 1
		r.parts[last], r.part[s] = append(r.parts[last], s), last
	}
	return r, nil
}

// take returns what is remembered of a stream, nil for nothing, once.
func (r *recalling) take(ctx context.Context, s schemas.Stream) (*memory, error) {
	part, ok := r.part[s]
	if !ok {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts[part] != nil {
		of, err := r.in.recall(ctx, r.tenant, r.parts[part])
		if err != nil {
			return nil, err
		}
		maps.Copy(r.of, of)
		r.parts[part] = nil
	}
	m := r.of[s]
	delete(r.of, s)
	return m, nil
}

// knownTimes is how many times its events' bytes what is known of a stream takes, about.
const knownTimes = 3

// largeStream is from how many bytes on a stream is read and folded while no other such is: being
// decoded and opened, a stream of 20,000 apps takes 64 MiB.
const largeStream = 1 << 20

// turn is that of one who reads streams to have a large one.
type turn struct {
	in   *Intake
	full func() bool // there is no room for it any more
	held bool
}

// errFull says that a stream was not read, for want of room.
var errFull = errors.New("what is known takes enough")

// take waits for the turn once so much was read that it is needed; the turn of nobody is there.
func (t *turn) take(ctx context.Context, size int) error {
	if t == nil || t.held || size < largeStream {
		return nil
	}
	select {
	case t.in.large <- struct{}{}:
		if t.held = true; t.full() {
			return errFull
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *turn) give() {
	if t.held {
		<-t.in.large
		t.held = false
	}
}

// read folds the streams of which nothing is known yet, but for the busy ones, in their order, as
// far as maxKnownBytes go. The others it notes as unread.
func (in *Intake) read(
	ctx context.Context, tenant uuid.UUID, left *leftOut, k *known, busy map[schemas.Stream]bool,
) error {
	var unknown []schemas.Stream
	must := 0 // of those, from the first on
	now := in.cfg.Clock()
	k.unread, k.bytes = map[schemas.Stream]bool{}, 0
	for i, s := range k.order {
		if st := k.states[s]; st != nil {
			k.bytes += st.Size()
			continue
		}
		if busy[s] {
			continue
		}
		if st := in.states.take(s, now); st != nil {
			k.states[s] = st
			k.bytes += st.Size()
			continue
		}
		if unknown = append(unknown, s); i < k.first {
			must = len(unknown)
		}
	}
	memories, err := in.recalling(ctx, tenant, unknown)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards what follows, and k
	var waiting []*unfolded
	size := 0
	fold := func(ctx context.Context, all []*unfolded) error {
		err := in.fold(ctx, tenant, left, all)
		mu.Lock()
		defer mu.Unlock()
		for _, u := range all {
			k.bytes += u.state.Size() + u.kept
			if k.states[u.state.Stream] = u.state; u.remember != nil {
				k.memories = append(k.memories, *u.remember)
			}
		}
		return err
	}
	err = in.each(ctx, min(in.cfg.Workers, readers), len(unknown), func(ctx context.Context, i int) error {
		t := &turn{in: in, full: func() bool {
			mu.Lock()
			defer mu.Unlock()
			return i >= max(must, 1) && k.bytes+knownTimes*size >= in.maxKnown
		}}
		defer t.give()
		var u *unfolded
		err := errFull
		if !t.full() {
			var from *memory
			if from, err = memories.take(ctx, unknown[i]); err == nil {
				u, err = in.readStream(ctx, tenant, left, unknown[i], from, t)
			}
		}
		mu.Lock()
		if errors.Is(err, errFull) {
			k.unread[unknown[i]] = true
			err = nil
		}
		if u == nil || err != nil {
			mu.Unlock()
			return err
		}
		u.state.AsOf = memories.asOf
		waiting, size = append(waiting, u), size+u.size
		if len(waiting) < foldedAtOnce && size < foldedBytes && !t.held {
			mu.Unlock()
			return nil
		}
		all := waiting
		waiting, size = nil, 0
		mu.Unlock()
		return fold(ctx, all)
	})
	if err == nil && len(waiting) > 0 {
		err = fold(ctx, waiting)
	}
	return err
}

// readStream reads the tenant's own events of a stream, from what is remembered on where that is
// of this stream. A large one waits for its turn.
func (in *Intake) readStream(
	ctx context.Context, tenant uuid.UUID, left *leftOut, s schemas.Stream, from *memory, large *turn,
) (*unfolded, error) {
	u := &unfolded{state: &plan.StreamState{Stream: s, Folded: in.cfg.Clock()}, from: from,
		reading: ledger.Reading{Disowned: left.disowned}}
	if from != nil {
		u.reading.From = from.revision
		if err := large.take(ctx, len(from.known)); err != nil {
			return nil, err
		}
	}
	for own, err := range ledger.ReadGenuine(ctx, in.cfg.Ledger, in.cfg.Catalogue, s, tenant, &u.reading) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s, err)
		}
		u.last = own
		if from != nil && u.reading.Own == 1 {
			if own.Revision != from.revision || own.ID != from.event {
				return in.readStream(ctx, tenant, left, s, nil, large)
			}
			continue
		}
		u.size += own.Size()
		if err := large.take(ctx, u.size); err != nil {
			return nil, err
		}
		if own.Draft.Type != nil { // else a kind of event that only a newer program writes
			u.events = append(u.events, own)
		}
	}
	if from != nil && u.reading.Own == 0 {
		return in.readStream(ctx, tenant, left, s, nil, large)
	}
	u.state.Exists, u.state.Expect = u.reading.Own > 0, u.reading.Expect()
	return u, nil
}

// fold settles what the streams say. What their kinds leave out of them is counted.
func (in *Intake) fold(ctx context.Context, tenant uuid.UUID, left *leftOut, all []*unfolded) error {
	var again []*unfolded
	err := in.cfg.Vault.View(ctx, tenant, func(tx *vault.Tx) error {
		again = nil
		var ahead vault.Ahead
		for _, u := range all {
			in.kinds.Ahead(u.history(), &ahead)
		}
		if err := tx.LookAhead(ahead); err != nil {
			return err
		}
		for _, u := range all {
			err := in.foldOne(tx, u)
			switch {
			case err != nil && u.from != nil:
				again = append(again, u) // the whole stream says it all
			case err != nil:
				return fmt.Errorf("%s: %w", u.state.Stream, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range again {
		whole, err := in.readStream(ctx, tenant, left, u.state.Stream, nil, nil)
		if err == nil {
			whole.state.AsOf = u.state.AsOf
			err = in.fold(ctx, tenant, left, []*unfolded{whole})
		}
		if err != nil {
			return err
		}
		*u = *whole
	}
	for _, u := range all {
		left.note(u.state.Stream, u.reading.Left)
	}
	return nil
}

func (in *Intake) foldOne(tx *vault.Tx, u *unfolded) (err error) {
	st, h := u.state, u.history()
	st.Behind = len(u.events)
	entity := in.kinds.Wave(st.Stream.Kind()) == plan.WaveEntities
	if entity && st.Behind >= in.keepEvery && u.size >= len(h.Known)/2 {
		h.Keep = func(known []byte, persons []uuid.UUID) error {
			m := memory{u.last.Revision, u.last.ID, known}
			text := m.encode(in.cfg.Catalogue)
			said, ok, err := tx.Memorise(st.Stream, text, persons)
			if ok {
				u.remember, u.kept, st.Behind = &said, len(text), 0
			}
			return err
		}
	}
	st.Content, err = in.kinds.Fold(tx, h)
	u.events = nil // no longer held than needed
	return err
}
