package intake

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/ledger/intake/adminaction"
)

// modelTarget is a target as the model draws it.
type modelTarget struct {
	id, name string
	changes  int
}

func graphAction(id string, targets []modelTarget, change func(m map[string]any)) string {
	resources := []any{}
	for _, t := range targets {
		changed := []any{}
		for i := range t.changes {
			changed = append(changed, map[string]any{"displayName": fmt.Sprintf("Property%d", i), "oldValue": nil,
				"newValue": fmt.Sprint("value ", i)})
		}
		resources = append(resources, map[string]any{"auditResourceType": "ManagedDevice", "resourceId": t.id,
			"displayName": t.name, "modifiedProperties": changed})
	}
	m := map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": id,
		"activityDateTime": "2026-03-02T08:00:00Z", "activityType": "wipe ManagedDevice",
		"activityOperationType": "Action", "activityResult": "Success", "category": "Device", "resources": resources,
		"actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 99),
			"userPrincipalName": "admin@contoso.example", "userPermissions": []any{"*"}}}
	if change != nil {
		change(m)
	}
	return asLine(m) + "\n"
}

func azureAction(id string, targets []modelTarget) string {
	ids, names, list := []any{}, []any{}, []any{}
	for _, t := range targets {
		changed := []any{}
		for i := range t.changes {
			changed = append(changed, map[string]any{"Name": fmt.Sprintf("Property%d", i),
				"New": fmt.Sprint("value ", i)})
		}
		ids, names, list = append(ids, t.id), append(names, t.name),
			append(list, map[string]any{"Name": nil, "ModifiedProperties": changed})
	}
	return asLine(map[string]any{"category": "AuditLogs", "time": "2026-03-02T08:00:00.0000000Z",
		"tenantId": sourceTenant, "operationName": "wipe ManagedDevice",
		"resultType": "Success", "properties": map[string]any{"AuditEventId": id,
			"ActivityDate": "3/2/2026 8:00:00 AM", "ActivityResultStatus": 1, "ActivityType": 3,
			"Category": 4, "TargetObjectIds": ids, "TargetDisplayNames": names, "Targets": list,
			"Actor": map[string]any{"ActorType": 1, "ObjectId": guid(10, 99), "UPN": "admin@contoso.example",
				"UserPermissions": []any{"*"}}}}) + "\n"
}

// Whatever an action measures, and in whichever form and order it and its devices come: it is
// recorded once, with every target; what has no room is counted and is no secret; nothing comes of
// importing it again.
func TestActionsOfAnySizeAreRecordedWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 2, 59, 60, 61, 62, 90, 128, 300}).Draw(r, "targets")
		most := 3000
		if n > 2 {
			most = 20
		}
		var targets []modelTarget
		total := 0
		for i := range n {
			c := rapid.IntRange(0, most).Draw(r, "changes")
			total += c
			targets = append(targets, modelTarget{guid(20, i), fmt.Sprint("LT-", i), c})
		}
		known := rapid.SampledFrom([]int{0, n / 2, n}).Draw(r, "known devices")
		var devices strings.Builder
		for i := range known {
			devices.WriteString(device(i, "2026-03-01T08:00:00Z",
				map[string]any{"userId": guid(10, i), "userPrincipalName": fmt.Sprintf("u%d@contoso.example", i)}))
		}
		files := []string{graphAction(guid(30, 1), targets, nil), azureAction(guid(30, 1), targets), devices.String()}
		files = rapid.Permutation(files).Draw(r, "order")
		w := newWorld(t, false)
		for _, f := range files {
			if s := w.importFiles(map[string]string{"a": f}); s.FailedCount != 0 || s.Disputed != 0 ||
				s.ValuesWithheld != 0 {
				r.Fatalf("%s", asJSON(t, s))
			}
		}
		a := w.only()
		if c := strings.Count(strings.Join(a.types(), " "), "recorded"); c != 1 {
			r.Fatalf("recorded %d times: %v", c, a.types())
		}
		// The model: every target once, linked to its device, and to the user of each known one;
		// each property is kept or counted.
		if len(a.devices) != n || len(a.persons) != known {
			r.Fatalf("%d devices and %d persons, want %d and %d: %v", len(a.devices), len(a.persons), n, known,
				a.types())
		}
		kept, more := 0, 0
		for _, d := range a.events {
			if len(d.Subjects) > 64 {
				r.Fatalf("%s names %d subjects", d.Type.Name, len(d.Subjects))
			}
			for _, v := range d.Values {
				var changes []adminaction.KeptChange
				if v.Attr.ID != "action.changes" {
					continue
				}
				if err := json.Unmarshal([]byte(w.openToken(d, v)), &changes); err != nil {
					r.Fatal(err)
				}
				for _, c := range changes {
					if more += c.More; c.More == 0 {
						kept++
					}
				}
			}
		}
		cut := 0
		if text := w.text(*a, "action.cut"); text != "" {
			fmt.Sscan(text, &cut)
		}
		if kept+more != total || cut != more || w.text(*a, "action.withheld") != "" {
			r.Fatalf("%d kept, %d more, %d cut, of %d", kept, more, cut, total)
		}
		w.again(files...)
	})
}

// Any sequence of tellings of one action: what is told first of an attribute stands, what another
// telling says otherwise is disputed once, and telling all of it again says nothing.
func TestTellingsAgreeWithAModel(t *testing.T) {
	members := map[string]string{"activityResult": "action.result", "componentName": "action.component",
		"actor.ipAddress":              "action.actor-ip",
		"actor.applicationDisplayName": "action.application-name", "activity": "action.activity-type"}
	values := map[string][]string{"activityResult": {"Success", "Failure"},
		"componentName":   {"ManagedDevices", "MobileApp"},
		"actor.ipAddress": {"192.0.2.1", "192.0.2.2"}, "actor.applicationDisplayName": {"Portal", "portal 2",
			"Portal 3"}, "activity": {"wipe", "delete"}}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, false)
		stands, others := map[string]string{}, map[string]map[string]bool{}
		var files []string
		for range rapid.IntRange(1, 6).Draw(r, "tellings") {
			told := map[string]string{}
			for _, m := range sortedKeys(members) {
				if i := rapid.IntRange(-1, len(values[m])-1).Draw(r, m); i >= 0 {
					told[m] = values[m][i]
				}
			}
			f := graphAction(guid(30, 1), []modelTarget{{guid(20, 1), "LT", 1}}, func(m map[string]any) {
				delete(m, "activityResult")
				m["activityType"] = "wipe MobileApp" // no remote action
				for k, v := range told {
					if inner, ok := strings.CutPrefix(k, "actor."); ok {
						m["actor"].(map[string]any)[inner] = v
					} else {
						m[k] = v
					}
				}
			})
			files = append(files, f)
			first := len(stands) == 0 && len(files) == 1
			lacked, disputed, differs := false, false, false
			for k, v := range told {
				have, known := stands[k]
				switch {
				case !known:
					stands[k], lacked = v, true
				case !strings.EqualFold(have, v):
					differs = true
					if others[k] == nil {
						others[k] = map[string]bool{}
					}
					disputed = disputed || !others[k][v]
					others[k][v] = true
				}
			}
			want := 0
			switch {
			case first:
				want = 1
			default:
				for _, is := range []bool{lacked, disputed} {
					if is {
						want++
					}
				}
			}
			s := w.importFiles(map[string]string{"a": f})
			if s.EventsAppended != want || (s.Disputed == 1) != differs ||
				(s.Supplemented == 1) != (lacked && !first) {
				r.Fatalf("%d events, want %d: %s\n%s", s.EventsAppended, want, asJSON(t, s), w.dump(newLabels()))
			}
		}
		for m, attr := range members {
			got := strings.Trim(w.text(*w.only(), attr), `"`)
			if want := stands[m]; !strings.EqualFold(got, want) {
				r.Fatalf("%s is %q, want %q", attr, got, want)
			}
		}
		w.again(files...)
	})
}

// Texts of any length leave the action recorded.
func TestLongTextsAreCutAndTheActionIsKept(t *testing.T) {
	long := strings.Repeat("long words ", 20_000)
	many := slices.Repeat([]any{"Microsoft.Intune/ManagedDevices/Read"}, 30_000)
	record := graphAction(guid(30, 1), []modelTarget{{guid(20, 1), long, 3000}}, func(m map[string]any) {
		for _, k := range []string{"displayName", "componentName", "activity", "activityType", "activityResult",
			"category"} {
			m[k] = long
		}
		maps.Copy(m["actor"].(map[string]any), map[string]any{"userPermissions": many, "applicationDisplayName": long,
			"servicePrincipalName": long,
			"ipAddress":            long, "remoteTenantId": long, "applicationId": long})
	})
	w := newWorld(t, false)
	if s := w.importFiles(map[string]string{"a": record}); s.Recorded != 1 || s.ValuesWithheld != 0 ||
		s.ValuesCut < 30_000-500 {
		t.Fatal(asJSON(t, s))
	}
	w.again(record)
}
