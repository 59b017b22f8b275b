package custody_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/policy"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/sqlite"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

var officer = access.Principal{Login: "officer@contoso.example",
	Roles: []access.Role{access.Officer, access.TenantAdmin, access.Operator}, All: true}

// bench is a ledger in memory, a real vault, and one tenant.
type bench struct {
	t       testing.TB
	ctx     context.Context
	store   *ledgertest.Memory
	ledger  *ledger.Ledger
	vault   *vault.Vault
	custody *custody.Custody
	tenant  vault.Tenant
	dir     string
	crashAt string        // hook point at which the next act is cut
	at      func(string)  // called at each hook point
	ahead   time.Duration // of custody's clock
}

var errCrash = errors.New("crash")

func (b *bench) log() *slog.Logger    { return slog.New(slog.DiscardHandler) }
func (b *bench) vaultTime() time.Time { return time.Now() }

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, ctx: context.Background(), store: ledgertest.NewMemory()}
	b.dir = t.TempDir()
	kek, err := vault.CreateFileKEK(filepath.Join(b.dir, "kek"), filepath.Join(b.dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Create(b.ctx, filepath.Join(b.dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if b.vault, err = vault.Create(b.ctx, vault.Config{Store: st, KEK: kek, Clock: time.Now,
		Logger: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.vault.Close() })
	if b.ledger, err = ledger.Create(b.ctx, ledger.Config{Store: b.store, Origin: b.vault.OriginKey, Logger: log,
		Clock: time.Now}); err != nil {
		t.Fatal(err)
	}
	b.newCustody()
	b.tenant, err = b.custody.RegisterTenant(b.ctx, officer, vault.NewTenant{Name: "Contoso", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newCustody makes a custody of the present vault and clock, as another process would.
func (b *bench) newCustody() {
	b.t.Helper()
	ahead := b.ahead
	var err error
	b.custody, err = custody.New(custody.Config{Ledger: b.ledger, Vault: b.vault,
		Logger: slog.New(slog.DiscardHandler),
		Clock:  func() time.Time { return time.Now().Add(ahead) }, Settle: time.Millisecond,
		Hook: func(p string) error {
			if b.at != nil {
				b.at(p)
			}
			if p == b.crashAt {
				return errCrash
			}
			return nil
		}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// person mints a person with a sealed value and returns the sealed value.
func (b *bench) person(upn string) vault.Sealed {
	b.t.Helper()
	var out vault.Sealed
	err := b.vault.Update(b.ctx, b.tenant.ID, func(tx *vault.Tx) error {
		id, _, err := tx.Person(vault.PersonHint{ObjectID: uuid.NewString(), UPN: upn, At: time.Now()})
		if err != nil {
			return err
		}
		c := schemas.Default()
		d := schemas.Draft{Type: c.MustType("device.ownership-changed.v1"), Tenant: b.tenant.ID,
			Stream: schemas.NewStream("device", uuid.New()),
			ID:     schemas.NewID(), Occurred: time.Now(), Recorded: time.Now(), Source: "test",
			Subjects: []schemas.SubjectRef{{Role: "user", Person: id}},
			Values: []schemas.Value{{Attr: c.MustAttribute("device.user-upn"), Plain: schemas.JSON(upn),
				Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: id}}}}
		if err := tx.Seal(&d); err != nil {
			return err
		}
		out = vault.Sealed{Token: d.Values[0].Token, Attr: "device.user-upn", Event: d.ID}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) types() (out []string) {
	for _, r := range b.store.Events() {
		out = append(out, r.Type)
	}
	return out
}

func (b *bench) session() *custody.Session {
	b.t.Helper()
	s, err := b.custody.Access(b.ctx, officer, custody.Purpose{Tenant: b.tenant.ID, Report: "admin-actions",
		Code: "audit", Text: "yearly audit"})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) open(sealed vault.Sealed) (string, error) {
	b.t.Helper()
	out, err := b.session().Open(b.ctx, []vault.Sealed{sealed})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out[0].Plain), out[0].Err
}

func TestAnAccessIsInTheLedgerBeforeTheFirstPlaintext(t *testing.T) {
	b := newBench(t)
	sealed := b.person("anna.devries@contoso.example")
	s := b.session()
	if got := b.types(); got[len(got)-1] != "access.unsealed.v2" {
		t.Fatalf("the ledger ends with %s", got[len(got)-1])
	}
	before := len(b.store.Events())
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { return errCrash }
	if _, err := s.Open(b.ctx, []vault.Sealed{sealed}); !errors.Is(err, errCrash) {
		t.Fatalf("opened although the person could not be named in the ledger: %v", err)
	}
	b.store.Fail = nil
	out, err := s.Open(b.ctx, []vault.Sealed{sealed})
	if err != nil || out[0].Err != nil || string(out[0].Plain) != `"anna.devries@contoso.example"` {
		t.Fatalf("opened %s (%v, %v)", out[0].Plain, out[0].Err, err)
	}
	events := b.store.Events()
	if len(events) != before+1 {
		t.Fatalf("%d further events, want one that names the person", len(events)-before)
	}
	d, err := schemas.Default().Decode(schemastest.Envelope(events[before]))
	if err != nil || len(d.Subjects) != 2 || d.Subjects[0].Role != "target" || d.Subjects[1].Role != "officer" {
		t.Errorf("the event names %+v (%v), want the target and the officer", d.Subjects, err)
	}
	if _, err := s.Open(b.ctx, []vault.Sealed{sealed}); err != nil || len(b.store.Events()) != before+1 {
		t.Errorf("a person already named was named again (%v)", err)
	}
}

// What is searched is nobody's access: the session's event says what is sought, and whoever is
// shown is named when that is opened.
func TestASearchNamesNobody(t *testing.T) {
	b := newBench(t)
	sealed := b.person("anna.devries@contoso.example")
	s := b.session()
	before := len(b.store.Events())
	out, err := s.Search(b.ctx, []vault.Sealed{sealed, sealed})
	if err != nil || len(out) != 2 || string(out[0].Plain) != `"anna.devries@contoso.example"` {
		t.Fatalf("found %+v (%v)", out, err)
	}
	if s.Persons() != 0 || len(b.store.Events()) != before {
		t.Errorf("a search named %d persons in %d events", s.Persons(), len(b.store.Events())-before)
	}
	if _, err := s.Open(b.ctx, []vault.Sealed{sealed}); err != nil || len(b.store.Events()) != before+1 {
		t.Errorf("whoever is shown was not named after the search (%v)", err)
	}
}

func TestAnAccessToMoreThan63PersonsIsSeveralEventsOfOneStream(t *testing.T) {
	b := newBench(t)
	var all []vault.Sealed
	for i := range 130 {
		all = append(all, b.person(fmt.Sprintf("user%d@contoso.example", i)))
	}
	s := b.session()
	before := len(b.store.Events())
	out, err := s.Open(b.ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		if o.Err != nil || string(o.Plain) != fmt.Sprintf(`"user%d@contoso.example"`, i) {
			t.Fatalf("value %d: %s, %v", i, o.Plain, o.Err)
		}
	}
	named := 0
	for _, r := range b.store.Events()[before:] {
		if r.Stream != s.Stream() {
			t.Errorf("an event of %s, want %s", r.Stream, s.Stream())
		}
		d, err := schemas.Default().Decode(schemastest.Envelope(r))
		if err != nil {
			t.Fatal(err)
		}
		named += len(d.Subjects) - 1
	}
	if named != 130 || s.Persons() != 130 {
		t.Errorf("%d persons were named, the session says %d, want 130", named, s.Persons())
	}
}

// However many persons' values are opened, the vault's store is asked a handful of times: whose
// they are, for all at once, and then what opens them.
func TestOpeningAsksTheVaultOfAllAtOnce(t *testing.T) {
	b := newBench(t)
	var all []vault.Sealed
	for i := range 130 {
		all = append(all, b.person(fmt.Sprintf("user%d@contoso.example", i)))
	}
	if err := b.vault.Close(); err != nil {
		t.Fatal(err)
	}
	var counted *storetest.Counted
	b.useVaultThrough(b.dir, func(s store.Store) store.Store {
		counted = storetest.Count(s)
		return counted
	})
	s := b.session()
	counted.Taken()
	if _, err := s.Open(b.ctx, all); err != nil {
		t.Fatal(err)
	}
	for _, trips := range counted.Taken() {
		if trips.All > 6 {
			t.Errorf("a transaction made %+v", trips)
		}
	}
}

func TestAccessNeedsAPurposeAndTheRole(t *testing.T) {
	b := newBench(t)
	before := len(b.store.Events())
	if _, err := b.custody.Access(b.ctx, officer, custody.Purpose{Tenant: b.tenant.ID, Report: "x",
		Text: "  "}); !errors.Is(err, custody.ErrMissing) {
		t.Errorf("without purpose: %v", err)
	}
	stranger := access.Principal{Login: "s@contoso.example", Roles: []access.Role{access.Operator}, All: true}
	if _, err := b.custody.Access(b.ctx, stranger,
		custody.Purpose{Tenant: b.tenant.ID, Report: "x", Code: "audit"}); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("without the role: %v", err)
	}
	if len(b.store.Events()) != before {
		t.Error("a refused access was recorded as one")
	}
}

func (b *bench) request(right, upn string) custody.Request {
	b.t.Helper()
	r, err := b.custody.OpenRequest(b.ctx, officer,
		custody.NewRequest{Tenant: b.tenant.ID, Right: right, Identifier: upn, Received: time.Now(),
			Method: "call-back"})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func TestARequestFindsItsPersonUntilErased(t *testing.T) {
	b := newBench(t)
	b.person("anna@contoso.example")
	opened := b.request("access", "ANNA@contoso.example")
	found, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, opened.ID)
	if err != nil || found.Person != opened.Person || found.Right != "access" ||
		!found.Due.Equal(opened.Due.UTC().Truncate(24*time.Hour)) &&
			found.Due.Format(time.DateOnly) != opened.Due.Format(time.DateOnly) {
		t.Fatalf("found %+v (%v), opened %+v", found, err, opened)
	}
	_, err = b.custody.FindRequest(b.ctx, officer, b.tenant.ID, uuid.New())
	if !errors.Is(err, custody.ErrNoRequest) {
		t.Errorf("an unknown request: %v", err)
	}
	if _, err := b.custody.FindRequest(b.ctx, officer, uuid.New(), opened.ID); !errors.Is(err, custody.ErrNoRequest) {
		t.Errorf("another tenant's request: %v", err)
	}
	if _, err := b.custody.OpenRequest(b.ctx, officer,
		custody.NewRequest{Tenant: b.tenant.ID, Right: "access", Identifier: "nobody@contoso.example",
			Received: time.Now()}); !errors.Is(err, custody.ErrNoSuchPerson) {
		t.Errorf("an unknown person: %v", err)
	}
	if err := b.custody.RecordPackage(b.ctx, officer, found, fmt.Sprintf("%064x", 7), 12, 9); err != nil {
		t.Error(err)
	}
}

func TestSeveralHoldersOfAnIdentifierAreListedAndOneIsChosen(t *testing.T) {
	b := newBench(t)
	b.person("helpdesk@contoso.example")
	b.person("helpdesk@contoso.example")
	n := custody.NewRequest{Tenant: b.tenant.ID, Right: "access", Identifier: "helpdesk@contoso.example",
		Received: time.Now()}
	_, err := b.custody.OpenRequest(b.ctx, officer, n)
	var several *custody.Problem
	if !errors.As(err, &several) || several.Code != custody.ErrSeveralPersons || len(several.Persons) != 2 {
		t.Fatalf("%v, want two persons to choose from", err)
	}
	for i, matches := range several.Persons {
		n.Person = i + 1
		r, err := b.custody.OpenRequest(b.ctx, officer, n)
		if err != nil || r.Person != matches[0].ID {
			t.Errorf("choice %d: %+v, %v", i+1, r, err)
		}
	}
	n.Person = 3
	if _, err := b.custody.OpenRequest(b.ctx, officer, n); err == nil {
		t.Error("a third person was found")
	}
}

func TestNobodyHandlesTheirOwnRequest(t *testing.T) {
	b := newBench(t)
	b.session() // mints the officer as a person
	_, err := b.custody.OpenRequest(b.ctx, officer,
		custody.NewRequest{Tenant: b.tenant.ID, Right: "access", Identifier: officer.Login, Received: time.Now()})
	if !errors.Is(err, custody.ErrOwnRequest) {
		t.Errorf("%v, want ErrOwnRequest", err)
	}
}

func TestErasureEndsOnePersonsDataAndNoOtherBytes(t *testing.T) {
	b := newBench(t)
	anna, piet := b.person("anna@contoso.example"), b.person("piet@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	before := b.store.Events()
	done, err := b.custody.Erase(b.ctx, officer, r, "no-longer-necessary", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
		t.Errorf("the erased person's value: %v, want erased", err)
	}
	if got, err := b.open(piet); err != nil || got != `"piet@contoso.example"` {
		t.Errorf("the other person's value: %s, %v", got, err)
	}
	after := b.store.Events()
	for i := range before {
		if before[i].ID != after[i].ID || string(before[i].Data) != string(after[i].Data) ||
			string(before[i].Metadata) != string(after[i].Metadata) {
			t.Fatalf("event %d has changed", i)
		}
	}
	var order, completion int
	for i, e := range after {
		switch e.ID {
		case done.Order:
			order = i
		case done.Completion:
			completion = i
		}
	}
	if order == 0 || completion <= order {
		t.Errorf("the order is event %d, the completion event %d", order, completion)
	}
	found, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, r.ID)
	if err != nil || found.Person != uuid.Nil || !found.Ordered {
		t.Errorf("after erasure the request is %+v (%v)", found, err)
	}
	if _, err := b.custody.Erase(b.ctx, officer, found, "no-longer-necessary", nil); err == nil {
		t.Error("erased twice")
	}
}

// A crash at any point leaves the act either not begun or completed by Resume, and the same in
// the end.
func TestAnErasureCutAtAnyPointIsCompletedOrTakenBack(t *testing.T) {
	for _, tc := range []struct {
		point  string
		erased bool
	}{{custody.PointErasing, false}, {custody.PointOrdered, true}, {custody.PointDestroyed, true},
		{custody.PointCompleted, true}} {
		t.Run(tc.point, func(t *testing.T) {
			b := newBench(t)
			anna := b.person("anna@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			b.crashAt = tc.point
			if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
				t.Fatalf("not cut: %v", err)
			}
			b.crashAt = ""
			for range 2 { // resuming twice is resuming once
				if _, _, err := b.custody.Resume(b.ctx); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.open(anna); errors.Is(err, vault.ErrErased) != tc.erased {
				t.Errorf("after resuming the value opens with %v, want erased: %v", err, tc.erased)
			}
			if !tc.erased {
				if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); err != nil {
					t.Fatalf("erasing after it was taken back: %v", err)
				}
			}
			orders, completions := 0, 0
			for _, typ := range b.types() {
				switch typ {
				case "request.erasure-ordered.v1":
					orders++
				case "subject.erased.v1":
					completions++
				}
			}
			if orders != 1 || completions != 1 {
				t.Errorf("%d orders and %d completions in the ledger, want one of each", orders, completions)
			}
		})
	}
}

func TestTheLastDayToAnswerIsAMonthAfterReceiptOnAWorkingDay(t *testing.T) {
	for _, tc := range []struct{ received, due string }{
		{"2026-08-31", "2026-09-30"}, {"2026-01-31", "2026-03-02"}, // 28 February 2026 is a Saturday
		{"2026-03-02", "2026-04-02"}, {"2026-10-15", "2026-11-16"}, {"2027-12-31", "2028-01-31"},
		{"2026-12-29", "2027-01-29"},
	} {
		at, err := time.Parse(time.DateOnly, tc.received)
		if err != nil {
			t.Fatal(err)
		}
		if got := custody.Due(at).Format(time.DateOnly); got != tc.due {
			t.Errorf("received %s, due %s, want %s", tc.received, got, tc.due)
		}
	}
}

// A change of source tenants is in the ledger before it holds, whatever is cut off.
func TestSourceTenantsAreChangedInTheLedgerFirst(t *testing.T) {
	b := newBench(t)
	want := []string{"5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11"}
	changes := func() (n int) {
		for r, err := range streamOf(b, schemas.NewStream("tenant", b.tenant.ID)) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Type == "tenant.sources-changed.v1" {
				n++
			}
		}
		return n
	}
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { return errCrash }
	if _, err := b.custody.SetTenantSources(b.ctx, officer, b.tenant.ID, false, want); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if now, err := b.vault.TenantByID(b.ctx, b.tenant.ID); err != nil || !now.AnySource || changes() != 0 {
		t.Errorf("the change holds without its event: %+v, %v", now, err)
	}
	b.store.Fail = nil
	for range 2 { // doing it again is harmless
		set, err := b.custody.SetTenantSources(b.ctx, officer, b.tenant.ID, false, want)
		if err != nil || set.AnySource || !slices.Equal(set.Sources, want) {
			t.Fatalf("%+v, %v", set, err)
		}
	}
	now, err := b.vault.TenantByID(b.ctx, b.tenant.ID)
	if err != nil || now.AnySource || !slices.Equal(now.Sources, want) || changes() != 2 {
		t.Errorf("%+v after %d events, %v", now, changes(), err)
	}
	if _, err := b.custody.SetTenantSources(b.ctx, officer, b.tenant.ID, false,
		[]string{"contoso.example"}); err == nil {
		t.Error("a domain was taken for a tenant's id")
	}
	nobody := access.Principal{Login: "x@contoso.example"}
	if _, err := b.custody.SetTenantSources(b.ctx, nobody, b.tenant.ID, true, nil); err == nil || changes() != 2 {
		t.Error("somebody without the role changed source tenants")
	}
	unregistered, err := b.vault.AddTenant(b.ctx, vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.custody.SetTenantSources(b.ctx, officer, unregistered.ID, false, want); err == nil {
		t.Error("a change was recorded of a tenant whose registration is not")
	}
}

// A tenant's data is unsealed for the purposes that it chose, which the ledger holds; a data
// subject is answered whatever it chose.
func TestATenantChoosesItsPurposes(t *testing.T) {
	b := newBench(t)
	access := func(code string) error {
		_, err := b.custody.Access(b.ctx, officer, custody.Purpose{Tenant: b.tenant.ID, Report: "x", Code: code,
			Text: "words"})
		return err
	}
	for _, code := range custody.Purposes() {
		if err := access(code); err != nil {
			t.Errorf("%s before anything was chosen: %v", code, err)
		}
	}
	set, err := b.custody.SetTenantPurposes(b.ctx, officer, b.tenant.ID, []string{"support", "audit", "support"})
	if err != nil || !slices.Equal(set.Purposes, []string{"audit", "support"}) {
		t.Fatalf("%+v, %v", set.Purposes, err)
	}
	if got := b.types(); got[len(got)-1] != "tenant.purposes-changed.v1" {
		t.Errorf("the ledger ends with %s", got[len(got)-1])
	}
	for _, code := range custody.Purposes() {
		err := access(code)
		if may := slices.Contains([]string{"audit", "support", custody.AnswerRequest}, code); may != (err == nil) ||
			!may && !errors.Is(err, custody.ErrUnknown) {
			t.Errorf("%s: %v", code, err)
		}
	}
	before := len(b.store.Events())
	if _, err := b.custody.SetTenantPurposes(b.ctx, officer, b.tenant.ID, []string{"x"}); !errors.Is(err,
		custody.ErrUnknown) || len(b.store.Events()) != before {
		t.Errorf("a purpose that there is not: %v", err)
	}
	set, err = b.custody.SetTenantPurposes(b.ctx, officer, b.tenant.ID, nil)
	if err != nil || access("review") != nil {
		t.Errorf("all again: %+v, %v", set.Purposes, err)
	}
}

func TestATenantIsRecordedOnceAndARegistrationCutShortIsCompleted(t *testing.T) {
	b := newBench(t)
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { return errCrash }
	n := vault.NewTenant{Name: "Fabrikam", Sources: []string{"5b1c8f0e-94c1-4c77-9d0e-0a2f6f1b7c11"}}
	if _, err := b.custody.RegisterTenant(b.ctx, officer, n); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b.store.Fail = nil
	tenant, err := b.custody.RegisterTenant(b.ctx, officer, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.custody.RegisterTenant(b.ctx, officer, n); !errors.Is(err, vault.ErrExists) {
		t.Errorf("registering again: %v", err)
	}
	events := 0
	for r, err := range streamOf(b, schemas.NewStream("tenant", tenant.ID)) {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Data) == "" {
			t.Error("no data")
		}
		events++
	}
	if events != 2 {
		t.Errorf("%d events in the tenant's stream, want its registration and its policy", events)
	}
}

func streamOf(b *bench, s schemas.Stream) iter.Seq2[schemas.RecordedEvent, error] {
	return b.ledger.ReadStream(b.ctx, s, 0)
}

// Whoever was being erased when they were asked for first is named before anything of theirs is
// opened, once the erasure was taken back.
func TestASessionNamesThoseWhoseErasureWasTakenBack(t *testing.T) {
	b := newBench(t)
	sealed := b.person("anna@contoso.example")
	var person uuid.UUID
	completion := uuid.New()
	update := func(do func(tx *vault.Tx) error) {
		t.Helper()
		if err := b.vault.Update(b.ctx, b.tenant.ID, do); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *vault.Tx) error {
		found, err := tx.FindPersons("anna@contoso.example")
		if err != nil {
			return err
		}
		person = found[0].ID
		_, err = tx.BeginErasure(person, completion)
		return err
	})
	s := b.session()
	for _, step := range []struct {
		want    error
		persons int
	}{{vault.ErrErased, 0}, {nil, 1}} {
		out, err := s.Open(b.ctx, []vault.Sealed{sealed})
		if err != nil || !errors.Is(out[0].Err, step.want) || s.Persons() != step.persons {
			t.Fatalf("%v, %v, and %d persons are named", out, err, s.Persons())
		}
		if step.want != nil {
			update(func(tx *vault.Tx) error { return tx.CancelErasure(completion) })
		}
	}
}

// However many portions the tokens are opened in, their persons are named together: each append is
// a trip that is waited for, and a batch of the views.
func TestPersonsOfManyPortionsAreNamedTogether(t *testing.T) {
	b := newBench(t)
	var tokens []vault.Sealed
	const persons = 30
	for i := range persons {
		one := b.person(fmt.Sprintf("user%d@contoso.example", i))
		for range 300 {
			tokens = append(tokens, one)
		}
	}
	s := b.session()
	before, appends := len(b.store.Events()), 0
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { appends++; return nil }
	out, err := s.Open(b.ctx, tokens)
	if err != nil || s.Persons() != persons {
		t.Fatalf("%d persons are named: %v", s.Persons(), err)
	}
	for i, o := range out {
		if want := fmt.Sprintf(`"user%d@contoso.example"`, i/300); o.Err != nil || string(o.Plain) != want {
			t.Fatalf("value %d: %s, %v, want %s", i, o.Plain, o.Err, want)
		}
	}
	if n := len(b.store.Events()) - before; n != 1 || appends != 1 {
		t.Errorf("%d events in %d appends name %d persons", n, appends, persons)
	}
}

// Persons are named at most 63 in an event, and many events in one append.
func TestManyPersonsAreNamedInOneAppend(t *testing.T) {
	b := newBench(t)
	var tokens []vault.Sealed
	const persons = 3*(schemas.MaxSubjects-1) + 1
	for i := range persons {
		tokens = append(tokens, b.person(fmt.Sprintf("user%d@contoso.example", i)))
	}
	s := b.session()
	before, appends := len(b.store.Events()), 0
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { appends++; return nil }
	if _, err := s.Open(b.ctx, tokens); err != nil || s.Persons() != persons {
		t.Fatalf("%d persons are named: %v", s.Persons(), err)
	}
	if n := len(b.store.Events()) - before; n != 4 || appends != 1 {
		t.Errorf("%d events in %d appends name %d persons", n, appends, persons)
	}
}

// A policy's new version is in the ledger before it holds, whatever is cut off; one that says what
// holds is none; what a policy may not say is refused before anything is written.
func TestAPolicyIsChangedInTheLedgerFirst(t *testing.T) {
	b := newBench(t)
	refusing := func(items ...string) func(policy.Policy) policy.Policy {
		return func(p policy.Policy) policy.Policy {
			p.Items, p.Retention = items, map[string]policy.Retention{"apps": {Keep: "30d", Ground: "agreed"}}
			return p
		}
	}
	versions := func() []custody.PolicyVersion {
		t.Helper()
		all, err := b.custody.PolicyHistory(b.ctx, officer, b.tenant.ID)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := versions(); len(all) != 1 || all[0].Number != 1 {
		t.Fatalf("a tenant begins with %+v", all)
	}
	b.store.Fail = func(schemas.Stream, []schemas.Event) error { return errCrash }
	if _, err := b.custody.SetTenantPolicy(b.ctx, officer, b.tenant.ID, refusing("12")); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b.store.Fail = nil
	if now, err := b.vault.Policy(b.ctx, b.tenant.ID); err != nil || now.Number != 1 || len(versions()) != 1 {
		t.Errorf("the change holds without its event: %+v, %v", now, err)
	}
	for range 2 {
		set, err := b.custody.SetTenantPolicy(b.ctx, officer, b.tenant.ID, refusing("12", "3", "12"))
		if err != nil || set.Policy.Number != 2 || !slices.Equal(set.Policy.Items, []string{"3", "12"}) {
			t.Fatalf("%+v, %v", set.Policy, err)
		}
	}
	all := versions()
	if len(all) != 2 || all[1].Number != 2 || !slices.Equal(all[1].Items, []string{"3", "12"}) ||
		all[1].Periods() != "apps=30d" || all[1].Retention["apps"].Ground != "" {
		t.Errorf("history is %+v", all)
	}
	var wrong *policy.Error
	if _, err := b.custody.SetTenantPolicy(b.ctx, officer, b.tenant.ID, refusing("64")); !errors.As(err, &wrong) ||
		len(versions()) != 2 {
		t.Errorf("what is never collected was refused by a policy: %v", err)
	}
	nobody := access.Principal{Login: "x@contoso.example"}
	_, err := b.custody.SetTenantPolicy(b.ctx, nobody, b.tenant.ID, refusing())
	if err == nil || len(versions()) != 2 {
		t.Error("somebody without the role changed the policy")
	}
}
