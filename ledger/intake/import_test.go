package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// device is a company device's snapshot as Graph gives it.
func device(n int, at string, more map[string]any) string {
	m := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, n), "lastSyncDateTime": at,
		"managedDeviceOwnerType": "company", "osVersion": "1.0"}
	for k, v := range more {
		m[k] = v
	}
	return asLine(m) + "\n"
}

func appList(n, size int) (out []map[string]any) {
	for i := range n {
		out = append(out, map[string]any{"id": fmt.Sprintf("%064d", i), "displayName": strings.Repeat("n", size),
			"version": "1"})
	}
	return out
}

func TestLimitsOfEventsAndAppends(t *testing.T) {
	for _, c := range []struct{ apps, size, events int }{{450, 20, 4}, {1500, 1500, 0}} {
		w := newWorld(t, false)
		var appends []int
		w.store.After = func(s schemas.Stream, events []schemas.Event) error {
			size := 0
			for _, e := range events {
				size += e.Size()
				if e.Size() > schemas.MaxEventBytes {
					t.Errorf("an event of %d bytes", e.Size())
				}
				d, err := schemas.Default().Decode(schemastest.Envelope(schemas.RecordedEvent{Event: e}))
				if err != nil {
					t.Error(err)
				}
				entries := slices.DeleteFunc(d.Values, func(v schemas.Value) bool { return v.Attr.ID != "device.app" })
				if len(entries) > schemas.MaxListEntries {
					t.Errorf("a delta of %d entries", len(entries))
				}
			}
			if size > schemas.MaxAppendBytes {
				t.Errorf("an append of %d bytes", size)
			}
			appends = append(appends, size)
			return nil
		}
		file := map[string]string{"a": device(1, "2026-03-01T08:00:00Z",
			map[string]any{"detectedApps": appList(c.apps, c.size)})}
		s := w.importFiles(file)
		if s.Recorded != 1 || s.ListItemsKept != c.apps || c.events > 0 && s.EventsAppended != c.events ||
			c.events == 0 && len(appends) < 3 {
			t.Errorf("%d apps of %d bytes: %d appends, %+v", c.apps, c.size, len(appends), s)
		}
		if s := w.importFiles(file); s.EventsAppended != 0 || s.Unchanged != 1 {
			t.Errorf("again: %+v", s)
		}
	}
}

func TestAnActionOnManyPersonsIsSeveralEvents(t *testing.T) {
	w := newWorld(t, false)
	var resources []map[string]any
	for i := range 150 {
		resources = append(resources, map[string]any{"displayName": fmt.Sprintf("User %d", i),
			"auditResourceType": "User", "resourceId": guid(10, i+1)})
	}
	s := w.importFiles(map[string]string{"a": asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent",
		"id": guid(30, 1), "activityDateTime": "2026-03-01T08:00:00Z",
		"activityType": "Patch User", "activityOperationType": "Patch",
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 900)}, "resources": resources})})
	if s.Recorded != 1 || s.EventsAppended != 3 {
		t.Fatalf("%+v", s)
	}
	targets := map[uuid.UUID]bool{}
	for _, r := range w.events() {
		d, err := schemas.Default().Decode(schemastest.Envelope(r))
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Subjects) > schemas.MaxSubjects || d.Subjects[0].Role != "actor" {
			t.Errorf("%d subjects, the first a %s", len(d.Subjects), d.Subjects[0].Role)
		}
		for _, s := range d.Subjects[1:] {
			targets[s.Alias] = true
		}
	}
	if len(targets) != 150 {
		t.Errorf("%d persons are named, want 150", len(targets))
	}
}

func TestAConflictIsReadAndPlannedAnew(t *testing.T) {
	w := newWorld(t, false)
	w.importFiles(map[string]string{"a": device(1, "2026-03-01T08:00:00Z", nil)})
	// While a snapshot is on its way, somebody else records a later one; and another record
	// follows in the same batch.
	var begun atomic.Bool
	w.store.Fail = func(s schemas.Stream, _ []schemas.Event) error {
		if begun.CompareAndSwap(false, true) {
			if s := w.importFiles(map[string]string{"x": device(1, "2026-03-04T08:00:00Z",
				map[string]any{"osVersion": "4.0"})}); s.Recorded != 1 {
				t.Errorf("the other import: %+v", s)
			}
		}
		return nil
	}
	s := w.importFiles(map[string]string{"b": device(1, "2026-03-02T08:00:00Z",
		map[string]any{"osVersion": "2.0", "imei": "350000000000001"}) +
		device(1, "2026-03-05T08:00:00Z", map[string]any{"osVersion": "5.0"})})
	if s.Recorded != 2 {
		t.Errorf("%+v", s)
	}
	text := w.canonical()
	for _, want := range []string{`device.os-version = "5.0"`,
		`device.imei = "350000000000001" none=false at 2026-03-02`} {
		if !strings.Contains(text, want) {
			t.Errorf("the ledger does not say %s:\n%s", want, text)
		}
	}
	if strings.Contains(w.dump(newLabels()), `device.os-version = "2.0"`) {
		t.Error("the older version was recorded after the newer one")
	}
}

func TestTwoImportsOfTheSameAtOnceRecordItOnce(t *testing.T) {
	dir := fleetDir(t, 30, 3)
	calm := newWorld(t, false)
	source := Source{Paths: []string{dir}}
	if _, err := calm.intake().Import(context.Background(), calm.tenant, source, nil); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, false)
	w.config.BatchSize = 40
	var wait sync.WaitGroup
	var sums [2]Summary
	for i := range sums {
		wait.Go(func() {
			var err error
			if sums[i], err = w.intake().Import(context.Background(), w.tenant, source, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := sums[0].EventsAppended + sums[1].EventsAppended; got != len(w.events()) {
		t.Errorf("%d events counted, %d are there", got, len(w.events()))
	}
	facts := map[schemas.Stream]int{}
	for _, r := range w.events() {
		if r.Type == "adminaction.recorded.v1" {
			facts[r.Stream]++
		}
	}
	for s, n := range facts {
		if n != 1 {
			t.Errorf("%s was recorded %d times", s, n)
		}
	}
	for range 2 { // the first may bring the two into one order
		s, err := w.intake().Import(context.Background(), w.tenant, source, nil)
		if err != nil {
			t.Fatal(err)
		}
		sums[0] = s
	}
	if sums[0].EventsAppended != 0 {
		t.Errorf("importing again appended %d events", sums[0].EventsAppended)
	}
}

func erase(t *testing.T, w *world, objectID string) {
	t.Helper()
	ctx := context.Background()
	completion := uuid.New()
	var keys []uuid.UUID
	err := w.vault.Update(ctx, w.tenant.ID, func(tx *vault.Tx) error {
		found, err := tx.FindPersons(objectID)
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d persons, %w", len(found), err)
		}
		keys, err = tx.BeginErasure(found[0].ID, completion)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	destroy := func(tx *vault.Tx) error { return tx.Destroy(completion, keys) }
	if err := w.vault.Update(ctx, w.tenant.ID, destroy); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsOfErasedPersons(t *testing.T) {
	w := newWorld(t, false)
	user := map[string]any{"userId": guid(10, 1), "userPrincipalName": "eva@contoso.example", "deviceName": "EVA-1"}
	own := map[string]any{"userId": guid(10, 1), "userPrincipalName": "eva@contoso.example",
		"managedDeviceOwnerType": "personal"}
	before := map[string]string{"a": device(1, "2026-03-01T08:00:00Z", user) + device(2, "2026-03-01T08:00:00Z", own)}
	if s := w.importFiles(before); s.Recorded != 2 {
		t.Fatalf("%+v", s)
	}
	w.clock.Advance(time.Hour)
	erase(t, w, guid(10, 1))
	w.clock.Advance(time.Hour)
	// All of it once more: the company's device loses its user, the personal one is refused whole,
	// twice with one event.
	for i, events := range []int{1, 0} {
		s := w.importFiles(before)
		if s.Refused[plan.RuleErased] != 1 || s.ValuesOmitted != 3 || s.EventsAppended != events {
			t.Errorf("import %d: %s", i, asJSON(t, s))
		}
	}
	// An older action by the erased person is recorded without anybody.
	s := w.importFiles(map[string]string{"b": asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent",
		"id": guid(30, 1), "activityDateTime": "2026-03-01T08:00:00Z",
		"activityType": "Patch User", "actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 1),
			"userPrincipalName": "eva@contoso.example"},
		"resources": []any{map[string]any{"auditResourceType": "User", "resourceId": guid(10, 1),
			"displayName": "Eva"}}})})
	if s.Recorded != 1 || s.ValuesOmitted != 4 {
		t.Errorf("an older action: %s", asJSON(t, s))
	}
	// What comes after the erasure is a new person's and a new device's.
	w.clock.Advance(time.Hour)
	later := w.clock.Now().Format(time.RFC3339)
	s = w.importFiles(map[string]string{"c": device(1, later, user) + device(2, later, own)})
	if s.Recorded != 2 {
		t.Errorf("newer records: %s", asJSON(t, s))
	}
	dump := w.dump(newLabels())
	if n := strings.Count(dump, "device.enrolled."); n != 3 {
		t.Errorf("%d devices were enrolled, want 3: the personal one anew\n%s", n, dump)
	}
	if strings.Contains(dump, `"Eva"`) {
		t.Error("the erased person's name was stored")
	}
}

func TestAnErrorOfTheLedgerEndsTheImport(t *testing.T) {
	w := newWorld(t, false)
	gone := errors.New("the store is gone")
	w.store.Fail = func(schemas.Stream, []schemas.Event) error { return gone }
	var files string
	for i := range 2000 { // more than the walk may be ahead
		files += device(i, "2026-03-01T08:00:00Z", nil)
	}
	s, err := w.tryImport(map[string]string{"a": files})
	if !errors.Is(err, gone) || s.Read != 0 {
		t.Errorf("error %v, %d records", err, s.Read)
	}
}

func TestAnImportCanBeCancelled(t *testing.T) {
	w := newWorld(t, false)
	ctx, cancel := context.WithCancel(context.Background())
	w.config.BatchSize = 1
	fsys := fstest.MapFS{"a": {Data: []byte(device(1, "2026-03-01T08:00:00Z", nil) +
		device(2, "2026-03-01T08:00:00Z", nil))}}
	s, err := w.intake().Import(ctx, w.tenant, Source{Paths: []string{"a"}, FS: fsys}, func(s Summary) {
		if s.Read > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || s.Recorded != 1 {
		t.Errorf("error %v, %d recorded", err, s.Recorded)
	}
}

// brokenFS has one file that cannot be opened and one that ends in an error.
type brokenFS struct{ fstest.MapFS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == "a.json" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.MapFS.Open(name)
}

func TestAFileThatCannotBeReadStopsNothing(t *testing.T) {
	w := newWorld(t, false)
	fsys := brokenFS{fstest.MapFS{"a.json": {}, "b.txt": {Data: []byte("notes")},
		"c.json": {Data: []byte(device(1, "2026-03-01T08:00:00Z", nil))}, "d.json": {}}}
	s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"."}, FS: fsys}, nil)
	if err != nil || s.FailedCount != 1 || s.Failed[0].File != "a.json" ||
		s.Failed[0].Reason != "cannot be opened: permission denied" || s.Recorded != 1 ||
		s.Unrecognised["text without JSON"] != 1 || s.OK() {
		t.Errorf("%v: %s", err, asJSON(t, s))
	}
	s, err = w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"nowhere"}, FS: fsys}, nil)
	if err != nil || s.FailedCount != 1 || s.Failed[0].File != "nowhere" ||
		!strings.Contains(s.Failed[0].Reason, "not exist") {
		t.Errorf("a path that does not exist: %v: %s", err, asJSON(t, s))
	}
}

func TestConfigNamesAllThatIsMissing(t *testing.T) {
	_, err := New(Config{Workers: -1})
	for _, want := range []string{"Ledger", "Vault", "Clock", "Logger", "Workers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

func TestTheSummaryReadsWellAndIsJSON(t *testing.T) {
	s := newSummary()
	for _, e := range []*entry{
		{file: "a.json", outcome: recorded, events: 3, fields: map[string]int{"skuNumber": 2},
			tally: plan.Tally{Kept: 2, Withheld: 1}},
		{file: "a.json", outcome: unchanged,
			tally: plan.Tally{Refused: map[string]int{"apps-on-personal-device": 87}}},
		{file: "a.json", outcome: superseded, tally: plan.Tally{Omitted: 2}},
		{file: "b.json", outcome: refusedWhole, rule: plan.RuleErased},
		{file: "b.json", outcome: unrecognised, kind: "users"},
		{file: "b.json", line: 7, number: 2, outcome: failed, field: "time", reason: "is not a time that can be read"},
	} {
		s.add(e)
	}
	var b strings.Builder
	if err := s.WriteText(&b, words.Default().Base()); err != nil {
		t.Fatal(err)
	}
	const want = `6 records read
          1  recorded: new to the ledger
          1  unchanged: the ledger says so already
          1  superseded: older than what the ledger says
          1  refused whole: record from before an erasure
          1  unrecognised: not taken in, kind users
          1  failed

Beside that:
          3  events appended
          2  apps kept
         87  values or entries refused: apps of a personal device
          1  secrets or scripts withheld: that they were there is recorded, what they were is not
          2  values of erased persons left out

Fields that the catalogue does not know and that were not stored:
          2  skuNumber

Failed records:
  b.json, line 7, record 2: time is not a time that can be read
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if !s.Balanced() || s.OK() {
		t.Errorf("balanced %v, ok %v", s.Balanced(), s.OK())
	}
	var back Summary
	if err := json.Unmarshal([]byte(asJSON(t, s.clone())), &back); err != nil || back.Read != 6 ||
		len(back.Files) != 2 || back.Files[1].Failed != 1 {
		t.Errorf("%v: %+v", err, back)
	}
}

func TestNamesThatASourceDecidesAreBounded(t *testing.T) {
	s := newSummary()
	for i := range maxNames + 20 {
		s.add(&entry{outcome: unrecognised, kind: fmt.Sprint("kind", i),
			fields: map[string]int{fmt.Sprint("field", i): 2}})
	}
	if len(s.Unrecognised) != maxNames+1 || s.Unrecognised["(other names)"] != 20 ||
		s.UnknownFields["(other names)"] != 40 || !s.Balanced() {
		t.Errorf("%d kinds, %d fields", len(s.Unrecognised), len(s.UnknownFields))
	}
}

// stuck is a file whose read does not return until it is let go, as one of a file server that is
// gone.
type stuck struct{ letGo chan struct{} }

func (s stuck) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS{name: {Data: []byte("{")}}.Open(name)
	return stuckFile{f, s.letGo}, err
}

type stuckFile struct {
	fs.File
	letGo chan struct{}
}

func (f stuckFile) Read([]byte) (int, error) { <-f.letGo; return 0, errors.New("let go") }

// An import that is stopped ends within a second or two, whatever it is reading, with the summary
// so far.
func TestAStoppedImportDoesNotWaitForAReadThatIsStuck(t *testing.T) {
	w := newWorld(t, true)
	letGo := make(chan struct{})
	defer close(letGo)
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, stop)
	begun := time.Now()
	sum, err := w.intake().Import(ctx, w.tenant, Source{Paths: []string{"x"}, FS: stuck{letGo}}, nil)
	if !errors.Is(err, context.Canceled) || !sum.Balanced() {
		t.Errorf("%v, %+v", err, sum)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it ended after %s", took)
	}
}
