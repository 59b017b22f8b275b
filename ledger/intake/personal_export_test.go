package intake

import (
	"maps"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/ledger/intake/source/packed/packedtest"
)

// aPersonalExport is what Microsoft's script for a request of a data subject
// (Export-IntuneData.ps1) leaves of each record: no @odata.type, no context, and none of the
// columns that its configuration excludes. One record of a collection stands alone, as
// ConvertTo-Json writes it.
func aPersonalExport() map[string]any {
	return map[string]any{
		"ManagedDevices": object{"id": guid(20, 1), "deviceName": "LT-1", "managedDeviceName": "anna_Windows_1",
			"userId": guid(10, 1), "managedDeviceOwnerType": "company", "azureADDeviceId": guid(21, 1),
			"userPrincipalName": "anna@contoso.example", "emailAddress": "anna.devries@contoso.example",
			"serialNumber": "SNC1", "imei": "", "phoneNumber": "+31612345678",
			"hardwareInformation":       object{"serialNumber": "SNC1", "totalStorageSpace": 0},
			"detectedApps":              []any{object{"id": "a1", "displayName": "Reader", "version": "1.2"}},
			"deviceCategory":            object{"displayName": "Office"},
			"deviceConfigurationStates": []any{}, "deviceCompliancePolicyStates": []any{}},
		"AuditEvents": object{"id": guid(30, 1), "activityDateTime": "2026-02-28T08:00:00Z",
			"activityType": "wipe ManagedDevice", "activityOperationType": "Action", "activityResult": "Success",
			"actor": object{"auditActorType": "ItPro", "userId": guid(10, 1),
				"userPrincipalName": "anna@contoso.example", "userPermissions": []any{"*"}},
			"resources": []any{object{"displayName": "LT-1", "auditResourceType": "ManagedDevice",
				"resourceId": guid(20, 1), "modifiedProperties": []any{}}}},
		"ManagedAppRegistrations": []any{object{"id": guid(70, 1), "userId": guid(10, 1), "deviceTag": "tag-one",
			"deviceName": "LT-1", "azureADDeviceId": guid(21, 1), "operations": []any{}},
			object{"id": guid(70, 2), "userId": guid(10, 1), "deviceTag": "tag-two", "deviceName": "LT-1"}},
		"AppleDEPSettings": object{"id": guid(70, 3), "appleIdentifier": "anna@contoso.example",
			"tokenExpirationDateTime": "2027-01-02T03:04:05Z", "tokenName": "DEP"},
		"AppInstallStatuses": []any{object{"id": guid(70, 4), "displayName": "Reader", "publisher": "Contoso",
			"userStatuses": []any{}, "deviceStatuses": []any{object{"id": guid(70, 4) + "_" + guid(20, 1),
				"deviceId": guid(20, 1), "installState": "installed", "userPrincipalName": "anna@contoso.example"}}}},
		"RemoteActionAudits": object{"id": guid(30, 2), "deviceDisplayName": "LT-1", "action": "factoryReset",
			"requestDateTime": "2026-02-28T08:00:00Z", "actionState": "done", "managedDeviceId": guid(20, 1),
			"initiatedByUserPrincipalName": "anna@contoso.example"},
		"DeviceManagementTroubleshootingEvents": object{"id": guid(30, 3), "eventDateTime": "2026-02-27T08:00:00Z",
			"correlationId": guid(31, 1), "userId": guid(10, 1), "failureCategory": "authorization",
			"failureReason": "The user has no licence."},
		"TermsAndConditionsAcceptanceStatus": object{"id": guid(70, 5) + "_" + guid(10, 1),
			"userDisplayName": "Anna de Vries", "acceptedVersion": 3, "acceptedDateTime": "2026-01-02T03:04:05Z"},
		"Azure AD User": object{"id": guid(10, 1), "userPrincipalName": "anna@contoso.example",
			"businessPhones": []any{}, "displayName": "Anna de Vries"},
		"Devices": object{"DeviceId": guid(20, 1), "MSADeviceId": "00184000AB12CD34", "DeviceName": "LT-1",
			"UserId": guid(10, 1)},
		"iOSUpdateStatus": object{"id": "x", "installStatus": "success", "userPrincipalName": "anna@contoso.example"},
		"Intune Users":    object{"UserId": guid(10, 1), "AzureADTenantId": guid(90, 1)},
	}
}

// Of the zip of an export of a person's data each file is read by the members that it has: a
// record whose kind those tell goes in, what they do not tell is named, and what has no home too.
func TestAnExportOfAPersonsDataIsReadByItsMembers(t *testing.T) {
	export := aPersonalExport()
	var entries []packedtest.Entry
	for _, name := range slices.Sorted(maps.Keys(export)) {
		entries = append(entries, packedtest.Entry{Name: "anna/" + name + ".json",
			Text: "\xef\xbb\xbf" + asLine(export[name])})
	}
	w := newWorld(t, true)
	take := func() Summary {
		return w.importWith(map[string]string{"anna.zip": packedtest.Zip(t, entries...)},
			Source{Observed: toldAt, TakeNameless: true})
	}
	s := take()
	if s.FailedCount != 0 || s.PartsFailed != 0 || !s.Balanced() {
		t.Errorf("%s", asJSON(t, s))
	}
	took := map[string]int{}
	for name, k := range s.Kinds {
		took[name] = k.Recorded + k.Unchanged
	}
	for name, want := range map[string]int{"managedDevices": 1, "auditEvents": 1, "managedAppRegistrations": 2,
		"depOnboardingSetting": 1, "mobileApps": 1, "remoteActionAudits": 1, "users": 1, "DevicesWithInventory": 1,
		"deviceManagementTroubleshootingEvents": 1, "termsAndConditionsAcceptanceStatuses": 1} {
		if took[name] != want {
			t.Errorf("%d %s, want %d", took[name], name, want)
		}
	}
	if p := s.Parts["mobileApps/deviceStatuses"]; p == nil || p.Recorded != 1 {
		t.Errorf("the status that stands in its app: %+v", p)
	}
	if s.UnknownFields["MSADeviceId"] != 1 || s.UnknownCount != 2 {
		t.Errorf("%d files of no known kind, and fields %v", s.UnknownCount, s.UnknownFields)
	}
	if len(w.streams("device")) != 1 {
		t.Errorf("%d devices", len(w.streams("device")))
	}
	if s = take(); s.EventsAppended != 0 {
		t.Errorf("told again: %s", asJSON(t, s))
	}
}
