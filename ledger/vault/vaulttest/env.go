// Package vaulttest owns what a vault must do, whatever store it is on, as exported test
// suites. It is for tests only.
package vaulttest

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/schemas"
)

// Factory makes an empty store.
type Factory = storetest.Factory

var errTest = errors.New("the function's own error")

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %+v\nwant %+v", what, got, want)
	}
}

// Clock is a clock that tests turn.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed time.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
}

// Now returns the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance turns it forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// KEK makes a key-encryption key in the test's own folder.
func KEK(t testing.TB) *vault.FileKEK {
	t.Helper()
	dir := t.TempDir()
	k, err := vault.CreateFileKEK(filepath.Join(dir, "kek"), filepath.Join(dir, "vault"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Env is a vault with one tenant.
type Env struct {
	T      testing.TB
	V      *vault.Vault
	Store  store.Store
	KEK    vault.KEK
	Clock  *Clock
	Tenant vault.Tenant
	// Optimistic has Update and Try run optimistic transactions.
	Optimistic bool

	again func(testing.TB) store.Store
}

// NewEnv creates a vault on a new store of the factory. It is closed when the test ends.
func NewEnv(t testing.TB, f Factory) *Env {
	t.Helper()
	store, again := f(t)
	e := &Env{T: t, Store: store, KEK: KEK(t), Clock: NewClock(), again: again,
		Optimistic: strings.Contains(t.Name(), optimistic)}
	v, err := vault.Create(context.Background(), vault.Config{Store: store, KEK: e.KEK, Clock: e.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	e.V = v
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	e.Tenant = e.AddTenant("Gemeente Voorbeeld")
	return e
}

// AddTenant adds a tenant that takes any source.
func (e *Env) AddTenant(name string) vault.Tenant {
	e.T.Helper()
	t, err := e.V.AddTenant(context.Background(), vault.NewTenant{Name: name, AnySource: true})
	if err != nil {
		e.T.Fatal(err)
	}
	return t
}

// Again opens a second vault on the same store, as another process would.
func (e *Env) Again() *vault.Vault {
	e.T.Helper()
	v, err := vault.Open(context.Background(), vault.Config{Store: e.again(e.T), KEK: e.KEK, Clock: e.Clock.Now})
	if err != nil {
		e.T.Fatal(err)
	}
	e.T.Cleanup(func() {
		if err := v.Close(); err != nil {
			e.T.Error(err)
		}
	})
	return v
}

// optimistic is in the names of tests that run optimistic transactions.
const optimistic = "/Optimistic/"

// Try runs do for the tenant in a transaction that may write.
func (e *Env) Try(do func(*vault.Tx) error) error {
	if e.Optimistic {
		return e.V.UpdateOptimistic(context.Background(), e.Tenant.ID, do)
	}
	return e.V.Update(context.Background(), e.Tenant.ID, do)
}

// Update runs do for the tenant and ends the test on an error.
func (e *Env) Update(do func(*vault.Tx)) {
	e.T.Helper()
	if err := e.Try(func(tx *vault.Tx) error { do(tx); return nil }); err != nil {
		e.T.Fatal(err)
	}
}

// Locked is Update with the write lock held, whatever the test's mode: what forgets needs it.
func (e *Env) Locked(do func(*vault.Tx)) {
	e.T.Helper()
	err := e.V.Update(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error { do(tx); return nil })
	if err != nil {
		e.T.Fatal(err)
	}
}

// View runs do for the tenant and ends the test on an error.
func (e *Env) View(do func(*vault.Tx)) {
	e.T.Helper()
	err := e.V.View(context.Background(), e.Tenant.ID, func(tx *vault.Tx) error { do(tx); return nil })
	if err != nil {
		e.T.Fatal(err)
	}
}

// Person returns the person of a hint, which must identify one.
func (e *Env) Person(tx *vault.Tx, h vault.PersonHint) uuid.UUID {
	e.T.Helper()
	id, _, err := tx.Person(h)
	if err != nil || id == uuid.Nil {
		e.T.Fatalf("person: %v, %v", id, err)
	}
	return id
}

// Enrolled is a draft of a device's enrolment: an open value, and values under the
// keys of person and device.
func (e *Env) Enrolled(tenant uuid.UUID, stream schemas.Stream, person, device uuid.UUID,
	at time.Time) *schemas.Draft {
	c := schemas.Default()
	d := &schemas.Draft{Type: c.MustType("device.enrolled.v1"), Tenant: tenant, Stream: stream, ID: schemas.NewID(),
		Occurred: at, Recorded: e.Clock.Now(), Source: "graph", Policy: 1,
		Values: []schemas.Value{{Attr: c.MustAttribute("device.os-version"), Plain: schemas.JSON("14.4.1")}}}
	if device != uuid.Nil {
		o := schemas.Owner{Kind: schemas.OwnerDevice, ID: device}
		d.Values = append(d.Values,
			schemas.Value{Attr: c.MustAttribute("device.serial-number"),
				Plain: schemas.JSON("C02XL0GTJGH5"), Owner: o},
			schemas.Value{Attr: c.MustAttribute("device.imei"), Plain: schemas.JSON("350000000000006"), Owner: o})
	}
	if person != uuid.Nil {
		o := schemas.Owner{Kind: schemas.OwnerPerson, ID: person}
		d.Values = append(d.Values,
			schemas.Value{Attr: c.MustAttribute("device.user-upn"),
				Plain: schemas.JSON("anna.devries@voorbeeld.nl"), Owner: o},
			schemas.Value{Attr: c.MustAttribute("device.name"), Plain: schemas.JSON("anna.devries_Windows_11/24/2026"),
				Owner: o})
		d.Subjects = append(d.Subjects, schemas.SubjectRef{Role: "user", Person: person})
	}
	return d
}
