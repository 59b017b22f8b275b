package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// sealedValue is a value of an event and whose key seals it.
type sealedValue struct {
	stream schemas.Stream
	typ    string
	attr   string
	owner  schemas.Owner
}

// sealedBehind returns the sealed values of the events behind the first so many.
func (w *world) sealedBehind(behind int) (out []sealedValue) {
	w.t.Helper()
	var aliases []uuid.UUID
	for _, e := range w.own()[behind:] {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			if v.Token == "" {
				continue
			}
			h, _, err := v.Token.Parse()
			if err != nil {
				w.t.Fatal(err)
			}
			out = append(out, sealedValue{e.Stream, e.Type, v.Attr.ID, schemas.Owner{}})
			aliases = append(aliases, h.Alias)
		}
	}
	owners, err := w.aliasOwners(context.Background(), w.tenant.ID, aliases)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, a := range aliases {
		out[i].owner = owners[a]
	}
	return out
}

// found returns who is known under an identifier, each once.
func (w *world) found(identifier string) (out []uuid.UUID) {
	w.t.Helper()
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		matches, err := tx.FindPersons(identifier)
		for _, m := range matches {
			if !slices.Contains(out, m.ID) {
				out = append(out, m.ID)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// Each way in which a source names somebody finds one person, and all ways of one record the same.
func TestWhichIDFindsAPersonInEachSource(t *testing.T) {
	const upn, mail = "anna@contoso.example", "anna@mail.example"
	id, intuneID := guid(10, 1), guid(15, 1)
	audit := func(actor, target map[string]any) string {
		return asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1),
			"activityDateTime": toldAt.Format("2006-01-02T15:04:05Z"), "activityType": "wipe ManagedDevice",
			"activityResult": "Success", "category": "Device", "componentName": "ManagedDevices", "actor": actor,
			"resources": []any{target}})
	}
	alert := func(more map[string]any) string {
		p := map[string]any{"OperationalLogCategory": "DeviceCompliance", "AlertType": "Managed Device Not Compliant",
			"IntuneDeviceId": guid(20, 1)}
		for k, v := range more {
			p[k] = v
		}
		return asLine(inCategory("OperationalLogs", p))
	}
	for name, tc := range map[string]struct {
		record string
		finds  []string // each the same person
		nobody []string
	}{
		"a device's user in Graph": {record: subjectsDevice(1, toldAt, map[string]any{"userId": id,
			"userPrincipalName": upn, "emailAddress": mail}), finds: []string{id, upn, mail}},
		"a device's user by name alone": {record: subjectsDevice(1, toldAt, map[string]any{"userPrincipalName": upn,
			"emailAddress": mail}), finds: []string{upn, mail}},
		"a device's user in Azure Monitor": {record: asLine(inCategory("Devices", map[string]any{
			"DeviceId": guid(20, 1), "PrimaryUser": id, "UPN": upn, "UserEmail": mail,
			"LastContact": toldAt.Format("2006-01-02T15:04:05Z")})), finds: []string{id, upn, mail}},
		"who logged on": {record: subjectsDevice(1, toldAt, map[string]any{
			"usersLoggedOn": []any{map[string]any{"userId": id}}}), finds: []string{id}},
		"an account": {record: strings.TrimSpace(user(1, map[string]any{"userPrincipalName": upn, "mail": mail})),
			finds: []string{id, upn, mail}},
		"who acted": {record: audit(map[string]any{"userId": id, "userPrincipalName": upn},
			map[string]any{"resourceId": guid(20, 1), "type": "ManagedDevice"}), finds: []string{id, upn}},
		"who acted, in Azure Monitor": {record: asLine(inCategory("AuditLogs", map[string]any{
			"AuditEventId": guid(30, 1), "Actor": map[string]any{"ObjectId": id, "UPN": upn, "ActorType": 1},
			"TargetObjectIds": []any{guid(20, 1)}, "Category": 3, "ActivityDate": "3/1/2026 9:30:00 AM"})),
			finds: []string{id, upn}},
		"a registration": {record: asLine(object{"@odata.type": "#microsoft.graph.iosManagedAppRegistration",
			"id": "T_1", "deviceTag": "d", "managementSdkVersion": "1.2.3", "userId": id}), finds: []string{id}},
		"an alert's name and id of the service's own": {record: alert(map[string]any{"IntuneUserId": intuneID,
			"UserName": "anna", "UPNSuffix": "contoso.example"}), finds: []string{upn, intuneID}},
		"an id of the service's own alone": {record: alert(map[string]any{"IntuneUserId": intuneID}),
			nobody: []string{intuneID}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			w.importToldAt(tc.record)
			var one uuid.UUID
			for i, by := range tc.finds {
				got := w.found(by)
				if len(got) != 1 || i > 0 && got[0] != one {
					t.Errorf("identifier %d finds %d persons, or another than the one before", i, len(got))
				} else {
					one = got[0]
				}
			}
			for i, by := range tc.nobody {
				if got := w.found(by); len(got) > 0 {
					t.Errorf("identifier %d, which is linked to nobody, finds %d", i, len(got))
				}
			}
		})
	}
}

// Once a record links the service's own id to a name, records that have that id alone are theirs;
// a person whom the directory knows is never joined to one who is known by a name alone.
func TestALinkedIDFindsItsPersonAndMergesNobody(t *testing.T) {
	w := newWorld(t, true)
	linked := inCategory("OperationalLogs", map[string]any{"OperationalLogCategory": "DeviceCompliance",
		"AlertType": "Managed Device Not Compliant", "IntuneDeviceId": guid(20, 1), "IntuneUserId": guid(15, 1),
		"UserName": "anna", "UPNSuffix": "contoso.example"})
	alone := inCategory("OperationalLogs", map[string]any{"OperationalLogCategory": "DeviceEnrollment",
		"FailureReason": "Anna has too many devices", "IntuneDeviceId": guid(20, 9), "IntuneUserId": guid(15, 1),
		"MessageId": guid(70, 1)})
	w.importToldAt(asLine(linked))
	before := len(w.own())
	w.importToldAt(asLine(alone))
	anna := w.found("anna@contoso.example")
	if len(anna) != 1 {
		t.Fatalf("%d persons", len(anna))
	}
	theirs := 0
	for _, v := range w.sealedBehind(before) {
		if v.attr == "alert.failure-reason" && v.owner == schemas.PersonOrTenant(anna[0]) {
			theirs++
		}
	}
	if theirs == 0 {
		t.Error("what has the linked id alone is not sealed under whom it is linked to")
	}
	w.importToldAt(subjectsDevice(1, toldAt.AddDate(0, 0, 1), map[string]any{"userId": guid(10, 1),
		"userPrincipalName": "anna@contoso.example"}))
	if all := w.found("anna@contoso.example"); len(all) != 2 {
		t.Errorf("%d persons are known under a name of which one is known by an id: they are joined by nobody's word",
			len(all))
	}
}

// A device that changes hands is sealed under the new person from the record on that says so, in
// whichever form it says it, with its apps and what stays as it is; what was told before stays the
// former's.
func TestADeviceThatChangesHandsIsSealedUnderTheNewPersonFromThenOn(t *testing.T) {
	azure := func(n int, more map[string]any) string {
		p := map[string]any{"DeviceId": guid(20, 1), "PrimaryUser": guid(10, n),
			"UPN": fmt.Sprintf("user%d@contoso.example", n), "Ownership": "Personal",
			"LastContact": toldAt.AddDate(0, 0, n).Format("2006-01-02T15:04:05Z")}
		for k, v := range more {
			p[k] = v
		}
		m := inCategory("Devices", p)
		m["time"] = toldAt.AddDate(0, 0, n).Format("2006-01-02T15:04:05Z")
		return asLine(m)
	}
	graph := func(n int, more map[string]any) string {
		m := subjectsUser(n)
		m["managedDeviceOwnerType"] = "personal"
		for k, v := range more {
			m[k] = v
		}
		return subjectsDevice(1, toldAt.AddDate(0, 0, n), m)
	}
	forms := map[string]func(int, map[string]any) string{"Graph": graph, "Azure Monitor": azure}
	for first, tellFirst := range forms {
		for then, tellThen := range forms {
			t.Run(first+", then "+then, func(t *testing.T) {
				w := newWorld(t, true)
				names := map[string]map[string]any{"Graph": {"deviceName": "PC-7", "serialNumber": "PF1"},
					"Azure Monitor": {"DeviceName": "PC-7", "SerialNumber": "PF1"}}
				w.importOn(1, tellFirst(1, names[first]))
				before := len(w.own())
				w.importOn(2, tellThen(2, nil))
				old, now := w.found(guid(10, 1))[0], w.found(guid(10, 2))[0]
				for i, v := range w.sealedBehind(0) {
					of := v.owner.ID
					if of == now && i < len(w.sealedBehind(0))-len(w.sealedBehind(before)) || of == old &&
						i >= len(w.sealedBehind(0))-len(w.sealedBehind(before)) {
						t.Errorf("%s of %s is sealed under the wrong person", v.attr, v.typ)
					}
				}
				restated := false
				for _, v := range w.sealedBehind(before) {
					restated = restated || v.attr == "device.serial-number" && v.owner == schemas.PersonOrTenant(now)
				}
				if !restated {
					t.Error("what stays as it is is not told again under the new person's key")
				}
				if s := w.importOn(1, tellFirst(1, names[first])); s.EventsAppended != 0 {
					t.Errorf("the former user's record, told again, appends %d", s.EventsAppended)
				}
			})
		}
	}
}

// importOn imports records that were observed so many days after toldAt.
func (w *world) importOn(day int, content string) Summary {
	w.t.Helper()
	return w.importWith(map[string]string{"records.json": content},
		Source{Observed: toldAt.AddDate(0, 0, day), TakeNameless: true})
}

// A registration whose user changes is told again under the new user's key: all of it, but for
// what is nobody's.
func TestARegistrationOfAnotherUserIsSealedUnderThem(t *testing.T) {
	w := newWorld(t, true)
	registration := func(n int, more object) object {
		m := object{"@odata.type": "#microsoft.graph.iosManagedAppRegistration", "id": "T_1", "deviceTag": "tag-of-1",
			"managementSdkVersion": "1.2.3", "userId": guid(10, n), "flaggedReasons": []any{"none"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	w.take(1, registration(1, object{"deviceName": "iPhone-7", "managedDeviceId": guid(20, 1)}))
	before := len(w.own())
	w.take(2, registration(2, nil))
	now := schemas.PersonOrTenant(w.found(guid(10, 2))[0])
	told := map[string]bool{}
	for _, v := range w.sealedBehind(before) {
		if v.owner.Kind == schemas.OwnerPerson && v.owner != now {
			t.Errorf("%s of %s is sealed under the former user", v.attr, v.typ)
		}
		told[v.attr] = true
	}
	for _, want := range []string{"registration.user", "registration.device-tag", "registration.device-name",
		"registration.managed-device", "registration.id"} {
		if !told[want] {
			t.Errorf("%s is not told again", want)
		}
	}
	if s := w.take(2, registration(2, nil)); s.EventsAppended != 0 {
		t.Errorf("told again: %s", asJSON(t, s))
	}
	if s := w.take(1, registration(1, nil)); s.EventsAppended != 0 {
		t.Errorf("the former user's, told again: %s", asJSON(t, s))
	}
	erase(t, w, guid(10, 1))
	if dump := w.dump(newLabels()); !strings.Contains(dump, "iPhone-7") {
		t.Error("what the new user's registration says went with the former")
	}
	if missing, _ := w.unnamed(); len(missing) > 0 {
		t.Errorf("the checker finds %v", missing)
	}
}

// A device that is shared, or has no user, is sealed under its own key, whoever owns it: nobody's
// erasure takes it, and what names a user stays the user's. Where it is somebody's again, it is
// sealed under them from then on.
func TestASharedOrUserlessDeviceIsItsOwnSubject(t *testing.T) {
	device := func(day int, user int, shared any, more map[string]any) string {
		m := map[string]any{"deviceName": "KIOSK-7", "serialNumber": "PF1", "managedDeviceOwnerType": "personal"}
		if user > 0 {
			for k, v := range subjectsUser(user) {
				m[k] = v
			}
		} else {
			m["userId"], m["userPrincipalName"] = "", ""
		}
		if shared != nil {
			m["hardwareInformation"] = map[string]any{"serialNumber": "PF1", "isSharedDevice": shared}
		}
		for k, v := range more {
			m[k] = v
		}
		return subjectsDevice(1, toldAt.AddDate(0, 0, day), m)
	}
	w := newWorld(t, true)
	own := func(what string, behind int, ofDevice bool) {
		t.Helper()
		seen := 0
		for _, v := range w.sealedBehind(behind) {
			switch v.attr {
			case "device.serial-number":
				seen++
				if ofDevice != (v.owner.Kind == schemas.OwnerDevice) {
					t.Errorf("%s: %s is sealed under a %s", what, v.attr, v.owner.Kind)
				}
			case "device.name":
				if ofDevice == (v.owner.Kind == schemas.OwnerPerson) {
					t.Errorf("%s: %s is sealed under a %s", what, v.attr, v.owner.Kind)
				}
			case "device.user-id", "device.user-upn":
				if v.owner.Kind != schemas.OwnerPerson {
					t.Errorf("%s: %s is sealed under a %s", what, v.attr, v.owner.Kind)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s: nothing is told of the device", what)
		}
	}
	steps := []struct {
		what   string
		user   int
		shared any
		own    bool
	}{
		{"without a user", 0, nil, true},
		{"of one person", 1, nil, false},
		{"shared, with a user", 1, true, true},
		{"still shared, with another", 2, true, true},
		{"of that person alone", 2, false, false},
		{"without a user again", 0, false, true},
	}
	for day, s := range steps {
		before := len(w.own())
		w.importOn(day, device(day, s.user, s.shared, nil))
		own(s.what, before, s.own)
	}
	before := len(w.own())
	for day, s := range steps { // whatever the device is now, what is over stays over
		w.importOn(day, device(day, s.user, s.shared, map[string]any{"model": "Told late"}))
	}
	for _, v := range w.sealedBehind(before) {
		if v.owner.Kind == schemas.OwnerPerson {
			t.Errorf("a late record seals %s under a person", v.attr)
		}
	}
	if s := w.importOn(1, device(1, 1, nil, map[string]any{"model": "Told late"})); s.EventsAppended != 0 {
		t.Errorf("told once more: %s", asJSON(t, s))
	}
	if missing, _ := w.unnamed(); len(missing) > 0 {
		t.Errorf("the checker finds %v", missing)
	}
}

// The erasure of whoever uses a shared device leaves the device, and takes what names them.
func TestASharedDeviceStaysWhenItsUserIsErased(t *testing.T) {
	w := newWorld(t, true)
	m := subjectsUser(1)
	m["managedDeviceOwnerType"] = "personal"
	m["hardwareInformation"] = map[string]any{"serialNumber": "PF1SHARED", "isSharedDevice": true}
	w.importOn(0, subjectsDevice(1, toldAt, m))
	erase(t, w, guid(10, 1))
	dump := w.dump(newLabels())
	if !strings.Contains(dump, "PF1SHARED") || strings.Contains(dump, "user1@contoso.example") {
		t.Errorf("after the erasure:\n%s", dump)
	}
}
