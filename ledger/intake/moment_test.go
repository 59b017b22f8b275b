package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/entity"
	devicekind "github.com/ledgerline/ledgerline/ledger/intake/device"
	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// told is a snapshot of the tests: what it says, by source field, and when.
type told struct {
	entity.Moment
	values map[string]string
}

// momentFields are source fields and their attributes.
var momentFields = map[string]string{"complianceState": "device.compliance-state", "osVersion": "device.os-version",
	"deviceName": "device.name", "androidSecurityPatchLevel": "device.security-patch-level"}

var momentValues = map[string][]string{"complianceState": {"compliant", "noncompliant"}, "osVersion": {"14.1", "14.2"},
	"deviceName": {"NAME-1", "NAME-2"}, "androidSecurityPatchLevel": {"2026-01-01", "2026-02-01"}}

func (s told) record(device string) string {
	m := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": device,
		"managedDeviceOwnerType": "company"}
	for f, v := range s.values {
		m[f] = v
	}
	if !s.Contact.IsZero() {
		m["lastSyncDateTime"] = s.Contact.Format(time.RFC3339)
	}
	return asLine(m) + "\n"
}

// anyTold draws n snapshots of distinct times. contacts says how often one names its last contact,
// of ten; steady contacts never go back.
func anyTold(t *rapid.T, n, contacts int, steady bool) []told {
	hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 120), n, n, rapid.ID[int]).Draw(t, "hours")
	slices.Sort(hours)
	out := make([]told, n)
	last := 0
	for i, h := range hours {
		s := told{entity.Moment{Observed: propertyStart.Add(time.Duration(h) * time.Hour)}, map[string]string{}}
		if rapid.IntRange(1, 10).Draw(t, "names a contact") <= contacts {
			from := 0
			if steady {
				from = last
			}
			last = rapid.IntRange(from, h).Draw(t, "contact")
			s.Contact = propertyStart.Add(time.Duration(last) * time.Hour)
		}
		for _, f := range slices.Sorted(maps.Keys(momentFields)) {
			if rapid.IntRange(0, 3).Draw(t, "silent") > 0 {
				s.values[f] = rapid.SampledFrom(momentValues[f]).Draw(t, f)
			}
		}
		out[i] = s
	}
	return out
}

// ordered reports whether "newer" is an order among the snapshots. It is none where some name no
// last contact and L and S disagree among the others: only there may the order of import decide.
func ordered(all []told) bool {
	for _, a := range all {
		for _, b := range all {
			for _, c := range all {
				if a.Newer(b.Moment) && b.Newer(c.Moment) && !a.Newer(c.Moment) {
					return false
				}
			}
		}
	}
	return true
}

// newest is the model: of those that report a field, the newest decides.
func newest(all []told, field string) (value string, of *told) {
	for i := range all {
		if v, reported := all[i].values[field]; reported && (of == nil || all[i].Newer(of.Moment)) {
			value, of = v, &all[i]
		}
	}
	return value, of
}

func (w *world) importTold(s told, device string) {
	w.t.Helper()
	fsys := fstest.MapFS{"a.ndjson": aFile(s.record(device))}
	got, err := w.intake().Import(context.Background(), w.tenant,
		Source{Paths: []string{"."}, FS: fsys, Observed: s.Observed}, nil)
	if err != nil || !got.Balanced() || !got.OK() || got.Read != 1 {
		w.t.Fatalf("%v: %s", err, asJSON(w.t, got))
	}
}

// device folds a device's stream, and beside that returns what its events told last of each
// attribute: what the views show.
func (w *world) device(intuneID string) (st *devicekind.State, shown map[string]string) {
	w.t.Helper()
	var stream schemas.Stream
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		d, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: intuneID, At: w.clock.Now()})
		if err == nil && !found {
			err = errors.New("the vault knows no such device")
		}
		stream = d.Stream
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	st = w.fold(w.intake(), stream)
	shown = map[string]string{}
	for _, r := range w.own() {
		if r.Stream != stream {
			continue
		}
		d, err := schemas.Default().Decode(r)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			switch {
			case v.Removed:
				delete(shown, v.Attr.ID)
			case v.Token != "":
				shown[v.Attr.ID] = w.openToken(d, v)
			default:
				shown[v.Attr.ID] = string(v.Plain)
			}
		}
	}
	return st, shown
}

// In whatever order snapshots are imported, the newest that reports an attribute decides it, in
// the state that intake folds and in what was told last, which is what the views show.
func TestAnyOrderOfSnapshotsEndsAlike(t *testing.T) {
	w := newWorld(t, true)
	w.unlimited = true
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.Custom(func(t *rapid.T) []told { return anyTold(t, 4, 7, false) }).Filter(ordered).Draw(rt,
			"snapshots")
		var contact time.Time
		for _, s := range all {
			if s.Contact.After(contact) {
				contact = s.Contact
			}
		}
		for range 3 {
			n++
			device := guid(20, n)
			for _, s := range rapid.Permutation(all).Draw(rt, "order") {
				w.importTold(s, device)
			}
			st, shown := w.device(device)
			for field, id := range momentFields {
				want, of := newest(all, field)
				a := schemas.Default().MustAttribute(id)
				have, held := st.Value(a)
				text, _ := record.AsText(have.Plain)
				if held != (of != nil) || text != want {
					rt.Errorf("%s is %q, want %q", id, text, want)
				}
				if of != nil && !have.Same(of.Moment) {
					rt.Errorf("%s is of %v, want %v", id, have.Moment, of.Moment)
				}
				if said, _ := record.AsText(json.RawMessage(shown[id])); said != text {
					rt.Errorf("%s was last told as %q and is %q", id, said, text)
				}
			}
			if text := shown["device.last-contact"]; !contact.IsZero() &&
				text != asLine(record.WholeSeconds(contact)) {
				rt.Errorf("the last contact was last told as %s, want %s", text, record.WholeSeconds(contact))
			}
		}
	})
}

// With the daily limit a snapshot that changes nothing leaves a trace once a day at most: what is
// told then is never older than a day that somebody told otherwise of.
func TestTheDailyLimitBlursNoMoreThanADay(t *testing.T) {
	w := newWorld(t, true)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		all := anyTold(rt, 4, 10, true)
		n++
		device := guid(20, n)
		for _, s := range rapid.Permutation(all).Draw(rt, "order") {
			w.importTold(s, device)
		}
		st, _ := w.device(device)
		for field, id := range momentFields {
			_, of := newest(all, field)
			if of == nil {
				continue
			}
			text := st.Text(schemas.Default().MustAttribute(id))
			right := false
			for _, s := range all {
				right = right || s.values[field] == text && !of.Day().After(s.Day())
			}
			if !right {
				rt.Errorf("%s is %q, which nobody told on the newest day, %s", id, text, of.Day())
			}
		}
	})
}

// A state that is brought forward in memory is what folding its stream finds.
func TestAppliedIsWhatFoldingFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := anyRecords(rt)
		ledgers := [2]*world{newWorld(t, false), newWorld(t, false)}
		for i, w := range ledgers {
			w.config.BatchSize = 1
			w.unlimited = true
			var portions []map[string]string
			if i == 0 { // one import: states stay in memory
				portions = []map[string]string{{"a": strings.Join(records, "\n")}}
			} else { // each record reads its streams
				for _, r := range records {
					portions = append(portions, map[string]string{"a": r})
				}
			}
			for _, files := range portions {
				if _, err := w.tryImport(files); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if a, b := ledgers[0].canonical(), ledgers[1].canonical(); a != b {
			rt.Errorf("from memory\n%s\nfrom the ledger\n%s", a, b)
		}
		if a, b := len(ledgers[0].events()), len(ledgers[1].events()); a != b {
			rt.Errorf("%d events from memory, %d from the ledger\n%s\n%s", a, b, ledgers[0].dump(newLabels()),
				ledgers[1].dump(newLabels()))
		}
	})
}

// One wrong clock must not freeze a device.
func TestWhatIsOfTheFutureFails(t *testing.T) {
	w := newWorld(t, true)
	now := w.clock.Now()
	azure := func(at, contact time.Time) string {
		return asLine(map[string]any{"time": at.Format(time.RFC3339), "category": "Devices",
			"operationName": "Devices",
			"properties": map[string]any{"DeviceId": guid(20, 1), "OSVersion": "14.1", "Ownership": "Company",
				"LastContact": contact.Format("2006-01-02 15:04:05.0000000")}}) + "\n"
	}
	future := now.AddDate(70, 0, 0)
	s := w.importFiles(map[string]string{"a": azure(future, now) + azure(now, future) +
		device(1, future.Format(time.RFC3339), nil) + device(1,
		now.Add(5*time.Minute+time.Second).Format(time.RFC3339), nil)})
	var fields []string
	for _, f := range s.Failed {
		if !strings.HasPrefix(f.Reason, "from-the-future") {
			t.Errorf("%+v", f)
		}
		fields = append(fields, f.Field)
	}
	want := []string{"time", "properties.LastContact", "lastSyncDateTime", "lastSyncDateTime"}
	if !slices.Equal(fields, want) || s.EventsAppended != 0 {
		t.Errorf("failed for %v, want %v: %s", fields, want, asJSON(t, s))
	}
	near := now.Add(5 * time.Minute).Truncate(time.Second)
	if s := w.importFiles(map[string]string{"a": device(1, near.Format(time.RFC3339), nil)}); s.Recorded != 1 {
		t.Errorf("a clock that is a little ahead: %s", asJSON(t, s))
	}
}

// importModified imports a file of that modification time.
func (w *world) importModified(content string, at time.Time) Summary {
	w.t.Helper()
	f := aFile(content)
	f.ModTime = at
	s, err := w.intake().Import(context.Background(), w.tenant,
		Source{Paths: []string{"a"}, FS: fstest.MapFS{"a": f}}, nil)
	if err != nil || !s.Balanced() {
		w.t.Fatalf("%v: %s", err, asJSON(w.t, s))
	}
	return s
}

// Copying a file changes its modification time, which proves no age.
func TestACopiedFileBringsNothingBack(t *testing.T) {
	w := newWorld(t, true)
	user := map[string]any{"userId": guid(10, 1), "userPrincipalName": "eva@contoso.example",
		"userDisplayName":        "Eva Eik",
		"managedDeviceOwnerType": "personal"}
	without := maps.Clone(user)
	without["lastSyncDateTime"] = nil
	for _, content := range []string{device(1, "2026-03-01T08:00:00Z", user), device(2, "", without)} {
		s := w.importModified(content, w.clock.Now().AddDate(0, 0, -1))
		if s.Recorded != 1 || s.Undated != 1 {
			t.Fatalf("%s", asJSON(t, s))
		}
	}
	w.clock.Advance(time.Hour)
	erase(t, w, guid(10, 1))
	w.clock.Advance(time.Hour)
	for _, content := range []string{device(1, "2026-03-01T08:00:00Z", user), device(2, "", without)} {
		for i, events := range []int{1, 0} {
			w.clock.Advance(time.Hour)
			s := w.importModified(content, w.clock.Now())
			if s.Refused[plan.RuleErased] != 1 || s.EventsAppended != events {
				t.Errorf("copy %d: %s", i, asJSON(t, s))
			}
		}
	}
	if dump := w.dump(newLabels()); strings.Contains(dump, "Eva") {
		t.Errorf("the erased person is back:\n%s", dump)
	}
}

func TestAnOldMonthStaysExpired(t *testing.T) {
	w := newWorld(t, true)
	old := device(1, "2026-03-01T08:00:00Z", map[string]any{"deviceName": "OLD-1"})
	if s := w.importModified(old, propertyStart); s.Recorded != 1 {
		t.Fatalf("%s", asJSON(t, s))
	}
	err := w.vault.Update(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		return tx.ExpirePeriod("inventory", "202603")
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.importModified(old, w.clock.Now()); s.Refused[plan.RuleExpired] != 1 {
		t.Errorf("a copy of an expired month: %s", asJSON(t, s))
	}
	// What is known to be observed now is no old record, though the device has been silent since.
	w.importTold(told{entity.Moment{Observed: w.clock.Now(), Contact: propertyStart},
		map[string]string{"deviceName": "NOW-1"}}, guid(20, 1))
	if _, shown := w.device(guid(20, 1)); shown["device.name"] != `"NOW-1"` {
		t.Errorf("the name is %s", shown["device.name"])
	}
}

// A name has passed from one person to another; an old file that says otherwise moves it not back.
func TestAnOldFileMovesNoAlias(t *testing.T) {
	w := newWorld(t, true)
	holder := func(person int, contact any) string {
		return device(person, "", map[string]any{"lastSyncDateTime": contact, "userId": guid(10, person),
			"userPrincipalName": "desk@contoso.example"})
	}
	owner := func() (id uuid.UUID) {
		t.Helper()
		err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
			found, err := tx.FindPersons("desk@contoso.example")
			for _, m := range found {
				if m.Current {
					id = m.ID
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	w.importModified(holder(1, "2026-03-01T08:00:00Z"), propertyStart)
	first := owner()
	w.importModified(holder(2, "2026-04-01T08:00:00Z"), propertyStart)
	second := owner()
	if first == second || second == uuid.Nil {
		t.Fatal("the name did not pass to the second person")
	}
	for _, contact := range []any{"2026-03-01T08:00:00Z", "2026-03-01T09:00:00Z", nil} {
		w.clock.Advance(time.Hour)
		w.importModified(holder(1, contact), w.clock.Now())
		if owner() != second {
			t.Errorf("a copied file of contact %v took the name back", contact)
		}
	}
}

// Two tellings of one moment: the first stays, and the second is counted and never dropped in
// silence.
func TestTheSameMomentIsTold(t *testing.T) {
	w := newWorld(t, true)
	a := device(1, "2026-03-01T08:00:00Z", map[string]any{"complianceState": "compliant"})
	b := device(1, "2026-03-01T08:00:00Z", map[string]any{"complianceState": "noncompliant"})
	c := device(1, "2026-03-01T08:00:00Z", map[string]any{"managedDeviceOwnerType": "personal"})
	for content, want := range map[string]int{a + b: 1, a + a: 0, a + c: 1} {
		s := w.importFiles(map[string]string{"a": content})
		if s.SameMoment != want || s.Superseded < want {
			t.Errorf("%s", asJSON(t, s))
		}
		var text strings.Builder
		err := s.WriteText(&text, words.Default().Base())
		if err != nil || !strings.Contains(text.String(), "time of observation") {
			t.Errorf("%v: %s", err, text.String())
		}
		w = newWorld(t, true)
	}
}

// cases are inputs that people handed in.
const cases = "testdata/cases"

// importCase imports a file of a case, dated.
func (w *world) importCase(name string, observed time.Time) Summary {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(cases, name))
	if err != nil {
		w.t.Fatal(err)
	}
	f := aFile(string(raw))
	s, err := w.intake().Import(context.Background(), w.tenant,
		Source{Paths: []string{"a"}, FS: fstest.MapFS{"a": f}, Observed: observed}, nil)
	if err != nil || !s.Balanced() {
		w.t.Fatalf("%s: %v: %s", name, err, asJSON(w.t, s))
	}
	return s
}

// What the service changes on a device that no longer checks in is recorded each time.
func TestAServersChangesOnASilentDevice(t *testing.T) {
	w := newWorld(t, true)
	at := time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)
	var states []string
	for i := range 3 {
		s := w.importCase(fmt.Sprintf("server-side-change-on-a-silent-device/%d.json", i+1), at.AddDate(0, 0, i))
		if s.Recorded != 1 {
			t.Errorf("file %d: %s", i+1, asJSON(t, s))
		}
	}
	for _, r := range w.own() {
		d, err := schemas.Default().Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Values {
			if v.Attr.ID == "device.compliance-state" {
				states = append(states, v.Text()+" "+d.Occurred.Format(time.DateOnly))
			}
		}
	}
	if want := []string{"compliant 2026-09-04", "noncompliant 2026-09-05"}; !slices.Equal(states, want) {
		t.Errorf("recorded %v, want %v", states, want)
	}
	w = newWorld(t, true)
	for i, want := range []int{0, 1} {
		if s := w.importCase(fmt.Sprintf("server-side-change-on-a-silent-device/%d.json", i+1),
			at); s.SameMoment != want {
			t.Errorf("file %d, of one modification time: %s", i+1, asJSON(t, s))
		}
	}
}
