package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/answer"
	"github.com/ledgerline/ledgerline/internal/terminal"
	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/ledgertest"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// A check names what is not the ledger's own, and what it says of the streams of others
// is bounded in form and number.
func TestACheckNamesWhatIsNotTheLedgersOwn(t *testing.T) {
	top := newDesktop(t)
	d, store := &top.desk, top.store
	before := uint64(len(store.Events()))
	s := ledgertest.NewStream()
	forged := ledgertest.Event(t, s, 1) // of a tenant that the vault does not know
	for i, e := range []schemas.Event{forged, {ID: uuid.New(), Stream: "anna.devries", Type: "created",
		Data: json.RawMessage(`{}`)}} {
		if err := store.Plant(e.Stream, ledger.NoStream, e); err != nil {
			t.Fatal(i, err)
		}
	}
	p := terminal.NewProgress(&strings.Builder{})
	doc, err := d.check(context.Background(), p)
	if err != nil || doc.Events != before+1 || doc.Foreign != 1 || doc.Forged != 1 || doc.Disowned != 0 ||
		len(doc.Findings) != 2 {
		t.Fatalf("%+v, %v", doc, err)
	}
	var text strings.Builder
	doc.WriteText(&text)
	if out := text.String(); !strings.Contains(out, forged.ID.String()+fmt.Sprintf("  sequence %d", before)) ||
		!strings.Contains(out, "forged 1,") || strings.Contains(out, "anna") {
		t.Errorf("%s", out)
	}
	if raw, err := json.Marshal(doc); err != nil || strings.Contains(string(raw), "anna") {
		t.Errorf("%s, %v", raw, err)
	}
	if _, err := d.office.Disown(context.Background(), d.who, uuid.Nil, []uuid.UUID{forged.ID},
		"test", nil); err != nil {
		t.Fatal(err)
	}
	if doc, err = d.check(context.Background(), p); err != nil || doc.Forged != 0 || doc.Disowned != 1 ||
		!doc.Findings[0].Disowned {
		t.Errorf("%+v, %v", doc, err)
	}
	for range answer.MaxFindings + 5 {
		doc.Add(ledger.Found{Verdict: ledger.Foreign})
	}
	if len(doc.Findings) != answer.MaxFindings || !doc.More || doc.Foreign != answer.MaxFindings+6 {
		t.Errorf("%d findings of %d, more: %v", len(doc.Findings), doc.Foreign, doc.More)
	}
}

// An event that holds a value of somebody whom it does not name is a problem: no package finds it
// for them.
func TestACheckNamesEventsThatDoNotNameEverybody(t *testing.T) {
	d := newDesktop(t)
	p := terminal.NewProgress(&strings.Builder{})
	doc, err := d.desk.check(context.Background(), p)
	if err != nil || doc.Unnaming != 0 || len(doc.Findings) != 0 {
		t.Fatalf("%+v, %v", doc, err)
	}
	c := schemas.Default()
	draft := schemas.Draft{Type: c.MustType("device.ownership-changed.v1"), Tenant: d.desk.tenant.ID,
		Stream: schemas.NewStream("device", uuid.New()), ID: schemas.NewID(), Occurred: time.Now(),
		Recorded: time.Now(),
		Source:   "test"}
	err = d.vault.Update(context.Background(), d.desk.tenant.ID, func(tx *vault.Tx) error {
		anna, _, err := tx.Person(vault.PersonHint{UPN: annaLogin, At: time.Now()})
		if err != nil {
			return err
		}
		draft.Values = []schemas.Value{{Attr: c.MustAttribute("device.user-upn"), Plain: schemas.JSON(annaLogin),
			Owner: schemas.Owner{Kind: schemas.OwnerPerson, ID: anna}}}
		return tx.Seal(&draft)
	})
	if err != nil {
		t.Fatal(err)
	}
	draft.Values[0].Owner = schemas.Owner{} // as one who does not say whose it is: Encode cannot know
	e, err := c.Encode(draft)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ledger.Append(context.Background(), e.Stream, ledger.NoStream, []schemas.Event{e}); err != nil {
		t.Fatal(err)
	}
	doc, err = d.desk.check(context.Background(), p)
	if err != nil || doc.Unnaming != 1 || len(doc.Findings) != 1 || doc.Findings[0].ID != draft.ID {
		t.Fatalf("%+v, %v", doc, err)
	}
	var text strings.Builder
	doc.WriteText(&text)
	if out := text.String(); !strings.Contains(out, "not naming the person of device.user-upn") ||
		!strings.Contains(out, "not naming everybody 1:") || strings.Contains(out, annaLogin) {
		t.Errorf("%s", out)
	}
}
