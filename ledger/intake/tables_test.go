package intake

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/kinds"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// A report's row is a device, and each of its columns is what the catalogue calls it: by code, by
// the words beside a code, or by words alone, in English and Dutch.
func TestAReportsWordsAndCodesAreOnesAttribute(t *testing.T) {
	for _, c := range []struct{ header, cell, attr, want string }{
		{"Ownership", "Personal", "device.ownership", `"personal"`},
		{"OwnerType", "2", "device.ownership", `"personal"`},
		{"Eigendom", "Persoonlijk", "device.ownership", `"personal"`},
		{"Ownership", "Unknown", "device.ownership", ""},
		{"Eigendom", "Onbekend", "device.ownership", ""}, {"OwnerType", "0", "device.ownership", ""},
		{"Compliance", "Not Compliant", "device.compliance-state", `"noncompliant"`},
		{"Compliance", "InGracePeriod", "device.compliance-state", `"inGracePeriod"`},
		{"Compliance", "Not evaluated", "device.compliance-state", ""},
		{"Naleving", "Voldoet niet", "device.compliance-state", `"noncompliant"`},
		{"Naleving", "In respijtperiode", "device.compliance-state", `"inGracePeriod"`},
		{"Naleving", "Niet geëvalueerd", "device.compliance-state", ""},
		{"CompliantState", "2", "device.compliance-state", `"noncompliant"`},
		{"ComplianceState", "254", "device.compliance-state", `"inGracePeriod"`},
		{"Encrypted", "Yes", "device.encrypted", "true"}, {"Versleuteld", "Nee", "device.encrypted", "false"},
		{"EncryptionStatus", "0", "device.encrypted", "false"}, {"EncryptionStatus", "2", "device.encrypted", ""},
		{"Jailbroken", "Onbekend", "device.jail-broken", ""}, {"Onder supervisie", "Ja", "device.supervised", "true"},
		{"Managed by", "Co-managed", "device.management-agent", `"configurationManagerClientMdm"`},
		{"ManagementAgents", "1024", "device.management-agent", `"msSense"`},
		{"ManagementAgents", "16", "device.management-agent", ""},
		{"ManagementAgents", "77", "device.management-agent", ""},
		{"Beheerd door", "Intune", "device.management-agent", `"mdm"`},
		{"Device state", "RetireIssued", "device.management-state", `"retireIssued"`},
		{"ManagementState", "7", "device.management-state", `"retireIssued"`},
		{"DeviceType", "14", "device.device-type", `"macMDM"`}, {"DeviceType", "999", "device.device-type", ""},
		{"EnrollmentType", "9", "device.enrolment-type", ""},
		{"ProcessorArchitecture", "12", "device.processor", `"arm64"`},
		{"ProcessorArchitecture", "0", "device.processor", ""},
		{"Total storage", "1024", "device.storage-total", "1073741824"},
		{"Total storage", "-1", "device.storage-total", ""},
		{"Total storage", "475,71 GB", "device.storage-total", ""}, {"Total storage", "0", "device.storage-total", ""},
		{"Totale opslagruimte", "1024 MB", "device.storage-total", "1073741824"},
		{"Enrollment date", "0001-01-01 00:00:00", "device.enrolled-at", ""},
		{"Enrollment date", "2026-01-05 08:00:00.0000000", "device.enrolled-at", `"2026-01-05T08:00:00Z"`},
		{"Enrollment date", "1/5/2026 8:00:00 AM", "device.enrolled-at", `"2026-01-05T08:00:00Z"`},
		{"Inschrijvingsdatum", "5-1-2026 08:00", "device.enrolled-at", `"2026-01-05T08:00:00Z"`},
		{"Inschrijvingsdatum", "2026-01-05 08:00:00.0000000", "device.enrolled-at", `"2026-01-05T08:00:00Z"`},
		{"Security patch level", "2026-01-05", "device.security-patch-level", `"2026-01-05"`},
		{"Primary user UPN", "N/A", "device.user-upn", ""}, {"ICCID", "-", "device.iccid", ""},
		{"WiFiIPv4Address", "192.0.2.7", "device.ip-address", `"192.0.2.7"`},
		{"ActivationLockBypassCode", "ABCD-1234", "device.unlock-code-withheld", "true"},
	} {
		w := newWorld(t, true)
		w.importToldAt(fmt.Sprintf("Device ID,Last check-in,%s\n%s,2026-03-01 05:00:00,\"%s\"\n", c.header,
			guid(20, 1), c.cell))
		got := strings.TrimPrefix(strings.Join(w.values()[c.attr], " "), "sealed ")
		if got != c.want {
			t.Errorf("%s %q is %s %q, want %q", c.header, c.cell, c.attr, got, c.want)
		}
		for _, e := range w.own() {
			if raw := string(e.Data); strings.Contains(raw, "ABCD-1234") {
				t.Errorf("a code is kept: %s", raw)
			}
		}
	}
}

// Where a report writes a column twice, the code counts if it is known; what contradicts it is
// told.
func TestACodeGoesBeforeTheWordsBesideIt(t *testing.T) {
	for _, c := range []struct {
		code, words, want string
		told              int
	}{
		{"1", "Company", `"company"`, 0}, {"1", "Personal", `"company"`, 1}, {"9", "Personal", `"personal"`, 0},
		{"", "Personal", `"personal"`, 0}, {"2", "", `"personal"`, 0}, {"2", "Of nobody", `"personal"`, 0},
		{"9", "", "", 0}, {"0", "Personal", `"personal"`, 0},
	} {
		w := newWorld(t, true)
		file := map[string]string{"a.csv": "DeviceId,LastContact,OwnerType,OwnerType_loc\n" +
			guid(20, 1) + ",2026-03-01 05:00:00," + c.code + "," + c.words + "\n"}
		s := w.importFiles(file)
		if got := strings.Join(w.values()["device.ownership"], " "); got != c.want || s.CodesOtherwise != c.told ||
			s.Recorded != 1 {
			t.Errorf("%+v is %s: %s", c, got, asJSON(t, s))
		}
		if s = w.importFiles(file); s.CodesOtherwise != c.told || s.EventsAppended != 0 {
			t.Errorf("%+v, again: %s", c, asJSON(t, s))
		}
		var text strings.Builder
		if err := s.WriteText(&text, words.Default().Base()); err != nil ||
			strings.Contains(text.String(), "the code counts") != (c.told > 0) {
			t.Errorf("%v: %s", err, text.String())
		}
	}
}

// A header that nobody knows is counted by its name where a row says something there; a row that
// is none fails alone, by line and column.
func TestWhatIsOddInATableIsNamed(t *testing.T) {
	w := newWorld(t, true)
	id := func(n int) string { return guid(20, n) + ",2026-03-01 05:00:00," }
	table := "Device ID,Last check-in,Serial number,EAS reason,anna@contoso.example\n" +
		id(1) + "S1,None,\n" + id(2) + "S2,Allowed,x\n" + id(3) + "S3\n" + id(4) + "S4,Allowed,,,more\n" +
		"not-an-id,2026-03-01 05:00:00,S5,,\n" + guid(20, 6) + ",yesterday,S6,,\n" + id(7) + "S7,,\n"
	s := w.importFiles(map[string]string{"a.csv": table})
	if s.Read != 7 || s.Recorded != 3 || s.FailedCount != 4 || s.UnknownCount != 0 ||
		!maps.Equal(s.UnknownFields, map[string]int{"EAS reason": 1, "(unusual name)": 1}) {
		t.Error(asJSON(t, s))
	}
	want := []string{"4/3 EAS reason the row ends before this column",
		"5/4 (unusual name) the row goes on behind this column, which is the last",
		"6/5 DeviceId is missing or no id of the source's form, so that the device cannot be told from another",
		"7/6 LastContact is not a time that can be read"}
	var got []string
	for _, f := range s.Failed {
		got = append(got, fmt.Sprintf("%d/%d %s %s", f.Line, f.Record, f.Field, f.Reason))
	}
	if !slices.Equal(got, want) {
		t.Error(asJSON(t, s.Failed))
	}
	if again := w.importFiles(map[string]string{"a.csv": table}); again.EventsAppended != 0 || again.Unchanged != 3 ||
		!maps.Equal(again.UnknownFields, s.UnknownFields) {
		t.Error(asJSON(t, again))
	}
}

const appHeader = "ApplicationKey,ApplicationName,ApplicationVersion,ApplicationPublisher,ApplicationSize,DeviceId\n"

// The report on discovered apps is a part of each device's list: it adds, wherever in the file its
// rows stand, and never says that others are gone.
func TestARowOfAnAppIsAPartOfItsDevicesList(t *testing.T) {
	w := newWorld(t, true)
	at := toldAt.Format("2006-01-02T15:04:05Z")
	for n, owner := range []string{"company", "company", "personal"} {
		w.importToldAt(device(n+1, at, map[string]any{"managedDeviceOwnerType": owner}))
	}
	w.importToldAt(device(1, at, map[string]any{"detectedApps": []any{
		map[string]any{"id": "k1", "displayName": "One", "version": "1", "publisher": "P", "sizeInByte": 4096},
		map[string]any{"id": "k9", "displayName": "Nine", "version": "9"}}}))
	row := func(key string, n int) string { return key + ",App " + key + ",1,," + "," + guid(20, n) + "\n" }
	table := appHeader + "k1,One,1,,," + guid(20, 1) + "\n" + row("k2", 1) + row("k2", 2) + row("k3", 3) +
		row("k4", 1) + row("", 1) + "k5,Five,1,,odd," + guid(20, 2) + "\n"
	s := w.importToldAt(table)
	if s.Read != 5 || s.Recorded != 4 || s.ListItemsUnnamed != 1 ||
		s.ListItemsRefused["apps-on-personal-device"] != 1 ||
		!maps.Equal(s.UnknownFields, map[string]int{"ApplicationSize unreadable": 1}) {
		t.Error(asJSON(t, s))
	}
	want := map[string]int{`{"name":"One","version":"1","publisher":"P","size":4096,"id":"k1"}`: 1,
		`{"name":"Nine","version":"9","id":"k9"}`: 1, `{"name":"App k2","version":"1","id":"k2"}`: 2,
		`{"name":"App k4","version":"1","id":"k4"}`: 1, `{"name":"Five","version":"1","id":"k5"}`: 1}
	if got := w.heldApps(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for range 2 {
		if s = w.importToldAt(table); s.EventsAppended != 0 {
			t.Errorf("again: %s", asJSON(t, s))
		}
	}
}

// heldApps are the apps of all devices, and how many have each.
func (w *world) heldApps() map[string]int {
	w.t.Helper()
	in, got, seen := w.intake(), map[string]int{}, map[schemas.Stream]bool{}
	for _, e := range w.own() {
		if e.Stream.Kind() != "device" || seen[e.Stream] {
			continue
		}
		seen[e.Stream] = true
		for a, entry := range w.fold(in, e.Stream).Entries() {
			if a.ID == "device.app" {
				got[string(entry.Plain)]++
			}
		}
	}
	return got
}

// So many rows are one record that it never grows large; none is lost.
func TestManyAppsOfADeviceAreSeveralRecords(t *testing.T) {
	w := newWorld(t, true)
	w.importToldAt(device(1, toldAt.Format("2006-01-02T15:04:05Z"), nil))
	var b strings.Builder
	b.WriteString(appHeader)
	const apps = 9000
	for i := range apps {
		fmt.Fprintf(&b, "key-%d,%s,1,,,%s\n", i, strings.Repeat("n", 80), guid(20, 1))
	}
	s := w.importToldAt(b.String())
	if s.Read < 2 || s.Recorded != s.Read || s.ListItemsKept != apps || len(w.heldApps()) != apps {
		t.Errorf("%d of %d held: %s", len(w.heldApps()), apps, asJSON(t, s))
	}
	if s = w.importToldAt(b.String()); s.EventsAppended != 0 {
		t.Errorf("again %d events", s.EventsAppended)
	}
}

// The portal's list of audit logs has no ids. It is known, and each of its rows refused with that
// reason.
func TestRowsOfThePortalsAuditListAreRefused(t *testing.T) {
	for _, header := range []string{"Date,Initiated by (actor),Application name,Activity,Target(s),Category,Status",
		"Datum;Gestart door (actor);Naam van toepassing;Activiteit;Doel(en);Categorie;Status"} {
		row := "2026-03-01 05:00:00,bob@contoso.example,Portal,Wipe ManagedDevice,LT-1,Device,Success\n"
		if strings.Contains(header, ";") {
			row = strings.ReplaceAll(row, ",", ";")
		}
		w := newWorld(t, true)
		s := w.importFiles(map[string]string{"a.csv": header + "\n" + row + row})
		if s.Read != 2 || s.FailedCount != 2 || s.UnknownCount != 0 || len(s.Failures) != 1 ||
			s.Failed[0].Field != "Id" || !strings.Contains(s.Failed[0].Reason, "export auditEvents through Graph") ||
			len(w.events()) != 0 {
			t.Error(asJSON(t, s))
		}
		var text strings.Builder
		dutch, _ := words.Default().Language("nl")
		if err := s.WriteText(&text, dutch); err != nil ||
			!strings.Contains(text.String(), "auditlogboeken van de portal") ||
			strings.Contains(text.String(), "bob@") {
			t.Errorf("%v: %s", err, text.String())
		}
	}
}

// A row that names another's tenant is held to that, as any record is.
func TestARowOfAnothersTenantFails(t *testing.T) {
	w := newWorld(t, false)
	row := logAnalyticsRow("IntuneDevices", map[string]any{"DeviceId": guid(20, 1), "AADTenantId": guid(99, 1),
		"LastContact": "2026-03-01 05:00:00"})
	graph := device(2, "2026-03-01T05:00:00Z", nil)
	for _, table := range []string{asTable(',', row), asTable(';', row), asTable(',', row) + "\n"} {
		s := w.importFiles(map[string]string{"a.csv": table, "b.json": graph})
		if s.FailedCount != 2 || s.HeldBack != 1 || len(w.events()) != 0 {
			t.Error(asJSON(t, s))
		}
	}
}

// Whatever stands in a cell of a table, under whatever header, and in a header that nobody knows:
// none of it stands in plain in a stream's name, an event or the summary.
func TestNothingOfATableStandsInPlain(t *testing.T) {
	const planted = "Kanarie-17@contoso.example"
	for _, k := range kinds.All(schemas.Default()) {
		for _, form := range k.Forms() {
			for _, table := range form.Tables {
				w := newWorld(t, true)
				var devices strings.Builder
				for n := range 200 {
					devices.WriteString(device(n, toldAt.Format(time.RFC3339), nil))
				}
				w.importToldAt(devices.String())
				var headers []string
				for _, c := range table.Columns {
					headers = append(headers, c.Member, c.Member+"_loc")
				}
				headers = append(headers, "Kanarie@x", "Some new column")
				slices.Sort(headers)
				headers = slices.Compact(headers)
				var b strings.Builder
				out := csv.NewWriter(&b)
				rows := [][]string{headers}
				for i, odd := range headers {
					row := make([]string, len(headers))
					for j, h := range headers {
						switch {
						case i == j:
							row[j] = planted
						case h == "DeviceId":
							row[j] = guid(20, i)
						case h == "LastContact":
							row[j] = "2026-03-01 06:00:00"
						case h == "ApplicationKey":
							row[j] = "key"
						}
					}
					if rows = append(rows, row); odd == "" {
						t.Fatal("a column without a name")
					}
				}
				if err := out.WriteAll(rows); err != nil {
					t.Fatal(err)
				}
				s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"x"},
					Observed: toldAt, FS: fstest.MapFS{"x": aFile(b.String())}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if s.Recorded < len(headers)/2 && s.FailedCount < len(headers)/2 || s.UnknownCount != 0 {
					t.Errorf("%s: %s", form.Name, asJSON(t, s))
				}
				var text strings.Builder
				if err := s.WriteText(&text, words.Default().Base()); err != nil {
					t.Fatal(err)
				}
				told := []string{text.String(), asJSON(t, s)}
				for _, e := range w.events() {
					told = append(told, string(e.Stream), string(e.Data), string(e.Metadata))
				}
				for _, said := range told {
					if strings.Contains(strings.ToLower(said), "kanarie") {
						t.Errorf("%s: what was planted stands in %s", form.Name, said)
					}
				}
			}
		}
	}
}

// The parts of a device's list may come in any order and portions: what is held is all of them,
// and none is new again.
func TestPartsOfAListAddUpInAnyOrder(t *testing.T) {
	for range 4 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t, true)
		at := toldAt.Format(time.RFC3339)
		w.importToldAt(device(1, at, nil) + device(2, at, nil))
		var rows []string
		for n := range 24 {
			rows = append(rows, fmt.Sprintf("k%d,App %d,1,,,%s\n", n/2, n/2, guid(20, 1+n%2)))
		}
		for range 3 {
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			for from := 0; from < len(rows); {
				to := min(from+1+r.IntN(9), len(rows))
				if s := w.importToldAt(appHeader + strings.Join(rows[from:to], "")); s.Superseded != 0 {
					t.Errorf("seed %d: %s", seed, asJSON(t, s))
				}
				from = to
			}
			held := w.heldApps()
			if twice := slices.Repeat([]int{2}, 12); !slices.Equal(slices.Collect(maps.Values(held)), twice) {
				t.Errorf("seed %d: %v are held", seed, held)
			}
			if s := w.importToldAt(appHeader + strings.Join(rows, "")); s.EventsAppended != 0 {
				t.Errorf("seed %d: again %d events", seed, s.EventsAppended)
			}
		}
	}
}

// The report on all found apps tells of each by its key. A row without one fails with that reason,
// and nothing of it is kept.
func TestARowOfAFoundAppWithoutItsKeyFails(t *testing.T) {
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"a.csv": "ApplicationKey,ApplicationName,ApplicationPublisher," +
		"ApplicationShortVersion,ApplicationVersion,DeviceCount,Platform\n" +
		"k1,Reader,Contoso,1,1.2,3,Windows\n,Paint,Contoso,6,6.0,2,Windows\n"})
	if s.Recorded != 1 || s.FailedCount != 1 || s.Failed[0].Field != "id" || len(s.UnknownFields) != 0 ||
		s.Kinds["detectedApps"].Read != 2 {
		t.Error(asJSON(t, s))
	}
	s = w.importFiles(map[string]string{"a.csv": "ApplicationName,ApplicationVersion,DeviceCount\nPaint,6.0,2\n"})
	if s.FailedCount != 1 || s.Kinds["detectedApps"].Read != 1 || len(w.streams("app")) != 1 {
		t.Errorf("without a column of keys: %s", asJSON(t, s))
	}
}
