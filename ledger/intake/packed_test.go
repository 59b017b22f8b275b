package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// packings are ways in which the lines of a file are packed.
var packings = map[string]func(t testing.TB, text string) string{
	"gzip":    func(t testing.TB, text string) string { return packedtest.Gzip(t, text) },
	"members": func(t testing.TB, text string) string { return packedtest.Gzip(t, strings.SplitAfter(text, "\n")...) },
	"zip": func(t testing.TB, text string) string {
		return packedtest.Zip(t, packedtest.Entry{Name: "a/b.json", Text: text})
	},
	"gzip in zip in zip": func(t testing.TB, text string) string {
		inner := packedtest.Zip(t, packedtest.Entry{Name: "PT1H.json.gz", Text: packedtest.Gzip(t, text)})
		return packedtest.Zip(t, packedtest.Entry{Name: "b.zip", Text: inner})
	},
	"Capture": func(t testing.TB, text string) string {
		return packedtest.Capture(t, "deflate", 10, strings.Split(text, "\n")...)
	},
	"Capture of batches": func(t testing.TB, text string) string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return packedtest.Capture(t, "null", 3, `{"records":[`+strings.Join(lines, ",")+`]}`)
	},
}

// What was imported as it stands and is imported again however packed, appends nothing and counts
// the same; the first time, the same is recorded.
func TestWhatIsPackedIsTheSameRecords(t *testing.T) {
	text := ""
	for _, doc := range fleetForms(t, 1) {
		text += string(doc) + "\n"
	}
	src := func(content string) Source {
		return Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": {Data: []byte(content), ModTime: time.Unix(0, 0)}},
			Observed: time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)}
	}
	plain := newWorld(t, false)
	first := plain.importPath(src(text))
	for name, pack := range packings {
		t.Run(name, func(t *testing.T) {
			if s := plain.importPath(src(pack(t, text))); s.EventsAppended != 0 || s.Read != first.Read || !s.OK() {
				t.Errorf("again: %s", asJSON(t, s))
			}
			w := newWorld(t, false)
			s := w.importPath(src(pack(t, text)))
			if s.Recorded != first.Recorded || s.EventsAppended != first.EventsAppended || !s.OK() {
				t.Errorf("%d recorded by %d events, want %d by %d: %s", s.Recorded, s.EventsAppended, first.Recorded,
					first.EventsAppended, asJSON(t, s))
			}
		})
	}
}

// The records of a case that people packed are those of the same text unpacked.
func TestPackedCasesAreTheirRecords(t *testing.T) {
	body := readCase(t, "capture-body-as-text")
	for name, packed := range map[string]string{"gzip-blob": readCase(t, "gzip-blob"),
		"event-hubs-capture-avro": readCase(t, "event-hubs-capture-avro"),
		"capture-body-as-text":    packedtest.Zip(t, packedtest.Entry{Name: "p.json", Text: body}),
		"portal-csv-devices": packedtest.Zip(t, packedtest.Entry{Name: "DevicesWithInventory_1.csv",
			Text: readCase(t, "portal-csv-devices")})} {
		w := caseWorld(t)
		dir := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(dir, []byte(packed), 0o600); err != nil {
			t.Fatal(err)
		}
		s := w.importPath(Source{Paths: []string{dir}})
		if s.Recorded != 1 || !s.OK() {
			t.Errorf("%s: %s", name, asJSON(t, s))
		}
	}
}

// Of a device's snapshots in an archive the newer decides, by the times of the entries; an archive
// that tells none is of its own.
func TestSnapshotsInAnArchiveAreDatedByTheirEntries(t *testing.T) {
	device := func(model string) string {
		return `{"id":"` + guid(20, 1) + `","enrolledDateTime":"2026-01-05T08:00:00Z","managementAgent":"mdm",` +
			`"model":"` + model + `"}`
	}
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	archive := packedtest.Zip(t, packedtest.Entry{Name: "1", Text: device("new"), Modified: day(3)},
		packedtest.Entry{Name: "2", Text: device("old"), Modified: day(2)})
	w := newWorld(t, true)
	s := w.importPath(Source{Paths: []string{"x"}, FS: fstest.MapFS{"x": {Data: []byte(archive), ModTime: day(4)}}})
	if got := w.values()["device.model"]; s.Recorded != 2 || fmt.Sprint(got) != `["old" "new"]` {
		t.Errorf("%v: %s", got, asJSON(t, s))
	}
}
