package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// intruder writes to the store as anybody may who has an account there, and for what a holder of
// the vault could write with its keys.
type intruder struct {
	w     *world
	other vault.Tenant
	mu    sync.Mutex // guards rand
	rand  *rand.Rand
}

func newIntruder(w *world, seed uint64) *intruder {
	w.t.Helper()
	other, err := w.vault.AddTenant(context.Background(), vault.NewTenant{Name: "Fabrikam", AnySource: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return &intruder{w: w, other: other, rand: rand.New(rand.NewPCG(seed, 1))}
}

// end returns where the stream ends.
func (i *intruder) end(s schemas.Stream) (ledger.Expect, uint64) {
	expect, next := ledger.NoStream, uint64(0)
	for r := range i.w.ledger.ReadStream(context.Background(), s, 0) {
		expect, next = ledger.Exact(r.Revision), r.Revision+1
	}
	return expect, next
}

// plant appends an event past the ledger.
func (i *intruder) plant(s schemas.Stream, e schemas.Event) {
	i.w.t.Helper()
	for {
		expect, _ := i.end(s)
		err := i.w.store.Plant(s, expect, e)
		if err == nil {
			return
		}
		if !errors.Is(err, ledger.ErrConflict) { // another append may come between
			i.w.t.Fatal(err)
		}
	}
}

// signed returns the event as a holder of the vault would sign it for the
// stream's end, as the tenant's.
func (i *intruder) signed(s schemas.Stream, e schemas.Event, tenant uuid.UUID) schemas.Event {
	i.w.t.Helper()
	k, _, err := i.w.vault.OriginKey(context.Background(), tenant)
	if err != nil {
		i.w.t.Fatal(err)
	}
	_, next := i.end(s)
	e.Stream = s
	return schemas.Sign(e, next, k)
}

// intrusions are the kinds of events that are not to be acted on, and what each counts as.
// genuine is an event of the tenant's.
var intrusions = map[string]struct {
	counts string
	event  func(i *intruder, s schemas.Stream, genuine schemas.Event) schemas.Event
}{
	"no metadata": {"foreign", func(_ *intruder, _ schemas.Stream, e schemas.Event) schemas.Event {
		e.ID, e.Metadata = uuid.New(), nil
		return e
	}},
	"a link": {"foreign", func(_ *intruder, _ schemas.Stream, e schemas.Event) schemas.Event {
		return schemas.Event{ID: uuid.New(), Type: "$>", Data: json.RawMessage("0@" + string(e.Stream)),
			Metadata: json.RawMessage("{}")}
	}},
	"an origin that nobody made": {"forged", func(_ *intruder, _ schemas.Stream, e schemas.Event) schemas.Event {
		e.ID = uuid.New()
		return schemas.Sign(e, 1, schemas.OriginKey{9})
	}},
	"a true event, repeated": {"forged", func(_ *intruder, _ schemas.Stream, e schemas.Event) schemas.Event {
		return e
	}},
	"another tenant's event": {"another tenant's", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID = uuid.New()
		e.Metadata = bytes.Replace(e.Metadata, []byte(i.w.tenant.ID.String()), []byte(i.other.ID.String()), 1)
		e.Data = json.RawMessage(`{"set":{"osVersion":"6.6.6"}}`)
		e.Type = "device.inventory-changed.v1"
		return i.signed(s, e, i.other.ID)
	}},
	"a tenant that nobody knows": {"forged", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID = uuid.New()
		e.Metadata = bytes.Replace(e.Metadata, []byte(i.w.tenant.ID.String()), []byte(uuid.NewString()), 1)
		return i.signed(s, e, i.other.ID)
	}},
	"data that is not its type's": {"unfitting", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID, e.Type, e.Data = uuid.New(), "device.inventory-changed.v1", json.RawMessage(`{"set":{"nonsense":[1]}}`)
		return i.signed(s, e, i.w.tenant.ID)
	}},
	"tokens of another event": {"unfitting", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID, e.Type = uuid.New(), "device.inventory-changed.v1"
		h := schemas.TokenHeader{Alias: uuid.New(), Class: "inventory", Month: "202603", Event: uuid.New(),
			Attr: "device.serial-number"}
		e.Data = schemas.JSON(map[string]any{"set": map[string]any{"serialNumber": h.Token(make([]byte, 96))}})
		return i.signed(s, e, i.w.tenant.ID)
	}},
	"a token that nobody sealed": {"unfitting", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID, e.Type = uuid.New(), "device.inventory-changed.v1"
		h := schemas.TokenHeader{Alias: uuid.New(), Class: "inventory", Month: "202603", Event: e.ID,
			Attr: "device.device-name"}
		e.Data = schemas.JSON(map[string]any{"set": map[string]any{"deviceName": h.Token(make([]byte, 96))}})
		return i.signed(s, e, i.w.tenant.ID)
	}},
	"a type of another kind": {"unfitting", func(i *intruder, s schemas.Stream, e schemas.Event) schemas.Event {
		e.ID, e.Type, e.Data = uuid.New(), "subject.erased.v1", json.RawMessage(`{"keys":1}`)
		return i.signed(s, e, i.w.tenant.ID)
	}},
}

// trueEvent returns an event of the tenant's in that kind of stream.
func (w *world) trueEvent(kind string) schemas.Event {
	w.t.Helper()
	for _, r := range w.own() {
		if r.Stream.Kind() == kind {
			return r.Event
		}
	}
	w.t.Fatalf("no event of a %s", kind)
	return schemas.Event{}
}

// One event in a device's stream that is not to be acted on ends no import,
// moves no state and is told.
func TestAnEventThatIsNotTheTenantsOwnEndsNoImport(t *testing.T) {
	for name, tc := range intrusions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false)
			first := map[string]any{"osVersion": "1.0", "serialNumber": "S-1"}
			w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", first)})
			i := newIntruder(w, 1)
			e := w.trueEvent("device")
			before := w.canonical()
			i.plant(e.Stream, tc.event(i, e.Stream, e))
			if name != "a token that nobody sealed" && w.canonical() != before {
				t.Errorf("it moved the fold:\n%s\nbefore\n%s", w.canonical(), before)
			}
			first["osVersion"] = "2.0"
			s := w.importFiles(map[string]string{"a": device(1, "2026-03-02T08:00:00Z", first)})
			if s.Recorded != 1 || s.EventsLeftOut[tc.counts] != 1 || len(s.EventsLeftOut) != 1 || s.LeftOutInMore {
				t.Errorf("the second snapshot: %s", asJSON(t, s))
			}
			var text strings.Builder
			err := s.WriteText(&text, words.Default().Base())
			if err != nil || !strings.Contains(text.String(), "1  "+tc.counts+"\n") {
				t.Errorf("%v: the summary does not tell it:\n%s", err, text.String())
			}
			if told := strings.Contains(text.String(), "PROBLEM"); told != (tc.counts == "forged") {
				t.Errorf("PROBLEM told: %v", told)
			}
			if s := w.importFiles(map[string]string{"a": device(1, "2026-03-02T08:00:00Z",
				first)}); s.EventsAppended != 0 {
				t.Errorf("importing again appended %d events", s.EventsAppended)
			}
		})
	}
}

// A type that only a newer program knows is genuine: it is skipped and not told.
func TestATypeOfANewerProgramIsSkippedSilently(t *testing.T) {
	w := newWorld(t, false)
	w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", nil)})
	i := newIntruder(w, 1)
	e := w.trueEvent("device")
	s := e.Stream
	e.ID, e.Type, e.Data = uuid.New(), "device.teleported.v3", json.RawMessage(`{"to":"mars"}`)
	i.plant(s, i.signed(s, e, w.tenant.ID))
	sum := w.importFiles(map[string]string{"a": device(1, "2026-03-02T08:00:00Z", map[string]any{"osVersion": "2.0"})})
	if sum.Recorded != 1 || len(sum.EventsLeftOut) != 0 {
		t.Errorf("%s", asJSON(t, sum))
	}
}

// factStream is where the vault says that an action is recorded.
func (w *world) factStream(id string) (s schemas.Stream) {
	w.t.Helper()
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		s = tx.FactStream("adminaction", "intune/auditEvent", id)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// A fact is recorded when its stream holds an event of the tenant's own, not
// because something is there.
func TestAFactIsRecordedWhereSomebodyElseWasFirst(t *testing.T) {
	for name, tc := range intrusions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z",
				map[string]any{"serialNumber": "S-1"})})
			i := newIntruder(w, 1)
			s := w.factStream(guid(30, 1))
			i.plant(s, tc.event(i, s, w.trueEvent("device")))
			action := asLine(map[string]any{"time": "2026-03-02T08:00:00Z", "category": "AuditLogs",
				"operationName": "Patch User", "properties": map[string]any{
					"AuditEventId": guid(30, 1), "ActivityType": 2,
					"Actor":           map[string]any{"ActorType": 1, "ObjectId": guid(10, 1)},
					"TargetObjectIds": []string{guid(10, 2)}, "TargetDisplayNames": []string{"<null>"}}})
			sum := w.importFiles(map[string]string{"a": action})
			if sum.Recorded != 1 || sum.EventsAppended != 1 {
				t.Fatalf("%s", asJSON(t, sum))
			}
			own := w.trueEvent("adminaction")
			if own.Stream != s {
				t.Errorf("recorded in %s, want %s", own.Stream, s)
			}
			if sum := w.importFiles(map[string]string{"a": action}); sum.Unchanged != 1 || sum.EventsAppended != 0 {
				t.Errorf("again: %s", asJSON(t, sum))
			}
		})
	}
}

// Where the tenant's registration was not made with this vault nothing is
// judged and nothing imported.
func TestAnImportRefusesAnotherVaultsTenant(t *testing.T) {
	w := newWorld(t, false)
	i := newIntruder(w, 1)
	s := schemas.NewStream("tenant", w.tenant.ID)
	m, err := schemastest.Metadata(schemas.Metadata{Tenant: w.tenant.ID, Recorded: w.clock.Now(), Source: "custody"})
	if err != nil {
		t.Fatal(err)
	}
	registration := schemas.Event{ID: uuid.New(), Type: "tenant.registered.v1",
		Data: json.RawMessage(`{"set":{"timeZone":"UTC"}}`), Metadata: m}
	i.plant(s, registration)
	before := len(w.events())
	if _, err := w.tryImport(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", nil)}); !errors.Is(err,
		ledger.ErrOtherVault) {
		t.Errorf("%v, want ErrOtherVault", err)
	}
	if len(w.events()) != before {
		t.Error("something was appended")
	}
	i.plant(s, i.signed(s, registration, w.tenant.ID)) // the true one stands too: somebody forged another
	if s := w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", nil)}); s.Recorded != 1 {
		t.Errorf("%s", asJSON(t, s))
	}
}

// Somebody who writes to a stream before each append keeps that record out, and no other.
func TestAStreamThatIsContendedForeverFailsItsRecordAlone(t *testing.T) {
	w := newWorld(t, false)
	w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", nil) +
		device(2, "2026-03-01T08:00:00Z", nil)})
	i := newIntruder(w, 1)
	stream := w.trueEvent("device").Stream
	w.config.Workers = 1
	w.store.Fail = func(s schemas.Stream, _ []schemas.Event) error {
		if s == stream {
			i.plant(s, schemas.Event{ID: uuid.New(), Type: "noise", Data: json.RawMessage(`{}`)})
		}
		return nil
	}
	newer := map[string]any{"osVersion": "2.0"}
	s := w.importFiles(map[string]string{"a": device(1, "2026-03-02T08:00:00Z", newer) +
		device(2, "2026-03-02T08:00:00Z", newer)})
	if s.Recorded != 1 || s.FailedCount != 1 || !strings.Contains(s.Failed[0].Reason, "contended") {
		t.Errorf("%s", asJSON(t, s))
	}
}

// anything draws an event for the stream: of the kinds above, or as schemastest makes them.
func (i *intruder) anything(s schemas.Stream, all []schemas.Envelope) schemas.Event {
	names := sortedKeys(maps.Collect(func(yield func(string, bool) bool) {
		for n := range intrusions {
			if n != "a token that nobody sealed" { // that one counts as a value that is not set
				yield(n, true)
			}
		}
	}))
	if i.rand.IntN(3) == 0 || len(all) == 0 {
		e := schemastest.Foreign(i.rand)
		e.Stream = s
		return e
	}
	return intrusions[names[i.rand.IntN(len(names))]].event(i, s, all[i.rand.IntN(len(all))].Event)
}

// visit plants events in streams that exist, and where actions will be recorded.
func (i *intruder) visit(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := i.w.own()
	for range n {
		s := i.w.factStream(guid(30, 1+i.rand.IntN(9)))
		if len(own) > 0 && i.rand.IntN(4) > 0 {
			s = own[i.rand.IntN(len(own))].Stream
		}
		i.plant(s, i.anything(s, own))
	}
}

// TestForeignEventsChangeNothing: whatever others write, before, between and during imports, the
// same records come to the same state and the same counts as without them.
func TestForeignEventsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := anyRecords(rt)
		cut := rapid.IntRange(0, len(records)).Draw(rt, "cut")
		parts := []map[string]string{files(rt, records[:cut]), files(rt, records[cut:]), files(rt, records)}
		calm, w := newWorld(t, false), newWorld(t, false)
		i := newIntruder(w, rapid.Uint64().Draw(rt, "seed"))
		often := rapid.IntRange(2, 8).Draw(rt, "often")
		w.config.Workers = rapid.IntRange(1, 3).Draw(rt, "workers")
		for n, part := range parts {
			i.visit(rapid.IntRange(0, 6).Draw(rt, "visits"))
			left := 8
			w.store.Fail = func(s schemas.Stream, _ []schemas.Event) error {
				i.mu.Lock()
				defer i.mu.Unlock()
				if left > 0 && i.rand.IntN(often) == 0 {
					left--
					i.plant(s, i.anything(s, nil))
				}
				return nil
			}
			want, err := run(rt, calm, part)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := run(rt, w, part)
			if err != nil {
				rt.Fatalf("part %d: %v", n, err)
			}
			w.store.Fail = nil
			if got.Read != want.Read || got.Recorded != want.Recorded || got.Unchanged != want.Unchanged ||
				got.Superseded != want.Superseded ||
				fmt.Sprint(got.Refused) != fmt.Sprint(want.Refused) || got.EventsAppended != want.EventsAppended {
				rt.Fatalf("part %d comes to\n%s\nwithout foreign events to\n%s", n, asJSON(t, got), asJSON(t, want))
			}
		}
		if got, want := w.canonical(), calm.canonical(); got != want {
			rt.Fatalf("with foreign events:\n%s\nwithout:\n%s", got, want)
		}
	})
}

// Whatever belongs to the ledger passes folding, signed by whoever has the vault.
func FuzzFold(f *testing.F) {
	w := newWorld(f, false)
	w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", map[string]any{"serialNumber": "S-1"})})
	for _, r := range w.own() {
		f.Add(r.Type, []byte(r.Data), uint64(1))
	}
	f.Add("device.inventory-changed.v1",
		[]byte(`{"set":{"osVersion":{"a":1}},"unset":["osVersion","osVersion"],"lists":null}`), uint64(2))
	f.Add("refusal.recorded.v1", []byte(`{"count":"many"}`), uint64(3))
	i := newIntruder(w, 1)
	genuine := w.trueEvent("device")
	in := w.intake()
	f.Fuzz(func(t *testing.T, typ string, data []byte, seed uint64) {
		w.t = t
		for _, kind := range []string{"device", "refusal", "adminaction"} {
			s := schemas.NewStream(kind, uuid.New())
			mine := schemas.Event{ID: uuid.New(), Type: typ, Data: data, Metadata: genuine.Metadata}
			i.plant(s, i.signed(s, mine, w.tenant.ID))
			i.plant(s, schemastest.Foreign(rand.New(rand.NewPCG(seed, 2))))
			if _, err := in.foldFrom(w.tenant.ID, newLeftOut(w.config.Logger), s, nil); err != nil {
				t.Fatalf("folding a %s: %v", kind, err)
			}
		}
	})
}

// Who floods a stream keeps nothing out of it: before each of many appends comes another foreign
// event, more often than a record is ever planned anew, and every record of the stream goes in all
// the same.
func TestAFloodOfForeignEventsKeepsNoRecordOut(t *testing.T) {
	w := newWorld(t, false)
	w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", map[string]any{"osVersion": "1.0"})})
	i := newIntruder(w, 1)
	e := w.trueEvent("device")
	garbage := schemas.Event{ID: uuid.New(), Stream: e.Stream, Type: "x", Data: []byte("{}")}
	left := 3 * maxRounds
	w.store.Fail = func(s schemas.Stream, _ []schemas.Event) error {
		if s == e.Stream && left > 0 {
			left--
			garbage.ID = uuid.New()
			i.plant(s, garbage)
		}
		return nil
	}
	files := map[string]string{}
	for day := range 4 {
		files[fmt.Sprint(day)] = device(1, fmt.Sprintf("2026-03-%02dT08:00:00Z", 2+day),
			map[string]any{"osVersion": fmt.Sprintf("2.%d", day)})
	}
	s := w.importFiles(files)
	if s.Recorded != 4 || s.FailedCount != 0 || left != 0 {
		t.Errorf("%d to plant are left: %s", left, asJSON(t, s))
	}
	w.store.Fail = nil
	if s := w.importFiles(files); s.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", s.EventsAppended)
	}
}
