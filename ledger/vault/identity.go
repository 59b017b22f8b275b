package vault

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps what an owner has been called: native values with the
// interval in which each was seen.

// hashes remembers the hashes of the native values that a transaction has looked up.
type hashes map[lookup]store.Name

type lookup struct{ kind, normalised string }

func (tx *Tx) hash(kind, normalised string) []byte { return tx.keys.LookupHash(kind, normalised) }

// lookup returns the name under which the rows of a native value lie.
func (tx *Tx) lookup(kind, normalised string) store.Name {
	n, ok := tx.hashes[lookup{kind, normalised}]
	if !ok {
		n = store.Name{Kind: kind, Hash: string(tx.hash(kind, normalised))}
		tx.hashes[lookup{kind, normalised}] = n
	}
	return n
}

// tag stands for a native value where a record rests on who has it.
func (tx *Tx) tag(kind, normalised string) taken.Tag {
	return taken.NameTag(tx.lookup(kind, normalised).Hash)
}

// identities is the rows of one native value, ordered by First, then ID.
type identities []store.IdentityRow

// identities returns the rows of a native value as this transaction sees them.
func (tx *Tx) identities(kind, normalised string) (identities, error) {
	return tx.set.Identities(tx.lookup(kind, normalised))
}

// name records that the owner goes by the value. A record that proves no time begins the name of
// an owner that it made, and one that nobody else has: it moves nobody's.
func (tx *Tx) name(o schemas.Owner, kind, value string, at time.Time, minted bool) error {
	if !at.IsZero() {
		return tx.see(o, kind, value, at)
	}
	if normalised := identifier(kind, value); normalised != "" && !minted {
		set, err := tx.identities(kind, normalised)
		if err != nil || len(set) > 0 {
			return err
		}
	}
	return tx.see(o, kind, value, store.Cut(tx.v.clock()))
}

// see records that the owner was seen under the value at that time. A row is extended only across
// time in which nobody else was first seen under the value; otherwise the owner gets a further
// row, and periods stay truthful.
func (tx *Tx) see(o schemas.Owner, kind, value string, at time.Time) error {
	normalised := identifier(kind, value)
	if normalised == "" {
		return nil
	}
	set, err := tx.identities(kind, normalised)
	if err != nil {
		return err
	}
	var before, after *store.IdentityRow // the owner's rows next to at
	for i := range set {
		r := &set[i]
		if r.Owner != o {
			continue
		}
		switch {
		case r.Last.Before(at):
			if before == nil || r.Last.After(before.Last) {
				before = r
			}
		case r.First.After(at):
			if after == nil || r.First.Before(after.First) {
				after = r
			}
		default:
			return nil // within a period already known
		}
	}
	if err := tx.keys.Writable(); err != nil {
		return err
	}
	other := func(from, to time.Time) bool { // somebody else was first seen in [from, to]
		return slices.ContainsFunc(set, func(r store.IdentityRow) bool {
			return r.Owner != o && !r.First.Before(from) && !r.First.After(to)
		})
	}
	var row store.IdentityRow
	switch {
	case before != nil && !other(before.Last, at):
		row = *before
		row.Last = at
	case after != nil && !other(at, after.First):
		tx.known.Renamed(tx.tag(kind, normalised))
		row = *after
		row.First = at
	default:
		tx.known.Renamed(tx.tag(kind, normalised))
		row = store.IdentityRow{ID: uuid.New(), Owner: o, Kind: kind, Hash: []byte(tx.lookup(kind, normalised).Hash),
			First: at, Last: at}
		if row.Value, err = tx.keys.WrapOwned(o, row.ID, kind, []byte(value)); err != nil {
			return err
		}
	}
	return tx.set.PutIdentity(row)
}

// until returns when a row's period ended: when somebody else was first seen under the value after
// the owner was last. Zero: it has not ended.
func (s identities) until(r *store.IdentityRow, counts func(*store.IdentityRow) bool) time.Time {
	for i := range s { // ordered by First
		o := &s[i]
		if o.Owner != r.Owner && o.First.After(r.Last) && counts(o) {
			return o.First
		}
	}
	return time.Time{}
}

// holders returns who held the value at that time, each once, of the rows that count.
func (s identities) holders(at time.Time, counts func(*store.IdentityRow) bool) []schemas.Owner {
	var out []schemas.Owner
	for i := range s {
		r := &s[i]
		if !counts(r) || r.First.After(at) {
			continue
		}
		if end := s.until(r, counts); !end.IsZero() && !at.Before(end) {
			continue
		}
		if !slices.Contains(out, r.Owner) {
			out = append(out, r.Owner)
		}
	}
	return out
}

// suppressed reports whether a record of that time is not newer than an erasure of the one so
// called. A record without a time cannot show that it is.
func (tx *Tx) suppressed(kind, normalised string, at time.Time) (bool, error) {
	if normalised == "" {
		return false, nil
	}
	erased, err := tx.set.Suppression(tx.lookup(kind, normalised))
	return !erased.IsZero() && !at.After(erased), err
}
