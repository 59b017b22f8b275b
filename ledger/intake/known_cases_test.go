package intake

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/ledger/vault/store"
	"github.com/ledgerline/ledgerline/ledger/vault/store/storetest"
	"github.com/ledgerline/ledgerline/ledger/vault/taken"
)

// parses counts the records that an import parses: those that are not known.
func (w *world) parses(src Source, files map[string]string) (parsed int, s Summary) {
	w.t.Helper()
	left, err := w.intake().begin(context.Background(), w.tenant)
	if err != nil {
		w.t.Fatal(err)
	}
	before, err := w.intake().remember(context.Background(), w.tenant, left, true)
	if err != nil {
		w.t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for n, c := range files {
		fsys[n] = aFile(c)
	}
	src.Paths, src.FS = []string{"."}, fsys
	found, done := make(chan *entry), make(chan error, 1)
	go func() {
		done <- w.intake().walk(context.Background(), w.tenant, src, before, found)
		close(found)
	}()
	for e := range found {
		if e.outcome != noted && e.taken == nil {
			parsed++
		}
	}
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
	src.TakeNameless = true
	s, err = w.importOf(src, files)
	if err != nil {
		w.t.Fatal(err)
	}
	return parsed, s
}

func (w *world) wantParsed(what string, want int, src Source, files map[string]string) Summary {
	w.t.Helper()
	got, s := w.parses(src, files)
	if got != want {
		w.t.Errorf("%s: %d records are looked at, want %d", what, got, want)
	}
	return s
}

// days are snapshots of devices, a file a day.
func days(devices, n int) map[string]string {
	out := map[string]string{}
	for d := range n {
		for i := range devices {
			out[fmt.Sprintf("%02d.ndjson", d)] += device(i, propertyStart.AddDate(0, 0, d).Format(time.RFC3339),
				map[string]any{"osVersion": fmt.Sprint("1.", d), "userId": guid(10, i),
					"userPrincipalName": fmt.Sprintf("user%d@contoso.example", i), "someField": i})
		}
	}
	return out
}

// A folder that is imported again is known, but for what is new in it; so it is under other file
// names, in another intake, and after a dry run. What a record is, what dates it and by what rules
// it is taken are a part of it.
func TestAFolderIsKnown(t *testing.T) {
	w := newWorld(t, false)
	folder := days(70, 3)
	first := w.wantParsed("new", 210, Source{}, folder)
	again := w.wantParsed("again", 0, Source{}, folder)
	if again.Unchanged != 210 || again.EventsAppended != 0 || again.UnknownFields["someField"] != 210 ||
		again.Undated != first.Undated || again.Kinds["managedDevices"].Unchanged != 210 {
		t.Errorf("%s", asJSON(t, again))
	}
	folder["99.ndjson"] = folder["02.ndjson"]
	w.wantParsed("a copy of a file", 0, Source{}, folder)
	delete(folder, "99.ndjson")
	lines := strings.SplitAfter(folder["01.ndjson"], "\n")
	more := device(200, propertyStart.AddDate(0, 0, 1).Format(time.RFC3339), nil)
	folder["01.ndjson"] = strings.Join(lines[:33], "") + more + strings.Join(lines[33:], "")
	if n, _ := w.parses(Source{}, folder); n == 0 || n > maxPageRecords {
		t.Errorf("one record is put into a file, and %d are looked at", n)
	}
	w.wantParsed("again", 0, Source{}, folder)
	w.wantParsed("observed otherwise", 211, Source{Observed: propertyStart.AddDate(0, 0, 9)}, folder)
	dry := w.wantParsed("a dry run", 0, Source{DryRun: true}, folder)
	if dry.Unchanged != 211 || dry.Recorded != 0 {
		t.Errorf("%s", asJSON(t, dry))
	}
	w.tenant.Policy.Number++
	w.wantParsed("under another policy", 211, Source{}, folder)
	w.wantParsed("again", 0, Source{}, folder)
	w.ignorant = true
	w.wantParsed("where nothing is to be known", 211, Source{}, folder)
}

// A record that would be held back is, whether it was taken once or not.
func TestWhatIsKnownIsHeldBack(t *testing.T) {
	w := newWorld(t, false)
	nameless := map[string]string{"1": strings.Join(strings.SplitAfter(days(5, 1)["00.ndjson"], "\n"), "")}
	w.wantParsed("new", 5, Source{}, nameless)
	w.wantParsed("again", 0, Source{}, nameless)
	nameless["2"] = `{"time":"2026-03-01T08:00:00Z","tenantId":"` + caseTenant + `","category":"Devices",` +
		`"properties":{"DeviceId":"` + guid(20, 9) + `"}}`
	s, err := w.tryImport(nameless)
	if err != nil || s.HeldBack != 5 || s.Unchanged != 0 || s.FailedCount != 6 {
		t.Errorf("%v: %s", err, asJSON(t, s))
	}
}

// What an action names that nobody knows may be known later: the action is then looked at once
// more.
func TestANameThatIsToldUnsettles(t *testing.T) {
	action := asLine(map[string]any{"category": "AuditLogs", "time": "2026-03-02T08:00:00Z",
		"tenantId": sourceTenant, "operationName": "Patch something", "properties": map[string]any{
			"AuditEventId": guid(31, 1), "ActivityType": 2,
			"Actor":           map[string]any{"ActorType": 1, "ObjectId": guid(10, 9)},
			"TargetObjectIds": []any{"x"}, "TargetDisplayNames": []any{"user1@contoso.example"}}})
	file := map[string]string{"a": action}
	w := newWorld(t, false)
	w.wantParsed("new", 1, Source{}, file)
	w.wantParsed("again", 0, Source{}, file)
	told := device(1, "2026-03-01T06:00:00Z", map[string]any{"userId": guid(10, 1),
		"userPrincipalName": "user1@contoso.example"})
	w.wantParsed("another name", 1, Source{}, map[string]string{"a": strings.ReplaceAll(told, "user1@", "user2@")})
	w.wantParsed("once another is told", 0, Source{}, file)
	w.wantParsed("who has the name", 1, Source{}, map[string]string{
		"a": strings.ReplaceAll(strings.ReplaceAll(told, guid(10, 1), guid(10, 2)), guid(20, 1), guid(20, 2))})
	if s := w.wantParsed("once the name is told", 1, Source{}, file); s.Supplemented != 1 {
		t.Errorf("%s", asJSON(t, s))
	}
	w.wantParsed("what supplemented it", 1, Source{}, file)
	w.wantParsed("again", 0, Source{}, file)
}

// What a late record writes unsettles the others of its stream, also those that were recognised
// before it was planned; one in order unsettles none.
func TestALateRecordUnsettles(t *testing.T) {
	at := func(day int, more map[string]any) string {
		return device(1, propertyStart.AddDate(0, 0, day).Format(time.RFC3339), more)
	}
	w := newWorld(t, false)
	w.config.BatchSize = 1
	files := map[string]string{"10": at(1, map[string]any{"osVersion": "1"}),
		"20": at(3, map[string]any{"osVersion": "3"})}
	w.wantParsed("new", 2, Source{}, files)
	w.wantParsed("again", 0, Source{}, files)
	files["30"] = at(4, map[string]any{"osVersion": "4"})
	w.wantParsed("one in order", 1, Source{}, files)
	w.wantParsed("again", 0, Source{}, files)
	files["05"] = at(2, map[string]any{"serialNumber": "S-1"})
	w.wantParsed("one that is late, read first", 1, Source{}, files)
	// The others were looked at behind it in the same import, on a state that was read before.
	w.wantParsed("again, all of the stream", 4, Source{}, files)
	w.wantParsed("again", 0, Source{}, files)
}

// A ledger that lost what it had, events that are disowned, each forgetting: nothing is known.
func TestWhatUnsettlesEverything(t *testing.T) {
	for what, do := range map[string]func(w *world){
		"the ledger lost its end": func(w *world) { w.loseEnd(1) },
		"an event is disowned":    func(w *world) { w.disown(0) },
		"a month expired": func(w *world) {
			err := w.vault.Update(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
				return tx.ExpirePeriod("security", "202001")
			})
			if err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, false)
			folder := days(5, 2)
			w.wantParsed("new", 10, Source{}, folder)
			w.wantParsed("again", 0, Source{}, folder)
			do(w)
			w.wantParsed("after it, in a dry run", 10, Source{DryRun: true}, folder)
			w.wantParsed("after it", 10, Source{}, folder)
			w.wantParsed("again", 0, Source{}, folder)
		})
	}
}

// Pages that are read go on; those that are not are forgotten.
func TestPagesThatNobodyReadsAreForgotten(t *testing.T) {
	w := newWorld(t, false)
	old, other := days(3, 1), map[string]string{"a": device(9, "2026-03-01T06:00:00Z", nil)}
	w.wantParsed("new", 3, Source{}, old)
	w.wantParsed("new", 1, Source{}, other)
	for week := range 16 {
		w.clock.Advance(8 * 24 * time.Hour)
		w.wantParsed(fmt.Sprint("week ", week), 0, Source{}, old)
	}
	w.wantParsed("what nobody read", 1, Source{}, other)
}

// Nothing of what is known is left in a file of the vault's once somebody is erased.
func TestNothingKnownIsLeftOfTheErased(t *testing.T) {
	w := newWorld(t, false)
	folder := days(40, 2)
	if _, err := w.importOf(Source{}, folder); err != nil {
		t.Fatal(err)
	}
	var marks [][]byte
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		m, err := tx.Known().Marks()
		if err != nil {
			return err
		}
		before, err := w.intake().remember(context.Background(), w.tenant, newLeftOut(w.config.Logger), true)
		if err != nil {
			return err
		}
		in := w.intake()
		for _, file := range folder {
			line, _, _ := strings.Cut(file, "\n")
			by := before.markedBy(nil, in.kinds.Form("managedDevices"), source.Item{Rec: &record.Record{}},
				record.Dating{At: aFile(file).ModTime})
			mark := m.Mark(by, []byte(line))
			pages, err := tx.Known().Pages([]taken.Mark{mark})
			if err != nil || len(pages) != 1 {
				return fmt.Errorf("%d pages: %w", len(pages), err)
			}
			marks = append(marks, mark[:])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := func() (n int) {
		files, err := filepath.Glob(w.path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range marks {
				n += bytes.Count(raw, m)
			}
		}
		return n
	}
	if found() == 0 {
		t.Fatal("the pages are in no file")
	}
	order := uuid.New()
	var keys []uuid.UUID
	for _, do := range []func(tx *vault.Tx) error{
		func(tx *vault.Tx) error {
			who, _, err := tx.FindPerson(vault.PersonHint{ObjectID: guid(10, 3), At: w.clock.Now()})
			if err == nil {
				keys, err = tx.BeginErasure(who, order)
			}
			return err
		},
		func(tx *vault.Tx) error { return tx.Destroy(order, keys) },
	} {
		if err := w.vault.Update(context.Background(), w.tenant.ID, do); err != nil {
			t.Fatal(err)
		}
	}
	if n := found(); n > 0 {
		t.Errorf("%d marks are left in the vault's files", n)
	}
}

// Records that are known are found many at a time, and nothing is written.
func TestKnownRecordsTakeFewTripsToTheVault(t *testing.T) {
	var counted *storetest.Counted
	w := newWorldOn(t, false, func(s store.Store) store.Store {
		counted = storetest.Count(s)
		return counted
	})
	folder := days(300, 2)
	for range 2 {
		counted.Taken()
		if _, err := w.importOf(Source{}, folder); err != nil {
			t.Fatal(err)
		}
	}
	all, writes := 0, 0
	for _, trips := range counted.Taken() {
		all += trips.All
		if trips.Write {
			writes++
		}
	}
	if all > 20+600/10 || writes > 0 {
		t.Errorf("%d trips for 600 known records, %d transactions that write", all, writes)
	}
}
