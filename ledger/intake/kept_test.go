package intake

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// keptEvents returns two events of a device, with all that a folding keeps: open and sealed
// values, none, an entry of a list, a user.
func keptEvents(stream schemas.Stream) []ledger.Own {
	c := schemas.Default()
	at := time.Date(2026, 9, 3, 10, 0, 0, 0, time.UTC)
	id := func(n byte) uuid.UUID { return uuid.UUID{0: n, 6: 0x40, 8: 0x80, 15: n} }
	plain := func(attr string, v any) schemas.Value {
		return schemas.Value{Attr: c.MustAttribute(attr), Plain: schemas.JSON(v)}
	}
	sealed := func(attr string) schemas.Value {
		a := c.MustAttribute(attr)
		h := schemas.TokenHeader{Alias: id(9), Class: a.Class, Month: "202609", Event: id(1), Attr: a.ID}
		return schemas.Value{Attr: a, Token: h.Token(make([]byte, 92))}
	}
	app := plain("device.app", map[string]string{"id": "a"})
	app.Path = []string{id(7).String()}
	events := []schemas.Draft{
		{Type: c.MustType("device.enrolled.v1"), ID: id(1), Occurred: at, Values: []schemas.Value{
			plain("device.last-contact", "2026-09-03T09:00:00Z"), plain("device.os-version", "14.4.1"),
			plain("device.ownership", "company"), sealed("device.user-upn"), sealed("device.name"), app}},
		{Type: c.MustType("device.inventory-changed.v1"), ID: id(2), Occurred: at.Add(24 * time.Hour),
			Silent: []string{"osVersion"}, Values: []schemas.Value{
				plain("device.model", "MacBook"), {Attr: c.MustAttribute("device.name"), Removed: true}}},
	}
	out := make([]ledger.Own, len(events))
	for i, d := range events {
		d.Stream = stream
		out[i] = ledger.Own{Draft: d, Envelope: schemas.Envelope{RecordedEvent: schemas.RecordedEvent{
			Event: schemas.Event{ID: d.ID, Stream: stream}, Revision: uint64(i)}}}
	}
	return out
}

// What is kept of a folding is read by later programs of the same form, and in the terms of the
// same catalogue: its bytes stay, or the form is raised.
func TestWhatIsKeptOfAFoldingIsUnchanged(t *testing.T) {
	const path = "testdata/kept.hex"
	w := newWorld(t, false)
	stream := schemas.NewStream("device", uuid.UUID{0: 5, 6: 0x40, 8: 0x80})
	var kept []byte
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		h := plan.History{Stream: stream, Events: keptEvents(stream), Left: &ledger.LeftOut{}}
		h.Keep = func(known []byte, _ []uuid.UUID) error {
			kept = bytes.Clone(known)
			return nil
		}
		_, err := w.intake().kinds.Fold(tx, h)
		return err
	})
	if err != nil || len(kept) == 0 {
		t.Fatalf("kept %d bytes: %v", len(kept), err)
	}
	version := schemas.Default().Version()
	now := fmt.Sprintf("%d %x %s", foldingForm, version, hex.EncodeToString(kept))
	raw, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	was := strings.TrimSpace(string(raw))
	if was == now {
		return
	}
	if strings.HasPrefix(was, fmt.Sprintf("%d %x ", foldingForm, version)) {
		t.Fatal("other bytes are kept of the same events: raise foldingForm (remember.go)")
	}
	if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
		t.Fatal("it is of another form or catalogue: -rewrite")
	}
	if err := os.WriteFile(path, []byte(now+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
