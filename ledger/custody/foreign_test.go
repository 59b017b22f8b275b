package custody_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// plant appends an event past the ledger, at the end of its stream.
func (b *bench) plant(s schemas.Stream, e schemas.Event) schemas.RecordedEvent {
	b.t.Helper()
	expect, next := ledger.NoStream, uint64(0)
	for r, err := range b.ledger.ReadStream(b.ctx, s, 0) {
		if err != nil {
			b.t.Fatal(err)
		}
		expect, next = ledger.Exact(r.Revision), r.Revision+1
	}
	if err := b.store.Plant(s, expect, e); err != nil {
		b.t.Fatal(err)
	}
	e.Stream = s
	return schemas.RecordedEvent{Event: e, Revision: next}
}

// signed returns the event as a holder of the vault would sign it at the stream's end.
func (b *bench) signed(s schemas.Stream, e schemas.Event, tenant uuid.UUID) schemas.Event {
	b.t.Helper()
	k, _, err := b.vault.OriginKey(b.ctx, tenant)
	if err != nil {
		b.t.Fatal(err)
	}
	next := uint64(0)
	for r := range b.ledger.ReadStream(b.ctx, s, 0) {
		next = r.Revision + 1
	}
	e.Stream = s
	return schemas.Sign(e, next, k)
}

// as returns an event of that type and data that names the tenant, with an origin that nobody
// made.
func (b *bench) as(tenant uuid.UUID, typ, data string) schemas.Event {
	b.t.Helper()
	m, err := schemastest.Metadata(schemas.Metadata{Tenant: tenant, Recorded: b.vaultTime(), Source: "custody"})
	if err != nil {
		b.t.Fatal(err)
	}
	return schemas.Event{ID: uuid.New(), Type: typ, Data: json.RawMessage(data), Metadata: m}
}

var noise = schemas.Event{ID: uuid.New(), Type: "noise", Data: json.RawMessage(`{}`)}

// Whatever others write into a request's stream, the request is found, packaged and carried out.
func TestForeignEventsInARequestsStreamStopNothing(t *testing.T) {
	b := newBench(t)
	anna := b.person("anna@contoso.example")
	other, err := b.custody.RegisterTenant(b.ctx, officer, vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	r := b.request("erasure", "anna@contoso.example")
	order := fmt.Sprintf(`{"keys":[%q],"ground":"unlawful","completion":%q}`, uuid.New(), uuid.New())
	b.plant(r.Stream(), noise)
	// forged
	b.plant(r.Stream(), b.as(b.tenant.ID, "request.erasure-ordered.v1", order))
	// forged, and no order
	b.plant(r.Stream(), b.as(b.tenant.ID, "request.erasure-ordered.v1", `{"keys":"all"}`))
	// another tenant's
	b.plant(r.Stream(), b.signed(r.Stream(), b.as(other.ID, "request.erasure-ordered.v1", order), other.ID))
	// unfitting
	b.plant(r.Stream(), b.signed(r.Stream(), b.as(b.tenant.ID, "request.erasure-ordered.v1", `{"x":1}`), b.tenant.ID))
	// and no day
	b.plant(r.Stream(), b.signed(r.Stream(), b.as(b.tenant.ID, "request.opened.v1",
		`{"received":"soon"}`), b.tenant.ID))
	found, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, r.ID)
	if err != nil || found.Person != r.Person || found.Right != "erasure" || found.Ordered || found.Revision != 6 {
		t.Fatalf("found %+v (%v)", found, err)
	}
	b.plant(r.Stream(), noise) // behind what was read
	if err := b.custody.RecordPackage(b.ctx, officer, found, fmt.Sprintf("%064x", 7), 12, 9); err != nil {
		t.Fatal(err)
	}
	if found, err = b.custody.FindRequest(b.ctx, officer, b.tenant.ID, r.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.custody.Erase(b.ctx, officer, found, "unlawful", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(anna); !errors.Is(err, vault.ErrErased) {
		t.Errorf("the value opens with %v", err)
	}
	// A stream in which others wrote a request is none.
	forged := uuid.New()
	b.plant(schemas.NewStream("request", forged), b.as(b.tenant.ID, "request.opened.v1", `{"right":"erasure"}`))
	if _, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, forged); !errors.Is(err, custody.ErrNoRequest) {
		t.Errorf("a forged request: %v", err)
	}
}

// Garbage that says it is an order keeps no erasure from being resumed, and is not carried out.
func TestAGarbageOrderStopsNoResume(t *testing.T) {
	for _, point := range []string{custody.PointErasing, custody.PointOrdered, custody.PointDestroyed} {
		t.Run(point, func(t *testing.T) {
			b := newBench(t)
			anna, piet := b.person("anna@contoso.example"), b.person("piet@contoso.example")
			other := b.request("erasure", "piet@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			b.crashAt = point
			if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			b.crashAt = ""
			pending, err := b.vault.PendingErasures(b.ctx)
			if err != nil || len(pending) != 1 {
				t.Fatal(pending, err)
			}
			// A forged order for the erasure that is pending, and others that cannot be read.
			order := fmt.Sprintf(`{"keys":[%q],"ground":"unlawful","completion":%q}`, uuid.New(),
				pending[0].Completion)
			for _, data := range []string{order, `{}`, `{"keys":["x"]}`, `{"completion":7}`, `{"keys":{"a":1}}`} {
				e := b.as(b.tenant.ID, "request.erasure-ordered.v1", data)
				b.plant(other.Stream(), e)
				if data != order {
					e.ID = uuid.New()
					b.plant(other.Stream(), b.signed(other.Stream(), e, b.tenant.ID))
				}
			}
			completed, takenBack, err := b.custody.Resume(b.ctx)
			if err != nil || (completed == 1) != (point != custody.PointErasing) || completed+takenBack != 1 {
				t.Fatalf("%d completed, %d taken back: %v", completed, takenBack, err)
			}
			if _, err := b.open(anna); errors.Is(err, vault.ErrErased) != (point != custody.PointErasing) {
				t.Errorf("her value opens with %v", err)
			}
			if _, err := b.open(piet); err != nil {
				t.Errorf("his value opens with %v", err)
			}
		})
	}
}

// Whoever reads an order knows the completion's stream and id: writing there first does
// not stand for the completion.
func TestACompletionIsRecordedWhereSomebodyElseWasFirst(t *testing.T) {
	for _, id := range []string{"another id", "the same id"} {
		t.Run(id, func(t *testing.T) {
			b := newBench(t)
			b.person("anna@contoso.example")
			r := b.request("erasure", "anna@contoso.example")
			b.crashAt = custody.PointDestroyed
			if _, err := b.custody.Erase(b.ctx, officer, r, "unlawful", nil); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			b.crashAt = ""
			pending, err := b.vault.PendingErasures(b.ctx)
			if err != nil || len(pending) != 1 {
				t.Fatal(pending, err)
			}
			s := schemas.NewStream("subject", pending[0].Completion)
			e := b.as(b.tenant.ID, "subject.erased.v1", `{"keys":0}`)
			if id == "the same id" {
				e.ID = pending[0].Completion
			}
			b.plant(s, e)
			if _, _, err := b.custody.Resume(b.ctx); err != nil {
				t.Fatal(err)
			}
			genuine := 0
			for own, err := range ledger.ReadGenuine(b.ctx, b.ledger, schemas.Default(), s, b.tenant.ID,
				&ledger.Reading{}) {
				if err != nil {
					t.Fatal(err)
				}
				if own.ID == pending[0].Completion && own.Type == "subject.erased.v1" {
					genuine++
				}
			}
			if genuine != 1 {
				t.Errorf("%d completions of the ledger's own, want one", genuine)
			}
		})
	}
}

// A session goes on where others write into its stream.
func TestAnAccessGoesOnWhereOthersWriteIntoItsStream(t *testing.T) {
	b := newBench(t)
	s := b.session()
	b.plant(s.Stream(), noise)
	b.plant(s.Stream(), b.as(b.tenant.ID, "access.unsealed.v2", `{}`))
	for i := range 3 {
		name := fmt.Sprintf("user%d@contoso.example", i)
		sealed := b.person(name)
		out, err := s.Open(b.ctx, []vault.Sealed{sealed})
		if err != nil || out[0].Err != nil {
			t.Fatalf("%v, %v", err, out)
		}
		b.plant(s.Stream(), noise)
	}
	if s.Persons() != 3 {
		t.Errorf("%d persons were named", s.Persons())
	}
}

// A tenant is recorded where its stream holds its registration, not because something is there.
func TestATenantIsRecordedWhereSomebodyElseWasFirst(t *testing.T) {
	b := newBench(t)
	b.store.Fail = func(s schemas.Stream, _ []schemas.Event) error {
		if s.Kind() == "tenant" {
			b.store.Fail = nil
			b.plant(s, noise)
			b.plant(s, b.as(s.UUID(), "tenant.registered.v1", `{"set":{"timeZone":"UTC"}}`))
		}
		return nil
	}
	n := vault.NewTenant{Name: "Fabrikam", AnySource: true}
	tenant, err := b.custody.RegisterTenant(b.ctx, officer, n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.custody.RegisterTenant(b.ctx, officer, n); !errors.Is(err, vault.ErrExists) {
		t.Errorf("again: %v", err)
	}
	var reading ledger.Reading
	for _, err := range ledger.ReadGenuine(b.ctx, b.ledger, schemas.Default(), schemas.NewStream("tenant", tenant.ID),
		tenant.ID, &reading) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if reading.Own != 2 || reading.Left.By[ledger.Foreign] != 1 || reading.Left.By[ledger.Forged] != 1 {
		t.Errorf("%+v", reading)
	}
}

// check returns what checking the ledger tells of each event.
func (b *bench) check() (out map[ledger.Place]ledger.Found) {
	b.t.Helper()
	out = map[ledger.Place]ledger.Found{}
	tenants, err := b.vault.Tenants(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []uuid.UUID
	for _, t := range tenants {
		ids = append(ids, t.ID)
	}
	err = b.ledger.Check(b.ctx, ids, nil, func(f ledger.Found) error {
		if f.Verdict != ledger.Foreign {
			out[ledger.Place{Event: f.ID, Seq: f.Seq}] = f
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func TestWhatIsNotTheLedgersOwnIsDisownedAndNothingElse(t *testing.T) {
	b := newBench(t)
	other, err := b.custody.RegisterTenant(b.ctx, officer, vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		t.Fatal(err)
	}
	s := schemas.NewStream("tenant", b.tenant.ID)
	forged := b.plant(s, b.as(b.tenant.ID, "tenant.registered.v1", `{"set":{"timeZone":"UTC"}}`)).ID
	others := b.plant(s, b.as(other.ID, "tenant.registered.v1", `{"set":{"timeZone":"UTC"}}`)).ID
	unfitting := b.plant(s, b.signed(s, b.as(b.tenant.ID, "tenant.registered.v1", `{"set":{"x":1}}`), b.tenant.ID)).ID
	misplaced := b.plant(s, b.signed(s, b.as(other.ID, "tenant.registered.v1",
		`{"set":{"timeZone":"UTC"}}`), other.ID)).ID
	foreign := b.plant(s, noise).ID
	var own schemas.Envelope
	for r, err := range b.ledger.Events(b.ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Stream == s && r.Revision == 0 {
			own = r
		}
	}
	b.plant(schemas.NewStream("tenant", uuid.New()), own.Event) // a true event, repeated

	before := len(b.store.Events())
	for _, tc := range []struct {
		tenant uuid.UUID
		id     uuid.UUID
		want   error
	}{
		{uuid.Nil, b.store.Events()[0].ID, custody.ErrOwnEvent},
		{b.tenant.ID, b.store.Events()[2].ID, custody.ErrOwnEvent},
		{uuid.Nil, uuid.New(), custody.ErrNoEvent}, {uuid.Nil, foreign, custody.ErrNoEvent},
		{b.tenant.ID, others, custody.ErrNotTenants}, {other.ID, forged, custody.ErrNotTenants},
	} {
		// With one that may be disowned: nothing is.
		_, err := b.custody.Disown(b.ctx, officer, tc.tenant, []uuid.UUID{tc.id, unfitting}, "unknown", nil)
		if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.id.String()) {
			t.Errorf("event %s as %s: %v, want %v and its name", tc.id, tc.tenant, err, tc.want)
		}
	}
	for _, who := range []access.Principal{{Login: "x", Roles: []access.Role{access.Officer}, All: true},
		{Login: "x", Roles: []access.Role{access.Operator}, Tenants: []uuid.UUID{b.tenant.ID}}} {
		_, err := b.custody.Disown(b.ctx, who, uuid.Nil, []uuid.UUID{forged}, "test", nil)
		if !errors.Is(err, access.ErrForbidden) {
			t.Errorf("who may not: %v", err)
		}
	}
	for _, bad := range []func() (custody.Disowning, error){
		func() (custody.Disowning, error) {
			return b.custody.Disown(b.ctx, officer, uuid.Nil, []uuid.UUID{forged}, "because", nil)
		},
		func() (custody.Disowning, error) { return b.custody.Disown(b.ctx, officer, uuid.Nil, nil, "test", nil) },
	} {
		if _, err := bad(); err == nil {
			t.Error("a wrong call was taken")
		}
	}
	if len(b.store.Events()) != before {
		t.Fatal("what was refused appended something")
	}

	// The tenant's own first, then everything as the operator of the ledger.
	done, err := b.custody.Disown(b.ctx, officer, b.tenant.ID, []uuid.UUID{forged, forged}, "intrusion", nil)
	if err != nil || len(done.Events) != 1 || len(done.Before) != 0 || done.Events[0].Verdict != ledger.Forged {
		t.Fatalf("%+v, %v", done, err)
	}
	all := []uuid.UUID{forged, others, unfitting, misplaced, own.ID}
	done, err = b.custody.Disown(b.ctx, officer, uuid.Nil, all, "intrusion", nil)
	if err != nil || len(done.Events) != 4 || len(done.Before) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	after := len(b.store.Events())
	if done, err = b.custody.Disown(b.ctx, officer, uuid.Nil, all, "intrusion", nil); err != nil ||
		len(done.Events) != 0 || len(done.Before) != 5 {
		t.Errorf("again: %+v, %v", done, err)
	}
	if len(b.store.Events()) != after || after != before+2 {
		t.Errorf("%d events were appended, want two and none again", len(b.store.Events())-before)
	}
	for place, f := range b.check() {
		bad := f.Verdict != ledger.Genuine || f.ID == misplaced
		if f.Disowned != bad {
			t.Errorf("event %s (sequence %d, %s) is disowned: %v", place.Event, place.Seq, f.Verdict, f.Disowned)
		}
	}
	last := b.store.Events()[before]
	if d, err := schemas.Default().Decode(schemastest.Envelope(last)); err != nil ||
		last.Stream != ledger.DisownedStream(b.tenant.ID) ||
		len(d.Subjects) != 1 || d.Subjects[0].Role != "officer" {
		t.Errorf("the tenant's disowning is in %s and names %+v (%v)", last.Stream, d.Subjects, err)
	}
	if last := b.store.Events()[before+1]; last.Stream != schemas.LedgerStream ||
		bytes.Contains(last.Metadata, []byte("role")) {
		t.Errorf("the operator's disowning is in %s: %s", last.Stream, last.Metadata)
	}
	if _, err := ledger.Open(b.ctx, ledger.Config{Store: b.store, Origin: b.vault.OriginKey, Logger: b.log(),
		Clock: b.vaultTime}); err != nil {
		t.Errorf("the ledger opens with %v", err)
	}
}

// What was disowned by a forged event is not.
func TestAForgedDisowningDisownsNothing(t *testing.T) {
	b := newBench(t)
	for r, err := range b.ledger.Events(b.ctx) {
		if err != nil {
			t.Fatal(err)
		}
		b.plant(ledger.DisownedStream(b.tenant.ID), b.as(b.tenant.ID, ledger.DisownedType,
			fmt.Sprintf(`{"events":[{"id":%q,"sequence":%d}],"ground":"test"}`, r.ID, r.Seq)))
	}
	for _, f := range b.check() {
		if f.Disowned {
			t.Errorf("sequence %d is disowned", f.Seq)
		}
	}
}

// Whatever belongs to the ledger passes custody, signed by whoever has the vault.
func FuzzCustody(f *testing.F) {
	b := newBench(f)
	b.person("anna@contoso.example")
	r := b.request("erasure", "anna@contoso.example")
	for _, r := range b.store.Events() {
		f.Add(r.Type, []byte(r.Data), uint64(1))
	}
	f.Add("request.erasure-ordered.v1", []byte(`{"keys":[null],"completion":{}}`), uint64(2))
	f.Add("ledger.disowned.v1", []byte(`{"events":[{"id":"x","sequence":-1},{}],"ground":7}`), uint64(3))
	f.Fuzz(func(t *testing.T, typ string, data []byte, seed uint64) {
		b.t = t
		e := b.as(b.tenant.ID, typ, string(data))
		for _, s := range []schemas.Stream{r.Stream(), ledger.DisownedStream(b.tenant.ID)} {
			e.ID = uuid.New()
			b.plant(s, b.signed(s, e, b.tenant.ID))
			b.plant(s, schemastest.Foreign(rand.New(rand.NewPCG(seed, 3))))
		}
		if found, err := b.custody.FindRequest(b.ctx, officer, b.tenant.ID, r.ID); err != nil ||
			found.Person != r.Person {
			t.Fatalf("the request is %+v, %v", found, err)
		}
		if err := b.vault.Update(b.ctx, b.tenant.ID, func(tx *vault.Tx) error {
			_, err := tx.BeginErasure(r.Person, uuid.New())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, back, err := b.custody.Resume(b.ctx); err != nil || back != 1 {
			t.Fatalf("%d taken back: %v", back, err)
		}
		b.check()
	})
}
