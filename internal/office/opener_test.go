package office

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/custody"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
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
