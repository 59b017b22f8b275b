package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"

	"pgregory.net/rapid"
)

var propertyStart = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func guid(kind, n int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", kind, n) }

// anyDevice draws a snapshot of one of three devices: any of its fields may be missing, empty, a
// placeholder, or differ.
func anyDevice(t *rapid.T) string {
	device := rapid.IntRange(1, 3).Draw(t, "device")
	at := propertyStart.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "hours"))*7*time.Hour +
		time.Duration(rapid.IntRange(0, 300).Draw(t, "minutes"))*time.Minute)
	graph := rapid.Bool().Draw(t, "graph")
	m := map[string]any{}
	maybe := func(graphName, azureName string, values ...any) {
		name := azureName
		if graph {
			name = graphName
		}
		if v := rapid.SampledFrom(append(values, nil)).Draw(t, graphName); name != "" && v != nil {
			m[name] = v
		}
	}
	user := rapid.IntRange(0, 3).Draw(t, "user")
	switch user {
	case 0:
		maybe("userId", "PrimaryUser", "")
		maybe("userPrincipalName", "UPN", "")
	case 3: // not told
		maybe("userPrincipalName", "UPN", "[REDACTED]")
	default:
		maybe("userId", "PrimaryUser", guid(10, user))
		maybe("userPrincipalName", "UPN", fmt.Sprintf("user%d@contoso.example", user))
		maybe("userDisplayName", "UserName", fmt.Sprintf("User %d", user))
	}
	maybe("managedDeviceOwnerType", "Ownership", "company", "personal", "company", "unknown")
	maybe("deviceName", "DeviceName", "NAME-1", "NAME-2", "[REDACTED]")
	maybe("phoneNumber", "PhoneNumber", "+31600000001", "+31600000002")
	maybe("serialNumber", "SerialNumber", "S-1", "0")
	maybe("osVersion", "OSVersion", "1.0", "2.0", "unknown")
	maybe("complianceState", "CompliantState", "compliant", "noncompliant")
	maybe("managementState", "DeviceState", "managed", "retireIssued")
	if graph {
		m["id"], m["lastSyncDateTime"] = guid(20, device), at.Format(time.RFC3339)
		maybe("freeStorageSpaceInBytes", "", 1<<20, 2<<20)
		m["totalStorageSpaceInBytes"] = 1 << 30
		if n := rapid.IntRange(0, 3).Draw(t, "apps"); n > 0 {
			var apps []map[string]any
			for i := range n {
				apps = append(apps, map[string]any{"id": fmt.Sprint(i * rapid.IntRange(1, 2).Draw(t, "app")),
					"displayName": "App", "version": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")})
			}
			m["detectedApps"] = apps
		}
		if rapid.Bool().Draw(t, "logged on") {
			m["usersLoggedOn"] = []map[string]any{{"userId": guid(10, rapid.IntRange(1, 2).Draw(t, "who")),
				"lastLogOnDateTime": at.Format(time.RFC3339)}}
		}
		m["@odata.type"] = "#microsoft.graph.managedDevice"
		return asLine(m)
	}
	m["DeviceId"], m["LastContact"] = guid(20, device), at.Format("2006-01-02 15:04:05.0000000")
	return asLine(map[string]any{"time": at.Format(time.RFC3339), "tenantId": sourceTenant, "category": "Devices",
		"operationName": "Devices", "properties": m})
}

func anyAction(t *rapid.T) string {
	at := propertyStart.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "hour")) * time.Hour)
	kind := rapid.SampledFrom([]string{"ManagedDevice", "User", "MobileApp"}).Draw(t, "kind")
	id := guid(20, rapid.IntRange(1, 4).Draw(t, "target"))
	if kind == "User" {
		id = guid(10, 1)
	}
	return asLine(map[string]any{"time": at.Format(time.RFC3339), "tenantId": sourceTenant, "category": "AuditLogs",
		"operationName": "Patch " + kind, "properties": map[string]any{
			"AuditEventId": guid(30, rapid.IntRange(1, 9).Draw(t, "event")), "ActivityType": 2,
			"Actor":           map[string]any{"ActorType": 1, "ObjectId": guid(10, 1)},
			"TargetObjectIds": []string{id}, "TargetDisplayNames": []string{"<null>"}}})
}

func asLine(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// identity finds a device's id and time, or an action's id.
var identity = regexp.MustCompile(
	`"(?:id|DeviceId|AuditEventId)":"(0000[^"]*)"|"(?:lastSyncDateTime|time)":"([^"]*)"`)

func anyRecords(t *rapid.T) []string {
	records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
			return anyAction(t)
		}
		return anyDevice(t)
	}), 1, 14).Draw(t, "records")
	// One action has one content, and a device is observed once in a second, whatever the form: of
	// contradicting ones the first stays, since what comes of them depends on their order.
	seen := map[string]bool{}
	var out []string
	for _, r := range records {
		key := ""
		for _, found := range identity.FindAllStringSubmatch(r, -1) {
			key += found[1] + found[2]
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	return out
}

// files spreads the records over files, in the given order, with some delivered twice.
func files(t *rapid.T, records []string) map[string]string {
	out := map[string]string{}
	for i, r := range records {
		name := fmt.Sprintf("%02d.ndjson", i/rapid.IntRange(1, 5).Draw(t, "file"))
		out[name] += r + rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		if rapid.IntRange(0, 5).Draw(t, "twice") == 0 {
			out["99.ndjson"] += r + "\n"
		}
	}
	return out
}

func run(t *rapid.T, w *world, files map[string]string) (Summary, error) {
	fsys := fstest.MapFS{}
	for n, c := range files {
		fsys[n] = aFile(c)
	}
	s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"."}, FS: fsys}, nil)
	if err == nil && (!s.Balanced() || !s.OK()) {
		t.Fatalf("the summary does not add up, or something failed: %+v", s)
	}
	return s, err
}

// TestImportingAgainAppendsNothing: whatever part of it was imported, in whatever order and
// portions, once all was imported together nothing is new any more, in any order and portions.
func TestImportingAgainAppendsNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, false)
		rt.Cleanup(w.close)
		records := anyRecords(rt)
		whole := files(rt, records)
		if rapid.Bool().Draw(rt, "parts first") {
			w.config.BatchSize = rapid.IntRange(1, 3).Draw(rt, "batch")
			parts := rapid.Permutation(records).Draw(rt, "order")
			parts = parts[:rapid.IntRange(1, len(parts)).Draw(rt, "of them")]
			if _, err := run(rt, w, files(rt, parts)); err != nil {
				rt.Fatal(err)
			}
		}
		w.config.BatchSize = 0
		if _, err := run(rt, w, whole); err != nil {
			rt.Fatal(err)
		}
		before := w.canonical()
		for range 2 {
			w.config.BatchSize = rapid.IntRange(1, 5).Draw(rt, "batch")
			s, err := run(rt, w, files(rt, rapid.Permutation(records).Draw(rt, "order")))
			if err != nil {
				rt.Fatal(err)
			}
			if s.EventsAppended != 0 {
				events := w.events()
				rt.Fatalf("importing again appended %d events, the last a %s: %s", s.EventsAppended,
					events[len(events)-1].Type, w.dumpFrom(newLabels(), len(events)-s.EventsAppended))
			}
		}
		if after := w.canonical(); after != before {
			rt.Fatalf("the ledger says something else:\n%s\nbefore:\n%s", after, before)
		}
	})
}

// TestCrashesLoseAndDoubleNothing: an import that dies at any point, before or after an append
// took effect, and is repeated, ends as an undisturbed one.
func TestCrashesLoseAndDoubleNothing(t *testing.T) {
	died := errors.New("died here")
	rapid.Check(t, func(rt *rapid.T) {
		source := files(rt, anyRecords(rt))
		calm := newWorld(t, false)
		rt.Cleanup(calm.close)
		if _, err := run(rt, calm, source); err != nil {
			rt.Fatal(err)
		}
		w := newWorld(t, false)
		rt.Cleanup(w.close)
		w.config.Workers = rapid.IntRange(1, 4).Draw(rt, "workers")
		crashes := rapid.IntRange(1, 6).Draw(rt, "crashes")
		for range crashes {
			left := rapid.IntRange(0, 9).Draw(rt, "left")
			next := func() bool { left--; return left == -1 }
			hook, fail, after := w.config.Hook, w.store.Fail, w.store.After
			switch rapid.IntRange(0, 3).Draw(rt, "how") {
			case 0:
				w.config.Hook = func(string) error {
					if next() {
						return died
					}
					return nil
				}
			case 1:
				w.config.Workers = 1
				w.store.Fail = func(schemas.Stream, []schemas.Event) error {
					if next() {
						return died
					}
					return nil
				}
			case 2: // it took effect, and nobody was told
				w.config.Workers = 1
				w.store.After = func(schemas.Stream, []schemas.Event) error {
					if next() {
						return died
					}
					return nil
				}
			case 3: // it took effect, and the answer was lost: repeated with the same ids
				w.config.Workers = 1
				w.store.After = func(schemas.Stream, []schemas.Event) error {
					if next() {
						return ledger.ErrUnknownOutcome
					}
					return nil
				}
			}
			if _, err := run(rt, w, source); err != nil && !errors.Is(err, died) {
				rt.Fatal(err)
			}
			w.config.Hook, w.store.Fail, w.store.After = hook, fail, after
		}
		if _, err := run(rt, w, source); err != nil {
			rt.Fatal(err)
		}
		if got, want := w.canonical(), calm.canonical(); got != want {
			rt.Fatalf("after crashes:\n%s\nundisturbed:\n%s", got, want)
		}
		if s, err := run(rt, w, source); err != nil || s.EventsAppended != 0 {
			rt.Fatalf("importing again appended %d events, %v", s.EventsAppended, err)
		}
	})
}
