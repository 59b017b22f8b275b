package intake

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/source/cloudevents"
	"github.com/ledgerline/ledgerline/ledger/policy"
)

// thing is one fact or state, as each form of its sources writes it. A further kind, and a further
// form of one, is an entry in things.
type thing struct {
	stream string            // the kind of its stream
	before string            // what is imported first, "" for nothing
	forms  map[string]string // the contents of a file, by the form's name
}

// toldAt is when everything here was so: the device's last contact, and when it was looked at.
var toldAt = propertyStart

// things are told alike by all their forms: no more by one than by another.
func things(t testing.TB) map[string]thing {
	graph, monitor, portal := aDeviceInEveryForm()
	pc := asLine(pascal(graph, false))
	monitorRow := logAnalyticsRow("IntuneDevices", monitor)
	jobs := maps.Clone(monitor)
	maps.DeleteFunc(jobs, func(name string, _ any) bool { return name == "Ownership" || name == "DeviceState" })
	maps.Copy(jobs, map[string]any{"OwnerType": 1, "ManagementState": 0, "ManagementAgents": 2, "ManagedBy": ""})
	twins := maps.Clone(jobs)
	maps.Copy(twins, map[string]any{"OwnerType_loc": "Company", "ManagementState_loc": "Managed",
		"ManagementAgents_loc": "Intune", "CompliantState": "250", "CompliantState_loc": "Compliant"})
	apps := []any{map[string]any{"id": "a1", "displayName": "Reader", "version": "1.2", "publisher": "Contoso"},
		map[string]any{"id": "a2", "displayName": "Paint \"3D\"", "version": "6"}}
	withApps := map[string]any{"@odata.type": graph["@odata.type"], "id": graph["id"], "detectedApps": apps,
		"detectedApps@odata.nextLink": "https://x"}
	var rows []map[string]any
	for _, a := range apps {
		a := a.(map[string]any)
		rows = append(rows, map[string]any{"ApplicationKey": a["id"], "ApplicationName": a["displayName"],
			"ApplicationVersion": a["version"], "ApplicationPublisher": a["publisher"], "DeviceId": graph["id"],
			"DeviceName": "LT-1", "UserName": "Anna", "Platform": "Windows"})
	}
	encryption := map[string]any{"@odata.type": "#microsoft.graph.managedDeviceEncryptionState", "id": guid(20, 1),
		"encryptionReadinessState": "ready", "encryptionState": "encrypted", "advancedBitLockerStates": "success",
		"encryptionPolicySettingState": "compliant", "policyDetails": []any{
			map[string]any{"policyId": guid(60, 1), "policyName": "Disks"}}}
	compliance := map[string]any{"DeviceId": guid(20, 1), "ComplianceState": "2",
		"ComplianceState_loc": "Not compliant",
		"LastContact":         toldAt.Format("2006-01-02T15:04:05.0000000"), "OwnerType": 1,
		"OwnerType_loc":           "Company",
		"DeviceHealthThreatLevel": nil, "DeviceHealthThreatLevel_loc": "High", "OS": "Windows", "OS_loc": "Windows",
		"ManagementAgents": 514, "ManagementAgents_loc": "Not Available", "UserId": guid(10, 1)}
	complianceRow := logAnalyticsRow("IntuneDeviceComplianceOrg", compliance)
	alert := map[string]any{"OperationalLogCategory": "DeviceCompliance", "AlertType": "Managed Device Not Compliant",
		"Description": "DefaultDeviceCompliancePolicy.RequireRemainContact||Expected recent contact",
		"DeviceName":  "LT-1", "DeviceOperatingSystem": "Windows 10.0.26100.2894", "IntuneDeviceId": guid(20, 1),
		"IntuneUserId": guid(10, 1), "UserName": "anna", "UPNSuffix": "contoso.example",
		"UserDisplayName": "Anna de Vries"}
	alertRow := logAnalyticsRow("IntuneOperationalLogs", alert)
	event, log := anActionInBothForms()
	logRow := logAnalyticsRow("IntuneAuditLogs", log)
	return map[string]thing{
		"a device": {stream: "device", forms: map[string]string{
			"Graph":                 asLine(graph),
			"Graph, a page":         `{"value":[` + asLine(graph) + `],"@odata.count":1}`,
			"SDK":                   asLine([]any{pascal(graph, false)}),
			"SDK, Windows":          asLine([]any{pascal(graph, true)}),
			"SDK, Export-Csv":       "#TYPE X\r\n" + asTable(',', objectOf(pc)),
			"Azure Monitor":         asLine(inCategory("Devices", monitor)),
			"Event Hubs":            `{"records":[` + asLine(inCategory("Devices", monitor)) + `]}`,
			"Log Analytics":         asLine(monitorRow),
			"Log Analytics, CSV":    asTable(',', monitorRow),
			"export job Devices":    "\xef\xbb\xbf" + asTable(',', monitor),
			"its codes":             asTable(',', jobs),
			"its codes and twins":   asTable(',', twins),
			"the portal's list":     asTable(',', inLanguage(portal, 0)),
			"the portal's in Dutch": asTable(';', inLanguage(portal, 1)),
		}},
		"apps of a device": {stream: "device", before: asLine(graph), forms: map[string]string{
			"Graph":            asLine(withApps),
			"Graph, with more": asLine(with(graph, "detectedApps", apps)),
			"AppInvRawData":    asTable(',', rows...),
			"in other order":   asTable(',', rows[1], rows[0]),
			"the portal's": asTable('\t', renamed(rows[0], "Application name", "ApplicationName"),
				renamed(rows[1], "Application name", "ApplicationName")),
		}},
		"a policy": {stream: "configuration", forms: inGraphsForms("deviceManagement/deviceConfigurations",
			aProfile(object{"wifi": object{"proxy": "p.example", "ports": []any{80, 443}}}))},
		"a policy of the settings catalog": {stream: "configuration", forms: inGraphsForms(
			"deviceManagement/configurationPolicies", object{"id": guid(70, 1), "name": "Locks", "technologies": "mdm",
				"@odata.type":  "#microsoft.graph.deviceManagementConfigurationPolicy",
				"settingCount": 1, "settings": []any{object{"id": "0", "settingInstance": object{
					"settingDefinitionId": "vendor_lock", "simpleSettingValue": object{"value": 15}}}}})},
		"a script": {stream: "configuration", forms: inGraphsForms("deviceManagement/deviceShellScripts", object{
			"@odata.type": "#microsoft.graph.deviceShellScript", "id": guid(70, 1), "displayName": "Tidy up",
			"fileName": "tidy.sh", "runAsAccount": "user", "executionFrequency": "PT0S", "retryCount": 3,
			"scriptContent": "ZWNobyBoZWxsbw=="})},
		"a registration of an app": {stream: "registration", forms: inGraphsForms(
			"deviceAppManagement/managedAppRegistrations", object{"id": guid(70, 1), "userId": guid(10, 1),
				"@odata.type": "#microsoft.graph.iosManagedAppRegistration", "deviceTag": "tag-one",
				"managementSdkVersion": "14.2", "appIdentifier": object{"bundleId": "com.contoso.mail"}})},
		"counts": {stream: "counts", forms: inGraphsForms("deviceManagement/managedDeviceOverview", object{
			"@odata.type": "#microsoft.graph.managedDeviceOverview", "id": guid(70, 1), "enrolledDeviceCount": 3,
			"mdmEnrolledCount": 2, "deviceOperatingSystemSummary": object{"iosCount": 2, "windowsCount": 1}})},
		"an account": {stream: "account", forms: inGraphsForms("users", object{"id": guid(10, 1), "department": "Care",
			"@odata.type": "#microsoft.graph.user", "userPrincipalName": "anna@contoso.example",
			"displayName": "Anna de Vries", "businessPhones": []any{"+31201234567"}})},
		"a role": {stream: "role", forms: inGraphsForms("deviceManagement/roleDefinitions", object{"id": guid(70, 1),
			"@odata.type": "#microsoft.graph.roleDefinition", "displayName": "Help desk", "isBuiltIn": false,
			"rolePermissions": []any{object{"resourceActions": []any{object{
				"allowedResourceActions": []any{"Microsoft.Intune_ManagedDevices_Read"}}}}}})},
		"a connector": {stream: "connector", forms: inGraphsForms("deviceManagement/depOnboardingSettings", object{
			"@odata.type": "#microsoft.graph.depOnboardingSetting", "id": guid(70, 1),
			"appleIdentifier": "apple@contoso.example", "tokenExpirationDateTime": "2027-01-02T03:04:05Z"})},
		"an acceptance of terms": {stream: "terms", forms: onItsPage(
			"deviceManagement/termsAndConditions('"+guid(70, 2)+"')/acceptanceStatuses", object{"id": guid(70, 1),
				"@odata.type":     "#microsoft.graph.termsAndConditionsAcceptanceStatus",
				"acceptedVersion": 3, "acceptedDateTime": "2026-01-02T03:04:05Z",
				"userPrincipalName": "anna@contoso.example", "userDisplayName": "Anna de Vries"})},
		"how a policy stands on a device": {stream: "status", forms: inGraphsForms(
			"deviceManagement/deviceConfigurations('"+guid(70, 1)+"')/deviceStatuses", object{
				"@odata.type": "#microsoft.graph.deviceConfigurationDeviceStatus", "status": "compliant",
				"lastReportedDateTime": toldAt.Format(time.RFC3339),
				"id":                   strings.Join([]string{guid(10, 1), guid(70, 1), guid(20, 1)}, "_"),
				"userPrincipalName":    "anna@contoso.example"})},
		"how an app stands on a device": {stream: "status", before: asLine(graph), forms: onItsPage(
			"deviceAppManagement/mobileApps('"+guid(70, 1)+"')/deviceStatuses", object{"installState": "installed",
				"@odata.type": "#microsoft.graph.mobileAppInstallStatus", "id": guid(70, 1) + "_" + guid(20, 1),
				"deviceId": guid(20, 1), "userPrincipalName": "anna@contoso.example"})},
		"an app": {stream: "app", forms: inGraphsForms("deviceAppManagement/mobileApps", object{"id": guid(70, 1),
			"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "Reader", "publisher": "Contoso",
			"publishingState": "published", "displayVersion": "1.2"})},
		"an app that was found": {stream: "app", forms: foundApp()},
		"a remote action": {stream: "remoteaction", before: asLine(graph), forms: inGraphsForms(
			"deviceManagement/remoteActionAudits", object{"@odata.type": "#microsoft.graph.remoteActionAudit",
				"id": guid(30, 1), "deviceDisplayName": "LT-1", "action": "factoryReset", "actionState": "pending",
				"requestDateTime": toldAt.Format(time.RFC3339), "managedDeviceId": guid(20, 1),
				"initiatedByUserPrincipalName": "bob@contoso.example"})},
		"an enrolment that failed": {stream: "alert", before: asLine(graph), forms: inGraphsForms(
			"deviceManagement/troubleshootingEvents", object{"id": guid(30, 1), "correlationId": guid(31, 1),
				"@odata.type":   "#microsoft.graph.enrollmentTroubleshootingEvent",
				"eventDateTime": toldAt.Format(time.RFC3339), "managedDeviceIdentifier": guid(20, 1),
				"operatingSystem": "Windows", "osVersion": "10.0.22631.4037", "userId": guid(10, 1),
				"deviceId": guid(21, 1), "enrollmentType": "windowsAzureADJoin",
				"failureCategory": "authorization", "failureReason": "The user has no licence."})},
		"a licence of an app": {stream: "licence", forms: onItsPage("deviceAppManagement/mobileApps('"+guid(70, 2)+
			"')/microsoft.graph.iosVppApp/assignedLicenses", object{"id": "l-1", "userId": guid(10, 1),
			"@odata.type": "#microsoft.graph.iosVppAppAssignedDeviceLicense", "userName": "Anna de Vries",
			"userPrincipalName": "anna@contoso.example", "userEmailAddress": "anna@mail.example",
			"managedDeviceId": guid(20, 1), "deviceName": "iPad"})},
		"a case at support":   {stream: "support", forms: inEvents(t, "support.case.v1")},
		"a message":           {stream: "correspondence", forms: inEvents(t, "support.message.v1")},
		"a billing account":   {stream: "billing", forms: inEvents(t, "billing.account.v1")},
		"ids with Apple":      {stream: "platformid", forms: inEvents(t, "platformid.device.v1")},
		"a control":           {stream: "adminusage", forms: inEvents(t, "adminusage.control.v1")},
		"a diagnostic record": {stream: "diagnostic", forms: inEvents(t, "diagnostic.usage.v1")},
		"the encryption of a device": {stream: "device", forms: map[string]string{
			"Graph": asLine(encryption), "Graph, a page": `{"value":[` + asLine(encryption) + `],"@odata.count":1}`,
			"SDK": asLine([]any{pascal(encryption, false)}), "SDK, Windows": asLine([]any{pascal(encryption, true)}),
		}},
		"the compliance of a device": {stream: "device", forms: map[string]string{
			"Azure Monitor":      asLine(inCategory("DeviceComplianceOrg", compliance)),
			"Event Hubs":         `{"records":[` + asLine(inCategory("DeviceComplianceOrg", compliance)) + `]}`,
			"Log Analytics":      asLine(complianceRow),
			"Log Analytics, CSV": asTable(',', complianceRow),
		}},
		"an alert": {stream: "alert", before: asLine(graph), forms: map[string]string{
			"Azure Monitor":      asLine(inCategory("OperationalLogs", alert)),
			"Event Hubs":         `{"records":[` + asLine(inCategory("OperationalLogs", alert)) + `]}`,
			"Log Analytics":      asLine(alertRow),
			"Log Analytics, CSV": asTable(',', alertRow),
		}},
		"an action, as Graph tells it": {stream: "adminaction", forms: map[string]string{
			"Graph": asLine(event), "SDK": asLine(pascal(event, false)), "SDK, Windows": asLine(pascal(event, true)),
		}},
		"an action, as Azure Monitor tells it": {stream: "adminaction", forms: map[string]string{
			"Azure Monitor":      asLine(inCategory("AuditLogs", log)),
			"Log Analytics":      asLine(logRow),
			"Log Analytics, CSV": asTable(',', logRow),
		}},
	}
}

// inEvents is the example of a type of event, as it may be held.
func inEvents(t testing.TB, typ string) map[string]string {
	e := examples(t)[cloudevents.Prefix+typ]
	e["time"] = toldAt.Format(time.RFC3339)
	text, encoded := with(e, "data", asLine(e["data"])), with(e, "data_base64",
		base64.StdEncoding.EncodeToString([]byte(asLine(e["data"]))))
	delete(encoded, "data")
	typed := with(e, "datacontenttype", "application/json; charset=utf-8")
	return map[string]string{"structured": asLine(e), "a batch": asLine([]any{e}), "pretty": asIndented(e),
		"data in a text": asLine(text), "data in base64": asLine(encoded), "with a content type": asLine(typed),
		"version 1.1": asLine(with(e, "specversion", "1.1")), "in a wrapper": asLine(object{"event": e})}
}

func asIndented(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

// inGraphsForms is a record of a collection as Graph answers it in several ways, and as
// PowerShell's SDK writes it.
func inGraphsForms(collection string, rec object) map[string]string {
	context := graphBase + collection
	return map[string]string{
		"Graph":           asLine(with(rec, "@odata.context", context+"/$entity")),
		"Graph, its type": asLine(rec),
		"Graph, a page":   asLine(object{"@odata.context": context, "value": []any{rec}}),
		"Graph, recorded": asLine([]any{object{"url": "https://graph.microsoft.com/beta/" + collection,
			"body": object{"@odata.context": context, "value": []any{rec}}}}),
		"SDK": asLine([]any{sdkForm(rec)}),
	}
}

// onItsPage are the forms of a record that say of what it is a part: its page alone tells.
func onItsPage(collection string, rec object) map[string]string {
	forms := inGraphsForms(collection, rec)
	delete(forms, "Graph, its type")
	delete(forms, "SDK")
	return forms
}

// foundApp is an app that devices have, as Graph tells it and as a row of Intune's report on all
// of them, in English and Dutch.
func foundApp() map[string]string {
	app := object{"@odata.type": "#microsoft.graph.detectedApp", "id": "a1", "displayName": "Reader", "version": "1.2",
		"publisher": "Contoso", "deviceCount": 3, "sizeInByte": nil, "platform": "windows"}
	row := object{"ApplicationKey": "a1", "ApplicationName": "Reader", "ApplicationVersion": "1.2",
		"ApplicationPublisher": "Contoso", "ApplicationShortVersion": "", "DeviceCount": 3, "Platform": "Windows"}
	forms := inGraphsForms("deviceManagement/detectedApps", app)
	forms["AppInvAggregate"] = asTable(',', row)
	forms["AppInvAggregate, Dutch"] = asTable(';', object{"ApplicationKey": "a1", "Naam van toepassing": "Reader",
		"Versie van toepassing": "1.2", "Uitgever van toepassing": "Contoso", "Aantal apparaten": 3})
	return forms
}

// aDeviceInEveryForm is one device with equal content in Graph's terms, in those of Azure Monitor
// and its export jobs, and as the portal lists it, in English and Dutch.
func aDeviceInEveryForm() (graph, monitor map[string]any, portal [][2][2]string) {
	const total, free = 243_406, 205_824
	spaced := func(at time.Time) string { return at.Format("2006-01-02 15:04:05.0000000") }
	enrolled := toldAt.AddDate(0, -2, 0)
	graph = map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1), "deviceName": "LT-1",
		"azureADDeviceId": guid(21, 1), "managedDeviceName": "anna_Windows_1", "manufacturer": "Dell Inc.",
		"model": "Latitude 5440", "operatingSystem": "Windows", "osVersion": "10.0.22631.4037",
		"serialNumber": "SNC1", "imei": "", "wiFiMacAddress": "001122AABBCC", "phoneNumber": "+31612345678",
		"subscriberCarrier": "KPN", "totalStorageSpaceInBytes": total << 20, "freeStorageSpaceInBytes": free << 20,
		"managementAgent": "mdm", "managementState": "managed", "managedDeviceOwnerType": "company",
		"deviceRegistrationState": "registered", "deviceCategoryDisplayName": "Office", "isSupervised": false,
		"isEncrypted": true, "jailBroken": "False", "complianceState": "compliant", "skuFamily": "Enterprise",
		"joinType": "azureADJoined", "enrolledDateTime": enrolled.Format(time.RFC3339),
		"lastSyncDateTime":                        toldAt.Format(time.RFC3339),
		"complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z",
		"userId": guid(10, 1), "userDisplayName": "Anna de Vries", "userPrincipalName": "anna@contoso.example",
		"emailAddress": "anna.devries@contoso.example"}
	monitor = map[string]any{"DeviceId": guid(20, 1), "DeviceName": "LT-1", "ReferenceId": guid(21, 1),
		"ManagedDeviceName": "anna_Windows_1", "Manufacturer": "Dell Inc.", "Model": "Latitude 5440", "OS": "Windows",
		"OSVersion": "10.0.22631.4037", "SerialNumber": "SNC1", "IMEI": "", "WifiMacAddress": "001122aabbcc",
		"PhoneNumber": "+31612345678", "SubscriberCarrierNetwork": "KPN", "StorageTotal": total, "StorageFree": free,
		"ManagedBy": "Intune", "DeviceState": "Managed", "Ownership": "Corporate",
		"DeviceRegistrationState": "Registered", "CategoryName": "Office", "SupervisedStatusString": "False",
		"EncryptionStatusString": "True", "JailBroken": "False", "CompliantState": "Compliant",
		"SkuFamily": "Enterprise", "JoinType": "Azure AD joined", "CreatedDate": spaced(enrolled),
		"LastContact": spaced(toldAt), "InGracePeriodUntil": "9999-12-31 23:59:59.0000000",
		"PrimaryUser": guid(10, 1), "UserName": "Anna de Vries", "UPN": "anna@contoso.example",
		"UserEmail": "anna.devries@contoso.example"}
	day := func(at time.Time) string { return at.Format("2-1-2006 15:04:05") }
	portal = [][2][2]string{
		{{"Device ID", guid(20, 1)}, {"Apparaat-id", guid(20, 1)}},
		{{"Device name", "LT-1"}, {"Apparaatnaam", "LT-1"}},
		{{"Enrollment date", spaced(enrolled)}, {"Inschrijvingsdatum", day(enrolled)}},
		{{"Last check-in", spaced(toldAt)}, {"Laatste contact", day(toldAt)}},
		{{"Microsoft Entra Device ID", guid(21, 1)}, {"Azure AD-apparaat-id", guid(21, 1)}},
		{{"OS version", "10.0.22631.4037"}, {"Versie van besturingssysteem", "10.0.22631.4037"}},
		{{"Serial number", "SNC1"}, {"Serienummer", "SNC1"}},
		{{"Manufacturer", "Dell Inc."}, {"Fabrikant", "Dell Inc."}},
		{{"Model", "Latitude 5440"}, {"Model", "Latitude 5440"}},
		{{"IMEI", "-1"}, {"IMEI", ""}},
		{{"Wi-Fi MAC", "00:11:22:AA:BB:CC"}, {"MAC-adres Wi-Fi", "001122AABBCC"}},
		{{"Subscriber carrier", "KPN"}, {"Provider van abonnee", "KPN"}},
		{{"Total storage", fmt.Sprint(total)}, {"Totale opslagruimte", fmt.Sprint(total)}},
		{{"Free storage", fmt.Sprint(free)}, {"Beschikbare opslagruimte", fmt.Sprint(free, " MB")}},
		{{"Management name", "anna_Windows_1"}, {"Beheernaam", "anna_Windows_1"}},
		{{"Category", "Office"}, {"Categorie", "Office"}},
		{{"UserId", guid(10, 1)}, {"Gebruikers-id", guid(10, 1)}},
		{{"Primary user UPN", "anna@contoso.example"}, {"UPN van primaire gebruiker", "anna@contoso.example"}},
		{{"Primary user email address", "anna.devries@contoso.example"}, {"E-mailadres van primaire gebruiker",
			"anna.devries@contoso.example"}},
		{{"Primary user display name", "Anna de Vries"}, {"Weergavenaam van primaire gebruiker", "Anna de Vries"}},
		{{"Compliance", "Compliant"}, {"Naleving", "Voldoet"}},
		{{"Compliance grace period expiration", "0001-01-01 00:00:00.0000000"}, {"Nalevingsreden", ""}},
		{{"Managed by", "Intune"}, {"Beheerd door", "Intune"}},
		{{"Ownership", "Corporate"}, {"Eigendom", "Bedrijf"}},
		{{"Device state", "Managed"}, {"Apparaatstatus", "Beheerd"}},
		{{"Intune registered", "Yes"}, {"Intune geregistreerd", "Ja"}},
		{{"Supervised", "No"}, {"Onder supervisie", "Nee"}},
		{{"Encrypted", "True"}, {"Versleuteld", "Waar"}},
		{{"OS", "Windows"}, {"Besturingssysteem", "Windows"}},
		{{"SkuFamily", "Enterprise"}, {"SkuFamily", "Enterprise"}},
		{{"JoinType", "Microsoft Entra joined"}, {"JoinType", "azureADJoined"}},
		{{"Phone number", "+31612345678"}, {"Telefoonnummer", "+31 6 12345678"}},
		{{"Jailbroken", "False"}, {"Jailbroken", "Onwaar"}},
	}
	return graph, monitor, portal
}

// anActionInBothForms is one action as Graph tells it, and as Azure Monitor does.
func anActionInBothForms() (event, log map[string]any) {
	event = map[string]any{"@odata.type": "#microsoft.graph.auditEvent", "id": guid(30, 1),
		"activityDateTime": toldAt.Format(time.RFC3339), "activityType": "wipe ManagedDevice",
		"activityOperationType": "Action", "activityResult": "Success", "componentName": "ManagedDevices",
		"category": "Device", "actor": map[string]any{"auditActorType": "ItPro", "userId": guid(10, 9),
			"userPrincipalName": "bob@contoso.example", "userPermissions": []any{"*"}},
		"resources": []any{map[string]any{"displayName": "LT-1", "auditResourceType": "ManagedDevice",
			"resourceId": guid(20, 1)}}}
	log = map[string]any{"AuditEventId": guid(30, 1), "ActivityType": 3, "ActivityResultStatus": 1, "Category": 3,
		"Actor": map[string]any{"ActorType": 1, "ObjectId": guid(10, 9), "UPN": "bob@contoso.example",
			"UserPermissions": []any{"*"}},
		"TargetObjectIds": []any{guid(20, 1)}, "TargetDisplayNames": []any{"LT-1"}}
	return event, log
}

func with(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	m[name] = value
	return m
}

func renamed(m map[string]any, to, from string) map[string]any {
	m = with(m, to, m[from])
	delete(m, from)
	return m
}

func objectOf(text string) (m map[string]any) {
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	more, _ := m["AdditionalProperties"].(map[string]any)
	delete(m, "AdditionalProperties") // Export-Csv writes the name of their type
	m["SkuFamily"] = more["skuFamily"]
	return m
}

// inCategory is a record of Azure Monitor.
func inCategory(category string, properties map[string]any) map[string]any {
	return map[string]any{"time": toldAt.Format(time.RFC3339), "tenantId": sourceTenant, "category": category,
		"operationName": map[string]string{"AuditLogs": "wipe ManagedDevice"}[category], "properties": properties}
}

// logAnalyticsRow is what Log Analytics makes of it.
func logAnalyticsRow(table string, properties map[string]any) map[string]any {
	row := map[string]any{"TimeGenerated": toldAt.Format(time.RFC3339Nano), "Type": table, "SourceSystem": "Azure"}
	if operation := map[string]string{"IntuneAuditLogs": "wipe ManagedDevice",
		"IntuneOperationalLogs": ""}; len(operation[table]) > 0 || table == "IntuneOperationalLogs" {
		row["Properties"], row["OperationName"] = asLine(properties), operation[table]
		return row
	}
	maps.Copy(row, properties)
	return row
}

// asTable writes objects as rows of separated values, as Export-Csv does: numbers as they are, and
// nothing where they are null.
func asTable(separator rune, objects ...map[string]any) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma = separator
	columns := slices.Sorted(maps.Keys(objects[0]))
	rows := [][]string{columns}
	for _, o := range objects {
		var cells []string
		for _, c := range columns {
			cell := fmt.Sprint(o[c])
			switch v := o[c].(type) {
			case nil:
				cell = ""
			case float64:
				cell = fmt.Sprintf("%.0f", v)
			}
			cells = append(cells, cell)
		}
		rows = append(rows, cells)
	}
	if err := w.WriteAll(rows); err != nil {
		panic(err)
	}
	return b.String()
}

// inLanguage is what the portal lists, in English or Dutch.
func inLanguage(portal [][2][2]string, language int) map[string]any {
	out := map[string]any{}
	for _, column := range portal {
		out[column[language][0]] = column[language][1]
	}
	return out
}

func (w *world) importToldAt(content string) Summary {
	w.t.Helper()
	s, err := w.intake().Import(context.Background(), w.tenant, Source{Paths: []string{"x"}, Observed: toldAt,
		TakeNameless: true, FS: fstest.MapFS{"x": aFile(content)}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if !s.OK() || !s.Balanced() || s.CodesOtherwise != 0 {
		w.t.Fatalf("%s: %s", content, asJSON(w.t, s))
	}
	return s
}

var elementID = regexp.MustCompile(`\[[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\]`)

// withoutElements leaves the random ids of entries out, and the order that they give.
func withoutElements(canonical string) string {
	lines := strings.Split(elementID.ReplaceAllString(canonical, "[]"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// One fact or state in every form its sources have is the same event once, whichever comes first,
// and zero further events.
func TestOneThingInEveryFormIsOneEvent(t *testing.T) {
	for name, thing := range things(t) {
		want, wantOf := "", ""
		for _, first := range slices.Sorted(maps.Keys(thing.forms)) {
			w := newWorld(t, true)
			w.takeDiagnostics(policy.Kept)
			if thing.before != "" {
				w.importToldAt(thing.before)
			}
			before := len(w.events())
			if s := w.importToldAt(thing.forms[first]); s.Recorded == 0 {
				t.Errorf("%s, %s: nothing is recorded: %s", name, first, asJSON(t, s))
				continue
			}
			got := withoutElements(w.canonical())
			if want == "" {
				want, wantOf = got, first
			}
			if got != want {
				t.Errorf("%s: %s gives\n%s\nand %s\n%s", name, first, got, wantOf, want)
			}
			streams := map[string]bool{}
			for _, e := range w.events()[before:] {
				if e.Stream.Kind() == thing.stream {
					streams[string(e.Stream)] = true
				}
			}
			if len(streams) != 1 {
				t.Errorf("%s, %s: %d streams", name, first, len(streams))
			}
			for second, content := range thing.forms {
				if s := w.importToldAt(content); s.EventsAppended != 0 {
					t.Fatalf("%s: behind %s, %s adds\n%s", name, first, second,
						w.dumpFrom(newLabels(), len(w.events())-s.EventsAppended))
				}
			}
		}
	}
}
