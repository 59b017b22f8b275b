package intake

import (
	"context"
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"

	"pgregory.net/rapid"
)

// seen is a record of device 1 as an import finds it.
type seen struct {
	observed string         // S
	contact  bool           // S is L too; else the fields may name one
	fields   map[string]any // beside the id; the device is nobody's yet, and of no ownership
}

type fields = map[string]any

func (w *world) importSeen(r seen) Summary {
	w.t.Helper()
	at, err := time.Parse(time.RFC3339, r.observed)
	if err != nil {
		w.t.Fatal(err)
	}
	m := fields{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1)}
	for k, v := range r.fields {
		m[k] = v
	}
	if r.contact {
		m["lastSyncDateTime"] = r.observed
	}
	s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"a"}, Observed: at,
		FS: fstest.MapFS{"a": aFile(asLine(m))}}, nil)
	if err != nil || !s.Balanced() || !s.OK() {
		w.t.Fatalf("%v: %s", err, asJSON(w.t, s))
	}
	return s
}

func loggedOn(person int) []map[string]any { return []map[string]any{{"userId": guid(10, person)}} }

// What an import did not take because it tells of a time that is over, none takes later: neither
// once the device is back with the user or the owner of that time, nor once nobody uses it. The
// records of each case but the first are in order, and the first was imported before the others.
func TestWhatIsOverStaysOver(t *testing.T) {
	company, personal := "company", "personal"
	const day1, day2, day3 = "2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"
	for name, records := range map[string][]seen{
		"another ownership between": {
			{day2, true, fields{"managedDeviceOwnerType": personal}},
			{day1, true, fields{"managedDeviceOwnerType": company, "serialNumber": "S-1"}},
			{day3, true, fields{"managedDeviceOwnerType": company}}},
		"another ownership between, and apps refused": {
			{day2, true, fields{"managedDeviceOwnerType": company}},
			{day1, true, fields{"managedDeviceOwnerType": personal, "detectedApps": appList(2, 3)}},
			{day3, true, fields{"managedDeviceOwnerType": personal}}},
		"another user between": {
			{day2, true, fields{"userId": guid(10, 2)}},
			{day1, true, fields{"userId": guid(10, 1), "serialNumber": "S-1"}},
			{day3, true, fields{"userId": guid(10, 1)}}},
		"another user between, who is known by id": {
			{day2, true, fields{"userId": guid(10, 2)}},
			{day1, true, fields{"userPrincipalName": "a@contoso.example", "userDisplayName": "A"}},
			{day3, true, fields{"userPrincipalName": "a@contoso.example"}}},
		"a user whose name is told later": {
			{day2, true, fields{"userId": guid(10, 1)}},
			{day1, true, fields{"userPrincipalName": "a@contoso.example", "userDisplayName": "A"}},
			{day3, true, fields{"userId": guid(10, 1), "userPrincipalName": "a@contoso.example"}}},
		"a user whose id is told later": {
			{day2, true, fields{"userPrincipalName": "a@contoso.example"}},
			{day1, true, fields{"userId": guid(10, 1), "userDisplayName": "A"}},
			{day3, true, fields{"userId": guid(10, 1), "userPrincipalName": "a@contoso.example"}}},
		"a user who was renamed and has the old name again": {
			{day2, true, fields{"userId": guid(10, 1), "userPrincipalName": "b@contoso.example"}},
			{day1, true, fields{"userPrincipalName": "a@contoso.example", "serialNumber": "S-1"}},
			{day3, true, fields{"userId": guid(10, 1), "userPrincipalName": "a@contoso.example"}}},
		"a user between, and none since": {
			{day2, true, fields{"userId": guid(10, 2)}},
			{day1, true, fields{"phoneNumber": "+31600000001"}},
			{day3, true, fields{"userId": ""}}},
		"a restatement between": {
			{day3, true, fields{"managedDeviceOwnerType": company}},
			{"2026-03-01T10:00:00Z", true, fields{"userPrincipalName": "a@contoso.example"}},
			{"2026-03-01T11:00:00Z", true, fields{"managedDeviceOwnerType": personal}},
			{day1, true, fields{"managedDeviceOwnerType": company, "serialNumber": "S-1"}},
			{day3, true, fields{"managedDeviceOwnerType": company}}},
		"a restatement of what names no contact between": {
			{day3, false, fields{"phoneNumber": "+31600000002"}},
			{day2, true, fields{"phoneNumber": "+31600000001"}},
			{"2026-03-02T12:00:00Z", false, fields{"managedDeviceOwnerType": "company",
				"lastSyncDateTime": day1}},
			{day2, true, fields{"phoneNumber": "+31600000001"}}},
		"what the daily limit left out": {
			{day1, true, fields{"usersLoggedOn": loggedOn(1), "totalStorageSpaceInBytes": 8 << 30,
				"freeStorageSpaceInBytes": 1 << 30}},
			{"2026-03-02T08:00:00Z", false, fields{"usersLoggedOn": loggedOn(2)}},
			{day2, true, fields{"usersLoggedOn": loggedOn(1), "freeStorageSpaceInBytes": 2 << 30}},
			{"2026-03-02T10:00:00Z", false, fields{"usersLoggedOn": loggedOn(3), "osVersion": "1.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			for _, r := range records {
				w.importSeen(r)
			}
			before := w.canonical()
			for _, r := range records {
				if s := w.importSeen(r); s.EventsAppended != 0 {
					t.Errorf("the record of %s is new once more, by %d events", r.observed, s.EventsAppended)
				}
			}
			if after := w.canonical(); after != before {
				t.Errorf("the ledger says\n%s\nafter\n%s", after, before)
			}
		})
	}
}

// A user who was known by name alone is gone, in a stream that is read again as in memory.
func TestNobodyIsReadAsPlanned(t *testing.T) {
	for _, user := range []fields{{"userPrincipalName": "a@contoso.example"}, {"userId": guid(10, 1)}} {
		w := newWorld(t, true)
		w.importSeen(seen{"2026-03-01T09:00:00Z", true, fields{"userId": guid(10, 2)}})
		w.importSeen(seen{"2026-03-02T09:00:00Z", true, user})
		w.importSeen(seen{"2026-03-03T09:00:00Z", true, fields{"userId": ""}})
		w.importSeen(seen{"2026-03-05T09:00:00Z", true, fields{"userId": guid(10, 2)}})
		st, _ := w.device(guid(20, 1))
		if got := st.UserAt(time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)); got != uuid.Nil {
			t.Errorf("%v: %s used the device when nobody did", user, w.personName(got))
		}
	}
}

// An older snapshot that tells who the user is has everything restated under their key. What is
// newer stays as new as it was: the next older snapshot does not undo it.
func TestRestatingMakesNothingOlder(t *testing.T) {
	w := newWorld(t, true)
	w.importSeen(seen{"2026-03-03T09:00:00Z", true, fields{"managedDeviceOwnerType": "company"}})
	w.importSeen(seen{"2026-03-04T09:00:00Z", true, fields{"osVersion": "2.0"}})
	w.importSeen(seen{"2026-03-01T09:00:00Z", true, fields{"userPrincipalName": "a@contoso.example"}})
	w.importSeen(seen{"2026-03-02T09:00:00Z", true,
		fields{"managedDeviceOwnerType": "personal", "osVersion": "1.0", "serialNumber": "S-1"}})
	st, shown := w.device(guid(20, 1))
	for id, day := range map[string]int{"device.os-version": 4, "device.ownership": 3, "device.last-contact": 4,
		"device.user-upn": 1} {
		have, _ := st.Value(schemas.Default().MustAttribute(id))
		want := time.Date(2026, 3, day, 9, 0, 0, 0, time.UTC)
		if !have.Contact.Equal(want) || !have.Observed.Equal(want) {
			t.Errorf("%s is of %v, want %v", id, have.Moment, want)
		}
	}
	want := map[string]string{"device.os-version": `"2.0"`, "device.ownership": `"company"`,
		"device.last-contact": `"2026-03-04T09:00:00Z"`}
	for id, text := range want {
		if shown[id] != text {
			t.Errorf("%s was last told as %s, want %s", id, shown[id], text)
		}
	}
}

// anyHolding draws a snapshot of one device that changes hands: what names its user is any part of
// what could. L is S: DESIGN says what may be new once more where they disagree.
func anyHolding(t *rapid.T, at time.Time) string {
	m := fields{"DeviceId": guid(20, 1), "StorageTotal": 4096,
		"LastContact": at.Format("2006-01-02 15:04:05.0000000")}
	maybe := func(name string, values ...any) {
		if v := rapid.SampledFrom(append(values, nil)).Draw(t, name); v != nil {
			m[name] = v
		}
	}
	switch user := rapid.IntRange(0, 3).Draw(t, "user"); user {
	case 0:
		m["UPN"] = ""
	case 3: // not told
	default:
		maybe("PrimaryUser", guid(10, user))
		maybe("UPN", fmt.Sprintf("user%d@contoso.example", user))
		maybe("UserName", fmt.Sprintf("User %d", user))
	}
	maybe("Ownership", "company", "personal")
	maybe("PhoneNumber", "+31600000001", "+31600000002")
	maybe("SerialNumber", "S-1")
	maybe("StorageFree", 1024, 2048)
	return asLine(fields{"time": at.Format(time.RFC3339), "tenantId": sourceTenant, "category": "Devices",
		"operationName": "Devices", "properties": m})
}

// Whoever has the device in between, and whatever was imported of it before: once its records were
// imported together, none is new any more.
func TestADeviceThatChangesHandsIsNotNewAgain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, false)
		rt.Cleanup(w.close)
		var records []string
		whole := ""
		for _, h := range rapid.SliceOfNDistinct(rapid.IntRange(0, 80), 3, 7, rapid.ID[int]).Draw(rt, "hours") {
			r := anyHolding(rt, propertyStart.Add(time.Duration(h)*time.Hour))
			records = append(records, r)
			whole += r + "\n"
		}
		before := rapid.Permutation(records).Draw(rt, "before")
		together := append(before[:rapid.IntRange(0, len(before)-1).Draw(rt, "of them")], whole)
		for _, r := range together {
			if _, err := run(rt, w, map[string]string{"a": r}); err != nil {
				rt.Fatal(err)
			}
		}
		for _, r := range rapid.Permutation(records).Draw(rt, "again") {
			s, err := run(rt, w, map[string]string{"a": r})
			if err != nil || s.EventsAppended != 0 {
				rt.Fatalf("%v: %s appends %d events", err, r, s.EventsAppended)
			}
		}
	})
}
