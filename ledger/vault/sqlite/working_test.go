package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/working"
	"github.com/ledgerline/ledgerline/schemas"
)

// sets are two working sets that are told and asked the same, each of a tenant: one stores each
// row as it is put, the other, of an optimistic transaction, all of them at its end.
type sets struct {
	eager, optimistic *working.Set
}

// TestWhatIsPutIsAnsweredBeforeItIsStored compares what the two answer after each step, within
// transactions and over several.
func TestWhatIsPutIsAnsweredBeforeItIsStored(t *testing.T) {
	ctx := context.Background()
	db, _ := factory(t)
	defer db.Close()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenants := [2]uuid.UUID{uuid.New(), uuid.New()}
		people := make([]schemas.Owner, 4)
		err := db.Update(ctx, uuid.Nil, func(r store.Rows) error {
			for i, tenant := range tenants {
				row := store.TenantRow{ID: tenant, NameHash: fmt.Appendf(nil, "%d %d", run, i)}
				if err := r.PutTenant(row); err != nil {
					return err
				}
			}
			return nil
		})
		for i := range people {
			people[i] = schemas.Owner{Kind: []schemas.KeyKind{schemas.OwnerPerson, schemas.OwnerDevice}[i%2],
				ID: uuid.UUID{1, byte(i)}}
		}
		for _, tenant := range tenants {
			err = errors.Join(err, db.Update(ctx, tenant, func(r store.Rows) error {
				var b store.Batch
				for _, o := range people {
					b.Owners = append(b.Owners, store.OwnerRow{Owner: o, State: store.OwnerLive})
				}
				return r.Put(b)
			}))
		}
		if err != nil {
			rt.Fatal(err)
		}
		shared := [2]*working.Shared{working.NewShared(time.Now), working.NewShared(time.Now)}
		changes := func(r store.Rows, tenant uuid.UUID) []byte {
			all, err := r.Settings(store.Changes(tenant))
			if err != nil {
				rt.Fatal(err)
			}
			return all[store.Changes(tenant)]
		}
		for range rapid.IntRange(1, 4).Draw(rt, "transactions") {
			var s sets
			if rapid.Bool().Draw(rt, "cold") {
				shared[0].Drop()
				shared[1].Drop()
			}
			view := func(do func(store.Rows) error) error { return db.View(ctx, tenants[1], do) }
			err := db.Update(ctx, tenants[0], func(r store.Rows) error {
				s.eager = working.Begin(r, true, tenants[0], changes(r, tenants[0]), shared[0])
				err := view(func(r store.Rows) error {
					s.optimistic = working.BeginOptimistic(view, tenants[1], changes(r, tenants[1]), shared[1])
					return nil
				})
				if err != nil {
					return err
				}
				if rapid.Bool().Draw(rt, "ahead") {
					for _, o := range people {
						s.eager.Ahead(o)
						s.optimistic.Ahead(o)
					}
				}
				for range rapid.IntRange(5, 60).Draw(rt, "steps") {
					s.step(rt, people)
				}
				return s.eager.Flush()
			})
			if err == nil {
				err = db.Update(ctx, tenants[1], s.optimistic.Store)
			}
			if err != nil {
				rt.Fatal(err)
			}
			s.eager.Share()
			s.optimistic.Share()
		}
		slots := map[store.Slot]bool{}
		err = db.View(ctx, tenants[1], func(r store.Rows) error {
			b, err := r.Fetch(store.Keys{Owners: people})
			for _, o := range b.Owners {
				if o.Slot == 0 {
					continue
				}
				w, err := r.Slot(o.Slot)
				if err != nil || !bytes.Equal(w.Bytes, fmt.Append(nil, o.Slot)) || slots[o.Slot] {
					rt.Errorf("slot %d holds %q, %v", o.Slot, w.Bytes, err)
				}
				slots[o.Slot] = true
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// step puts something or asks for something.
func (s sets) step(rt *rapid.T, people []schemas.Owner) {
	n := func(name string, below int) int { return rapid.IntRange(0, below-1).Draw(rt, name) }
	hash := func(i int) []byte { return []byte{7, byte(i)} }
	id := func(i int) uuid.UUID { return uuid.UUID{2, byte(i)} }
	day := func(i int) time.Time { return time.UnixMilli(int64(i) * 86_400_000).UTC() }
	owner := people[n("owner", len(people))]
	i, k := n("row", 6), n("value", 3)
	name := store.Name{Kind: []string{"upn", "email"}[i%2], Hash: string(hash(i / 2))}
	put := func(do func(*working.Set) error) {
		if err := errors.Join(do(s.eager), s.eager.Flush(), do(s.optimistic)); err != nil {
			rt.Fatal(err)
		}
	}
	ask := func(what string, of func(*working.Set) (any, error)) {
		want, err1 := of(s.eager)
		got, err2 := of(s.optimistic)
		if err := errors.Join(err1, err2); err != nil {
			rt.Fatal(err)
		}
		if !sameAnswer(got, want) {
			rt.Fatalf("%s: %+v, want %+v", what, got, want)
		}
	}
	switch act := rapid.SampledFrom([]string{"owner", "slot", "identity", "holding", "key", "period", "alias",
		"mapping", "mapping", "unmapping", "stream key", "suppression", "ask", "ask", "ask", "ask", "ask",
		"ask"}).Draw(rt, "act"); act {
	case "owner":
		put(func(s *working.Set) error {
			had, err := s.Owner(owner)
			if err != nil {
				return err
			}
			row := *had
			row.Generation = k
			return s.PutOwner(row)
		})
	case "slot":
		put(func(s *working.Set) error {
			had, err := s.Owner(owner)
			if err != nil {
				return err
			}
			row := *had
			row.Slot, err = s.NewSlot(func(n store.Slot) (store.Wrapped, error) {
				return store.Wrapped{Epoch: 1, Bytes: fmt.Append(nil, n)}, nil
			})
			return errors.Join(err, s.PutOwner(row))
		})
	case "identity":
		put(func(s *working.Set) error {
			return s.PutIdentity(store.IdentityRow{ID: id(i), Owner: people[i%len(people)], Kind: name.Kind,
				Hash: []byte(name.Hash), First: day(k), Last: day(9)})
		})
	case "holding":
		put(func(s *working.Set) error {
			return s.PutHolding(store.HoldingRow{Device: id(i / 2), Generation: i % 2, Person: id(k), From: day(k)})
		})
	case "key":
		put(func(s *working.Set) error {
			return s.PutSubjectKey(store.SubjectKeyRow{ID: id(i), Owner: people[i%len(people)], Generation: i / 4,
				Class: "a", Key: store.Wrapped{Bytes: hash(k)}, State: store.KeyLive})
		})
	case "period":
		put(func(s *working.Set) error {
			return s.PutPeriodKey(store.PeriodKeyRow{ID: id(k), Class: "a", Month: fmt.Sprint(i % 3)})
		})
	case "alias":
		put(func(s *working.Set) error {
			return s.AddAlias(store.AliasRow{ID: id(i), SubjectKey: id(i / 3), Class: "a", Month: fmt.Sprint(i % 3),
				State: store.AliasLive})
		})
	case "mapping":
		put(func(s *working.Set) error {
			return s.PutMapping(store.MappingRow{Hash: hash(i), Stream: schemas.NewStream("alert", id(i)),
				Concerned: id(k)})
		})
	case "unmapping":
		put(func(s *working.Set) error { return s.DeleteMapping(hash(i)) })
	case "stream key":
		put(func(s *working.Set) error {
			return s.PutStreamKey(store.StreamKeyRow{Stream: id(i), Key: store.Wrapped{Bytes: hash(k)}})
		})
	case "suppression":
		put(func(s *working.Set) error { return s.PutSuppression(hash(i), day(1+k)) })
	default:
		switch n("question", 14) {
		case 0:
			ask("owner", func(s *working.Set) (any, error) {
				had, err := s.Owner(owner)
				row := *had
				row.Slot = 0 // each store's own
				return row, err
			})
		case 1:
			ask("identities", func(s *working.Set) (any, error) { return s.Identities(name) })
		case 2:
			ask("identities of", func(s *working.Set) (any, error) { return s.IdentitiesOf(owner) })
		case 3:
			ask("holders", func(s *working.Set) (any, error) { return s.Holders(id(i / 2)) })
		case 4:
			ask("holdings", func(s *working.Set) (any, error) { return s.Holdings(id(k)) })
		case 5:
			ask("keys", func(s *working.Set) (any, error) { return s.SubjectKeys(owner) })
		case 6:
			ask("key", func(s *working.Set) (any, error) { return s.SubjectKeyByID(id(i)) })
		case 7:
			ask("period", func(s *working.Set) (any, error) { return s.PeriodKey("a", fmt.Sprint(i%3)) })
		case 8:
			ask("alias", func(s *working.Set) (any, error) { return s.Alias(id(i)) })
		case 9:
			ask("aliases of", func(s *working.Set) (any, error) { return s.AliasesOf(id(i / 3)) })
		case 10:
			ask("mapping", func(s *working.Set) (any, error) { return s.Mapping(hash(i)) })
		case 11:
			ask("mappings of", func(s *working.Set) (any, error) { return s.MappingsOf(id(k)) })
		case 12:
			ask("stream key", func(s *working.Set) (any, error) { return s.StreamKey(id(i)) })
		default:
			ask("suppression", func(s *working.Set) (any, error) {
				return s.Suppression(store.Name{Kind: "upn", Hash: string(hash(i))})
			})
		}
	}
}

// sameAnswer compares answers; none is an empty list.
func sameAnswer(a, b any) bool {
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	if v.Kind() == reflect.Slice && v.Len()+w.Len() == 0 {
		return true
	}
	text := func(v reflect.Value) string {
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		return fmt.Sprintf("%+v", v)
	}
	return text(v) == text(w)
}
