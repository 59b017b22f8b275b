package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// model is what a store holds after some batches, row by row.
type model struct{ rows store.Batch }

func put[T any](into *[]T, rows []T, same func(a, b T) bool) {
	for _, r := range rows {
		if i := slices.IndexFunc(*into, func(have T) bool { return same(have, r) }); i >= 0 {
			(*into)[i] = r
		} else {
			*into = append(*into, r)
		}
	}
}

func (m *model) put(b store.Batch) {
	put(&m.rows.Owners, b.Owners, func(a, b store.OwnerRow) bool { return a.Owner == b.Owner })
	put(&m.rows.Identities, b.Identities, func(a, b store.IdentityRow) bool { return a.ID == b.ID })
	put(&m.rows.Holdings, b.Holdings, func(a, b store.HoldingRow) bool {
		return a.Device == b.Device && a.Generation == b.Generation
	})
	put(&m.rows.SubjectKeys, b.SubjectKeys, func(a, b store.SubjectKeyRow) bool { return a.ID == b.ID })
	put(&m.rows.PeriodKeys, b.PeriodKeys, func(a, b store.PeriodKeyRow) bool {
		return a.Class == b.Class && a.Month == b.Month
	})
	for _, a := range b.Aliases { // added, never replaced
		if !slices.ContainsFunc(m.rows.Aliases, func(have store.AliasRow) bool { return have.ID == a.ID }) {
			m.rows.Aliases = append(m.rows.Aliases, a)
		}
	}
	put(&m.rows.Mappings, b.Mappings, func(a, b store.MappingRow) bool { return bytes.Equal(a.Hash, b.Hash) })
	put(&m.rows.StreamKeys, b.StreamKeys, func(a, b store.StreamKeyRow) bool { return a.Stream == b.Stream })
	for _, s := range b.Suppressions { // the later of two stays
		i := slices.IndexFunc(m.rows.Suppressions, func(have store.SuppressionRow) bool {
			return bytes.Equal(have.Hash, s.Hash)
		})
		switch {
		case i < 0:
			m.rows.Suppressions = append(m.rows.Suppressions, s)
		case s.Erased.After(m.rows.Suppressions[i].Erased):
			m.rows.Suppressions[i] = s
		}
	}
}

func where[T any](rows []T, named func(T) bool) (out []T) {
	for _, r := range rows {
		if named(r) {
			out = append(out, r)
		}
	}
	return out
}

func hasHash(all [][]byte, h []byte) bool {
	return slices.ContainsFunc(all, func(x []byte) bool { return bytes.Equal(x, h) })
}

func (m *model) fetch(k store.Keys) store.Batch {
	has, of := slices.Contains[[]uuid.UUID], slices.Contains[[]schemas.Owner]
	own := slices.Clone(k.Owners)
	for _, i := range m.rows.Identities {
		if slices.Contains(k.Names, store.Name{Kind: i.Kind, Hash: string(i.Hash)}) {
			own = append(own, i.Owner)
		}
	}
	ids := slices.Clone(k.SubjectKeyIDs)
	for _, a := range m.rows.Aliases {
		if has(k.Aliases, a.ID) {
			ids = append(ids, a.SubjectKey)
		}
	}
	for _, s := range m.rows.SubjectKeys {
		if has(ids, s.ID) {
			own = append(own, s.Owner)
		}
	}
	return store.Batch{
		Owners: where(m.rows.Owners, func(r store.OwnerRow) bool { return of(own, r.Owner) }),
		Identities: where(m.rows.Identities, func(r store.IdentityRow) bool {
			return of(k.IdentitiesOf, r.Owner) ||
				slices.Contains(k.Names, store.Name{Kind: r.Kind, Hash: string(r.Hash)})
		}),
		Holdings: where(m.rows.Holdings, func(r store.HoldingRow) bool {
			return has(k.Holders, r.Device) || has(k.Holdings, r.Person)
		}),
		SubjectKeys: where(m.rows.SubjectKeys, func(r store.SubjectKeyRow) bool {
			return has(ids, r.ID) || of(k.SubjectKeys, r.Owner)
		}),
		PeriodKeys: where(m.rows.PeriodKeys, func(store.PeriodKeyRow) bool { return k.Periods }),
		Aliases: where(m.rows.Aliases, func(r store.AliasRow) bool {
			return has(k.Aliases, r.ID) || has(k.AliasesOf, r.SubjectKey)
		}),
		Mappings: where(m.rows.Mappings, func(r store.MappingRow) bool {
			return hasHash(k.Mappings, r.Hash) || has(k.MappingsOf, r.Concerned)
		}),
		StreamKeys: where(m.rows.StreamKeys, func(r store.StreamKeyRow) bool { return has(k.StreamKeys, r.Stream) }),
		Suppressions: where(m.rows.Suppressions, func(r store.SuppressionRow) bool {
			return hasHash(k.Suppressions, r.Hash)
		}),
	}
}

// sorted is the batch in one order, each row once, without what slots hold.
func sorted(b store.Batch) store.Batch {
	return store.Batch{
		Owners: once(b.Owners, func(a, b store.OwnerRow) int {
			return cmp.Or(cmp.Compare(a.Owner.Kind, b.Owner.Kind), byID(a.Owner.ID, b.Owner.ID))
		}),
		Identities:  once(b.Identities, func(a, b store.IdentityRow) int { return byID(a.ID, b.ID) }),
		Holdings:    once(b.Holdings, byHolding),
		SubjectKeys: once(b.SubjectKeys, func(a, b store.SubjectKeyRow) int { return byID(a.ID, b.ID) }),
		PeriodKeys: once(b.PeriodKeys, func(a, b store.PeriodKeyRow) int {
			return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Month, b.Month))
		}),
		Aliases:    once(b.Aliases, func(a, b store.AliasRow) int { return byID(a.ID, b.ID) }),
		Mappings:   once(b.Mappings, func(a, b store.MappingRow) int { return bytes.Compare(a.Hash, b.Hash) }),
		StreamKeys: once(b.StreamKeys, func(a, b store.StreamKeyRow) int { return byID(a.Stream, b.Stream) }),
		Suppressions: once(b.Suppressions, func(a, b store.SuppressionRow) int {
			return bytes.Compare(a.Hash, b.Hash)
		}),
	}
}

func once[T any](rows []T, order func(a, b T) int) []T {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, order)
	return slices.CompactFunc(rows, func(a, b T) bool { return order(a, b) == 0 })
}

// drawn makes rows and keys out of few ids, so that they meet.
type drawn struct {
	*rand.Rand
	ids [24]uuid.UUID
}

func newDrawn(seed uint64) *drawn {
	d := &drawn{Rand: rand.New(rand.NewPCG(seed, 12))}
	for i := range d.ids {
		d.ids[i] = uuid.New()
	}
	return d
}

func (d *drawn) id() uuid.UUID { return d.ids[d.IntN(len(d.ids))] }
func (d *drawn) hash() []byte  { return []byte{byte(d.IntN(30)), 7} }
func (d *drawn) class() string { return []string{"a", "b", "c"}[d.IntN(3)] }

func (d *drawn) owner() schemas.Owner {
	return schemas.Owner{Kind: []schemas.KeyKind{schemas.OwnerPerson, schemas.OwnerDevice}[d.IntN(2)], ID: d.id()}
}

// many draws up to some three hundred.
func many[T any](d *drawn, draw func() T) (out []T) {
	n := []int{0, 1, 3, 20, 90, 300}[d.IntN(6)]
	for range n {
		out = append(out, draw())
	}
	return out
}

func (d *drawn) batch() store.Batch {
	all := store.Batch{Owners: many(d, func() store.OwnerRow {
		return store.OwnerRow{Owner: d.owner(), State: store.OwnerLive, Created: day(d.IntN(9)),
			Identified: d.IntN(2) == 0, Ownership: d.class(), User: d.id(), Generation: d.IntN(4)}
	})}
	for _, id := range d.ids { // identities refer to owners
		all.Owners = append(all.Owners, store.OwnerRow{Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: id},
			State: store.OwnerLive})
	}
	all.Identities = many(d, func() store.IdentityRow {
		n := d.IntN(len(d.ids)) // its name and owner follow from its id: they never change
		return store.IdentityRow{ID: d.ids[n], Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: d.ids[n/2]},
			Kind: []string{"upn", "email"}[n%2], Hash: []byte{byte(n % 5)}, Value: blob(byte(d.IntN(9))),
			First: day(d.IntN(9)), Last: day(9)}
	})
	all.Holdings = many(d, func() store.HoldingRow {
		return store.HoldingRow{Device: d.id(), Generation: d.IntN(4), Ownership: d.class(), Person: d.id(),
			From: day(d.IntN(9))}
	})
	all.SubjectKeys = many(d, func() store.SubjectKeyRow {
		n := d.IntN(len(d.ids))
		return store.SubjectKeyRow{ID: d.ids[n], Owner: schemas.Owner{Kind: schemas.OwnerDevice, ID: d.ids[n/6]},
			Generation: n % 2, Class: []string{"a", "b", "c"}[n%6/2], Key: blob(byte(d.IntN(9))), State: store.KeyLive}
	})
	all.PeriodKeys = many(d, func() store.PeriodKeyRow {
		return store.PeriodKeyRow{ID: d.id(), Class: d.class(), Month: "20261" + d.class(), Key: blob(byte(d.IntN(9)))}
	})
	all.Aliases = many(d, func() store.AliasRow {
		n := d.IntN(len(d.ids))
		return store.AliasRow{ID: d.ids[n], SubjectKey: d.ids[n/3], Class: d.class(), Month: "202611",
			State: store.AliasLive}
	})
	all.Mappings = many(d, func() store.MappingRow {
		return store.MappingRow{Hash: d.hash(), Stream: schemas.NewStream("alert", d.id()), Concerned: d.id()}
	})
	all.StreamKeys = many(d, func() store.StreamKeyRow {
		return store.StreamKeyRow{Stream: d.id(), Key: blob(byte(d.IntN(9)))}
	})
	all.Suppressions = many(d, func() store.SuppressionRow {
		return store.SuppressionRow{Hash: d.hash(), Erased: day(d.IntN(9))}
	})
	return all
}

func (d *drawn) keys() store.Keys {
	return store.Keys{Owners: many(d, d.owner), IdentitiesOf: many(d, d.owner), Holders: many(d, d.id),
		Names: many(d, func() store.Name {
			return store.Name{Kind: []string{"upn", "email"}[d.IntN(2)], Hash: string([]byte{byte(d.IntN(7))})}
		}),
		Holdings: many(d, d.id), SubjectKeys: many(d, d.owner), SubjectKeyIDs: many(d, d.id),
		Periods: d.IntN(2) == 0, Aliases: many(d, d.id), AliasesOf: many(d, d.id), Mappings: many(d, d.hash),
		MappingsOf: many(d, d.id), StreamKeys: many(d, d.id), Suppressions: many(d, d.hash)}
}

// testBatches: a batch of any size leaves what its rows leave one by one, and what many keys name
// is what each names; within the transaction and after it, and nothing of one that failed.
func testBatches(t *testing.T, e *storeEnv) {
	seed := rand.Uint64()
	d, m := newDrawn(seed), model{}
	check := func(what string, r One) {
		t.Helper()
		k := d.keys()
		b, err := r.Fetch(k)
		if err != nil {
			t.Fatalf("seed %d, %s: %v", seed, what, err)
		}
		equal(t, what, sorted(b), sorted(m.fetch(k)))
	}
	for range 12 {
		before := model{}
		before.put(m.rows)
		fails := d.IntN(4) == 0
		err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
			for range 2 {
				b := d.batch()
				if err := r.Put(b); err != nil {
					return err
				}
				m.put(b)
				check("within the transaction", r)
			}
			if fails {
				return errTest
			}
			return nil
		}))
		if fails {
			m = before
		}
		if fails != errors.Is(err, errTest) || !fails && err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		e.read(func(r One) error { check("after it", r); return nil })
		e.update(e.tenants[1], func(r One) error {
			b, err := r.Fetch(d.keys())
			equal(t, "of another tenant", sorted(b), sorted(store.Batch{}))
			return err
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	// An alias that stands under another subject key is taken for no other's.
	alias := store.AliasRow{ID: uuid.New(), SubjectKey: uuid.New(), Class: "a", Month: "202611",
		State: store.AliasLive}
	e.put(func(r One) error { return r.AddAlias(alias) })
	other := alias
	other.SubjectKey = uuid.New()
	if err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
		return r.AddAlias(other)
	})); err == nil {
		t.Error("an alias was put under another subject key")
	}
	e.read(func(r One) error { found(t, "an alias as it was", alias)(r.Alias(alias.ID)); return nil })
}

// testChanges: the count of a tenant's changes moves with each transaction that changed rows of
// the tenant, by one, and with no other.
func testChanges(t *testing.T, e *storeEnv) {
	count := func(n int) (c uint64) {
		e.read(func(r One) error {
			b, _, err := r.Setting(store.Changes(e.tenants[n]))
			if len(b) == 8 {
				c = binary.BigEndian.Uint64(b)
			}
			return err
		})
		return c
	}
	var slot store.Slot
	o := owner(schemas.OwnerPerson)
	for _, tc := range []struct {
		name string
		adds uint64
		do   func(One) error
	}{
		{"nothing", 0, func(One) error { return nil }},
		{"a setting", 0, func(r One) error { return r.PutSetting("x", []byte{1}) }},
		{"an empty batch", 0, func(r One) error { return r.Put(store.Batch{}) }},
		{"reading", 0, func(r One) error { _, _, err := r.Owner(o); return err }},
		{"rows", 1, func(r One) error {
			return errors.Join(r.PutOwner(store.OwnerRow{Owner: o, State: store.OwnerLive}), r.AddAlias(store.AliasRow{
				ID: o.ID, Class: "a", Month: "202611", State: store.AliasLive}))
		}},
		{"a suppression", 1, func(r One) error { return r.PutSuppression([]byte{1}, day(1)) }},
		{"a slot", 0, func(r One) (err error) {
			if slot, err = r.NewSlot(); err != nil {
				return err
			}
			return r.PutSlot(slot, secret(1))
		}},
		{"a slot's end", 1, func(r One) error { return r.DestroySlot(slot) }},
		{"a key's end", 1, func(r One) error { return r.DestroySubjectKey(uuid.New()) }},
		{"deletions", 1, func(r One) error {
			return errors.Join(r.DeleteIdentities(o), r.DeleteHolders(o.ID), r.DeleteStreamKey(o.ID))
		}},
		{"mappings deleted", 1, func(r One) error { return r.DeleteMappings([][]byte{{1}}) }},
		{"burials", 1, func(r One) error {
			return errors.Join(r.BuryAliases(o.ID), r.BuryAliasesOfPeriod("a", "202611"))
		}},
	} {
		was := [2]uint64{count(0), count(1)}
		e.put(tc.do)
		if now := [2]uint64{count(0), count(1)}; now[0] != was[0]+tc.adds || now[1] != was[1] {
			t.Errorf("%s: the counts were %d and are %d", tc.name, was, now)
		}
	}
	was := count(0)
	if err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
		return errors.Join(r.PutSuppression([]byte{1}, day(2)), errTest)
	})); !errors.Is(err, errTest) || count(0) != was {
		t.Errorf("a failed transaction (%v) moved the count from %d to %d", err, was, count(0))
	}
}
