package working

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// This file answers for single rows, and takes them.

// writable errs where nothing can be put.
func (s *Set) writable() error {
	if s.err == nil && !s.write {
		return store.ErrReadOnly
	}
	return s.err
}

// Owner returns the owner's row, nil where there is none. It is not to be changed.
func (s *Set) Owner(o schemas.Owner) (*store.OwnerRow, error) {
	return get(s, owners, o, func() store.Keys { return store.Keys{Owners: []schemas.Owner{o}} })
}

// PutOwner puts the owner's row.
func (s *Set) PutOwner(row store.OwnerRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.local.owners[row.Owner] = &row
	s.put.Owners = append(s.put.Owners, row)
	return nil
}

// NewOwner puts the row of an owner of whom the store knows nothing, by any key.
func (s *Set) NewOwner(row store.OwnerRow) error {
	if err := s.PutOwner(row); err != nil {
		return err
	}
	o := row.Owner
	s.local.subjectKeys[o], s.local.concerned[o.ID] = nil, nil
	if o.Kind == schemas.OwnerDevice {
		s.local.holders[o.ID], s.local.streamKeys[o.ID] = nil, nil
	}
	return nil
}

// Identities returns the rows under a name, ordered by First, then ID. They are not to be changed.
func (s *Set) Identities(n store.Name) ([]store.IdentityRow, error) {
	return get(s, names, n, func() store.Keys {
		return store.Keys{Names: []store.Name{n}, Suppressions: [][]byte{[]byte(n.Hash)}}
	})
}

// IdentitiesOf returns the owner's rows, ordered by Kind, First, ID.
func (s *Set) IdentitiesOf(o schemas.Owner) ([]store.IdentityRow, error) {
	b, err := s.stored(store.Keys{IdentitiesOf: []schemas.Owner{o}})
	out := overlaid(b.Identities, s.put.Identities, sameIdentity,
		func(r *store.IdentityRow) bool { return r.Owner == o })
	slices.SortFunc(out, func(a, b store.IdentityRow) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), byFirst(a, b))
	})
	return out, err
}

// stored asks the store for what is kept in no table here.
func (s *Set) stored(k store.Keys) (b store.Batch, err error) {
	if s.err != nil {
		return b, s.err
	}
	return s.ask(k)
}

// PutIdentity puts a row.
func (s *Set) PutIdentity(row store.IdentityRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	n := store.Name{Kind: row.Kind, Hash: string(row.Hash)}
	if list, ok := find(s, names, n); ok {
		s.local.names[n] = replaced(list, row, sameIdentity, byFirst)
	}
	if s.put.Identities == nil {
		s.put.Identities = make([]store.IdentityRow, 0, s.expect)
	}
	s.put.Identities = append(s.put.Identities, row)
	return nil
}

// Suppression returns when the owner of a name was erased, the zero time where none was.
func (s *Set) Suppression(n store.Name) (time.Time, error) {
	return get(s, suppressions, n.Hash, func() store.Keys {
		return store.Keys{Suppressions: [][]byte{[]byte(n.Hash)}, Names: []store.Name{n}}
	})
}

// PutSuppression notes when the owner of a name was erased; the later of two times stays.
func (s *Set) PutSuppression(hash []byte, erased time.Time) error {
	if err := s.writable(); err != nil {
		return err
	}
	if have, ok := find(s, suppressions, string(hash)); ok && erased.After(have) {
		s.local.suppressions[string(hash)] = erased
	}
	s.put.Suppressions = append(s.put.Suppressions, store.SuppressionRow{Hash: hash, Erased: erased})
	return nil
}

// Holders returns the periods of a device, ordered by Generation.
func (s *Set) Holders(device uuid.UUID) ([]store.HoldingRow, error) {
	return get(s, holders, device, func() store.Keys {
		return store.Keys{Holders: s.idsAhead(schemas.Owner{Kind: schemas.OwnerDevice, ID: device})}
	})
}

// Holdings returns the periods in which the person holds devices, ordered by Device, Generation.
func (s *Set) Holdings(person uuid.UUID) ([]store.HoldingRow, error) {
	b, err := s.stored(store.Keys{Holdings: []uuid.UUID{person}})
	out := overlaid(b.Holdings, s.put.Holdings, sameHolding,
		func(h *store.HoldingRow) bool { return h.Person == person })
	slices.SortFunc(out, func(a, b store.HoldingRow) int {
		return cmp.Or(bytes.Compare(a.Device[:], b.Device[:]), byGeneration(a, b))
	})
	return out, err
}

// PutHolding puts a row.
func (s *Set) PutHolding(row store.HoldingRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	if list, ok := find(s, holders, row.Device); ok {
		s.local.holders[row.Device] = replaced(list, row, sameHolding, byGeneration)
	}
	s.put.Holdings = append(s.put.Holdings, row)
	return nil
}

// SubjectKeys returns the owner's keys that are not destroyed, ordered by Generation, Class.
func (s *Set) SubjectKeys(o schemas.Owner) ([]store.SubjectKeyRow, error) {
	return get(s, subjectKeys, o, func() store.Keys { return store.Keys{SubjectKeys: s.aheadOf(o)} })
}

// SubjectKey returns the owner's key of that generation and class, unless it is destroyed.
func (s *Set) SubjectKey(o schemas.Owner, generation int, class string) (k store.SubjectKeyRow, ok bool, err error) {
	all, err := s.SubjectKeys(o)
	for _, k := range all {
		if k.Generation == generation && k.Class == class {
			return k, true, err
		}
	}
	return k, false, err
}

// SubjectKeyByID returns the key of that id, nil where there is none.
func (s *Set) SubjectKeyByID(id uuid.UUID) (*store.SubjectKeyRow, error) {
	return get(s, keys, id, func() store.Keys { return store.Keys{SubjectKeyIDs: []uuid.UUID{id}} })
}

// PutSubjectKey puts a row, of a key that is not destroyed.
func (s *Set) PutSubjectKey(row store.SubjectKeyRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.local.keys[row.ID] = &row
	if list, ok := find(s, subjectKeys, row.Owner); ok {
		s.local.subjectKeys[row.Owner] = replaced(list, row, sameKey, byClass)
	}
	s.put.SubjectKeys = append(s.put.SubjectKeys, row)
	return nil
}

// PeriodKey returns the key of a class and month, nil where there is none.
func (s *Set) PeriodKey(class, month string) (*store.PeriodKeyRow, error) {
	if row, ok := find(s, periods, period{class, month}); ok || s.err != nil {
		return row, s.err
	}
	if err := s.Fetch(store.Keys{Periods: true}); err != nil {
		return nil, err
	}
	row, _ := find(s, periods, period{class, month})
	return row, nil
}

// PutPeriodKey puts a row.
func (s *Set) PutPeriodKey(row store.PeriodKeyRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.local.periods[period{row.Class, row.Month}] = &row
	s.put.PeriodKeys = append(s.put.PeriodKeys, row)
	return nil
}

// Alias returns the row of an alias, nil where there is none.
func (s *Set) Alias(id uuid.UUID) (*store.AliasRow, error) {
	return get(s, aliases, id, func() store.Keys { return store.Keys{Aliases: []uuid.UUID{id}} })
}

// AliasesOf returns the live aliases of a subject key, ordered by Class, Month.
func (s *Set) AliasesOf(key uuid.UUID) ([]store.AliasRow, error) {
	b, err := s.stored(store.Keys{AliasesOf: []uuid.UUID{key}})
	out := overlaid(b.Aliases, s.put.Aliases, sameAlias,
		func(a *store.AliasRow) bool { return a.SubjectKey == key && a.State == store.AliasLive })
	slices.SortFunc(out, func(a, b store.AliasRow) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Month, b.Month))
	})
	return out, err
}

// AddAlias adds the row of an alias, if it is not there. Under another subject key, it errs: now
// or when the set is flushed.
func (s *Set) AddAlias(row store.AliasRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	if have, _ := find(s, aliases, row.ID); have != nil && have.SubjectKey == row.SubjectKey {
		return nil
	}
	s.local.aliases[row.ID] = &row
	s.put.Aliases = append(s.put.Aliases, row)
	return nil
}

// Mapping returns the mapping of a hash, nil where there is none.
func (s *Set) Mapping(hash []byte) (*store.MappingRow, error) {
	return get(s, mappings, string(hash), func() store.Keys { return store.Keys{Mappings: [][]byte{hash}} })
}

// MappingsOf returns the mappings that concern somebody, ordered by Hash.
func (s *Set) MappingsOf(who uuid.UUID) ([]store.MappingRow, error) {
	return get(s, concerned, who, func() store.Keys {
		o := schemas.Owner{Kind: schemas.OwnerDevice, ID: who}
		if !s.ahead[o] {
			o.Kind = schemas.OwnerPerson
		}
		return store.Keys{MappingsOf: s.idsAhead(o)}
	})
}

// PutMapping puts a row.
func (s *Set) PutMapping(row store.MappingRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.unlist(row.Hash)
	if list, ok := find(s, concerned, row.Concerned); ok {
		s.local.concerned[row.Concerned] = replaced(list, row, sameMapping, byHash)
	}
	s.local.mappings[string(row.Hash)], s.moved[string(row.Hash)] = &row, true
	s.put.Mappings = append(s.put.Mappings, row)
	return nil
}

// unlist takes the mapping of a hash out of the list it is in. One that is in a list is known.
func (s *Set) unlist(hash []byte) {
	have, _ := find(s, mappings, string(hash))
	if have == nil {
		return
	}
	list, known := find(s, concerned, have.Concerned)
	if !known {
		return
	}
	s.local.concerned[have.Concerned] = slices.DeleteFunc(slices.Clone(list),
		func(m store.MappingRow) bool { return bytes.Equal(m.Hash, hash) })
}

// DeleteMapping deletes the mapping of a hash.
func (s *Set) DeleteMapping(hash []byte) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.unlist(hash)
	s.local.mappings[string(hash)], s.moved[string(hash)] = nil, true
	s.put.Mappings = slices.DeleteFunc(s.put.Mappings,
		func(m store.MappingRow) bool { return bytes.Equal(m.Hash, hash) })
	s.drop = append(s.drop, hash)
	return nil
}

// StreamKey returns the key of a stream's elements, nil where there is none.
func (s *Set) StreamKey(stream uuid.UUID) (*store.StreamKeyRow, error) {
	return get(s, streamKeys, stream, func() store.Keys {
		return store.Keys{StreamKeys: s.idsAhead(schemas.Owner{Kind: schemas.OwnerDevice, ID: stream})}
	})
}

// PutStreamKey puts a row.
func (s *Set) PutStreamKey(row store.StreamKeyRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.local.streamKeys[row.Stream] = &row
	s.put.StreamKeys = append(s.put.StreamKeys, row)
	return nil
}
