package working

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Flush stores what was put, at once, in the order of keys: that of a table's pages.
func (s *Set) Flush() error {
	if s.err != nil || s.rows == nil {
		return s.err
	}
	b := store.Batch{
		Owners: latest(s.put.Owners, func(a, b *store.OwnerRow) int {
			return cmp.Or(cmp.Compare(a.Owner.Kind, b.Owner.Kind), bytes.Compare(a.Owner.ID[:], b.Owner.ID[:]))
		}),
		Identities: latest(s.put.Identities, func(a, b *store.IdentityRow) int {
			return cmp.Or(strings.Compare(a.Kind, b.Kind), bytes.Compare(a.Hash, b.Hash),
				bytes.Compare(a.ID[:], b.ID[:]))
		}),
		Holdings: latest(s.put.Holdings, func(a, b *store.HoldingRow) int {
			return cmp.Or(bytes.Compare(a.Device[:], b.Device[:]), cmp.Compare(a.Generation, b.Generation))
		}),
		SubjectKeys: latest(s.put.SubjectKeys, func(a, b *store.SubjectKeyRow) int {
			return bytes.Compare(a.ID[:], b.ID[:])
		}),
		PeriodKeys: latest(s.put.PeriodKeys, func(a, b *store.PeriodKeyRow) int {
			return cmp.Or(strings.Compare(a.Class, b.Class), strings.Compare(a.Month, b.Month))
		}),
		Aliases: s.put.Aliases,
		Mappings: latest(s.put.Mappings, func(a, b *store.MappingRow) int {
			return bytes.Compare(a.Hash, b.Hash)
		}),
		StreamKeys: latest(s.put.StreamKeys, func(a, b *store.StreamKeyRow) int {
			return bytes.Compare(a.Stream[:], b.Stream[:])
		}),
		Suppressions: s.put.Suppressions,
	}
	slices.SortFunc(b.Aliases, func(a, b store.AliasRow) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	drop, none := s.drop, s.empty()
	s.changed = s.changed || len(drop) > 0
	s.put, s.drop = store.Batch{}, nil
	clear(s.moved)
	if len(drop) > 0 {
		if s.err = s.rows.DeleteMappings(drop); s.err != nil {
			return s.err
		}
	}
	if none {
		return nil
	}
	s.changed = true
	s.err = s.rows.Put(b)
	return s.err
}

// empty reports whether no row is to be put.
func (s *Set) empty() bool {
	b := &s.put
	return len(b.Owners)+len(b.Identities)+len(b.Holdings)+len(b.SubjectKeys)+len(b.PeriodKeys)+len(b.Aliases)+
		len(b.Mappings)+len(b.StreamKeys)+len(b.Suppressions) == 0
}

// latest returns the rows in the order of their keys, of those of one key the one put last.
func latest[T any](rows []T, order func(a, b *T) int) []T {
	if len(rows) < 2 {
		return rows
	}
	by := make([]*T, len(rows)) // rows are large
	for i := range rows {
		by[i] = &rows[i]
	}
	slices.SortStableFunc(by, order)
	out := make([]T, 0, len(rows))
	for i, r := range by {
		if i+1 == len(by) || order(r, by[i+1]) != 0 {
			out = append(out, *r)
		}
	}
	return out
}

// forget deletes or destroys rows, of which it need not know all: what was read counts no longer,
// here and for those that follow.
func (s *Set) forget(do func() error) error {
	if s.rows == nil {
		return ErrOptimistic
	}
	if err := s.Flush(); err != nil {
		return err
	}
	s.local, s.alone = newTables(), true
	s.err = do()
	return s.err
}

// DeleteIdentities deletes what the owner was called.
func (s *Set) DeleteIdentities(o schemas.Owner) error {
	return s.forget(func() error { return s.rows.DeleteIdentities(o) })
}

// DeleteHolders deletes the periods of a device.
func (s *Set) DeleteHolders(device uuid.UUID) error {
	return s.forget(func() error { return s.rows.DeleteHolders(device) })
}

// DestroySubjectKey leaves a tombstone of the key.
func (s *Set) DestroySubjectKey(id uuid.UUID) error {
	return s.forget(func() error { return s.rows.DestroySubjectKey(id) })
}

// BuryAliases leaves tombstones of the key's aliases.
func (s *Set) BuryAliases(key uuid.UUID) error {
	return s.forget(func() error { return s.rows.BuryAliases(key) })
}

// BuryAliasesOfPeriod leaves tombstones of a period's aliases.
func (s *Set) BuryAliasesOfPeriod(class, month string) error {
	return s.forget(func() error { return s.rows.BuryAliasesOfPeriod(class, month) })
}

// DeleteStreamKey deletes the key of a stream's elements.
func (s *Set) DeleteStreamKey(stream uuid.UUID) error {
	return s.forget(func() error { return s.rows.DeleteStreamKey(stream) })
}

// DestroySlot overwrites a slot before the commit.
func (s *Set) DestroySlot(n store.Slot) error {
	return s.forget(func() error { return s.rows.DestroySlot(n) })
}

// RetireSlot has a slot overwritten after the commit.
func (s *Set) RetireSlot(n store.Slot) error {
	return s.forget(func() error { return s.rows.RetireSlot(n) })
}
