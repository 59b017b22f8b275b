package intake

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// ownersOf returns under whose keys values of the attribute stand, and whom their events name.
func (w *world) ownersOf(attr string) (owners []string, subjects int) {
	w.t.Helper()
	for _, e := range w.own() {
		d, err := schemas.Default().Decode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, v := range d.Values {
			if v.Attr.ID != attr || v.Token == "" {
				continue
			}
			h, _, err := v.Token.Parse()
			if err != nil {
				w.t.Fatal(err)
			}
			owner := w.ownerName(newLabels(), h.Alias)
			owners = append(owners, strings.TrimRight(owner, "0123456789"))
			subjects = max(subjects, len(d.Subjects))
		}
	}
	slices.Sort(owners)
	return owners, subjects
}

func anAssignment(members ...any) object {
	return object{"@odata.type": "#microsoft.graph.deviceAndAppManagementRoleAssignment", "id": guid(70, 1),
		"displayName": "Help desk North", "members": members, "scopeMembers": []any{guid(74, 1)},
		"scopeType": "resourceScope", "resourceScopes": []any{guid(74, 2)}}
}

// Who is known as a person in a list of members is named, has the entry under their key, and goes
// with it; a group's id is the tenant's.
func TestWhoHasARoleIsTheirsAndGoesWithThem(t *testing.T) {
	w := newWorld(t, false)
	w.importObserved(0, user(1, nil))
	w.take(1, anAssignment(guid(10, 1), guid(74, 3)))
	owners, subjects := w.ownersOf("role.member")
	if !slices.Equal(owners, []string{"person", "tenant"}) || subjects != 1 {
		t.Fatalf("members are sealed under %v, %d subjects", owners, subjects)
	}
	if n := w.namesEverybody(t.Errorf, w.aliasesOf(guid(10, 1))); n == 0 {
		t.Error("nothing is theirs")
	}
	erase(t, w, guid(10, 1))
	dump := w.dump(newLabels())
	if strings.Contains(dump, guid(10, 1)) || !strings.Contains(dump, guid(74, 3)) {
		t.Errorf("after the erasure:\n%s", dump)
	}
	s := w.take(1, anAssignment(guid(10, 1), guid(74, 3)))
	if dump = w.dump(newLabels()); strings.Contains(dump, guid(10, 1)) {
		t.Errorf("they are back: %s\n%s", asJSON(t, s), dump)
	}
	if s = w.take(2, anAssignment(guid(74, 3))); s.FailedCount > 0 {
		t.Errorf("%s", asJSON(t, s))
	}
}

// A role is given and taken: each event says what came and went.
func TestARoleIsGivenAndTaken(t *testing.T) {
	w := newWorld(t, false)
	w.take(0, anAssignment(guid(74, 3)))
	before := w.countOf("role")
	w.take(1, anAssignment(guid(74, 3), guid(74, 4)))
	if _, set, unset := w.toldOf("role", before); !slices.Equal(set, []string{"role.member"}) || unset != nil {
		t.Errorf("given: set %v, unset %v", set, unset)
	}
	before = w.countOf("role")
	w.take(2, anAssignment(guid(74, 4)))
	if _, set, unset := w.toldOf("role", before); set != nil || !slices.Equal(unset, []string{"role.member"}) {
		t.Errorf("taken: set %v, unset %v", set, unset)
	}
}

// Graph's older and newer form of a role's permissions are the same permissions.
func TestPermissionsAreOneInEachForm(t *testing.T) {
	inner := []any{object{"resourceActions": []any{object{"allowedResourceActions": []any{"Microsoft.Intune_A_Read"},
		"notAllowedResourceActions": []any{"Microsoft.Intune_A_Delete"}}}}}
	w := newWorld(t, false)
	role := func(field string, permissions any) object {
		return object{"@odata.type": "#microsoft.graph.roleDefinition", "id": guid(70, 1), field: permissions}
	}
	if s := w.take(0, role("rolePermissions", inner)); s.Recorded != 1 {
		t.Fatalf("%s", asJSON(t, s))
	}
	if s := w.take(0, role("permissions", inner)); s.Unchanged != 1 {
		t.Errorf("the older form: %s", asJSON(t, s))
	}
	dump := w.dump(newLabels())
	for _, want := range []string{`{"action":"Microsoft.Intune_A_Read","allowed":true}`,
		`{"action":"Microsoft.Intune_A_Delete","allowed":false}`} {
		if !strings.Contains(dump, want) {
			t.Errorf("%s is not told:\n%s", want, dump)
		}
	}
}

// Whose connector it is stands under their key and names them; an Apple ID that is no address is
// the tenant's. Both go with an erasure, and no record from before brings them back.
func TestWhoseAConnectorIsGoesWithThem(t *testing.T) {
	play := object{"@odata.type": "#microsoft.graph.androidManagedStoreAccountEnterpriseSettings", "id": guid(70, 1),
		"bindStatus": "boundAndValidated", "ownerUserPrincipalName": "anna@contoso.example"}
	push := func(id string) object {
		return object{"@odata.type": "#microsoft.graph.applePushNotificationCertificate", "id": guid(70, 2),
			"appleIdentifier": id, "certificate": "MIIcanary", "expirationDateTime": "2027-01-01T00:00:00Z"}
	}
	w := newWorld(t, false)
	w.importObserved(0, user(1, map[string]any{"mail": "anna.apple@contoso.example"}))
	if s := w.take(0, play, push("anna.apple@contoso.example")); s.Recorded != 2 || s.ValuesWithheld != 1 {
		t.Fatalf("%s", asJSON(t, s))
	}
	for _, attr := range []string{"connector.owner", "connector.apple-id"} {
		if owners, subjects := w.ownersOf(attr); !slices.Equal(owners, []string{"person"}) || subjects != 1 {
			t.Errorf("%s is sealed under %v, %d subjects", attr, owners, subjects)
		}
	}
	if n := w.namesEverybody(t.Errorf, w.aliasesOf(guid(10, 1))); n == 0 {
		t.Error("nothing is theirs")
	}
	erase(t, w, guid(10, 1))
	s := w.take(0, play, push("anna.apple@contoso.example"))
	if dump := w.dump(newLabels()); strings.Contains(dump, "anna") || s.ValuesOmitted != 2 {
		t.Errorf("after the erasure: %s\n%s", asJSON(t, s), dump)
	}
	w = newWorld(t, false)
	w.take(0, push("Apple ID of Contoso"))
	owners, subjects := w.ownersOf("connector.apple-id")
	if !slices.Equal(owners, []string{"tenant"}) || subjects != 0 {
		t.Errorf("no address is sealed under %v, %d subjects", owners, subjects)
	}
	if s := w.importWith(map[string]string{"later.json": asLine(push("Apple ID of Contoso"))},
		Source{Observed: propertyStart.Add(time.Hour), TakeNameless: true}); s.EventsAppended != 0 {
		t.Errorf("the same on the same day: %s", asJSON(t, s))
	}
}
