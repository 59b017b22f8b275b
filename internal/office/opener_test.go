package office

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/projections/report"
	"github.com/ledgerline/ledgerline/projections/report/define"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// A token that stands in the place of another attribute or event does not open, whatever it says
// of itself.
func TestATokenOpensOnlyWhereItStands(t *testing.T) {
	b := newBuilding(t)
	tenant, upn := b.tenants[0].ID, "anna@contoso.example"
	c := schemas.Default()
	draft := schemas.Draft{Type: c.MustType("device.ownership-changed.v1"), Tenant: tenant,
		Stream: schemas.NewStream("device", uuid.New()), ID: schemas.NewID(), Occurred: time.Now(),
		Recorded: time.Now(),
		Source:   "test"}
	err := b.cfg.Vault.Update(t.Context(), tenant, func(tx *vault.Tx) error {
		anna, _, err := tx.Person(vault.PersonHint{UPN: upn, At: time.Now()})
		if err != nil {
			return err
		}
		draft.Subjects = []schemas.SubjectRef{{Role: "user", Person: anna}}
		draft.Values = []schemas.Value{{Attr: c.MustAttribute("device.user-upn"), Plain: schemas.JSON(upn),
			Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: anna}}}
		return tx.Seal(&draft)
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.cfg.Custody.Access(t.Context(), root, custody.Purpose{Tenant: tenant, Report: "x", Code: "audit"})
	if err != nil {
		t.Fatal(err)
	}
	token, attr := draft.Values[0].Token, "device.user-upn"
	out, err := sessionOpener{s}.Open(t.Context(), []projections.Sealed{
		{Token: token, Attribute: attr, Event: draft.ID},
		{Token: token, Attribute: attr},
		{Token: token, Attribute: "device.name", Event: draft.ID},
		{Token: token, Attribute: attr, Event: uuid.New()},
		{Token: token},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out {
		if i < 2 && (o.Err != nil || string(o.Plain) != `"`+upn+`"`) ||
			i >= 2 && (!errors.Is(o.Err, projections.ErrTampered) || o.Plain != nil) {
			t.Errorf("place %d: opened %t, %v", i, o.Plain != nil, o.Err)
		}
	}
}

// What is looked for in protected values may name a person, and the officer's key would outlive
// that person's: the access says that something was looked for, and what else was asked.
func TestWhatIsSoughtIsNotRecorded(t *testing.T) {
	b := newBuilding(t)
	tenant := b.tenants[0].ID
	for _, c := range []struct {
		report  string
		filters map[string]string
		want    string
	}{
		{"device-inventory", map[string]string{"name": "Fatima", "ownership": "company"},
			`{"name":true,"ownership":"company"}`},
		{"admin-actions", map[string]string{"text": "Fatima, on the train", "device": "Fatima's phone"},
			`{"device":true,"text":true}`},
	} {
		q, err := b.Ask(t.Context(), root, tenant, report.Request{Report: c.report, Reveal: true, Purpose: "audit",
			Filters: c.filters}, Patience{})
		if err != nil {
			t.Fatal(err)
		}
		before := len(b.store.Events())
		var p *report.Problem // a device that nobody has is sought before it is refused
		if _, err := q.Answer(t.Context()); err != nil && (!errors.As(err, &p) || p.Code != define.NoDevice) {
			t.Fatal(err)
		}
		d, err := schemas.Default().Decode(schemastest.Envelope(b.store.Events()[before]))
		if err != nil {
			t.Fatal(err)
		}
		var token schemas.Token
		for _, v := range d.Values {
			if v.Attr.ID == "access.filters" {
				token = v.Token
			}
		}
		s, err := b.cfg.Custody.Access(t.Context(), root, custody.Purpose{Tenant: tenant, Report: "x", Code: "audit"})
		if err != nil {
			t.Fatal(err)
		}
		out, err := sessionOpener{s}.Search(t.Context(), []projections.Sealed{{Token: token,
			Attribute: "access.filters"}})
		if err != nil || out[0].Err != nil || string(out[0].Plain) != c.want {
			t.Errorf("%s: the ledger holds %s, want %s (%v)", c.report, out[0].Plain, c.want, err)
		}
	}
}
