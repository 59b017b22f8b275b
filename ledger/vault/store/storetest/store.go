package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/schemas"
)

// Factory makes an empty store and returns a function that opens it once more,
// as another process would.
type Factory func(t testing.TB) (store store.Store, again func(testing.TB) store.Store)

// RunStore runs what every store.Store must do.
func RunStore(t *testing.T, f Factory) {
	for name, test := range map[string]func(*testing.T, *storeEnv){
		"Settings": testSettings, "Tenants": testTenants, "Owners": testOwners, "Identities": testIdentities,
		"Holdings": testHoldings, "SubjectKeys": testSubjectKeys, "PeriodKeys": testPeriodKeys, "Aliases": testAliases,
		"Streams": testStreams, "Memories": testMemories, "Known": testKnown, "Suppressions": testSuppressions,
		"Batches": testBatches, "Changes": testChanges, "Erasures": testErasures, "Holds": testHolds,
		"Isolation": testIsolation, "Rollback": testRollback, "ReadOnly": testReadOnly, "Snapshot": testSnapshot,
		"Serialised": testSerialised, "Slots": testSlots, "SlotsOfMany": testSlotsOfMany, "Count": testCount,
		"Cancelled": testCancelled, "Outlived": testOutlived, "Reopened": testReopened,
	} {
		t.Run(name, func(t *testing.T) {
			s, again := f(t)
			e := &storeEnv{T: t, s: s, again: again}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			for i := range e.tenants {
				e.tenants[i] = uuid.New()
				e.update(uuid.Nil, func(r One) error {
					return r.PutTenant(store.TenantRow{ID: e.tenants[i], NameHash: e.tenants[i][:], Profile: blob(1),
						Lookup: blob(2), Record: blob(3), Policy: 1, Created: day(i)})
				})
			}
			test(t, e)
		})
	}
}

type storeEnv struct {
	*testing.T
	s       store.Store
	again   func(testing.TB) store.Store
	tenants [2]uuid.UUID
}

func (e *storeEnv) update(tenant uuid.UUID, do func(One) error) {
	e.Helper()
	if err := e.s.Update(context.Background(), tenant, EachOne(do)); err != nil {
		e.Fatal(err)
	}
}

// put writes for the first tenant.
func (e *storeEnv) put(do func(One) error) { e.Helper(); e.update(e.tenants[0], do) }

// read reads for the first tenant.
func (e *storeEnv) read(do func(One) error) {
	e.Helper()
	if err := e.s.View(context.Background(), e.tenants[0], EachOne(do)); err != nil {
		e.Fatal(err)
	}
}

func day(n int) time.Time { return time.Date(2026, 11, 1+n, 12, 30, 15, 123e6, time.UTC) }

func blob(b byte) store.Wrapped {
	return store.Wrapped{Epoch: uint32(b), Bytes: []byte{b, 0, 0xff, b}}
}

func owner(kind schemas.KeyKind) schemas.Owner { return schemas.Owner{Kind: kind, ID: uuid.New()} }

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %+v\nwant %+v", what, got, want)
	}
}

// found compares a getter's answer with the row wanted.
func found[T any](t testing.TB, what string, want T) func(T, bool, error) {
	t.Helper()
	return func(got T, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: found %v, %v", what, ok, err)
			return
		}
		equal(t, what, got, want)
	}
}

// absent checks that a getter found nothing.
func absent[T any](t testing.TB, what string) func(T, bool, error) {
	t.Helper()
	return func(_ T, ok bool, err error) {
		t.Helper()
		if err != nil || ok {
			t.Errorf("%s: found %v, %v; want none", what, ok, err)
		}
	}
}

// listed compares a list, where no rows may be nil or empty.
func listed[T any](t testing.TB, what string, want ...T) func([]T, error) {
	t.Helper()
	return func(got []T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if len(got)+len(want) > 0 {
			equal(t, what, got, want)
		}
	}
}

func testSettings(t *testing.T, e *storeEnv) {
	e.read(func(r One) error { absent[[]byte](t, "no setting")(r.Setting("x")); return nil })
	e.put(func(r One) error { return r.PutSetting("x", []byte{1}) })
	e.update(e.tenants[1], func(r One) error {
		found(t, "a setting, from any tenant", []byte{1})(r.Setting("x"))
		return r.PutSetting("x", []byte{0, 2})
	})
	e.read(func(r One) error { found(t, "a setting replaced", []byte{0, 2})(r.Setting("x")); return nil })
}

func testTenants(t *testing.T, e *storeEnv) {
	e.read(func(r One) error {
		all, err := r.Tenants()
		if err != nil || len(all) != 2 || all[0].ID != e.tenants[0] || all[1].ID != e.tenants[1] {
			t.Errorf("tenants in order of creation: %v, %v", all, err)
		}
		found(t, "by id", all[1])(r.Tenant(e.tenants[1]))
		found(t, "by name", all[1])(r.TenantByName(e.tenants[1][:]))
		absent[store.TenantRow](t, "by another id")(r.Tenant(uuid.New()))
		absent[store.TenantRow](t, "by another name")(r.TenantByName([]byte{1}))
		return nil
	})
	want := store.TenantRow{ID: e.tenants[0], NameHash: []byte("n"), Profile: blob(4), Lookup: blob(5),
		Record: blob(6),
		Policy: 7, Created: day(9)}
	e.put(func(r One) error { return r.PutTenant(want) })
	e.read(func(r One) error { found(t, "replaced", want)(r.Tenant(e.tenants[0])); return nil })
	err := e.s.Update(context.Background(), uuid.Nil, EachOne(func(r One) error {
		return r.PutTenant(store.TenantRow{ID: uuid.New(), NameHash: []byte("n"), Profile: blob(1),
			Lookup: blob(1), Record: blob(1)})
	}))
	if err == nil {
		t.Error("two tenants may have one name")
	}
}

func testOwners(t *testing.T, e *storeEnv) {
	p := store.OwnerRow{Owner: owner(schemas.OwnerPerson), State: store.OwnerLive, Slot: 7,
		Created: day(1), Identified: true}
	d := store.OwnerRow{Owner: schemas.Owner{Kind: schemas.OwnerDevice, ID: p.Owner.ID}, State: store.OwnerErasing,
		Ownership: "company", User: uuid.New(), Generation: 3}
	e.put(func(r One) error { return errors.Join(r.PutOwner(p), r.PutOwner(d)) })
	e.read(func(r One) error {
		found(t, "person", p)(r.Owner(p.Owner))
		found(t, "device of the same uuid", d)(r.Owner(d.Owner))
		absent[store.OwnerRow](t, "nobody")(r.Owner(owner(schemas.OwnerPerson)))
		return nil
	})
	d.State, d.User, d.Ownership = store.OwnerErased, uuid.Nil, ""
	e.put(func(r One) error { return r.PutOwner(d) })
	e.read(func(r One) error { found(t, "replaced", d)(r.Owner(d.Owner)); return nil })
}

func testIdentities(t *testing.T, e *storeEnv) {
	a, b := owner(schemas.OwnerPerson), owner(schemas.OwnerPerson)
	row := func(o schemas.Owner, kind string, hash byte, first, last int) store.IdentityRow {
		return store.IdentityRow{ID: uuid.New(), Owner: o, Kind: kind, Hash: []byte{hash, 0}, Value: blob(hash),
			First: day(first), Last: day(last)}
	}
	rows := []store.IdentityRow{row(a, "upn", 1, 5, 6), row(b, "upn", 1, 1, 2), row(a, "email", 1, 1, 1),
		row(a, "upn", 2, 3, 3)}
	e.put(func(r One) error {
		errs := []error{r.PutOwner(store.OwnerRow{Owner: a, State: store.OwnerLive}),
			r.PutOwner(store.OwnerRow{Owner: b, State: store.OwnerLive})}
		for _, row := range rows {
			errs = append(errs, r.PutIdentity(row))
		}
		return errors.Join(errs...)
	})
	e.read(func(r One) error {
		listed(t, "by hash, first seen first", rows[1], rows[0])(r.Identities("upn", []byte{1, 0}))
		listed(t, "of another kind", rows[2])(r.Identities("email", []byte{1, 0}))
		listed[store.IdentityRow](t, "by another hash")(r.Identities("email", []byte{9}))
		listed(t, "by owner", rows[2], rows[3], rows[0])(r.IdentitiesOf(a))
		return nil
	})
	rows[0].First, rows[0].Last = day(4), day(8)
	e.put(func(r One) error { return errors.Join(r.PutIdentity(rows[0]), r.DeleteIdentities(b)) })
	e.read(func(r One) error {
		listed(t, "seen longer, and the other's gone", rows[0])(r.Identities("upn", []byte{1, 0}))
		listed[store.IdentityRow](t, "by owner")(r.IdentitiesOf(b))
		return nil
	})
}

func testHoldings(t *testing.T, e *storeEnv) {
	d1, d2, p := uuid.UUID{1}, uuid.UUID{2}, uuid.New()
	rows := []store.HoldingRow{
		{Device: d1, Generation: 1, Ownership: "company", Person: p, From: day(1), To: day(2)},
		{Device: d1, Generation: 2, Person: uuid.New(), From: day(2), To: day(3)},
		{Device: d1, Generation: 10, Ownership: "personal", Person: p, From: day(3)},
		{Device: d2, Generation: 1, Person: p, From: day(1)},
	}
	e.put(func(r One) error {
		return errors.Join(r.PutHolding(rows[3]), r.PutHolding(rows[2]), r.PutHolding(rows[0]), r.PutHolding(rows[1]))
	})
	e.read(func(r One) error {
		listed(t, "of a person", rows[0], rows[2], rows[3])(r.Holdings(p))
		listed(t, "of a device", rows[0], rows[1], rows[2])(r.Holders(d1))
		return nil
	})
	rows[3].Person, rows[3].To = uuid.Nil, day(7)
	e.put(func(r One) error { return errors.Join(r.PutHolding(rows[3]), r.DeleteHolders(d1)) })
	e.read(func(r One) error {
		listed[store.HoldingRow](t, "of a person")(r.Holdings(p))
		listed[store.HoldingRow](t, "of a device forgotten")(r.Holders(d1))
		listed(t, "of a device held by nobody", rows[3])(r.Holders(d2))
		return nil
	})
}

func testSubjectKeys(t *testing.T, e *storeEnv) {
	p, d := owner(schemas.OwnerPerson), owner(schemas.OwnerDevice)
	key := func(o schemas.Owner, generation int, class string) store.SubjectKeyRow {
		return store.SubjectKeyRow{ID: uuid.New(), Owner: o, Generation: generation, Class: class,
			Key: blob(byte(generation + 1)), State: store.KeyLive}
	}
	rows := []store.SubjectKeyRow{key(d, 0, "a"), key(d, 0, "b"), key(d, 2, "a"), key(p, 0, "a")}
	e.put(func(r One) error {
		return errors.Join(r.PutSubjectKey(rows[2]), r.PutSubjectKey(rows[1]), r.PutSubjectKey(rows[0]),
			r.PutSubjectKey(rows[3]))
	})
	e.read(func(r One) error {
		found(t, "by owner", rows[2])(r.SubjectKey(d, 2, "a"))
		absent[store.SubjectKeyRow](t, "of another generation")(r.SubjectKey(d, 1, "a"))
		found(t, "by id", rows[3])(r.SubjectKeyByID(rows[3].ID))
		listed(t, "of an owner", rows[0], rows[1], rows[2])(r.SubjectKeys(d))
		return nil
	})
	if err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
		return r.PutSubjectKey(key(d, 0, "a"))
	})); err == nil {
		t.Error("an owner may have two keys of one generation and class")
	}
	rows[0].State = store.KeyErasing
	unknown := uuid.New()
	e.put(func(r One) error {
		return errors.Join(r.PutSubjectKey(rows[0]), r.DestroySubjectKey(rows[1].ID), r.DestroySubjectKey(unknown),
			r.DestroySubjectKey(unknown))
	})
	e.read(func(r One) error {
		listed(t, "of an owner, without destroyed ones", rows[0], rows[2])(r.SubjectKeys(d))
		absent[store.SubjectKeyRow](t, "a destroyed one by owner")(r.SubjectKey(d, 0, "b"))
		for _, id := range []uuid.UUID{rows[1].ID, unknown} {
			k, ok, err := r.SubjectKeyByID(id)
			if err != nil || !ok || k.State != store.KeyDestroyed || k.Owner != (schemas.Owner{}) ||
				len(k.Key.Bytes) != 0 || k.Class != "" || k.Generation != 0 {
				t.Errorf("a destroyed key says more than that it is: %+v, %v, %v", k, ok, err)
			}
		}
		return nil
	})
}

func testPeriodKeys(t *testing.T, e *storeEnv) {
	k := store.PeriodKeyRow{ID: uuid.New(), Class: "inventory", Month: "202611", Slot: 3, Key: blob(9)}
	e.put(func(r One) error { return r.PutPeriodKey(k) })
	e.read(func(r One) error {
		found(t, "period key", k)(r.PeriodKey("inventory", "202611"))
		absent[store.PeriodKeyRow](t, "another month")(r.PeriodKey("inventory", "202612"))
		return nil
	})
	k.Destroyed, k.Key = true, store.Wrapped{Bytes: []byte{}}
	e.put(func(r One) error { return r.PutPeriodKey(k) })
	e.read(func(r One) error {
		got, ok, err := r.PeriodKey("inventory", "202611")
		if err != nil || !ok || !got.Destroyed || len(got.Key.Bytes) != 0 {
			t.Errorf("destroyed: %+v, %v, %v", got, ok, err)
		}
		return nil
	})
}

func testAliases(t *testing.T, e *storeEnv) {
	k1, k2 := uuid.New(), uuid.New()
	alias := func(key uuid.UUID, class, month string) store.AliasRow {
		return store.AliasRow{ID: uuid.New(), SubjectKey: key, Class: class, Month: month, State: store.AliasLive}
	}
	rows := []store.AliasRow{alias(k1, "a", "202610"), alias(k1, "a", "202611"), alias(k1, "b", "202601"),
		alias(k2, "a", "202610")}
	e.put(func(r One) error {
		return errors.Join(r.AddAlias(rows[2]), r.AddAlias(rows[1]), r.AddAlias(rows[0]), r.AddAlias(rows[3]))
	})
	e.read(func(r One) error {
		found(t, "alias", rows[3])(r.Alias(rows[3].ID))
		absent[store.AliasRow](t, "another")(r.Alias(uuid.New()))
		listed(t, "of a key", rows[0], rows[1], rows[2])(r.Aliases(k1))
		return nil
	})
	bury := func(r store.AliasRow, s store.AliasState) store.AliasRow {
		r.SubjectKey, r.State = uuid.Nil, s
		return r
	}
	e.put(func(r One) error {
		return errors.Join(r.BuryAliasesOfPeriod("a", "202610"), r.BuryAliases(k1),
			r.BuryAliasesOfPeriod("a", "202611"))
	})
	e.read(func(r One) error {
		found(t, "expired", bury(rows[0], store.AliasExpired))(r.Alias(rows[0].ID))
		found(t, "erased, and then no more expired", bury(rows[1], store.AliasErased))(r.Alias(rows[1].ID))
		found(t, "erased", bury(rows[2], store.AliasErased))(r.Alias(rows[2].ID))
		found(t, "the other key's expired", bury(rows[3], store.AliasExpired))(r.Alias(rows[3].ID))
		listed[store.AliasRow](t, "of a key")(r.Aliases(k1))
		return nil
	})
}

func streamKey(stream uuid.UUID, b byte) store.StreamKeyRow {
	return store.StreamKeyRow{Stream: stream, Slot: store.Slot(b), Key: blob(b)}
}

func testStreams(t *testing.T, e *storeEnv) {
	concerned := uuid.New()
	rows := []store.MappingRow{{Hash: []byte{1}, Stream: schemas.NewStream("refusal", uuid.New()),
		Concerned: concerned},
		{Hash: []byte{2}, Stream: schemas.NewStream("refusal", uuid.New()), Concerned: concerned},
		{Hash: []byte{3}, Stream: schemas.NewStream("alert", uuid.New())}}
	e.put(func(r One) error {
		return errors.Join(r.PutMapping(rows[0]), r.PutMapping(rows[1]), r.PutMapping(rows[2]),
			r.PutStreamKey(streamKey(concerned, 1)), r.PutStreamKey(streamKey(rows[0].Stream.UUID(), 2)))
	})
	e.read(func(r One) error {
		found(t, "mapping", rows[2])(r.Mapping([]byte{3}))
		listed(t, "of what they concern", rows[0], rows[1])(r.MappingsOf(concerned))
		found(t, "stream key", streamKey(concerned, 1))(r.StreamKey(concerned))
		absent[store.StreamKeyRow](t, "another stream's")(r.StreamKey(uuid.New()))
		return nil
	})
	e.put(func(r One) error {
		return errors.Join(r.DeleteMappings([][]byte{{1}, {2}, {9}}), r.DeleteStreamKey(concerned),
			r.PutStreamKey(streamKey(rows[0].Stream.UUID(), 3)))
	})
	e.read(func(r One) error {
		absent[store.MappingRow](t, "deleted")(r.Mapping([]byte{1}))
		found(t, "concerns nothing", rows[2])(r.Mapping([]byte{3}))
		absent[store.StreamKeyRow](t, "deleted key")(r.StreamKey(concerned))
		found(t, "replaced key", streamKey(rows[0].Stream.UUID(), 3))(r.StreamKey(rows[0].Stream.UUID()))
		return nil
	})
}

// What is remembered of a stream goes with its key, and nothing is remembered of one without.
func testMemories(t *testing.T, e *storeEnv) {
	var rows []store.MemoryRow
	var streams []uuid.UUID
	e.put(func(r One) error {
		for n := range 70 {
			m := store.MemoryRow{Stream: uuid.New(), Sealed: bytes.Repeat([]byte{byte(n)}, 1+n*997)}
			rows, streams = append(rows, m), append(streams, m.Stream)
			if err := r.PutStreamKey(streamKey(m.Stream, 1)); err != nil {
				return err
			}
		}
		return r.PutMemories(append(rows, store.MemoryRow{Stream: uuid.New(), Sealed: []byte{1}}))
	})
	is := func(what string, want ...store.MemoryRow) {
		t.Helper()
		e.read(func(r One) error {
			got, err := r.Memories(append(streams, uuid.New(), streams[0]))
			slices.SortFunc(got, func(a, b store.MemoryRow) int { return len(a.Sealed) - len(b.Sealed) })
			got = slices.CompactFunc(got, func(a, b store.MemoryRow) bool { return a.Stream == b.Stream })
			listed(t, what, want...)(got, err)
			sizes, err := r.MemorySizes(append(streams, uuid.New(), streams[0]))
			if err != nil || len(sizes) != len(want) {
				t.Errorf("%s: %d sizes, %v", what, len(sizes), err)
			}
			for _, m := range want {
				if sizes[m.Stream] != len(m.Sealed) {
					t.Errorf("%s: %d bytes are said to take %d", what, len(m.Sealed), sizes[m.Stream])
				}
			}
			return nil
		})
	}
	is("those of streams with a key", rows...)
	other := rows[0]
	rows[69].Sealed = append(rows[69].Sealed, 1)
	e.put(func(r One) error { return r.PutMemories(rows[69:]) })
	is("replaced", rows...)
	e.put(func(r One) error {
		return errors.Join(r.DeleteStreamKey(streams[0]), r.DeleteMemories(streams[1:34]), r.DeleteMemories(nil),
			r.PutMemories([]store.MemoryRow{other}))
	})
	is("without those that went", rows[34:]...)
	e.update(e.tenants[1], func(r One) error {
		return errors.Join(r.DeleteAllMemories(), r.DeleteMemories(streams))
	})
	is("whatever another tenant forgets", rows[34:]...)
	e.put(func(r One) error { return r.DeleteAllMemories() })
	is("nothing")
}

func testSuppressions(t *testing.T, e *storeEnv) {
	e.put(func(r One) error {
		return errors.Join(r.PutSuppression([]byte{1}, day(3)), r.PutSuppression([]byte{1}, day(2)),
			r.PutSuppression([]byte{2}, day(1)), r.PutSuppression([]byte{2}, day(4)))
	})
	e.read(func(r One) error {
		found(t, "the later date stays", day(3))(r.Suppression([]byte{1}))
		found(t, "the later date wins", day(4))(r.Suppression([]byte{2}))
		absent[time.Time](t, "another")(r.Suppression([]byte{3}))
		return nil
	})
}

func testErasures(t *testing.T, e *storeEnv) {
	rows := []store.ErasureRow{
		{Completion: uuid.New(), Tenant: e.tenants[0], Person: uuid.New(), State: store.ErasureBegun, Begun: day(2),
			Claimed: day(3), Keys: []uuid.UUID{uuid.New(), uuid.New()}},
		{Completion: uuid.New(), Tenant: e.tenants[1], State: store.ErasureDestroyed, Begun: day(1)},
		{Completion: uuid.New(), Tenant: e.tenants[0], State: store.ErasureCompleted, Begun: day(1)},
	}
	e.put(func(r One) error {
		return errors.Join(r.PutErasure(rows[0]), r.PutErasure(rows[1]), r.PutErasure(rows[2]))
	})
	e.read(func(r One) error {
		listed(t, "incomplete ones of all tenants, oldest first", rows[1], rows[0])(r.Erasures())
		found(t, "erasure", rows[2])(r.Erasure(rows[2].Completion))
		absent[store.ErasureRow](t, "another")(r.Erasure(uuid.New()))
		return nil
	})
	rows[0].State, rows[0].Person, rows[0].Keys = store.ErasureCompleted, uuid.Nil, nil
	e.put(func(r One) error { return r.PutErasure(rows[0]) })
	e.read(func(r One) error { listed(t, "incomplete ones", rows[1])(r.Erasures()); return nil })
}

func testHolds(t *testing.T, e *storeEnv) {
	o, hold := owner(schemas.OwnerPerson), uuid.New()
	e.put(func(r One) error {
		return errors.Join(r.PutHold(hold, o, day(1)), r.PutHold(uuid.New(), o, day(2)))
	})
	e.read(func(r One) error { listed(t, "an owner once", o)(r.Holds()); return nil })
	e.put(func(r One) error { return r.DeleteHold(hold) })
	e.read(func(r One) error { listed(t, "one hold lifted of two", o)(r.Holds()); return nil })
}

// testIsolation: rows of one tenant are not there for another, under any getter.
func testIsolation(t *testing.T, e *storeEnv) {
	o, u := owner(schemas.OwnerPerson), uuid.New()
	e.put(func(r One) error {
		return errors.Join(r.PutOwner(store.OwnerRow{Owner: o, State: store.OwnerLive}),
			r.PutIdentity(store.IdentityRow{ID: u, Owner: o, Kind: "upn", Hash: []byte{1}, Value: blob(1)}),
			r.PutHolding(store.HoldingRow{Device: u, Generation: 1, Person: o.ID}),
			r.PutSubjectKey(store.SubjectKeyRow{ID: u, Owner: o, Class: "a", Key: blob(1), State: store.KeyLive}),
			r.PutPeriodKey(store.PeriodKeyRow{ID: u, Class: "a", Month: "202611", Key: blob(1)}),
			r.AddAlias(store.AliasRow{ID: u, SubjectKey: u, Class: "a", Month: "202611", State: store.AliasLive}),
			r.PutMapping(store.MappingRow{Hash: []byte{1}, Stream: schemas.NewStream("alert", u), Concerned: u}),
			r.PutStreamKey(streamKey(u, 1)), r.PutSuppression([]byte{1}, day(1)), r.PutHold(u, o, day(1)))
	})
	e.update(e.tenants[1], func(r One) error {
		absent[store.OwnerRow](t, "owner")(r.Owner(o))
		listed[store.IdentityRow](t, "identities")(r.Identities("upn", []byte{1}))
		listed[store.IdentityRow](t, "identities of an owner")(r.IdentitiesOf(o))
		listed[store.HoldingRow](t, "holdings")(r.Holdings(o.ID))
		listed[store.HoldingRow](t, "holders")(r.Holders(u))
		absent[store.SubjectKeyRow](t, "subject key")(r.SubjectKey(o, 0, "a"))
		absent[store.SubjectKeyRow](t, "subject key by id")(r.SubjectKeyByID(u))
		listed[store.SubjectKeyRow](t, "subject keys")(r.SubjectKeys(o))
		absent[store.PeriodKeyRow](t, "period key")(r.PeriodKey("a", "202611"))
		absent[store.AliasRow](t, "alias")(r.Alias(u))
		listed[store.AliasRow](t, "aliases")(r.Aliases(u))
		absent[store.MappingRow](t, "mapping")(r.Mapping([]byte{1}))
		listed[store.MappingRow](t, "mappings")(r.MappingsOf(u))
		absent[store.StreamKeyRow](t, "stream key")(r.StreamKey(u))
		absent[time.Time](t, "suppression")(r.Suppression([]byte{1}))
		listed[schemas.Owner](t, "holds")(r.Holds())
		// Nor can it destroy them.
		return errors.Join(r.DeleteIdentities(o), r.DeleteHolders(u), r.DestroySubjectKey(u), r.BuryAliases(u),
			r.BuryAliasesOfPeriod("a", "202611"), r.DeleteMappings([][]byte{{1}}), r.DeleteStreamKey(u),
			r.DeleteHold(u))
	})
	e.read(func(r One) error {
		if ids, err := r.IdentitiesOf(o); err != nil || len(ids) != 1 {
			t.Errorf("identities after the other tenant's deletes: %v, %v", ids, err)
		}
		if k, ok, err := r.SubjectKeyByID(u); err != nil || !ok || k.State != store.KeyLive {
			t.Errorf("key after the other tenant's destruction: %+v, %v, %v", k, ok, err)
		}
		if a, ok, err := r.Alias(u); err != nil || !ok || a.State != store.AliasLive {
			t.Errorf("alias after the other tenant's burial: %+v, %v, %v", a, ok, err)
		}
		if h, err := r.Holds(); err != nil || len(h) != 1 {
			t.Errorf("holds: %v, %v", h, err)
		}
		return nil
	})
}

var errTest = errors.New("the function's own error")

func testRollback(t *testing.T, e *storeEnv) {
	err := e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
		if err := r.PutSetting("x", []byte{1}); err != nil {
			return err
		}
		found(t, "a transaction sees its own writes", []byte{1})(r.Setting("x"))
		return errTest
	}))
	if !errors.Is(err, errTest) {
		t.Errorf("Update returns %v", err)
	}
	e.read(func(r One) error { absent[[]byte](t, "rolled back")(r.Setting("x")); return nil })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic was swallowed")
			}
		}()
		_ = e.s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
			if err := r.PutSetting("x", []byte{1}); err != nil {
				return err
			}
			panic("in a transaction")
		}))
	}()
	e.put(func(r One) error { absent[[]byte](t, "rolled back by a panic")(r.Setting("x")); return nil })
}

func testReadOnly(t *testing.T, e *storeEnv) {
	err := e.s.View(context.Background(), e.tenants[0], EachOne(func(r One) error {
		return r.PutSetting("x", []byte{1})
	}))
	if !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a write in a view: %v", err)
	}
}

func testSnapshot(t *testing.T, e *storeEnv) {
	e.put(func(r One) error { return r.PutSetting("x", []byte{1}) })
	e.read(func(r One) error {
		found(t, "before", []byte{1})(r.Setting("x"))
		e.put(func(w One) error { return w.PutSetting("x", []byte{2}) }) // a writer does not wait for views
		found(t, "a view is one snapshot", []byte{1})(r.Setting("x"))
		return nil
	})
	e.read(func(r One) error { found(t, "a later view", []byte{2})(r.Setting("x")); return nil })
}

// testSerialised: read-modify-write transactions through two handles lose nothing.
func testSerialised(t *testing.T, e *storeEnv) {
	second := e.again(t)
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	const workers, each = 4, 10
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		s := []store.Store{e.s, second}[w%2]
		wg.Go(func() {
			for range each {
				err := s.Update(context.Background(), e.tenants[0], EachOne(func(r One) error {
					b, ok, err := r.Setting("n")
					if err != nil {
						return err
					}
					var n uint64
					if ok {
						n = binary.BigEndian.Uint64(b)
					}
					return r.PutSetting("n", binary.BigEndian.AppendUint64(nil, n+1))
				}))
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	e.read(func(r One) error {
		found(t, "count", binary.BigEndian.AppendUint64(nil, workers*each))(r.Setting("n"))
		return nil
	})
}

func testCancelled(t *testing.T, e *storeEnv) {
	ctx, cancel := context.WithCancel(context.Background())
	err := e.s.Update(ctx, e.tenants[0], EachOne(func(r One) error {
		err := r.PutSetting("x", []byte{1})
		cancel()
		return err
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an update whose context ended: %v", err)
	}
	if err := e.s.Update(ctx, e.tenants[0], func(store.Rows) error {
		t.Error("ran")
		return nil
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("an update with an ended context: %v", err)
	}
	e.put(func(r One) error { absent[[]byte](t, "not committed")(r.Setting("x")); return nil })
}

func testOutlived(t *testing.T, e *storeEnv) {
	var kept One
	e.put(func(r One) error { kept = r; return nil })
	if err := kept.PutSetting("x", nil); err == nil {
		t.Error("rows write after their transaction")
	}
	if _, _, err := kept.Setting("x"); err == nil {
		t.Error("rows read after their transaction")
	}
}

func testReopened(t *testing.T, e *storeEnv) {
	e.put(func(r One) error { return r.PutSetting("x", []byte{7}) })
	if err := e.s.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	second := e.again(t)
	err := second.View(context.Background(), uuid.Nil, EachOne(func(r One) error {
		found(t, "through another handle", []byte{7})(r.Setting("x"))
		return nil
	}))
	if err := errors.Join(err, second.Close()); err != nil {
		t.Fatal(err)
	}
}
