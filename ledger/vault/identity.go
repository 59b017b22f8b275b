package vault

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/keyring"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps what an owner has been called: native values with the
// interval in which each was seen.

type seenRef struct{ kind, hash string }

// identitySet is every identity row of one kind and hash, ordered by First;
// changed ones await flush.
type identitySet struct {
	rows    []*store.IdentityRow
	changed map[*store.IdentityRow]bool
}

func (tx *Tx) hash(kind, normalised string) []byte {
	return keyring.LookupHash(tx.keys.Own.Lookup, kind, normalised)
}

// identities returns the rows of a native value as this transaction sees them.
func (tx *Tx) identities(kind, normalised string) (*identitySet, error) {
	hash := tx.hash(kind, normalised)
	ref := seenRef{kind, string(hash)}
	if s := tx.seen[ref]; s != nil {
		return s, nil
	}
	rows, err := tx.rows.Identities(kind, hash)
	if err != nil {
		return nil, err
	}
	s := &identitySet{changed: map[*store.IdentityRow]bool{}}
	for i := range rows {
		s.rows = append(s.rows, &rows[i])
	}
	tx.seen[ref] = s
	return s, nil
}

// flush writes the identities that changed: once for a transaction, however
// often its records saw them.
func (tx *Tx) flush() error {
	for _, s := range tx.seen {
		for row := range s.changed {
			if err := tx.keys.Writable(); err != nil {
				return err
			}
			if err := tx.rows.PutIdentity(*row); err != nil {
				return err
			}
		}
		clear(s.changed)
	}
	return nil
}

// reread makes the transaction read identities from the store again, after others of
// its methods deleted some.
func (tx *Tx) reread() error {
	err := tx.flush()
	clear(tx.seen)
	return err
}

// name records that the owner goes by the value. A record that proves no time begins the name of
// an owner that it made, and one that nobody else has: it moves nobody's.
func (tx *Tx) name(o schemas.Owner, kind, value string, at time.Time, minted bool) error {
	if !at.IsZero() {
		return tx.see(o, kind, value, at)
	}
	if normalised := identifier(kind, value); normalised != "" && !minted {
		set, err := tx.identities(kind, normalised)
		if err != nil || len(set.rows) > 0 {
			return err
		}
	}
	return tx.see(o, kind, value, cut(tx.v.clock()))
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
	for _, r := range set.rows {
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
		return slices.ContainsFunc(set.rows, func(r *store.IdentityRow) bool {
			return r.Owner != o && !r.First.Before(from) && !r.First.After(to)
		})
	}
	switch {
	case before != nil && !other(before.Last, at):
		before.Last = at
		set.changed[before] = true
	case after != nil && !other(at, after.First):
		after.First = at
		set.changed[after] = true
	default:
		row := &store.IdentityRow{ID: uuid.New(), Owner: o, Kind: kind, Hash: tx.hash(kind, normalised),
			First: at, Last: at}
		if row.Value, err = tx.keys.WrapOwned(o, row.ID, kind, []byte(value)); err != nil {
			return err
		}
		set.rows = append(set.rows, row)
		set.changed[row] = true
	}
	slices.SortFunc(set.rows, func(a, b *store.IdentityRow) int {
		return cmp.Or(a.First.Compare(b.First), slices.Compare(a.ID[:], b.ID[:]))
	})
	return nil
}

// until returns when a row's period ended: when somebody else was first seen under the value after
// the owner was last. Zero: it has not ended.
func (s *identitySet) until(r *store.IdentityRow, counts func(*store.IdentityRow) bool) time.Time {
	for _, o := range s.rows { // ordered by First
		if o.Owner != r.Owner && o.First.After(r.Last) && counts(o) {
			return o.First
		}
	}
	return time.Time{}
}

// holders returns who held the value at that time, each once, of the rows that count.
func (s *identitySet) holders(at time.Time, counts func(*store.IdentityRow) bool) []schemas.Owner {
	var out []schemas.Owner
	for _, r := range s.rows {
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
	erased, ok, err := tx.rows.Suppression(tx.hash(kind, normalised))
	return ok && !at.After(erased), err
}
