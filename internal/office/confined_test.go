package office

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/projections/report/render"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// Whatever the views can be asked of another tenant is refused before they are asked: also what
// they come to be asked later.
func TestAConfinedReaderRefusesEveryQuestionAboutAnotherTenant(t *testing.T) {
	c := confined{tenant: uuid.New()} // views that panic where they are asked
	kind, asked := reflect.TypeFor[Views](), 0
	tenant := reflect.TypeFor[uuid.UUID]()
	for i := range kind.NumMethod() {
		m := kind.Method(i)
		if m.Type.NumIn() < 2 || m.Type.In(1) != tenant {
			continue
		}
		asked++
		for _, other := range []uuid.UUID{uuid.New(), uuid.Nil} {
			in := []reflect.Value{reflect.ValueOf(context.Background()), reflect.ValueOf(other)}
			for at := 2; at < m.Type.NumIn(); at++ {
				if !m.Type.IsVariadic() || at < m.Type.NumIn()-1 {
					in = append(in, reflect.Zero(m.Type.In(at)))
				}
			}
			out := reflect.ValueOf(c).MethodByName(m.Name).Call(in)
			if err := errorOf(out); !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s of another tenant: %v", m.Name, err)
			}
		}
	}
	if asked < 8 {
		t.Errorf("only %d questions name a tenant", asked)
	}
}

// errorOf is the error that a method returned, or that the sequence it returned yields first.
func errorOf(out []reflect.Value) (err error) {
	last := out[len(out)-1]
	if e, ok := last.Interface().(error); ok {
		return e
	}
	for _, v := range last.Seq2() {
		err, _ = v.Interface().(error)
		break
	}
	return err
}

// What is handed out is bound to a tenant: no method of it takes another.
func TestWhatIsHandedOutTakesNoTenant(t *testing.T) {
	for _, kind := range []reflect.Type{reflect.TypeFor[*Question](), reflect.TypeFor[*report.Report]()} {
		for i := range kind.NumMethod() {
			m := kind.Method(i)
			for in := range m.Type.NumIn() {
				if m.Type.In(in) == reflect.TypeFor[uuid.UUID]() {
					t.Errorf("%s.%s takes a uuid", kind, m.Name)
				}
			}
		}
	}
}

// A property over two tenants: whatever a report is asked, and whatever is followed, each sees its
// own tenant's and all of it.
func TestNobodySeesAnotherTenantsRows(t *testing.T) {
	b := newBuilding(t)
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.IntRange(0, 1).Draw(t, "own")
		who := access.Principal{Login: "v@contoso.example", Roles: []access.Role{access.Viewer},
			Tenants: []uuid.UUID{b.tenants[own].ID}}
		for _, tenant := range b.tenants {
			var devices []projections.Device
			for range rapid.IntRange(0, 5).Draw(t, "devices") {
				devices = append(devices, projections.Device{Stream: schemas.NewStream("device", uuid.New())})
			}
			b.views.devices[tenant.ID] = devices
		}
		seen := inventory(t, b, who, b.tenants[own].ID, report.Request{Report: "device-inventory"})
		for i, tenant := range b.tenants {
			for _, d := range b.views.devices[tenant.ID] {
				if slices.Contains(seen, d.Stream) != (i == own) {
					t.Fatalf("a device of tenant %d is seen by one of %d: %v", i, own, seen)
				}
			}
		}
		want := b.topics.fill(t, b.tenants)
		var got []uint64
		err := b.Follow(context.Background(), who, b.tenants[own].ID, Following{FromStart: true, UntilEnd: true,
			Event: func(r schemas.Envelope) error { got = append(got, r.Seq); return nil }})
		if err != nil || !slices.Equal(got, want[b.tenants[own].ID]) {
			t.Fatalf("followed %v, %v, want %v", got, err, want[b.tenants[own].ID])
		}
	})
}

// inventory returns the streams in the rows of a report.
func inventory(t *rapid.T, b *building, who access.Principal, tenant uuid.UUID, r report.Request) []schemas.Stream {
	q, err := b.Ask(context.Background(), who, tenant, r, Patience{})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := q.Answer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := render.Write("csv", &out, answer.Document(), 0); err != nil {
		t.Fatal(err)
	}
	var streams []schemas.Stream
	for _, tenant := range b.tenants {
		for _, d := range b.views.devices[tenant.ID] {
			if strings.Contains(out.String(), d.Stream.UUID().String()) {
				streams = append(streams, d.Stream)
			}
		}
	}
	return streams
}

// fill puts events of the tenants into partitions, and returns whose sequences are which.
func (tp *topics) fill(t *rapid.T, tenants [2]vault.Tenant) map[uuid.UUID][]uint64 {
	c := schemas.Default()
	want := map[uuid.UUID][]uint64{}
	tp.partitions, tp.through = map[string][]schemas.Envelope{}, 0
	for seq := range uint64(rapid.IntRange(0, 20).Draw(t, "events")) {
		of := tenants[rapid.IntRange(0, 1).Draw(t, "tenant")].ID
		e, err := c.Encode(schemas.Draft{Type: c.MustType("refusal.recorded.v1"), Tenant: of,
			Stream: schemas.NewStream("refusal", uuid.New()), ID: schemas.NewID(), Occurred: time.Now(),
			Recorded: time.Now(), Source: "test", Values: []schemas.Value{
				{Attr: c.MustAttribute("refusal.rule"), Plain: schemas.JSON("test")},
				{Attr: c.MustAttribute("refusal.count"), Plain: schemas.JSON(seq)}}})
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("ledger.refusal/%d", rapid.IntRange(0, 2).Draw(t, "partition"))
		read, err := schemas.NewEnvelope(schemas.RecordedEvent{Event: schemastest.Sign(e, 0), Seq: seq})
		if err != nil {
			t.Fatal(err)
		}
		tp.partitions[name] = append(tp.partitions[name], read)
		tp.through = seq
		want[of] = append(want[of], seq)
	}
	return want
}

// Another tenant's device or actor is as if it were none, however it is named.
func TestAFilterFindsNothingOfAnotherTenant(t *testing.T) {
	b := newBuilding(t)
	ctx := t.Context()
	native, upn := uuid.NewString(), "anna@fabrikam.example"
	other := b.tenants[1]
	var device schemas.Stream
	var alias uuid.UUID
	c := schemas.Default()
	var e schemas.Event
	err := b.cfg.Vault.Update(ctx, other.ID, func(tx *vault.Tx) error {
		anna, _, err := tx.Person(vault.PersonHint{UPN: upn, At: time.Now()})
		if err != nil {
			return err
		}
		d, _, err := tx.Device(vault.DeviceHint{IntuneID: native, At: time.Now()})
		if err != nil {
			return err
		}
		device = d.Stream
		draft := schemas.Draft{Type: c.MustType("device.ownership-changed.v1"), Tenant: other.ID, Stream: device,
			ID: schemas.NewID(), Occurred: time.Now(), Recorded: time.Now(), Source: "test",
			Subjects: []schemas.SubjectRef{{Role: "user", Person: anna}},
			Values: []schemas.Value{{Attr: c.MustAttribute("device.user-upn"), Plain: schemas.JSON(upn),
				Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: anna}}}}
		if err := tx.Seal(&draft); err != nil {
			return err
		}
		alias = draft.Subjects[0].Alias
		e, err = c.Encode(draft)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Plant(device, ledger.NoStream, e); err != nil {
		t.Fatal(err)
	}
	mine := access.Principal{Login: "o@contoso.example", Roles: []access.Role{access.Officer},
		Tenants: []uuid.UUID{b.tenants[0].ID}}
	before := len(b.store.Events())
	for _, c := range []struct {
		of, field string
		values    []string
	}{
		{"admin-actions", "device", []string{native, string(device), device.UUID().String()}},
		{"admin-actions", "actor", []string{upn, alias.String()}},
		{"data-access", "officer", []string{upn, alias.String()}},
		{"data-access", "person", []string{upn, alias.String()}},
		{"person-overview", "person", []string{upn, alias.String()}},
	} {
		field := c.field
		for _, v := range c.values {
			r := report.Request{Report: c.of, Reveal: true, Purpose: "audit",
				Filters: map[string]string{field: v}}
			_, err := b.Ask(ctx, mine, b.tenants[0].ID, r, Patience{})
			var p *report.Problem
			if !errors.As(err, &p) || p.Field != field || p.Code != define.NoDevice && p.Code != define.Nobody {
				t.Errorf("%s %s of another tenant: %v", field, v, err)
			}
		}
	}
	if len(b.store.Events()) != before {
		t.Error("something was recorded")
	}
}

// A request of another tenant is no request, also to one who acts for both.
func TestARequestIsOfItsTenant(t *testing.T) {
	b := newBuilding(t)
	ctx := t.Context()
	err := b.cfg.Vault.Update(ctx, b.tenants[1].ID, func(tx *vault.Tx) error {
		_, _, err := tx.Person(vault.PersonHint{UPN: "anna@fabrikam.example", At: time.Now()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.OpenRequest(ctx, root, b.tenants[1].ID, custody.NewRequest{Tenant: b.tenants[0].ID, Right: "erasure",
		Identifier: "anna@fabrikam.example", Received: time.Now()})
	if err != nil || r.Tenant != b.tenants[1].ID {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := b.Request(ctx, root, b.tenants[0].ID, r.ID); !errors.Is(err, custody.ErrNoRequest) {
		t.Errorf("read: %v", err)
	}
	if _, err := b.Erase(ctx, root, b.tenants[0].ID, r.ID, custody.Grounds[0], nil); !errors.Is(err,
		custody.ErrNoRequest) {
		t.Errorf("erased: %v", err)
	}
	if _, err := b.Request(ctx, root, b.tenants[1].ID, r.ID); err != nil {
		t.Error(err)
	}
}
