package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/plan"
	"github.com/ledgerline/ledgerline/schemas"
)

// remoteActions are the present values of each remote action of the ledger, as they are opened,
// without what its last teller was and in order.
func (w *world) remoteActions() (out []map[string]string) {
	w.t.Helper()
	by := map[schemas.Stream]map[string]string{}
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		if d.Type.Kind() != "remoteaction" {
			continue
		}
		if by[e.Stream] == nil {
			by[e.Stream] = map[string]string{}
		}
		for _, v := range d.Values {
			name := strings.TrimPrefix(v.Attr.ID, "remoteaction.")
			text := v.Text()
			if v.Token != "" {
				text = strings.Trim(w.openToken(d, v), `"`)
			}
			if by[e.Stream][name] = text; v.Removed {
				delete(by[e.Stream], name)
			}
		}
		delete(by[e.Stream], "form")
	}
	for _, a := range by {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b map[string]string) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}

const (
	wiped     = "d0d0d0d0-0000-4000-8000-00000000aaaa"
	wipedUser = "a1a1a1a1-0000-4000-8000-0000000000aa"
)

// results is a device of Graph's, with what was asked of it.
func results(id, name string, all ...map[string]any) string {
	return string(schemas.JSON(map[string]any{"@odata.context": "x/$metadata#deviceManagement/managedDevices",
		"value": []map[string]any{{"id": id, "deviceName": name, "managedDeviceOwnerType": "company",
			"userId": wipedUser, "userPrincipalName": "fatima@contoso.example", "imei": "490154203237518",
			"enrolledDateTime": "2026-01-05T09:00:00Z", "lastSyncDateTime": "2026-03-01T08:00:00Z",
			"managementAgent": "mdm", "operatingSystem": "iOS", "deviceActionResults": all}}}))
}

func result(name, state, start, updated string, more ...any) map[string]any {
	m := map[string]any{"actionName": name, "actionState": state, "startDateTime": start,
		"lastUpdatedDateTime": updated}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// remoteAudit is a remoteActionAudit.
func remoteAudit(id, device, action, state, at string) string {
	return string(schemas.JSON(map[string]any{"@odata.type": "#microsoft.graph.remoteActionAudit", "id": id,
		"deviceDisplayName": device, "userName": "Admin One", "initiatedByUserPrincipalName": "admin@contoso.example",
		"action": action, "requestDateTime": at, "deviceOwnerUserPrincipalName": "fatima@contoso.example",
		"deviceIMEI": "49-015420-323751-8", "actionState": state}))
}

// taskAudit is an audit event of Graph's of a remote task.
func taskAudit(id, task, at string, devices ...[2]string) string {
	var on []map[string]any
	for _, d := range devices {
		on = append(on, map[string]any{"displayName": d[1], "type": "ManagedDevice", "resourceId": d[0],
			"modifiedProperties": []any{}})
	}
	return string(schemas.JSON(map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": id,
		"displayName": task + " ManagedDevice", "activityType": task + " ManagedDevice", "activityDateTime": at,
		"activityOperationType": "Action", "activityResult": "Success", "category": "Device",
		"correlationId": guid(31, 1), "actor": map[string]any{"auditActorType": "ItPro",
			"userId": "a1a1a1a1-0000-4000-8000-000000000001", "userPrincipalName": "admin@contoso.example",
			"ipAddress": "192.0.2.1", "userPermissions": []string{"*"}},
		"resources": on}))
}

// Whatever is told first, by whichever source, one action comes to one stream and one state; and
// whatever is told again says nothing more.
func TestTheOrderOfTellingsOfARemoteActionDoesNotMatter(t *testing.T) {
	asked := time.Date(2026, 3, 2, 10, 11, 12, 0, time.UTC)
	states := []string{"pending", "active", "done", "failed", "canceled"}
	rapid.Check(t, func(r *rapid.T) {
		at := func(what string) string {
			off := time.Duration(rapid.IntRange(-140, 140).Draw(r, what)) * time.Second
			return asked.Add(off).Format(time.RFC3339)
		}
		audit, list, start := at("audit"), at("list"), at("result")
		files := map[string]string{
			"audit.json":  taskAudit(guid(30, 7), "wipe", audit, [2]string{wiped, "Phone of Fatima"}),
			"device.json": results(wiped, "phone of fatima"),
		}
		for i := range rapid.IntRange(1, 2).Draw(r, "lists") {
			files[fmt.Sprintf("list%d.json", i)] = remoteAudit(guid(32, 1), "Phone of Fatima", "factoryReset",
				rapid.SampledFrom(states).Draw(r, "state of list"), list)
		}
		for i := range rapid.IntRange(1, 2).Draw(r, "results") {
			updated := asked.Add(time.Duration(rapid.IntRange(10, 12).Draw(r, "updated")) * time.Minute)
			files[fmt.Sprintf("result%d.json", i)] = results(wiped, "Phone of Fatima", result("wipe",
				rapid.SampledFrom(states).Draw(r, "state of result"), start, updated.Format(time.RFC3339)))
		}
		names := rapid.Permutation(sortedKeys(files)).Draw(r, "order")
		run := func(names []string) string {
			w := newWorld(t, true)
			for _, n := range names {
				w.importAlone(n, files[n])
			}
			got := w.remoteActions()
			if len(got) != 1 {
				r.Fatalf("%v: %d remote actions: %v", names, len(got), got)
			}
			events := len(w.own())
			// What became known of the device meanwhile may still be added; then nothing is.
			for round := range 2 {
				before := len(w.own())
				for _, n := range names {
					w.importAlone(n, files[n])
				}
				if round == 1 && len(w.own()) != before {
					r.Fatalf("%v: telling it again appended %d events", names, len(w.own())-before)
				}
			}
			if again := w.remoteActions(); fmt.Sprint(again) != fmt.Sprint(got) && len(w.own()) == events {
				r.Fatalf("%v: %v became %v", names, got, again)
			}
			one := w.remoteActions()[0]
			delete(one, "group") // of this world
			delete(one, "device")
			return fmt.Sprint(one)
		}
		if got, want := run(names), run(sortedKeys(files)); got != want {
			r.Fatalf("in order %v:\n%s\nwant\n%s", names, got, want)
		}
	})
}

// importAlone imports one file, observed on a day behind all that it tells.
func (w *world) importAlone(name, text string) Summary {
	w.t.Helper()
	s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{name},
		FS:       fstest.MapFS{name: aFile(text)},
		Observed: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if s.FailedCount > 0 || s.PartsFailed > 0 || !s.Balanced() {
		w.t.Fatalf("%s: %s", name, asJSON(w.t, s))
	}
	return s
}

func TestOneRequestOfManyDevicesIsAnActionOnEach(t *testing.T) {
	w := newWorld(t, true)
	docs := caseFiles(t, "wipe-of-90-devices-in-one-record")
	w.importFiles(map[string]string{"1.json": docs[0]})
	s := w.importFiles(map[string]string{"2.json": docs[1]})
	if s.Read != 1 || s.Recorded != 1 || s.Parts["remoteaction"] == nil ||
		*s.Parts["remoteaction"] != (PartSummary{Read: 90, Recorded: 90}) {
		t.Fatal(asJSON(t, s))
	}
	groups, devices := map[string]bool{}, map[string]bool{}
	for _, a := range w.remoteActions() {
		groups[a["group"]], devices[a["device"]] = true, true
		if a["action"] != "wipe" || a["state"] != "requested" {
			t.Error(a)
		}
	}
	if len(groups) != 1 || len(devices) != 90 || devices[""] {
		t.Errorf("%d groups, %d devices", len(groups), len(devices))
	}
	if s = w.importFiles(map[string]string{"2.json": docs[1]}); s.EventsAppended != 0 || s.Unchanged != 1 ||
		*s.Parts["remoteaction"] != (PartSummary{Read: 90, Unchanged: 90}) {
		t.Error(asJSON(t, s))
	}
}

// Devices that are called the same are told apart where something tells them apart, and counted
// right where nothing does.
func TestDevicesOfOneNameAreNotOneAction(t *testing.T) {
	w := newWorld(t, true)
	var on [][2]string
	for i := range 3 {
		on = append(on, [2]string{guid(40, i), "iPhone"})
	}
	w.importAlone("audit.json", taskAudit(guid(30, 1), "retire", "2026-03-02T10:00:00Z", on...))
	for i, state := range []string{"done", "failed", "pending"} {
		a := strings.Replace(remoteAudit(guid(32, i), "iPhone", "removeCompanyData", state, "2026-03-02T10:00:30Z"),
			"49-015420-323751-8", "", 1)
		w.importAlone(fmt.Sprintf("list%d.json", i), a)
	}
	states := map[string]int{}
	for _, a := range w.remoteActions() {
		states[a["state"]]++
	}
	if len(w.remoteActions()) != 3 || states["done"] != 1 || states["failed"] != 1 || states["pending"] != 1 {
		t.Error(w.remoteActions())
	}
}

// The same is asked of a device twice within minutes: two audit events are two requests.
func TestTwoRequestsAreTwoActions(t *testing.T) {
	w := newWorld(t, true)
	for i, at := range []string{"2026-03-02T10:00:00Z", "2026-03-02T10:01:00Z"} {
		w.importAlone("audit.json", taskAudit(guid(30, i), "syncDevice", at, [2]string{wiped, "X"}))
	}
	if n := len(w.remoteActions()); n != 2 {
		t.Errorf("%d actions", n)
	}
}

// What a result holds beside its state is neither kept nor lost in silence.
func TestSecretsOfAResultAreWithheldAndWhereADeviceIsIsRefused(t *testing.T) {
	w := newWorld(t, true)
	s := w.importAlone("d.json", results(wiped, "X",
		result("resetPasscode", "done", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z", "passcode", "837261",
			"errorCode", 0),
		result("rotateBitLockerKeys", "failed", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z", "errorCode", 1234,
			"recoveryKey", "111111-222222-333333"),
		result("locateDevice", "done", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z", "deviceLocation",
			map[string]any{"latitude": 52.123456, "longitude": 4.987654})))
	if got := *s.Parts["deviceActionResults"]; got != (PartSummary{Read: 3, Recorded: 3}) || s.ValuesWithheld != 2 {
		t.Error(asJSON(t, s))
	}
	all := fmt.Sprint(w.remoteActions())
	for _, secret := range []string{"837261", "111111", "52.12", "4.98"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is kept", secret)
		}
	}
	var refused bool
	for _, a := range w.own() {
		refused = refused || a.Type == "refusal.recorded.v1"
	}
	if !refused || !strings.Contains(all, "error-code:1234") || strings.Count(all, "withheld:1") != 2 {
		t.Errorf("refused %v: %s", refused, all)
	}
}

// A part that cannot be understood costs neither its record nor the parts beside it, and is told.
func TestAPartThatFailsIsToldAndCostsNothingElse(t *testing.T) {
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"d.json": results(wiped, "X",
		result("wipe", "done", "not a time", "2026-03-02T10:05:00Z"),
		result("remoteLock", "done", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z"))})
	if s.Read != 1 || s.Recorded != 1 || s.FailedCount != 0 || s.PartsFailed != 1 || s.OK() || !s.Balanced() ||
		*s.Parts["deviceActionResults"] != (PartSummary{Read: 2, Recorded: 1, Failed: 1}) || len(s.Failures) != 1 ||
		s.Failures[0].Part != "deviceActionResults" || s.Failures[0].Field != "deviceActionResults.startDateTime" {
		t.Error(asJSON(t, s))
	}
	// It is told each time.
	if s = w.importFiles(map[string]string{"d.json": results(wiped, "X",
		result("wipe", "done", "not a time", "2026-03-02T10:05:00Z"),
		result("remoteLock", "done", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z"))}); s.PartsFailed != 1 ||
		s.EventsAppended != 0 || s.Unchanged != 1 {
		t.Error(asJSON(t, s))
	}
}

// What is known is neither parsed nor planned, its parts neither, and counts the same.
func TestPartsOfAKnownRecordCountAsUnchanged(t *testing.T) {
	w := newWorld(t, true)
	file := map[string]string{"d.json": results(wiped, "X",
		result("remoteLock", "done", "2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z"))}
	w.importFiles(file)
	for range 3 {
		s := w.importFiles(file)
		if s.EventsAppended != 0 || s.Unchanged != 1 ||
			*s.Parts["deviceActionResults"] != (PartSummary{Read: 1, Unchanged: 1}) {
			t.Error(asJSON(t, s))
		}
	}
}

// The bounds of what a record may hold beside are named.
func TestMorePartsThanMayBeAreToldAndNoneIsTaken(t *testing.T) {
	w := newWorld(t, true)
	var all []map[string]any
	for range plan.MaxParts + 1 {
		all = append(all, map[string]any{"actionName": "wipe"})
	}
	s := w.importFiles(map[string]string{"d.json": results(wiped, "X", all...)})
	if s.Recorded != 1 || s.PartsFailed != 1 || s.Parts["deviceActionResults"].Read != 1 {
		t.Error(asJSON(t, s))
	}
}

// Why an action failed is kept of the act and, where it was asked of a device, of that.
func TestWhyAnActionFailedIsKept(t *testing.T) {
	for _, operation := range []string{"wipe ManagedDevice", "Patch MobileApp"} {
		w := newWorld(t, true)
		_, log := anActionInBothForms()
		log["ActivityResultStatus"] = 0
		rec := inCategory("AuditLogs", log)
		rec["operationName"], rec["resultType"] = operation, "Failure"
		rec["resultDescription"] = "The device is not enrolled."
		s := w.importToldAt(asLine(rec))
		values := w.values()
		if got := values["action.reason"]; len(got) != 1 || len(s.UnknownFields) != 0 {
			t.Errorf("%s: %v, %s", operation, got, asJSON(t, s))
		}
		if got := values["remoteaction.failure"]; (len(got) == 1) != (operation == "wipe ManagedDevice") {
			t.Errorf("%s: %v", operation, got)
		}
		for _, e := range w.events() {
			if strings.Contains(string(e.Data), "not enrolled") {
				t.Errorf("it stands open in %s", e.Type)
			}
		}
		w.close()
	}
}
