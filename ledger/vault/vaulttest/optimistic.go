package vaulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// hint names the n-th of invented persons.
func (e *Env) hint(n int) vault.PersonHint {
	return vault.PersonHint{ObjectID: fmt.Sprintf("11111111-2222-4333-8444-%012d", n+1), At: e.Clock.Now()}
}

// known reports whether the vault knows the n-th of them.
func (e *Env) known(n int) (known bool) {
	e.T.Helper()
	e.View(func(tx *vault.Tx) {
		var err error
		if _, known, err = tx.FindPerson(e.hint(n)); err != nil {
			e.T.Fatal(err)
		}
	})
	return known
}

// testOptimisticConflict: what others change of the tenant, and what anybody forgets, undoes an
// optimistic transaction that began before; what they change of other tenants does not.
func testOptimisticConflict(t *testing.T, f Factory) {
	ctx := context.Background()
	e := NewEnv(t, f)
	other, process := e.AddTenant("Waterschap"), e.Again()
	mint := func(v *vault.Vault, tenant uuid.UUID, n int) error {
		return v.Update(ctx, tenant, func(tx *vault.Tx) error {
			_, _, err := tx.Person(e.hint(n))
			return err
		})
	}
	for i, tc := range []struct {
		name     string
		do       func(n int) error
		conflict bool
	}{
		{"nothing", func(int) error { return nil }, false},
		{"rows of another tenant", func(n int) error { return mint(process, other.ID, n) }, false},
		{"a setting", func(int) error {
			return process.UpdateAccounts(ctx, func([]byte) ([]byte, error) { return []byte("x"), nil })
		}, false},
		{"a transaction that changes nothing", func(int) error { return mint(process, e.Tenant.ID, 0) }, false},
		{"rows of the tenant in another process", func(n int) error { return mint(process, e.Tenant.ID, n) }, true},
		{"and in this one", func(n int) error { return mint(e.V, e.Tenant.ID, n) }, true},
		{"a period of another tenant", func(n int) error {
			return process.Update(ctx, other.ID, func(tx *vault.Tx) error {
				return tx.ExpirePeriod("inventory", fmt.Sprintf("2020%02d", n%12+1))
			})
		}, true},
	} {
		if err := mint(e.V, e.Tenant.ID, 0); err != nil {
			t.Fatal(err)
		}
		mine, others := 100+2*i, 101+2*i
		for _, early := range []bool{false, true} { // seen when it is stored, and by what is read after it
			err := e.V.UpdateOptimistic(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
				if _, _, err := tx.Person(e.hint(mine)); err != nil {
					t.Fatal(err)
				}
				if err := tc.do(others + 1000*boolInt(early)); err != nil {
					t.Fatal(err)
				}
				if !early {
					return nil
				}
				_, _, err := tx.FindPerson(e.hint(5000 + others))
				if errors.Is(err, vault.ErrConflict) != tc.conflict {
					t.Errorf("%s: read after it: %v", tc.name, err)
				}
				return nil // what was read in vain counts when it is stored, too
			})
			if errors.Is(err, vault.ErrConflict) != tc.conflict || !tc.conflict && err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			if tc.conflict && e.known(mine) {
				t.Errorf("%s: something of the transaction was stored", tc.name)
			}
		}
		if !tc.conflict && !e.known(mine) {
			t.Errorf("%s: nothing was stored", tc.name)
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// testOptimisticRefuses: what would destroy, delete or settle an erasure needs the write lock;
// every method has been judged.
func testOptimisticRefuses(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	id := uuid.New()
	refused := map[string]func(*vault.Tx) error{
		"BeginErasure":    func(tx *vault.Tx) error { _, err := tx.BeginErasure(h.anna, id); return err },
		"CancelErasure":   func(tx *vault.Tx) error { return tx.CancelErasure(id) },
		"ClaimErasure":    func(tx *vault.Tx) error { return tx.ClaimErasure(id, e.Clock.Now()) },
		"CompleteErasure": func(tx *vault.Tx) error { return tx.CompleteErasure(id) },
		"Destroy":         func(tx *vault.Tx) error { return tx.Destroy(id, nil) },
		"ReplayErasure":   func(tx *vault.Tx) error { return tx.ReplayErasure(id, nil, e.Clock.Now()) },
		"ExpirePeriod":    func(tx *vault.Tx) error { return tx.ExpirePeriod("inventory", "202611") },
		"BeginMerge":      func(tx *vault.Tx) error { return tx.BeginMerge(id, h.anna, h.bob) },
		"BeginUnmerge":    func(tx *vault.Tx) error { _, err := tx.BeginUnmerge(id); return err },
		"SettleMerge":     func(tx *vault.Tx) error { return tx.SettleMerge(id, vault.MergeHolds) },
		"RestoreMerge":    func(tx *vault.Tx) error { return tx.RestoreMerge(id, nil, vault.MergeHolds) },
	}
	allowed := []string{"AliasOwner", "Aliases", "Await", "Awaiting", "Correlation", "Destroyed", "Device",
		"DevicesOf", "Element", "Erasure", "ErasureOf", "Expired", "FactStream", "FindDevice", "FindPerson",
		"FindNamed", "FindPersons", "Forget", "Identity", "Known", "Living", "Look", "LookAgain", "LookAhead",
		"MappedStream", "NameStream", "Memorise", "Open", "Person", "PersonStream", "Prepare", "Recall",
		"RefusalStream", "RefusalsOf", "Remember",
		"Remembered", "Seal", "SetHolder", "SubjectKeys", "Candidates", "Likeness", "MergeOf", "MergesOf", "One",
		"PendingMerges", "Subject",
		"Tenant", "Unlock", "WaitingFor"}
	all := reflect.TypeFor[*vault.Tx]()
	for i := range all.NumMethod() {
		name := all.Method(i).Name
		if _, no := refused[name]; no == slices.Contains(allowed, name) {
			t.Errorf("Tx.%s: is it to work in an optimistic transaction?", name)
		}
	}
	for name, do := range refused {
		if err := e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, do); !errors.Is(err, vault.ErrOptimistic) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What reads beside the tenant's rows works, and sees what was put.
	err := e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		at := e.Clock.Now().Add(time.Hour)
		d, err := tx.SetHolder(h.mac.ID, "company", h.anna, at)
		if err != nil {
			return err
		}
		held, err := tx.DevicesOf(h.anna)
		if err != nil || !slices.ContainsFunc(held, func(g vault.Holding) bool {
			return g.Device == d.ID && g.Generation == d.Generation
		}) {
			t.Errorf("the devices of the holder: %+v, %v", held, err)
		}
		_, found, err := tx.ErasureOf(h.anna)
		if found || err != nil {
			t.Errorf("an erasure that nobody began: %v", err)
		}
		_, err = tx.AliasOwner(uuid.New())
		if !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("an alias that nobody has: %v", err)
		}
		draft := e.Enrolled(e.Tenant.ID, d.Stream, h.anna, d.ID, at)
		if err := tx.Seal(draft); err != nil {
			return err
		}
		aliases, err := tx.Aliases(h.anna)
		if err != nil || !slices.ContainsFunc(aliases, func(a vault.Alias) bool {
			return a.ID == draft.Subjects[0].Alias
		}) {
			t.Errorf("the aliases: %v, %v", aliases, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e.expect("what was sealed before", h.ofAnna, nil)
}

// testOptimisticStale: keys are used no longer than 30 seconds without asking whether something
// was forgotten.
func testOptimisticStale(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	h := newHousehold(e)
	process := e.Again()
	err := e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		for range 3 {
			got, err := tx.Open(h.ofAnna)
			if err != nil || got[0].Err != nil {
				t.Fatalf("while nothing was forgotten: %v, %v", got, err)
			}
			e.Clock.Advance(vaultCacheAge)
		}
		err := process.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
			_, err := tx.BeginErasure(h.anna, uuid.New())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Clock.Advance(vaultCacheAge)
		if _, err := tx.Open(h.ofAnna); !errors.Is(err, vault.ErrConflict) {
			t.Errorf("opened 30 seconds after the erasure began: %v", err)
		}
		return nil
	})
	if !errors.Is(err, vault.ErrConflict) {
		t.Errorf("the transaction ended with %v", err)
	}
}

// testOptimisticFailed: of a transaction whose function fails nothing happened, in its own process
// too; and what one stored, another process reads.
func testOptimisticFailed(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	process := e.Again()
	var draft *schemas.Draft
	do := func(tx *vault.Tx) error {
		at := e.Clock.Now()
		person := e.Person(tx, e.hint(1))
		device, _, err := tx.Device(vault.DeviceHint{IntuneID: "phone", At: at})
		if err != nil {
			return err
		}
		if device, err = tx.SetHolder(device.ID, "", person, at); err != nil {
			return err
		}
		if _, err := tx.Element(device.Stream, "apps", "x"); err != nil {
			return err
		}
		if _, err := tx.Element(schemas.NewStream("account", uuid.New()), "apps", "x"); err != nil {
			return err
		}
		draft = e.Enrolled(e.Tenant.ID, device.Stream, person, device.ID, at)
		return tx.Seal(draft)
	}
	err := e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		return errors.Join(do(tx), errTest)
	})
	if !errors.Is(err, errTest) || e.known(1) {
		t.Errorf("a failed transaction: %v, known %v", err, e.known(1))
	}
	e.Optimistic = true
	if err := e.Try(do); err != nil {
		t.Fatal(err)
	}
	expect(t, process, e.Tenant.ID, "in the other process", tokens(draft), nil)
	e.expect("in this one", tokens(draft), nil)
	e.Clock.Advance(vaultCacheAge)
	e.expect("in this one, from the store", tokens(draft), nil)
	e.View(func(tx *vault.Tx) {
		keys, err := tx.SubjectKeys(draft.Subjects[0].Person)
		if err != nil || len(keys) == 0 {
			t.Errorf("keys: %v, %v", keys, err)
		}
	})
}

// testOptimisticClean: one that puts nothing takes no lock, and is undone by a conflict all the
// same.
func testOptimisticClean(t *testing.T, f Factory) {
	ctx := context.Background()
	e := NewEnv(t, f)
	h := newHousehold(e)
	look := func(tx *vault.Tx) error {
		_, err := tx.Open(h.ofAnna)
		return err
	}
	err := e.V.Update(ctx, e.Tenant.ID, func(*vault.Tx) error {
		return e.V.UpdateOptimistic(ctx, e.Tenant.ID, look)
	})
	if err != nil {
		t.Errorf("beside one that holds the lock: %v", err)
	}
	err = e.V.UpdateOptimistic(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		return e.V.Update(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
			_, err := tx.BeginErasure(h.anna, uuid.New())
			return err
		})
	})
	if !errors.Is(err, vault.ErrConflict) {
		t.Errorf("beside an erasure: %v", err)
	}
}

// testTenantsDoNotWait: while one tenant's transaction works, those of another begin and end, in
// either process; and it is stored after them.
func testTenantsDoNotWait(t *testing.T, f Factory) {
	ctx := context.Background()
	e := NewEnv(t, f)
	other, process := e.AddTenant("Waterschap"), e.Again()
	working, resume, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- e.V.UpdateOptimistic(ctx, e.Tenant.ID, func(tx *vault.Tx) error {
			if _, _, err := tx.Person(e.hint(1)); err != nil {
				return err
			}
			close(working)
			<-resume
			_, _, err := tx.Person(e.hint(2))
			return err
		})
	}()
	<-working
	for i, v := range []*vault.Vault{e.V, process} {
		for k, update := range []func(context.Context, uuid.UUID, func(*vault.Tx) error) error{
			v.UpdateOptimistic, v.Update} {
			err := update(ctx, other.ID, func(tx *vault.Tx) error {
				_, created, err := tx.Person(e.hint(10 + 2*i + k))
				if err == nil && !created {
					t.Error("known before it was minted")
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	close(resume)
	if err := <-done; err != nil || !e.known(1) || !e.known(2) {
		t.Errorf("the one that worked meanwhile: %v", err)
	}
}

// testTurnsOfATenant: two optimistic transactions of one tenant in one process run one after the
// other, and who waits for a turn can be told to stop.
func testTurnsOfATenant(t *testing.T, f Factory) {
	e := NewEnv(t, f)
	err := e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := e.V.UpdateOptimistic(ctx, e.Tenant.ID, func(*vault.Tx) error {
			t.Error("two at once")
			return nil
		}); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for a turn: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// made is what transactions found and minted of numbered persons, devices and streams.
type made struct {
	people, devices map[int]uuid.UUID
	streams         map[int]schemas.Stream
	changes         map[int]int // of a device's holder
	tokens          []vault.Sealed
}

func newMade() *made {
	return &made{people: map[int]uuid.UUID{}, devices: map[int]uuid.UUID{}, streams: map[int]schemas.Stream{},
		changes: map[int]int{}}
}

// add adds what a transaction that was stored made; whoever was found is who was found before.
func (m *made) add(t *testing.T, more *made) {
	for n, id := range more.people {
		if have, ok := m.people[n]; ok && have != id {
			t.Errorf("person %d became another", n)
		}
		m.people[n], m.streams[n] = id, more.streams[n]
	}
	for n, id := range more.devices {
		if have, ok := m.devices[n]; ok && have != id {
			t.Errorf("device %d became another", n)
		}
		m.devices[n] = id
		m.changes[n] += more.changes[n]
	}
	m.tokens = append(m.tokens, more.tokens...)
}

// make finds or mints a person, a device and a stream, gives the device to the person and seals
// for both.
func (m *made) make(e *Env, tx *vault.Tx, person, device int, at time.Time) error {
	id, _, err := tx.Person(vault.PersonHint{ObjectID: e.hint(person).ObjectID, At: at,
		UPN: fmt.Sprintf("user%d@voorbeeld.nl", person)})
	if err != nil {
		return err
	}
	d, _, err := tx.Device(vault.DeviceHint{IntuneID: fmt.Sprint("intune", device), At: at})
	if err != nil {
		return err
	}
	before := d.Generation
	if d, err = tx.SetHolder(d.ID, "company", id, at); err != nil {
		return err
	}
	stream, _, err := tx.MappedStream("alert", []byte{byte(person)})
	if err != nil {
		return err
	}
	if _, err := tx.Element(stream, "list", "x"); err != nil {
		return err
	}
	draft := e.Enrolled(tx.Tenant(), d.Stream, id, d.ID, at)
	if err := tx.Seal(draft); err != nil {
		return err
	}
	m.people[person], m.devices[device], m.streams[person] = id, d.ID, stream
	m.changes[device] += d.Generation - before
	m.tokens = append(m.tokens, tokens(draft)...)
	return nil
}

// testOptimisticAtOnce has several goroutines, in two processes, work for several tenants at once
// and wants what one after another would leave: everybody is minted once, no change of a holder is
// lost, and all that was sealed opens. Now and then the other process comes between for certain.
func testOptimisticAtOnce(t *testing.T, f Factory) {
	const workers, rounds, ids = 4, 10, 6 // of each tenant
	ctx := context.Background()
	e := NewEnv(t, f)
	tenants := []vault.Tenant{e.Tenant, e.AddTenant("Waterschap"), e.AddTenant("Provincie")}
	vaults := []*vault.Vault{e.V, e.Again()}
	seed := rand.Uint64()
	results := make([]*made, len(tenants))
	conflicts := 0
	var mu sync.Mutex // guards results and conflicts
	var wait sync.WaitGroup
	for i, tenant := range tenants {
		results[i] = newMade()
		for w := range workers {
			draw := rand.New(rand.NewPCG(seed, uint64(i*workers+w)))
			v, other := vaults[w%2], vaults[1-w%2]
			work := func(round int, update func(context.Context, uuid.UUID, func(*vault.Tx) error) error,
				between func() error) error {
				now := newMade()
				err := update(ctx, tenant.ID, func(tx *vault.Tx) error {
					for step := range 3 {
						at := e.Clock.Now().Add(time.Duration(round*workers+w) * time.Minute)
						if err := now.make(e, tx, draw.IntN(ids), draw.IntN(ids), at); err != nil {
							return err
						}
						if step == 1 {
							if err := between(); err != nil {
								return err
							}
						}
					}
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, vault.ErrConflict) {
					conflicts++
				} else if err == nil {
					results[i].add(t, now)
				}
				return err
			}
			nobody := func() error { return nil }
			wait.Go(func() {
				for round := range rounds {
					err := error(vault.ErrConflict)
					for try := 0; errors.Is(err, vault.ErrConflict); try++ {
						switch {
						case try == 0 && draw.IntN(3) == 0:
							err = work(round, v.UpdateOptimistic, func() error {
								return work(round, other.Update, nobody)
							})
						case try < 3:
							err = work(round, v.UpdateOptimistic, nobody)
						default:
							err = work(round, v.Update, nobody)
						}
					}
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
						return
					}
				}
			})
		}
	}
	wait.Wait()
	if conflicts == 0 {
		t.Error("nobody came between: the test shows nothing")
	}
	third := e.Again()
	for i, tenant := range tenants {
		r := results[i]
		err := third.View(ctx, tenant.ID, func(tx *vault.Tx) error {
			for n, id := range r.people {
				got, err := tx.FindPersons(e.hint(n).ObjectID)
				if err != nil || len(got) != 1 || got[0].ID != id {
					t.Errorf("seed %d: person %d is %v, %v; want %v", seed, n, got, err, id)
				}
				if s, _, err := tx.MappedStream("alert", []byte{byte(n)}); err != nil || s != r.streams[n] {
					t.Errorf("seed %d: stream %d is %v, %v; want %v", seed, n, s, err, r.streams[n])
				}
			}
			for n, id := range r.devices {
				got, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: fmt.Sprint("intune", n)})
				if err != nil || !found || got.ID != id || got.Generation != r.changes[n] {
					t.Errorf("seed %d: device %d is %+v, %v; want %v after %d changes of holder", seed, n, got, err,
						id, r.changes[n])
				}
			}
			opened, err := tx.Open(r.tokens)
			for _, o := range opened {
				if o.Err != nil {
					t.Errorf("seed %d: a token does not open: %v", seed, o.Err)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
