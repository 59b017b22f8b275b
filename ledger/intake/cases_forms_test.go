package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// values returns, by attribute, what the tenant's own events set: opened, in the order of the
// ledger.
func (w *world) values() map[string][]string {
	w.t.Helper()
	out := map[string][]string{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			text := string(v.Plain)
			if v.Token != "" {
				text = "sealed " + w.openToken(d, v)
			}
			if v.Removed {
				text = "removed"
			}
			out[v.Attr.ID] = append(out[v.Attr.ID], text)
		}
	}
	return out
}

func TestOSSpelledByTransportIsOneName(t *testing.T) {
	w := newWorld(t, true)
	for i, f := range caseFiles(t, "os-spelled-by-transport") {
		if s := w.importFiles(map[string]string{fmt.Sprint(i, ".json"): f}); s.FailedCount != 0 || i == 0 &&
			s.Recorded != 1 {
			t.Fatalf("file %d: %d recorded, failed %v", i+1, s.Recorded, s.Failed)
		}
	}
	if got := w.values()["device.operating-system"]; len(got) != 1 || got[0] != `"macOS"` {
		t.Errorf("the operating system was recorded as %v", got)
	}
}

func TestABlankHardwareInformationChangesNothing(t *testing.T) {
	w := newWorld(t, true)
	files := caseFiles(t, "blank-hardware-information")
	w.importFiles(map[string]string{"1.json": files[0]})
	before := w.values()
	if s := w.importFiles(map[string]string{"2.json": files[1]}); s.FailedCount != 0 {
		t.Fatal(s.Failed)
	}
	after := w.values()
	delete(before, "device.last-contact") // of its own
	for id := range before {
		if fmt.Sprint(before[id]) != fmt.Sprint(after[id]) {
			t.Errorf("%s became %v", id, after[id])
		}
	}
	for _, id := range []string{"device.encrypted", "device.supervised"} {
		if got := after[id]; len(got) != 1 || got[0] != "true" {
			t.Errorf("%s is %v", id, got)
		}
	}
}

func TestAnAppWithoutIDIsLeftOutAndCounted(t *testing.T) {
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"p.json": caseFiles(t, "one-app-without-id")[0]})
	got := w.values()
	if s.Recorded != 1 || s.ListItemsKept != 1 || s.ListItemsUnnamed != 2 || s.FailedCount != 0 {
		t.Errorf("recorded %d, kept %d, unnamed %d, failed %v", s.Recorded, s.ListItemsKept, s.ListItemsUnnamed,
			s.Failed)
	}
	if apps := got["device.app"]; len(apps) != 1 || apps[0] != `sealed {"name":"App","version":"1","id":"0000a"}` {
		t.Errorf("apps: %v", apps)
	}
	if users := got["device.logged-on-user"]; len(users) != 1 || !strings.Contains(users[0],
		"8a29b1a0-e1df-5ee6-8e65-eadd8bb7906d") {
		t.Errorf("users logged on: %v", users)
	}
}

func TestUSTimesAreReadInAllTheirForms(t *testing.T) {
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"p.json": caseFiles(t, "narrow-space-before-am-pm")[0]})
	// Day first (21/11/2026) and dotted dates are not guessed at, where nothing else tells the
	// time.
	if s.Read != 8 || s.Recorded != 6 || s.FailedCount != 2 || s.Failed[0].Record != 2 || s.Failed[1].Record != 7 {
		t.Errorf("read %d, recorded %d, failed %v", s.Read, s.Recorded, s.Failed)
	}
	at := map[string]int{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			t.Fatal(err)
		}
		if d.Type.Kind() == "adminaction" {
			at[d.Occurred.Format(time.RFC3339)]++
		}
	}
	if at["2026-09-02T10:11:12Z"] != 5 || at["2026-09-02T00:00:00Z"] != 1 {
		t.Errorf("the actions occurred at %v", at)
	}
}

func TestDocumentedOperationNamesStandOpen(t *testing.T) {
	w := newWorld(t, true)
	doc := caseFiles(t, "operation-names")[0]
	s := w.importFiles(map[string]string{"p.json": doc})
	if s.Recorded != 62 {
		t.Fatalf("recorded %d, failed %v", s.Recorded, s.Failed)
	}
	open := map[string]bool{}
	for _, v := range w.values()["action.operation"] {
		open[v] = true
	}
	for line := range strings.Lines(doc) {
		var r struct{ OperationName string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if !open[asLine(r.OperationName)] {
			t.Errorf("%s is sealed", r.OperationName)
		}
	}
}

// A device with a member of another type than it has fails, and the failure names the field.
func TestAMemberOfTheWrongTypeFailsItsDevice(t *testing.T) {
	for _, c := range []struct{ member, field, hint string }{
		{`"detectedApps":"System.Object[]"`, "detectedApps", "-Depth"},
		{`"hardwareInformation":"@{serialNumber=X; imei=}"`, "hardwareInformation", "-Depth"},
		{`"usersLoggedOn":"System.Object[]"`, "usersLoggedOn", "-Depth"},
		{`"detectedApps":["@{id=1; displayName=App}"]`, "detectedApps", "-Depth"},
		{`"detectedApps":"none of them"`, "detectedApps", ""}, {`"hardwareInformation":["x"]`,
			"hardwareInformation", ""}, {`"hardwareInformation":7`, "hardwareInformation", ""},
		{`"detectedApps":true`, "detectedApps", ""}, {`"model":{"name":"X"}`, "model", ""},
		{`"deviceName":["LT-1"]`, "deviceName", ""},
		{`"lastSyncDateTime":{"value":"2026-01-01"}`, "lastSyncDateTime", ""},
		{`"hardwareInformation":{"imei":{"a":1}}`, "hardwareInformation.imei", ""},
		{`"detectedApps":[{"id":{"a":1}}]`, "detectedApps[0].id", ""}, {`"usersLoggedOn":[{"userId":["x"]}]`,
			"usersLoggedOn[0].userId", ""},
	} {
		w := newWorld(t, true)
		rec := `{"@odata.type":"#microsoft.graph.managedDevice","id":"` + guid(20,
			1) + `","managedDeviceOwnerType":"company",` + c.member + "}"
		if !strings.Contains(rec, "lastSync") {
			rec = strings.Replace(rec, `"id"`, `"lastSyncDateTime":"2026-03-01T08:00:00Z","id"`, 1)
		}
		s := w.importFiles(map[string]string{"a.json": rec})
		if s.FailedCount != 1 || s.Failed[0].Field != c.field || !strings.Contains(s.Failed[0].Reason, c.hint) ||
			len(w.events()) != 0 {
			t.Errorf("%s: %d events, failed %v", c.member, len(w.events()), s.Failed)
		}
	}
}

// What comes in a shape whose meaning is certain is what the right shape says.
func TestAShapeOfCertainMeaningIsRead(t *testing.T) {
	const apps = `[{"id":"a","displayName":"App"}]`
	device := func(member string) string {
		return `{"@odata.type":"#microsoft.graph.managedDevice","id":"` + guid(20,
			1) + `","lastSyncDateTime":"2026-03-01T08:00:00Z","managedDeviceOwnerType":"company",` + member + "}"
	}
	inText := func(member string) bool { return strings.Contains(member, `":"{`) || strings.Contains(member, `":"[`) }
	for _, c := range [][]string{
		{`"detectedApps":` + apps, `"detectedApps":` + apps[1:len(apps)-1], `"detectedApps":` + asLine(apps),
			`"detectedApps":` + asLine(apps[1:len(apps)-1])},
		{`"usersLoggedOn":[{"userId":"` + guid(10, 1) + `"}]`, `"usersLoggedOn":{"userId":"` + guid(10, 1) + `"}`},
		{`"hardwareInformation":{"imei":"350000000000001"}`, `"hardwareInformation":"{\"imei\":\"350000000000001\"}"`},
		{`"model":"X1"`, `"hardwareInformation":{},"detectedApps":[],"usersLoggedOn":"","model":"X1"`,
			`"hardwareInformation":null,"detectedApps":{},"model":"X1","imei":{}`},
	} {
		w := newWorld(t, true)
		for i, member := range c {
			s := w.importFiles(map[string]string{"a.json": device(member)})
			if s.FailedCount != 0 || i == 0 && s.Recorded != 1 || i > 0 && s.EventsAppended != 0 {
				t.Errorf("%s: %d events, failed %v", member, s.EventsAppended, s.Failed)
			}
			if (s.Decoded == 1) != inText(member) {
				t.Errorf("%s: %d records count as decoded", member, s.Decoded)
			}
		}
	}
}
