package intake

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/schemas"
)

// aProfile is a configuration profile as Graph answers it, with more.
func aProfile(more object) object {
	out := object{"@odata.type": "#microsoft.graph.windows10CustomConfiguration", "id": guid(70, 1), "version": 1,
		"displayName": "Wi-Fi North", "createdDateTime": "2026-01-02T03:04:05Z",
		"lastModifiedDateTime": "2026-01-02T03:04:05Z", "lockAfterMinutes": 5, "cameraBlocked": true,
		"proxies": []any{"a.example", "b.example"}, "windowsStore": nil, "assignments": []any{
			object{"id": "x_1", "target": object{"@odata.type": "#microsoft.graph.groupAssignmentTarget",
				"groupId": guid(74, 1)}}}}
	for name, v := range more {
		out[name] = v
	}
	return out
}

// settingsTold are the settings that configurations' events tell, behind the first so many.
func (w *world) settingsTold(behind int) (out []string) {
	w.t.Helper()
	for _, e := range w.own() {
		if e.Stream.Kind() != "configuration" {
			continue
		}
		if behind--; behind >= 0 {
			continue
		}
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			switch {
			case v.Attr.ID != "configuration.setting":
			case v.Removed:
				out = append(out, "gone")
			default:
				out = append(out, w.openToken(d, v))
			}
		}
	}
	slices.Sort(out)
	return out
}

// A change of one setting is one entry, with its name and what it is now; one that is no longer
// set is gone, and an answer to a question for fewer members takes nothing away.
func TestAChangeOfASettingIsOneEntry(t *testing.T) {
	w := newWorld(t, false)
	w.take(0, aProfile(nil))
	want := []string{`{"name":"cameraBlocked","value":true}`, `{"name":"lockAfterMinutes","value":5}`,
		`{"name":"proxies","value":["a.example","b.example"]}`}
	if got := w.settingsTold(0); !slices.Equal(got, want) {
		t.Fatalf("first told: %v", got)
	}
	for i, c := range []struct {
		more object
		want []string
	}{
		{object{"lockAfterMinutes": 10}, []string{`{"name":"lockAfterMinutes","value":10}`}},
		{object{"lockAfterMinutes": nil}, []string{"gone"}},
		{nil, []string{`{"name":"lockAfterMinutes","value":5}`}},
	} {
		before := w.countOf("configuration")
		w.take(i+1, aProfile(c.more))
		if got := w.settingsTold(before); !slices.Equal(got, c.want) {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
	before := w.countOf("configuration")
	s := w.take(9, object{"@odata.context": graphBase + "deviceManagement/deviceConfigurations/$entity",
		"id": guid(70, 1), "cameraBlocked": false})
	if told := w.settingsTold(before); told != nil || s.UnknownFields["cameraBlocked"] != 1 {
		t.Errorf("a part of a profile: %s", asJSON(t, s))
	}
}

// Of secrets and scripts among settings nothing is kept but that there is one, by whatever names
// them: the member, the path of a custom setting, the source, or what they say.
func TestASecretAmongSettingsIsWithheld(t *testing.T) {
	const secret = "Hk7-canary-of-a-secret"
	for _, c := range []struct {
		more     object
		withheld string // names
	}{
		{object{"preSharedKey": secret}, "preSharedKey"},
		{object{"wifi": object{"security": object{"password": secret}}}, "wifi.security.password"},
		{object{"omaSettings": []any{object{"omaUri": "./Vendor/MSFT/DefaultPassword", "value": secret}}},
			"omaSettings[./Vendor/MSFT/DefaultPassword]"},
		{object{"omaSettings": []any{object{"omaUri": "./X", "isEncrypted": true, "value": secret}}},
			"omaSettings[./X]"},
		{object{"omaSettings": []any{object{"omaUri": "./X", "value": "<?xml version='1.0'?>" + secret}}},
			"omaSettings[./X]"},
		{object{"shell": "#!/bin/sh\necho " + secret}, "shell"},
		{object{"list": []any{"a", "password=" + secret}}, "list"},
	} {
		w := newWorld(t, false)
		s := w.take(0, aProfile(c.more))
		told := w.settingsTold(0)
		if s.Recorded != 1 || s.ValuesWithheld == 0 ||
			!slices.Contains(told, `{"name":"`+c.withheld+`","withheld":true}`) {
			t.Errorf("%s: %v, %d withheld", c.withheld, told, s.ValuesWithheld)
		}
		if dump := w.dump(newLabels()); strings.Contains(dump, secret) {
			t.Errorf("%s: kept:\n%s", c.withheld, dump)
		}
	}
}

// A policy of the settings catalog tells each setting by its definition, one in another behind it.
func TestTheSettingsCatalogIsReadByDefinition(t *testing.T) {
	w := newWorld(t, false)
	instance := func(of, typ string, value object, more object) object {
		out := object{"@odata.type": "#microsoft.graph." + typ, "settingDefinitionId": of,
			"settingInstanceTemplateReference": nil}
		for name, v := range more {
			out[name] = v
		}
		field := "simpleSettingValue"
		if strings.Contains(typ, "Choice") {
			field = "choiceSettingValue"
		}
		out[field] = value
		return out
	}
	child := instance("vendor_minutes", "deviceManagementConfigurationSimpleSettingInstance", object{"value": 15}, nil)
	hidden := instance("vendor_code", "deviceManagementConfigurationSimpleSettingInstance", object{
		"@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue", "value": "Hk7",
		"valueState": "notEncrypted"}, nil)
	parent := instance("vendor_lock", "deviceManagementConfigurationChoiceSettingInstance",
		object{"value": "vendor_lock_1", "children": []any{child, hidden}}, nil)
	policy := object{"@odata.type": "#microsoft.graph.deviceManagementConfigurationPolicy", "id": guid(70, 1),
		"name": "Locks", "platforms": "windows10", "technologies": "mdm", "settingCount": 1,
		"settings": []any{object{"id": "0", "settingInstance": parent}}}
	s := w.take(0, policy)
	want := []string{`{"name":"settings[vendor_lock]","value":"vendor_lock_1"}`,
		`{"name":"settings[vendor_lock][vendor_code]","withheld":true}`,
		`{"name":"settings[vendor_lock][vendor_minutes]","value":15}`}
	if got := w.settingsTold(0); !slices.Equal(got, want) {
		t.Errorf("told %v: %s", got, asJSON(t, s))
	}
	delete(policy, "settings")
	before := w.countOf("configuration")
	w.take(1, policy)
	if told := w.settingsTold(before); told != nil {
		t.Errorf("without its settings: %v", told)
	}
}

// What is too long is cut and counted, and so is what is too many.
func TestSettingsBeyondTheLimitsAreCut(t *testing.T) {
	w := newWorld(t, false)
	s := w.take(0, aProfile(object{"message": strings.Repeat("long ", 2000)}))
	if s.ValuesCut != 1 || s.Recorded != 1 {
		t.Errorf("a long one: %s", asJSON(t, s))
	}
	if told := strings.Join(w.settingsTold(0), "\n"); !strings.Contains(told, `"length":10002`) {
		t.Errorf("%s", told)
	}
	var many []any
	for i := range 5100 {
		many = append(many, object{"name": fmt.Sprint("p", i), "on": true})
	}
	if s = w.take(1, aProfile(object{"many": many})); s.ValuesCut != 103 || s.Recorded != 1 {
		t.Errorf("too many: %d cut: %s", s.ValuesCut, asJSON(t, s))
	}
}

func aStatus(user, day int, state string) object {
	return object{"@odata.context": graphBase + "deviceManagement/deviceConfigurations('" + guid(70, 1) +
		"')/deviceStatuses/$entity", "id": guid(10, user) + "_" + guid(70, 1) + "_" + guid(20, 1), "status": state,
		"deviceDisplayName": "LT-1", "userName": "Anna", "userPrincipalName": "anna@contoso.example",
		"lastReportedDateTime": propertyStart.AddDate(0, 0, day).Format("2006-01-02T15:04:05Z")}
}

// How a policy stands on a device is its user's, is told once as long as it stays, and goes with
// them; where nobody uses the device it is the tenant's.
func TestAStateOfAPolicyIsThePersonsAndGoesWithThem(t *testing.T) {
	w := newWorld(t, false)
	if s := w.take(0, aStatus(1, 0, "compliant")); s.Recorded != 1 || len(s.UnknownFields) > 0 {
		t.Fatalf("%s", asJSON(t, s))
	}
	for _, attr := range []string{"status.id", "status.user", "status.user-upn", "status.device"} {
		if owners, subjects := w.ownersOf(attr); !slices.Equal(owners, []string{"person"}) || subjects != 1 {
			t.Errorf("%s is sealed under %v, %d subjects", attr, owners, subjects)
		}
	}
	if s := w.take(1, aStatus(1, 1, "compliant")); s.EventsAppended != 0 {
		t.Errorf("reported again: %s", asJSON(t, s))
	}

	if s := w.take(40, aStatus(1, 40, "compliant")); s.EventsAppended != 1 {
		t.Errorf("after a month it is not confirmed: %s", asJSON(t, s))
	}
	if s := w.take(41, aStatus(1, 41, "error")); s.EventsAppended != 1 {
		t.Errorf("changed: %s", asJSON(t, s))
	}
	if n := w.namesEverybody(t.Errorf, w.aliasesOf(guid(10, 1))); n == 0 {
		t.Error("nothing is theirs")
	}
	erase(t, w, guid(10, 1))
	if s := w.take(41, aStatus(1, 41, "error")); s.Refused["erased-subject"] != 1 {
		t.Errorf("once erased: %s", asJSON(t, s))
	}
	if dump := w.dump(newLabels()); strings.Contains(dump, guid(10, 1)) || strings.Contains(dump, guid(20, 1)) {
		t.Errorf("after the erasure:\n%s", dump)
	}
	other := newWorld(t, false)
	nobody := aStatus(1, 0, "compliant")
	nobody["id"] = "00000000-0000-0000-0000-000000000000_" + guid(70, 1) + "_" + guid(20, 1)
	nobody["userPrincipalName"] = "None"
	other.take(0, nobody)
	if owners, _ := other.ownersOf("status.device"); !slices.Equal(owners, []string{"tenant"}) {
		t.Errorf("of nobody it is sealed under %v", owners)
	}
}

// A registration is sealed under whom it names, also where a later record leaves them out.
func TestARegistrationIsThePersonsAndGoesWithThem(t *testing.T) {
	w := newWorld(t, false)
	rec := object{"@odata.type": "#microsoft.graph.iosManagedAppRegistration", "id": guid(70, 1),
		"userId": guid(10, 1), "deviceTag": "tag-one", "deviceName": "Anna's phone",
		"flaggedReasons": []any{"rootedDevice"}, "appIdentifier": object{"bundleId": "com.contoso.mail",
			"@odata.type": "#microsoft.graph.iosMobileAppIdentifier"}}
	w.take(0, rec)
	delete(rec, "userId")
	rec["deviceTag"] = "tag-two"
	w.take(1, rec)
	owners, subjects := w.ownersOf("registration.device-tag")
	if !slices.Equal(owners, []string{"person", "person"}) || subjects != 1 {
		t.Errorf("sealed under %v, %d subjects", owners, subjects)
	}
	erase(t, w, guid(10, 1))
	if dump := w.dump(newLabels()); strings.Contains(dump, "tag-") || strings.Contains(dump, "Anna") {
		t.Errorf("after the erasure:\n%s", dump)
	}
}

// Entries of a policy's lists on pages of their own are those that the whole policy tells: behind
// it they tell nothing, before it themselves, of the policy that the page names, and they take
// nothing away.
func TestAPageOfAPolicysPartsTellsOfThePolicy(t *testing.T) {
	policy := object{"id": guid(70, 1), "name": "Locks", "technologies": "mdm", "settingCount": 2,
		"@odata.type": "#microsoft.graph.deviceManagementConfigurationPolicy",
		"assignments": []any{assignedTo(1), assignedTo(2)}, "settings": []any{aSetting(1), aSetting(2)}}
	of := "deviceManagement/configurationPolicies('" + guid(70, 1) + "')/"
	page := func(what string, records ...any) string {
		return asLine(object{"@odata.context": graphBase + of + what, "value": records})
	}
	pages := page("assignments", assignedTo(1), assignedTo(2)) + "\n" + page("settings", aSetting(1), aSetting(2))
	w := newWorld(t, false)
	w.take(1, policy)
	if s := w.importObserved(1, pages); s.Unchanged != 4 || s.EventsAppended != 0 {
		t.Errorf("behind the policy: %s", asJSON(t, s))
	}
	if s := w.importObserved(3, page("assignments", assignedTo(3))); s.Recorded != 1 {
		t.Errorf("one more assignment: %s", asJSON(t, s))
	}
	if _, set, unset := w.toldOf("configuration", 1); !slices.Equal(set, []string{"configuration.assignment"}) ||
		len(unset) != 0 {
		t.Errorf("one more assignment set %v and unset %v", set, unset)
	}
	w = newWorld(t, false)
	if s := w.importObserved(1, pages); s.Recorded != 4 || len(w.streams("configuration")) != 1 {
		t.Errorf("before the policy: %s", asJSON(t, s))
	}
	if s := w.importObserved(1, pages); s.EventsAppended != 0 {
		t.Errorf("told again: %s", asJSON(t, s))
	}
	told := w.settingsTold(0)
	w.take(2, policy)
	if again := w.settingsTold(0); !slices.Equal(again, told) || len(told) != 2 {
		t.Errorf("the pages tell %v, the policy %v", told, again)
	}
}

func assignedTo(n int) object {
	return object{"id": fmt.Sprint(guid(70, 1), "_", n), "source": "direct", "target": object{
		"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": guid(74, n)}}
}

func aSetting(n int) object {
	return object{"id": fmt.Sprint(n), "settingInstance": object{
		"@odata.type":         "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
		"settingDefinitionId": fmt.Sprint("vendor_lock_", n), "simpleSettingValue": object{"value": n}}}
}
