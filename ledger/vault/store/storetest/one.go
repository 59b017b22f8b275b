package storetest

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// One asks a store for its rows one at a time, in an order that can be compared.
type One struct{ store.Rows }

// EachOne gives a function the rows one at a time.
func EachOne(do func(One) error) func(store.Rows) error {
	return func(r store.Rows) error { return do(One{r}) }
}

func first[T any](rows []T, err error) (row T, found bool, _ error) {
	if len(rows) > 0 {
		row, found = rows[0], true
	}
	return row, found, err
}

func ordered[T any](rows []T, err error, order func(a, b T) int) ([]T, error) {
	slices.SortFunc(rows, order)
	return rows, err
}

func byID(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// Setting returns one.
func (r One) Setting(name string) ([]byte, bool, error) {
	all, err := r.Settings(name)
	value, found := all[name]
	return value, found, err
}

// Owner returns an owner's row.
func (r One) Owner(o schemas.Owner) (store.OwnerRow, bool, error) {
	b, err := r.Fetch(store.Keys{Owners: []schemas.Owner{o}})
	return first(b.Owners, err)
}

// PutOwner puts one.
func (r One) PutOwner(o store.OwnerRow) error { return r.Put(store.Batch{Owners: []store.OwnerRow{o}}) }

// Identities are those of a name, by First, then ID.
func (r One) Identities(kind string, hash []byte) ([]store.IdentityRow, error) {
	b, err := r.Fetch(store.Keys{Names: []store.Name{{Kind: kind, Hash: string(hash)}}})
	return ordered(b.Identities, err, func(a, b store.IdentityRow) int {
		return cmp.Or(a.First.Compare(b.First), byID(a.ID, b.ID))
	})
}

// IdentitiesOf are those of an owner, by Kind, First, ID.
func (r One) IdentitiesOf(o schemas.Owner) ([]store.IdentityRow, error) {
	b, err := r.Fetch(store.Keys{IdentitiesOf: []schemas.Owner{o}})
	return ordered(b.Identities, err, func(a, b store.IdentityRow) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.First.Compare(b.First), byID(a.ID, b.ID))
	})
}

// PutIdentity puts one.
func (r One) PutIdentity(i store.IdentityRow) error {
	return r.Put(store.Batch{Identities: []store.IdentityRow{i}})
}

func byHolding(a, b store.HoldingRow) int {
	return cmp.Or(byID(a.Device, b.Device), cmp.Compare(a.Generation, b.Generation))
}

// Holdings are those of a person, by Device, Generation.
func (r One) Holdings(person uuid.UUID) ([]store.HoldingRow, error) {
	b, err := r.Fetch(store.Keys{Holdings: []uuid.UUID{person}})
	return ordered(b.Holdings, err, byHolding)
}

// Holders are those of a device, by Generation.
func (r One) Holders(device uuid.UUID) ([]store.HoldingRow, error) {
	b, err := r.Fetch(store.Keys{Holders: []uuid.UUID{device}})
	return ordered(b.Holdings, err, byHolding)
}

// PutHolding puts one.
func (r One) PutHolding(h store.HoldingRow) error {
	return r.Put(store.Batch{Holdings: []store.HoldingRow{h}})
}

// SubjectKey returns an owner's key of that generation and class.
func (r One) SubjectKey(o schemas.Owner, generation int, class string) (store.SubjectKeyRow, bool, error) {
	all, err := r.SubjectKeys(o)
	return first(slices.DeleteFunc(all, func(k store.SubjectKeyRow) bool {
		return k.Generation != generation || k.Class != class
	}), err)
}

// SubjectKeyByID returns a key.
func (r One) SubjectKeyByID(id uuid.UUID) (store.SubjectKeyRow, bool, error) {
	b, err := r.Fetch(store.Keys{SubjectKeyIDs: []uuid.UUID{id}})
	return first(b.SubjectKeys, err)
}

// SubjectKeys are those of an owner, by Generation, Class.
func (r One) SubjectKeys(o schemas.Owner) ([]store.SubjectKeyRow, error) {
	b, err := r.Fetch(store.Keys{SubjectKeys: []schemas.Owner{o}})
	return ordered(b.SubjectKeys, err, func(a, b store.SubjectKeyRow) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Class, b.Class))
	})
}

// PutSubjectKey puts one.
func (r One) PutSubjectKey(k store.SubjectKeyRow) error {
	return r.Put(store.Batch{SubjectKeys: []store.SubjectKeyRow{k}})
}

// PeriodKey returns the key of a class and month.
func (r One) PeriodKey(class, month string) (store.PeriodKeyRow, bool, error) {
	b, err := r.Fetch(store.Keys{Periods: true})
	return first(slices.DeleteFunc(b.PeriodKeys, func(k store.PeriodKeyRow) bool {
		return k.Class != class || k.Month != month
	}), err)
}

// PutPeriodKey puts one.
func (r One) PutPeriodKey(k store.PeriodKeyRow) error {
	return r.Put(store.Batch{PeriodKeys: []store.PeriodKeyRow{k}})
}

// Alias returns an alias's row.
func (r One) Alias(id uuid.UUID) (store.AliasRow, bool, error) {
	b, err := r.Fetch(store.Keys{Aliases: []uuid.UUID{id}})
	return first(b.Aliases, err)
}

// Aliases are those of a subject key, by Class, Month.
func (r One) Aliases(key uuid.UUID) ([]store.AliasRow, error) {
	b, err := r.Fetch(store.Keys{AliasesOf: []uuid.UUID{key}})
	return ordered(b.Aliases, err, func(a, b store.AliasRow) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Month, b.Month))
	})
}

// AddAlias adds one.
func (r One) AddAlias(a store.AliasRow) error {
	return r.Put(store.Batch{Aliases: []store.AliasRow{a}})
}

// Mapping returns the mapping of a hash.
func (r One) Mapping(hash []byte) (store.MappingRow, bool, error) {
	b, err := r.Fetch(store.Keys{Mappings: [][]byte{hash}})
	return first(b.Mappings, err)
}

// MappingsOf are those that concern somebody, by Hash.
func (r One) MappingsOf(concerned uuid.UUID) ([]store.MappingRow, error) {
	b, err := r.Fetch(store.Keys{MappingsOf: []uuid.UUID{concerned}})
	return ordered(b.Mappings, err, func(a, b store.MappingRow) int { return bytes.Compare(a.Hash, b.Hash) })
}

// PutMapping puts one.
func (r One) PutMapping(m store.MappingRow) error {
	return r.Put(store.Batch{Mappings: []store.MappingRow{m}})
}

// StreamKey returns the key of a stream's elements.
func (r One) StreamKey(stream uuid.UUID) (store.StreamKeyRow, bool, error) {
	b, err := r.Fetch(store.Keys{StreamKeys: []uuid.UUID{stream}})
	return first(b.StreamKeys, err)
}

// PutStreamKey puts one.
func (r One) PutStreamKey(k store.StreamKeyRow) error {
	return r.Put(store.Batch{StreamKeys: []store.StreamKeyRow{k}})
}

// Suppression returns when the owner of a native value was erased.
func (r One) Suppression(hash []byte) (time.Time, bool, error) {
	b, err := r.Fetch(store.Keys{Suppressions: [][]byte{hash}})
	row, found, err := first(b.Suppressions, err)
	return row.Erased, found, err
}

// PutSuppression puts one.
func (r One) PutSuppression(hash []byte, erased time.Time) error {
	return r.Put(store.Batch{Suppressions: []store.SuppressionRow{{Hash: hash, Erased: erased}}})
}
