package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/entity"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// caseFiles are the files of a case, in the order in which they are imported.
func caseFiles(t testing.TB, name string) (files []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "cases", name, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("case %s: %d files, %v", name, len(paths), err)
	}
	slices.Sort(paths)
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(raw))
	}
	return files
}

// acted is one action as the ledger holds it, opened.
type acted struct {
	events  []schemas.Draft
	devices map[string]bool // target devices
	persons map[string]bool // native names of the persons linked as targets
	ids     map[string]bool // target ids that stand sealed
	actors  int             // events that name an actor, and say who that is
}

func (a acted) types() (out []string) {
	for _, d := range a.events {
		out = append(out, strings.Split(d.Type.Name, ".")[1])
	}
	return out
}

// text returns the first value of an attribute.
func (w *world) text(a acted, attr string) string {
	for _, d := range a.events {
		for _, v := range d.Values {
			if v.Attr.ID != attr {
				continue
			}
			if v.Token != "" {
				return w.openToken(d, v)
			}
			return string(v.Plain)
		}
	}
	return ""
}

// actions returns what the ledger holds of each action.
func (w *world) actions() map[schemas.Stream]*acted {
	w.t.Helper()
	out := map[schemas.Stream]*acted{}
	for _, r := range w.own() {
		if r.Stream.Kind() != "adminaction" {
			continue
		}
		d, err := schemas.Default().Decode(r)
		if err != nil {
			w.t.Fatal(err)
		}
		a := out[r.Stream]
		if a == nil {
			a = &acted{devices: map[string]bool{}, persons: map[string]bool{}, ids: map[string]bool{}}
			out[r.Stream] = a
		}
		a.events = append(a.events, d)
		says := false
		for _, v := range d.Values {
			switch v.Attr.ID {
			case "action.target-device":
				a.devices[string(v.Plain)] = true
			case "action.target-id":
				a.ids[strings.Trim(w.openToken(d, v), `"`)] = true
			case "action.actor-id", "action.actor-upn":
				says = true
			}
		}
		for _, s := range d.Subjects {
			name := w.ownerName(newLabels(), s.Alias)
			if name != "person1" {
				w.t.Fatalf("%s names %s", d.Type.Name, name)
			}
			if s.Role == "target" {
				a.persons[w.personOfAlias(s.Alias)] = true
			} else if says {
				a.actors++
			}
		}
	}
	return out
}

func (w *world) personOfAlias(alias uuid.UUID) (name string) {
	w.t.Helper()
	var person uuid.UUID
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) (err error) {
		person,
			err = entity.PersonOf(tx, alias)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.personName(person)
}

func (w *world) only() *acted {
	w.t.Helper()
	all := w.actions()
	if len(all) != 1 {
		w.t.Fatalf("%d actions, want one", len(all))
	}
	for _, a := range all {
		return a
	}
	return nil
}

// again imports what was imported, in both orders, and wants nothing from it.
func (w *world) again(files ...string) {
	w.t.Helper()
	for _, order := range [][]string{files, reversed(files)} {
		for _, f := range order {
			if s := w.importFiles(map[string]string{"again": f}); s.EventsAppended != 0 {
				w.t.Errorf("importing again appended %d events: %s\n%s", s.EventsAppended, asJSON(w.t, s),
					w.dumpFrom(newLabels(), len(w.events())-s.EventsAppended))
			}
		}
	}
}

func reversed(files []string) []string {
	out := slices.Clone(files)
	slices.Reverse(out)
	return out
}

func TestAWipeOfNinetyDevicesIsOneActionWithAllOfThem(t *testing.T) {
	files := caseFiles(t, "wipe-of-90-devices-in-one-record")
	for _, order := range [][]string{files, reversed(files)} {
		w := newWorld(t, true)
		for _, f := range order {
			if s := w.importFiles(map[string]string{"a": f}); s.FailedCount != 0 || s.Disputed != 0 {
				t.Fatal(asJSON(t, s))
			}
		}
		a := w.only()
		if n := strings.Count(strings.Join(a.types(), " "), "recorded"); n != 1 || len(a.events) < 2 {
			t.Errorf("events %v, want one that is recorded and further ones", a.types())
		}
		if len(a.devices) != 90 || len(a.persons) != 90 {
			t.Errorf("%d devices and %d persons linked, want 90", len(a.devices), len(a.persons))
		}
		for _, d := range a.events {
			if d.Type.Name == "adminaction.supplemented.v1" {
				continue
			}
			if !slices.ContainsFunc(d.Subjects, func(s schemas.SubjectRef) bool { return s.Role == "actor" }) ||
				!slices.ContainsFunc(d.Values, func(v schemas.Value) bool { return v.Attr.ID == "action.actor-upn" }) {
				t.Errorf("%s does not say who did it", d.Type.Name)
			}
		}
		w.again(files...)
	}
}

func TestActionsAreLinkedWhateverTheirOperationIsCalled(t *testing.T) {
	files := caseFiles(t, "operation-names-with-blanks")
	for i, order := range [][]string{files, reversed(files)} {
		w := newWorld(t, true)
		for _, f := range order {
			w.importFiles(map[string]string{"a": f})
		}
		all := w.actions()
		if len(all) != 5 {
			t.Fatalf("%d actions, want 5", len(all))
		}
		for _, a := range all {
			if len(a.devices) != 1 || len(a.persons) != 1 || len(a.events) != 1+i {
				t.Errorf("%s: %d devices, %d persons, events %v", w.text(*a, "action.operation"), len(a.devices),
					len(a.persons), a.types())
			}
		}
		w.again(files...)
	}
}

func TestAThousandChangedPropertiesAreCutAndTheActionIsKept(t *testing.T) {
	files := caseFiles(t, "1500-changed-properties")
	w := newWorld(t, true)
	s := w.importFiles(map[string]string{"a": files[0]})
	if s.Recorded != 1 || s.ValuesWithheld != 0 || s.ValuesCut == 0 {
		t.Fatal(asJSON(t, s))
	}
	a := w.only()
	var changes []struct{ More int }
	if err := json.Unmarshal([]byte(w.text(*a, "action.changes")), &changes); err != nil {
		t.Fatal(err)
	}
	last := changes[len(changes)-1]
	if len(changes)-1+last.More != 1500 || last.More != s.ValuesCut ||
		w.text(*a, "action.cut") != fmt.Sprint(last.More) || w.text(*a, "action.withheld") != "" {
		t.Errorf("%d kept, %d more, %d counted, cut %s, withheld %q", len(changes)-1, last.More, s.ValuesCut,
			w.text(*a, "action.cut"), w.text(*a, "action.withheld"))
	}
	w.again(files...)
}

func TestWhatPowerShellCutShortFailsAndTheRightFileIsRecorded(t *testing.T) {
	for name, field := range map[string]string{"powershell-depth-actor-as-text": "actor",
		"powershell-depth-changes-as-text":   "resources.modifiedProperties",
		"powershell-depth-resources-as-text": "resources", "truncated-then-right": "actor"} {
		files := caseFiles(t, name)
		w := newWorld(t, true)
		s := w.importFiles(map[string]string{"a": files[0]})
		if s.FailedCount != 1 || s.Failed[0].Field != field ||
			!strings.Contains(s.Failed[0].Reason, "ConvertTo-Json -Depth") || s.EventsAppended != 0 {
			t.Errorf("%s: %s", name, asJSON(t, s))
		}
		if len(files) == 2 {
			if s := w.importFiles(map[string]string{"a": files[1]}); s.Recorded != 1 {
				t.Errorf("%s, the right one: %s", name, asJSON(t, s))
			}
			w.again(files...)
		}
	}
}

func TestOneObjectForAListIsAListOfOne(t *testing.T) {
	one := caseFiles(t, "powershell-single-object-for-array")[0]
	w := newWorld(t, true)
	if s := w.importFiles(map[string]string{"a": one}); s.Recorded != 1 {
		t.Fatal(asJSON(t, s))
	}
	if a := w.only(); len(a.devices) != 1 || w.text(*a, "action.changes") == "" {
		t.Errorf("%s", w.dump(newLabels()))
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(one), &m); err != nil {
		t.Fatal(err)
	}
	m["resources"] = []any{m["resources"]}
	right := asLine(m)
	m["resources"] = string(schemas.JSON(m["resources"])) // JSON in a text is decoded one level
	text := asLine(m)
	s := w.importFiles(map[string]string{"a": text})
	if s.Unchanged != 1 || s.Decoded != 1 {
		t.Error(asJSON(t, s))
	}
	w.again(one, right, text)
}

// No wrong shape of any member is taken for absence: the record fails and names it, in both forms.
func TestAWrongShapeIsNoAbsence(t *testing.T) {
	graph := map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1),
		"activityDateTime": "2026-03-01T08:00:00Z",
		"activityType":     "wipe ManagedDevice", "activityOperationType": "Action", "activityResult": "Success",
		"category":      "Device",
		"componentName": "x", "displayName": "Wipe", "correlationId": guid(31, 1),
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 9),
			"userPrincipalName": "admin@contoso.example",
			"userPermissions":   []any{"*"}, "applicationId": guid(32, 1), "ipAddress": "192.0.2.1"},
		"resources": []any{map[string]any{"displayName": "LT", "auditResourceType": "ManagedDevice",
			"resourceId":         guid(1, 1),
			"modifiedProperties": []any{map[string]any{"displayName": "Size", "oldValue": "1", "newValue": "2"}}}}}
	azure := map[string]any{"category": "AuditLogs", "time": "2026-03-01T08:00:00Z", "tenantId": sourceTenant,
		"operationName": "wipe ManagedDevice",
		"correlationId": guid(31, 1), "identity": "admin@contoso.example", "resultType": "Success",
		"properties": map[string]any{"AuditEventId": guid(30, 2), "ActivityDate": "3/1/2026 8:00:00 AM",
			"ActivityResultStatus": 1, "ActivityType": 3,
			"Category": 4, "AdditionalDetails": "x", "TargetObjectIds": []any{guid(1, 1), guid(1, 2)},
			"TargetDisplayNames": []any{"LT", "LT2"},
			"Actor": map[string]any{"ActorType": 1, "ObjectId": guid(10, 9), "UPN": "admin@contoso.example",
				"UserPermissions": []any{"*"},
				"Application":     guid(32, 1), "ApplicationName": "Portal", "Name": "n", "IsDelegatedAdmin": false,
				"PartnerTenantId": guid(33, 1)},
			"Targets": []any{map[string]any{"Name": "LT", "ModifiedProperties": []any{map[string]any{"Name": "Size",
				"Old": "1", "New": "2"}}}}}}
	for form, record := range map[string]map[string]any{"graph": graph, "azure": azure} {
		w := newWorld(t, false)
		if s := w.importFiles(map[string]string{"a": asLine(record)}); s.Recorded != 1 {
			t.Fatalf("%s: %s", form, asJSON(t, s))
		}
		// Each member in turn, however deep, gets a shape that it must not have.
		var each func(at any, path string, set func(any))
		each = func(at any, path string, set func(any)) {
			switch v := at.(type) {
			case map[string]any:
				if path != "" && path != "properties" {
					for _, wrong := range []any{"@{a=b}", "System.Object[]", "words", 7, true} {
						checkFails(t, w, form+" "+path, record, set, v, wrong)
					}
				}
				for _, k := range sortedKeys(v) {
					if k != "@odata.type" && k != "tenantId" && k != "category" {
						each(v[k], strings.Trim(path+"."+k, "."), func(x any) { v[k] = x })
					}
				}
			case []any:
				for _, wrong := range []any{"@{a=b}", "System.Object[]", 7, true} {
					checkFails(t, w, form+" "+path, record, set, at, wrong)
				}
				if len(v) > 0 {
					each(v[0], path+"[0]", func(x any) { v[0] = x })
				}
			default:
				if strings.HasSuffix(path, "oldValue") || strings.HasSuffix(path, "newValue") ||
					strings.HasSuffix(path, "Old") || strings.HasSuffix(path, "New") {
					return // kept as the source has it
				}
				for _, wrong := range []any{map[string]any{"a": "b"}, []any{"a"}} {
					checkFails(t, w, form+" "+path, record, set, at, wrong)
				}
			}
		}
		each(record, "", func(any) {})
	}
}

func checkFails(t *testing.T, w *world, what string, record map[string]any, set func(any), right, wrong any) {
	t.Helper()
	set(wrong)
	defer set(right)
	s := w.importFiles(map[string]string{"a": asLine(record)})
	if s.FailedCount != 1 || s.Failed[0].Field == "" || s.EventsAppended != 0 {
		t.Errorf("%s as %v: %s", what, wrong, asJSON(t, s))
	}
}

// Both forms of each action of a fleet, in both orders: one form may tell more than the other,
// once; nothing is disputed, and nothing comes after that.
func TestTheFormsOfAnActionDoNotDisputeOneAnother(t *testing.T) {
	cfg := fleet.Sized(60)
	cfg.Days, cfg.Tenant, cfg.GraphAuditShare = 6, sourceTenant, 1
	dir := t.TempDir() + "/fleet"
	if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	var azure, graph []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		switch name := filepath.Base(p); {
		case strings.HasPrefix(name, "graph-audit"):
			graph = append(graph, p)
		case strings.HasPrefix(name, "audit") || strings.HasPrefix(name, "event-hubs"):
			azure = append(azure, p)
		}
		return err
	})
	if err != nil || len(azure) == 0 || len(graph) == 0 {
		t.Fatalf("%d and %d files, %v", len(azure), len(graph), err)
	}
	for _, order := range [][][]string{{azure, graph}, {graph, azure}} {
		w := newWorld(t, false)
		both := 0
		for round, paths := range append(order, order[0], order[1], azure, graph) {
			s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: paths}, nil)
			if err != nil || s.FailedCount != 0 || s.Disputed != 0 {
				t.Fatalf("%v, %s", err, asJSON(t, s))
			}
			if both += s.Supplemented; round > 1 && s.EventsAppended != 0 {
				t.Errorf("round %d appended %d events: %s", round, s.EventsAppended, asJSON(t, s))
			}
		}
		if both == 0 {
			t.Error("no form told more than the other")
		}
		for _, a := range w.actions() {
			counts := map[string]int{}
			for _, typ := range a.types() {
				counts[typ]++
			}
			if counts["recorded"] != 1 || counts["supplemented"] > 2 || counts["disputed"] != 0 {
				t.Errorf("events %v of %s", a.types(), w.text(*a, "action.operation"))
			}
		}
	}
}

// What is told twice and otherwise is kept as disputed, once, and what stands stays.
func TestASecondTellingSupplementsOrDisputes(t *testing.T) {
	record := func(change func(m, actor, target map[string]any)) string {
		actor := map[string]any{"auditActorType": "ItPro", "userId": guid(10, 9),
			"userPrincipalName": "admin@contoso.example"}
		target := map[string]any{"displayName": "LT", "auditResourceType": "ManagedDevice", "resourceId": guid(1, 1),
			"modifiedProperties": []any{map[string]any{"displayName": "Size", "oldValue": "1", "newValue": "2"}}}
		m := map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1),
			"activityDateTime": "2026-03-01T08:00:00Z",
			"activityType":     "wipe ManagedDevice", "activityOperationType": "Action", "activityResult": "Success",
			"category": "Device",
			"actor":    actor, "resources": []any{target}}
		change(m, actor, target)
		return asLine(m)
	}
	plain := record(func(m, actor, target map[string]any) {})
	for what, c := range map[string]struct {
		change    func(m, actor, target map[string]any)
		attribute string // disputed; "" where it is a supplement
	}{
		"the result": {func(m, _, _ map[string]any) { m["activityResult"] = "Failure" }, "action.result"},
		"the time":   {func(m, _, _ map[string]any) { m["activityDateTime"] = "2026-03-01T09:00:00Z" }, "occurred-at"},
		"the actor": {func(_, a, _ map[string]any) {
			a["userId"], a["userPrincipalName"] = guid(10, 8), "other@contoso.example"
		}, "action.actor-id action.actor-upn"},
		"the target's name": {func(_, _, x map[string]any) { x["displayName"] = "LT-2" }, "action.target-name"},
		"the target":        {func(_, _, x map[string]any) { x["resourceId"] = guid(1, 2) }, "action.target-id"},
		"a changed property": {func(_, _,
			x map[string]any) {
			x["modifiedProperties"].([]any)[0].(map[string]any)["newValue"] = "3"
		},
			"action.changes"},
		"an address": {func(_, a, _ map[string]any) { a["ipAddress"] = "192.0.2.1" }, ""},
		"a further target": {func(m, _, x map[string]any) {
			m["resources"] = []any{map[string]any{"auditResourceType": "ManagedDevice", "resourceId": guid(1, 3)}, x}
		}, ""},
		"a further property": {func(_, _, x map[string]any) {
			x["modifiedProperties"] = append(x["modifiedProperties"].([]any),
				map[string]any{"displayName": "Colour", "newValue": "red"})
		}, ""},
	} {
		w := newWorld(t, false)
		second := record(c.change)
		w.importFiles(map[string]string{"a": plain})
		s := w.importFiles(map[string]string{"a": second})
		types := w.only().types()
		var disputed []string
		for _, d := range w.only().events {
			for _, v := range d.Values {
				if v.Attr.ID == "action.disputed-attribute" {
					disputed = append(disputed, strings.Trim(string(v.Plain), `"`))
				}
			}
		}
		if got := strings.Join(disputed, " "); got != c.attribute {
			t.Errorf("%s: disputed %q, want %q: %s", what, got, c.attribute, w.dump(newLabels()))
		}
		want := []string{"recorded", "supplemented"}
		if c.attribute != "" {
			want[1] = "disputed"
		}
		if !slices.Equal(types, want) || s.Recorded != 1 || (s.Disputed == 1) != (c.attribute != "") ||
			(s.Supplemented == 1) != (c.attribute == "") {
			t.Errorf("%s: events %v, %s", what, types, asJSON(t, s))
		}
		if c.attribute != "" {
			if s := w.importFiles(map[string]string{"a": second}); s.Disputed != 1 || s.Unchanged != 1 {
				t.Errorf("%s, told again: %s", what, asJSON(t, s))
			}
		}
		w.again(plain, second)
	}
}

// An id that is a person's or device's never stands open, whatever the kind of the target and
// wherever it comes; where nobody knows whose it is, it waits for whom it turns out to be.
func TestAnIDOfAPersonOrDeviceNeverStandsOpen(t *testing.T) {
	user, dev, admin := guid(10, 1), guid(20, 1), guid(10, 9)
	foreign := func(kind, n int) string { return fmt.Sprintf("ffff%04x-0000-4000-8000-%012x", kind, n) }
	known := device(1, "2026-03-01T08:00:00Z", map[string]any{"userId": user,
		"userPrincipalName": "eva@contoso.example", "managedDeviceOwnerType": "company"})
	kinds := []string{"DeviceConfiguration", "WindowsAutopilotDeploymentProfile", "MobileAppAssignment",
		"DeviceCategory", "MobileApp", "RoleAssignment", "Unheard", ""}
	n := 0
	action := func(id, kind, application string, graph bool, property string) string {
		n++
		target := map[string]any{"resourceId": id, "displayName": "x",
			"modifiedProperties": []any{map[string]any{"displayName": "UserId", "newValue": property}}}
		if kind != "" {
			target["auditResourceType"] = kind
		}
		if graph {
			return asLine(map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": foreign(30, n),
				"activityDateTime": "2026-03-02T08:00:00Z", "activityType": "Patch " + kind,
				"actor": map[string]any{"auditActorType": "ItPro", "userId": admin, "applicationId": application,
					"remoteTenantId": id}, "resources": []any{target}})
		}
		return asLine(map[string]any{"category": "AuditLogs", "time": "2026-03-02T08:00:00Z",
			"tenantId": sourceTenant, "operationName": "Patch " + kind,
			"properties": map[string]any{"AuditEventId": foreign(30, n), "TargetObjectIds": []any{id},
				"Actor": map[string]any{"ActorType": 1, "ObjectId": admin,
					"Application": application, "PartnerTenantId": id}}})
	}
	for _, knownFirst := range []bool{true, false} {
		w := newWorld(t, false)
		var files []string
		for _, graph := range []bool{true, false} {
			for _, kind := range kinds {
				for _, id := range []string{user, dev, admin} {
					application := id
					if !knownFirst {
						application = foreign(40, 1)
						if graph && (kind == "DeviceConfiguration" || kind == "MobileApp") {
							continue // of such a kind, and unknown to everybody: it is the resource's own
						}
					}
					files = append(files, action(id, kind, application, graph, foreign(41, 1)))
				}
				// Known to the record alone.
				files = append(files, action(foreign(42, n), kind, foreign(40, 1), graph, foreign(42, n)))
			}
		}
		all := strings.Join(files, "")
		order := []string{known, all}
		if !knownFirst {
			order = []string{all, known}
		}
		for _, f := range order {
			if s := w.importFiles(map[string]string{"a": f}); s.FailedCount != 0 {
				t.Fatal(asJSON(t, s))
			}
		}
		for _, r := range w.own() {
			for _, id := range []string{user, dev, admin, "ffff002a"} {
				if strings.Contains(string(r.Data), id) || strings.Contains(string(r.Metadata), id) {
					t.Errorf("known first %v: an id stands open in %s: %s", knownFirst, r.Type, r.Data)
				}
			}
		}
		linked := map[string]int{}
		for _, a := range w.actions() {
			for p := range a.persons {
				linked[strings.Fields(p)[1]]++
			}
		}
		for _, id := range []string{user, admin} {
			if linked[id] == 0 {
				t.Errorf("known first %v: no action is linked to %s", knownFirst, id)
			}
		}
		for _, a := range w.actions() {
			if a.ids[dev] && len(a.devices) == 0 || a.ids[user] && len(a.persons) == 0 {
				t.Errorf("known first %v: not linked: %v %v %v", knownFirst, a.types(), a.ids, a.persons)
			}
		}
		w.again(order...)
	}
}

// A crash between the vault's commit and the ledger's append costs no link: the same source,
// imported again, makes it.
func TestALinkSurvivesACrash(t *testing.T) {
	files := caseFiles(t, "operation-names-with-blanks")
	for _, point := range []string{PointPlanned, PointCommitted, PointAppended} {
		w := newWorld(t, true)
		w.importFiles(map[string]string{"a": files[1]})
		crash := errors.New("crash")
		twice := files[0] + "\n" + strings.ReplaceAll(files[0], "2026-09-01T08",
			"2026-09-01T09") // one batch meets it again
		w.config.Hook = func(p string) error {
			if p == point {
				return crash
			}
			return nil
		}
		if _, err := w.tryImport(map[string]string{"a": twice}); !errors.Is(err, crash) {
			t.Fatal(err)
		}
		w.config.Hook = nil
		w.importFiles(map[string]string{"a": twice})
		for _, a := range w.actions() {
			if len(a.devices) != 1 || len(a.persons) != 1 || len(a.events) != 2 {
				t.Errorf("after a crash at %s: %v", point, a.types())
			}
		}
		w.again(twice, files[1])
	}
}

// After an erasure nothing leads from an old action to the person whom a newer record makes known
// under the same id: not what waited, whether it was linked before or not, and not telling it
// again.
func TestAnErasedPersonsActionIsNotLinkedToTheNext(t *testing.T) {
	for _, linked := range []bool{true, false} {
		erasedThenMet(t, linked)
	}
}

func erasedThenMet(t *testing.T, linked bool) {
	w := newWorld(t, false)
	eva := guid(10, 1)
	azure := func(n int) string {
		return asLine(map[string]any{"category": "AuditLogs", "time": "2026-03-01T08:00:00Z",
			"tenantId": sourceTenant, "operationName": "Patch User",
			"properties": map[string]any{"AuditEventId": guid(30, n), "TargetObjectIds": []any{eva},
				"TargetDisplayNames": []any{"Eva"},
				"Actor":              map[string]any{"ActorType": 1, "ObjectId": guid(10, 9)}}})
	}
	user := map[string]any{"userId": eva, "userPrincipalName": "eva@contoso.example"}
	first := azure(1)
	w.importFiles(map[string]string{"a": first})
	if linked {
		w.importFiles(map[string]string{"a": device(1, "2026-03-01T09:00:00Z", user)})
		if a := w.only(); len(a.persons) != 1 || len(a.events) != 2 {
			t.Fatalf("not linked: %v", a.types())
		}
	} else { // made known by no record, as by a request: the action still waits
		err := w.vault.Update(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
			_, _, err := tx.Person(vault.PersonHint{ObjectID: eva, At: w.clock.Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	erase(t, w, eva)
	before := len(w.events())
	// An action of before the erasure, told only now: left out, and nothing waits.
	w.importFiles(map[string]string{"a": azure(2)})
	later := w.clock.Now().Add(time.Hour).Format(time.RFC3339)
	w.clock.Advance(2 * time.Hour)
	w.importFiles(map[string]string{"a": device(1, later, user)})
	w.importFiles(map[string]string{"a": first})
	for _, r := range w.events()[before:] {
		if r.Type == "adminaction.supplemented.v1" || r.Type == "adminaction.disputed.v1" {
			t.Errorf("%s after the erasure: %s", r.Type, w.dumpFrom(newLabels(), before))
		}
	}
}
