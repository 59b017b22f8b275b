package vault

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file knows which persons are one subject. A merge joins two, each with all who are one with
// it already, and takes nothing from either: both keep their names, keys and aliases, so undoing
// it gives each back what it was. What asks for a person by id answers for the whole subject.
//
// A merge is a stream, subject-<its id>, whose events say whether it holds. The vault notes that
// it has begun, the event is appended, and only SettleMerge makes it count: whoever finds one
// pending asks the stream. Its rows are mappings, and go with the persons that they concern.

// MaxSubject is how many persons one subject may be.
const MaxSubject = 16

// ErrTooMany says that a subject would be more persons than it may.
var ErrTooMany = errors.New("too many persons")

// MergeState says what the ledger tells of a merge.
type MergeState int

// States of a merge.
const (
	MergeUntold MergeState = iota // begun; the ledger says nothing of it
	MergeHolds
	MergeUndone
)

// Merge is one of two persons. One who is erased is no longer among them.
type Merge struct {
	ID      uuid.UUID
	Persons []uuid.UUID // in order of id
	State   MergeState
}

// Stream returns the stream of the merge's events.
func (m Merge) Stream() schemas.Stream { return schemas.NewStream(streamOfMerges, m.ID) }

// Kinds of streams by which mappings tell of merges. The last three lead from a merge to persons;
// no events are in such a one.
const (
	streamOfMerges = "subject"
	joining        = "joining"
	joined         = "joined"
	parted         = "parted"
)

var mergeStates = map[string]MergeState{joining: MergeUntold, joined: MergeHolds, parted: MergeUndone}

// withMerge is the hash of the row that leads from one to the other, in the one way or the other.
func (tx *Tx) withMerge(way string, merge, person uuid.UUID) []byte {
	return tx.hash("subject."+way, merge.String()+person.String())
}

// pendingMerges is what the rows of merges concern whose stream is to be asked.
func (tx *Tx) pendingMerges() uuid.UUID { return schemas.UUIDv8(tx.hash("subject.pending", "all")) }

// merge returns what is known of a merge.
func (tx *Tx) merge(id uuid.UUID) (Merge, error) {
	rows, err := tx.set.MappingsOf(id)
	m := Merge{ID: id}
	for _, r := range rows {
		if state, is := mergeStates[r.Stream.Kind()]; is {
			m.Persons, m.State = append(m.Persons, r.Stream.UUID()), state
		}
	}
	slices.SortFunc(m.Persons, compareIDs)
	return m, err
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

// mergesOf returns the merges of one person, whatever has become of them.
func (tx *Tx) mergesOf(person uuid.UUID) (out []Merge, err error) {
	rows, err := tx.set.MappingsOf(person)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Stream.Kind() != streamOfMerges {
			continue
		}
		m, err := tx.merge(r.Stream.UUID())
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Subject returns the persons who are one subject with the given one, who comes first; the others
// are in order of id. Of somebody who was never merged, it is they alone.
func (tx *Tx) Subject(person uuid.UUID) ([]uuid.UUID, error) {
	out := []uuid.UUID{person}
	if person == uuid.Nil {
		return out, nil
	}
	for i := 0; i < len(out); i++ {
		merges, err := tx.mergesOf(out[i])
		if err != nil {
			return nil, fmt.Errorf("subject: %w", err)
		}
		for _, m := range merges {
			for _, p := range m.Persons {
				if m.State == MergeHolds && !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	slices.SortFunc(out[1:], compareIDs)
	return out, nil
}

// One returns the same person for all persons of a subject: to tell whether two are one.
func (tx *Tx) One(person uuid.UUID) (uuid.UUID, error) {
	all, err := tx.Subject(person)
	if err != nil {
		return uuid.Nil, err
	}
	return slices.MinFunc(all, compareIDs), nil
}

// MergesOf lists the merges of the persons of a subject, those undone too, in order of id.
func (tx *Tx) MergesOf(person uuid.UUID) ([]Merge, error) {
	all, err := tx.Subject(person)
	if err != nil {
		return nil, err
	}
	var out []Merge
	for _, p := range all {
		merges, err := tx.mergesOf(p)
		if err != nil {
			return nil, fmt.Errorf("merges: %w", err)
		}
		for _, m := range merges {
			if !slices.ContainsFunc(out, func(o Merge) bool { return o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	slices.SortFunc(out, func(a, b Merge) int { return compareIDs(a.ID, b.ID) })
	return out, nil
}

// MergeOf returns the merge of that id. ErrNotFound: there is none, or all its persons are erased.
func (tx *Tx) MergeOf(id uuid.UUID) (Merge, error) {
	m, err := tx.merge(id)
	if err == nil && len(m.Persons) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Merge{}, fmt.Errorf("merge %s: %w", id, err)
	}
	return m, nil
}

// BeginMerge notes that the merge of that id is about to be told, and changes nothing yet.
// ErrErased, ErrNotFound: of either person. ErrExists: they are one already. ErrTooMany.
func (tx *Tx) BeginMerge(id, a, b uuid.UUID) error {
	fail := func(err error) error { return fmt.Errorf("begin merge: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	for _, p := range []uuid.UUID{a, b} {
		if err := tx.Living(p); err != nil {
			return fail(err)
		}
	}
	all, err := tx.Subject(a)
	if err != nil {
		return fail(err)
	}
	others, err := tx.Subject(b)
	switch {
	case err != nil:
		return fail(err)
	case slices.Contains(all, b):
		return fail(ErrExists)
	case len(all)+len(others) > MaxSubject:
		return fail(ErrTooMany)
	}
	m := Merge{ID: id, Persons: []uuid.UUID{a, b}}
	for _, p := range m.Persons {
		err := tx.set.PutMapping(store.MappingRow{Hash: tx.withMerge("of", id, p), Stream: m.Stream(), Concerned: p})
		if err != nil {
			return fail(err)
		}
	}
	if err := tx.tellMerge(m, joining); err != nil {
		return fail(err)
	}
	return tx.pend(m)
}

// BeginUnmerge notes that the undoing of a merge is about to be told, and changes nothing yet.
// ErrNotFound: there is no such merge, or it does not hold. ErrErasing: of a person who is being
// erased with the others.
func (tx *Tx) BeginUnmerge(id uuid.UUID) (Merge, error) {
	fail := func(err error) (Merge, error) { return Merge{}, fmt.Errorf("begin to undo a merge: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	m, err := tx.MergeOf(id)
	if err == nil && m.State != MergeHolds {
		err = ErrNotFound
	}
	for _, p := range m.Persons {
		if alive := tx.Living(p); err == nil && alive != nil {
			err = fmt.Errorf("%w: %w", ErrErasing, alive)
		}
	}
	if err != nil {
		return fail(err)
	}
	return m, tx.pend(m)
}

// pend notes that the merge's stream is to be asked.
func (tx *Tx) pend(m Merge) error {
	return tx.set.PutMapping(store.MappingRow{Hash: tx.hash("subject.pending", m.ID.String()), Stream: m.Stream(),
		Concerned: tx.pendingMerges()})
}

// tellMerge says what the merge is to its persons.
func (tx *Tx) tellMerge(m Merge, as string) error {
	for _, p := range m.Persons {
		if err := tx.set.PutMapping(store.MappingRow{Hash: tx.withMerge("in", m.ID, p),
			Stream: schemas.NewStream(as, p), Concerned: m.ID}); err != nil {
			return err
		}
	}
	return nil
}

// SettleMerge makes what the ledger says of a merge count, and ends that it is pending. Of one of
// which the ledger says nothing, nothing is left. It can be repeated.
func (tx *Tx) SettleMerge(id uuid.UUID, told MergeState) error {
	fail := func(err error) error { return fmt.Errorf("settle merge: %w", err) }
	if err := tx.locked(); err != nil {
		return fail(err)
	}
	m, err := tx.merge(id)
	if err != nil {
		return fail(err)
	}
	switch {
	case told == MergeUntold && m.State == MergeUntold:
		for _, p := range m.Persons {
			err = errors.Join(err, tx.set.DeleteMapping(tx.withMerge("of", id, p)),
				tx.set.DeleteMapping(tx.withMerge("in", id, p)))
		}
	case told == MergeHolds:
		err = tx.tellMerge(m, joined)
	case told == MergeUndone:
		err = tx.tellMerge(m, parted)
	}
	if err = errors.Join(err, tx.set.DeleteMapping(tx.hash("subject.pending", id.String()))); err != nil {
		return fail(err)
	}
	return nil
}

// RestoreMerge brings back a merge that a vault restored from before it does not know: what the
// ledger says of it counts. Of the persons, those that the vault knows.
func (tx *Tx) RestoreMerge(id uuid.UUID, persons []uuid.UUID, told MergeState) error {
	if err := tx.locked(); err != nil {
		return fmt.Errorf("restore merge: %w", err)
	}
	m, err := tx.merge(id)
	if err == nil && len(m.Persons) == 0 {
		m.Persons = persons
		for _, p := range persons {
			err = errors.Join(err, tx.set.PutMapping(store.MappingRow{Hash: tx.withMerge("of", id, p),
				Stream: m.Stream(), Concerned: p}))
		}
		err = errors.Join(err, tx.tellMerge(m, joining))
	}
	if err != nil {
		return fmt.Errorf("restore merge: %w", err)
	}
	return tx.SettleMerge(id, told)
}

// PendingMerges lists the merges that were begun, or whose undoing was, and not settled.
func (tx *Tx) PendingMerges() ([]Merge, error) {
	rows, err := tx.set.MappingsOf(tx.pendingMerges())
	var out []Merge
	for _, r := range rows {
		m, mergeErr := tx.merge(r.Stream.UUID())
		err = errors.Join(err, mergeErr)
		out = append(out, m)
	}
	if err != nil {
		return nil, fmt.Errorf("pending merges: %w", err)
	}
	return out, nil
}

// forgetMerge takes an erased person out of a merge.
func (tx *Tx) forgetMerge(stream schemas.Stream, person uuid.UUID) error {
	if stream.Kind() != streamOfMerges {
		return nil
	}
	return tx.set.DeleteMapping(tx.withMerge("in", stream.UUID(), person))
}

// Likeness is what two persons share by which they may be one: a name, or an id of the service's
// own.
type Likeness struct {
	Kind string      // "upn", "email" or "intune-user-id"
	Seen [2]Interval // of each person, under it
}

// Interval is from when to when somebody was seen under a name.
type Interval struct{ First, Last time.Time }

// Candidate is two persons who may be one subject, and are not.
type Candidate struct {
	Persons  [2]uuid.UUID // in order of id
	Likeness []Likeness
	Undone   bool // they were one, and that was undone
}

// Candidates looks at up to n persons behind that one, in order of id, and returns those of whom
// others may be the same subject, each pair once: who is known by a name alone and shares it with
// somebody, and who shares an id of the service's own. Two of whom the directory has an id each
// are two persons, whatever names they have held. next is whom to go on behind, uuid.Nil at the
// end.
func (tx *Tx) Candidates(after uuid.UUID, n int) (out []Candidate, next uuid.UUID, err error) {
	fail := func(err error) ([]Candidate, uuid.UUID, error) {
		return nil, uuid.Nil, fmt.Errorf("candidates of merges: %w", err)
	}
	ids, err := read(tx, func(rows store.Rows) ([]uuid.UUID, error) { return rows.Persons(after, n) })
	if err != nil {
		return fail(err)
	}
	for _, id := range ids {
		o := schemas.Owner{Kind: schemas.OwnerPerson, ID: id}
		names, err := tx.set.IdentitiesOf(o)
		if err != nil {
			return fail(err)
		}
		found, err := tx.alike(o, names)
		if err != nil {
			return fail(err)
		}
		out = append(out, found...)
	}
	if len(ids) == n && n > 0 {
		next = ids[n-1]
	}
	return out, next, nil
}

// alike returns the candidates of a person with others of a higher id.
func (tx *Tx) alike(o schemas.Owner, names []store.IdentityRow) (out []Candidate, err error) {
	live, err := tx.liveOwner(o)
	if err != nil || live == nil {
		return nil, err
	}
	subject, err := tx.Subject(o.ID)
	if err != nil {
		return nil, err
	}
	at := map[uuid.UUID]int{}
	for _, mine := range names {
		if mine.Kind == kindObjectID {
			continue
		}
		set, err := tx.set.Identities(store.Name{Kind: mine.Kind, Hash: string(mine.Hash)})
		if err != nil {
			return nil, err
		}
		for _, r := range set {
			if compareIDs(r.Owner.ID, o.ID) <= 0 || slices.Contains(subject, r.Owner.ID) {
				continue
			}
			other, err := tx.liveOwner(r.Owner)
			if err != nil {
				return nil, err
			}
			if other == nil || mine.Kind != kindIntuneUserID && live.Identified && other.Identified {
				continue
			}
			i, known := at[r.Owner.ID]
			if !known {
				i = len(out)
				at[r.Owner.ID] = i
				out = append(out, Candidate{Persons: [2]uuid.UUID{o.ID, r.Owner.ID}})
				if out[i].Undone, err = tx.parted(o.ID, r.Owner.ID); err != nil {
					return nil, err
				}
			}
			out[i].Likeness = append(out[i].Likeness, Likeness{personKinds[mine.Kind],
				[2]Interval{{mine.First, mine.Last}, {r.First, r.Last}}})
		}
	}
	return out, nil
}

// Likeness returns the kinds of names that two persons share, or ids of the service's own: in
// order, each once.
func (tx *Tx) Likeness(a, b uuid.UUID) (kinds []string, err error) {
	var hashes [2]map[store.Name]bool
	for i, p := range []uuid.UUID{a, b} {
		rows, err := tx.set.IdentitiesOf(schemas.Owner{Kind: schemas.OwnerPerson, ID: p})
		if err != nil {
			return nil, fmt.Errorf("what two persons share: %w", err)
		}
		hashes[i] = map[store.Name]bool{}
		for _, r := range rows {
			hashes[i][store.Name{Kind: r.Kind, Hash: string(r.Hash)}] = true
		}
	}
	for n := range hashes[0] {
		if kind := personKinds[n.Kind]; hashes[1][n] && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds, nil
}

// liveOwner returns the row of a person, nil for one who is erased or being erased.
func (tx *Tx) liveOwner(o schemas.Owner) (*store.OwnerRow, error) {
	row, err := tx.set.Owner(o)
	if err != nil || row == nil || row.State != store.OwnerLive {
		return nil, err
	}
	if gone, err := tx.keys.SlotGone(o); err != nil || gone {
		return nil, err
	}
	return row, nil
}

// parted reports whether a merge of the two was undone.
func (tx *Tx) parted(a, b uuid.UUID) (bool, error) {
	merges, err := tx.mergesOf(a)
	return slices.ContainsFunc(merges, func(m Merge) bool {
		return m.State == MergeUndone && slices.Contains(m.Persons, b)
	}), err
}
