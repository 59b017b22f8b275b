package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/schemastest"
)

// This file reads records a second time, by encoding/json and the tables below alone, and compares
// column by column with what the ledger holds of them, opened. It shares nothing with the parser:
// where both are wrong, they are so for different reasons.

// Columns of the sources: where a column's value is kept. "" is kept nowhere, and says so: a
// column that no table names fails the test.
var (
	graphDeviceColumns = map[string]string{
		"id": "device.intune-id", "azureADDeviceId": "device.directory-id",
		"azureActiveDirectoryDeviceId": "device.directory-id", "deviceName": "device.name",
		"managedDeviceName": "device.management-name", "manufacturer": "device.manufacturer",
		"model": "device.model", "operatingSystem": "device.operating-system",
		"osVersion": "device.os-version", "androidSecurityPatchLevel": "device.security-patch-level",
		"serialNumber": "device.serial-number", "imei": "device.imei",
		"meid": "device.meid", "udid": "device.udid", "iccid": "device.iccid", "wiFiMacAddress": "device.wifi-mac",
		"ethernetMacAddress": "device.ethernet-mac",
		"phoneNumber":        "device.phone-number", "subscriberCarrier": "device.carrier",
		"easDeviceId":              "device.eas-id",
		"easActivated":             "device.eas-activated",
		"totalStorageSpaceInBytes": "device.storage-total", "freeStorageSpaceInBytes": "device.storage-free",
		"physicalMemoryInBytes": "device.memory",
		"processorArchitecture": "device.processor", "chassisType": "device.chassis",
		"deviceType": "device.device-type", "skuFamily": "device.sku-family",
		"joinType": "device.join-type", "deviceEnrollmentType": "device.enrolment-type",
		"managementAgent":         "device.management-agent",
		"deviceRegistrationState": "device.registration-state", "managementState": "device.management-state",
		"deviceCategoryDisplayName": "device.category",
		"isSupervised":              "device.supervised", "lostModeState": "device.lost-mode",
		"autopilotEnrolled": "device.autopilot-enrolled", "enrolledDateTime": "device.enrolled-at",
		"lastSyncDateTime":                    "device.last-contact",
		"managementCertificateExpirationDate": "device.certificate-expires",
		"retireAfterDateTime":                 "device.retire-after",
		"notes":                               "device.notes", "complianceState": "device.compliance-state",
		"isEncrypted": "device.encrypted",
		"jailBroken":  "device.jail-broken",
		"complianceGracePeriodExpirationDateTime": "device.grace-until",
		"partnerReportedThreatState":              "device.threat-state",
		"windowsActiveMalwareCount":               "device.malware-active",
		"windowsRemediatedMalwareCount":           "device.malware-remediated",
		"managedDeviceOwnerType":                  "device.ownership",
		"ownerType":                               "device.ownership", "userId": "device.user-id",
		"userDisplayName":   "device.user-name",
		"userPrincipalName": "device.user-upn",
		"emailAddress":      "device.user-email",

		"hardwareInformation.ipAddressV4": "device.ip-address", "hardwareInformation.subnetAddress": "device.subnet",
		"hardwareInformation.deviceFullQualifiedDomainName": "device.host-name",
		"hardwareInformation.operatingSystemEdition":        "device.os-edition",
		// Where the device's own column says nothing: they are known to contradict it.
		"hardwareInformation.serialNumber": "device.serial-number", "hardwareInformation.imei": "device.imei",
		"hardwareInformation.meid":         "device.meid",
		"hardwareInformation.manufacturer": "device.manufacturer", "hardwareInformation.model": "device.model",
		"hardwareInformation.phoneNumber":       "device.phone-number",
		"hardwareInformation.subscriberCarrier": "device.carrier", "hardwareInformation.wifiMac": "device.wifi-mac",
		"hardwareInformation.totalStorageSpace": "device.storage-total",
		"hardwareInformation.freeStorageSpace":  "device.storage-free",
		"hardwareInformation.isSupervised":      "device.supervised",
		"hardwareInformation.isEncrypted":       "device.encrypted",
	}
	graphDeviceLeft = []string{"@odata.context", "@odata.type", "aadRegistered", "azureADRegistered",
		"activationLockBypassCode", "configurationManagerClientEnabledFeatures",
		"configurationManagerClientHealthState", "configurationManagerClientInformation", "deviceActionResults",
		"deviceHealthAttestationState", "easActivationDateTime",
		"exchangeAccessState", "exchangeAccessStateReason", "exchangeLastSuccessfulSyncDateTime",
		"managementFeatures", "preferMdmOverGroupPolicyAppliedDateTime",
		"remoteAssistanceSessionErrorDetails", "remoteAssistanceSessionUrl", "requireUserEnrollmentApproval",
		"roleScopeTagIds", "skuNumber", "specificationVersion",
		"hardwareInformation.batteryChargeCycles", "hardwareInformation.batteryHealthPercentage",
		"hardwareInformation.batterySerialNumber",
		"hardwareInformation.cellularTechnology",
		"hardwareInformation.deviceGuardLocalSystemAuthorityCredentialGuardState",
		"hardwareInformation.deviceGuardVirtualizationBasedSecurityHardwareRequirementState",
		"hardwareInformation.deviceGuardVirtualizationBasedSecurityState",
		"hardwareInformation.isSharedDevice", "hardwareInformation.operatingSystemLanguage",
		"hardwareInformation.operatingSystemProductType",
		"hardwareInformation.osBuildNumber", "hardwareInformation.sharedDeviceCachedUsers",
		"hardwareInformation.tpmSpecificationVersion"}

	azureDeviceColumns = map[string]string{
		"DeviceId": "device.intune-id", "ReferenceId": "device.directory-id", "DeviceName": "device.name",
		"ManagedDeviceName": "device.management-name",
		"Manufacturer":      "device.manufacturer", "Model": "device.model", "OS": "device.operating-system",
		"OSVersion":         "device.os-version",
		"AndroidPatchLevel": "device.security-patch-level", "SerialNumber": "device.serial-number",
		"IMEI": "device.imei", "MEID": "device.meid",
		"WifiMacAddress": "device.wifi-mac", "PhoneNumber": "device.phone-number",
		"SubscriberCarrierNetwork": "device.carrier", "EasID": "device.eas-id",
		"StorageTotal": "device.storage-total", "StorageFree": "device.storage-free",
		"SkuFamily": "device.sku-family", "JoinType": "device.join-type",
		"ManagedBy": "device.management-agent", "DeviceRegistrationState": "device.registration-state",
		"DeviceState":  "device.management-state",
		"CategoryName": "device.category", "SupervisedStatusString": "device.supervised",
		"CreatedDate": "device.enrolled-at", "LastContact": "device.last-contact",
		"CompliantState": "device.compliance-state", "EncryptionStatusString": "device.encrypted",
		"JailBroken":         "device.jail-broken",
		"InGracePeriodUntil": "device.grace-until", "Ownership": "device.ownership",
		"PrimaryUser": "device.user-id", "UserName": "device.user-name",
		"UPN": "device.user-upn", "UserEmail": "device.user-email",
	}
	azureDeviceLeft = []string{"BatchId", "IntuneAccountId", "AADTenantId", "GraphDeviceIsManaged"}

	azureActionColumns = map[string]string{
		"operationName": "action.operation", "correlationId": "correlation", "time": "occurred",
		"properties.ActivityType": "action.verb",
		"properties.Category":     "action.category", "properties.ActivityResultStatus": "action.result",
		"properties.AdditionalDetails": "action.details",
		"properties.Actor.ActorType":   "action.actor-type", "properties.Actor.Application": "action.application-id",
		"properties.Actor.ApplicationName":  "action.application-name",
		"properties.Actor.IsDelegatedAdmin": "action.delegated", "properties.Actor.Name": "action.actor-name",
		"properties.Actor.ObjectId":        "action.actor-id",
		"properties.Actor.PartnerTenantId": "action.partner-tenant", "properties.Actor.UPN": "action.actor-upn",
		"identity": "action.actor-upn",
	}
	azureActionLeft = []string{"tenantId", "category", "resultType", "resultDescription", "properties.AuditEventId",
		"properties.ActivityDate", "properties.RelationId",
		"properties.IntuneAccountId", "properties.AADTenantId"}

	graphActionColumns = map[string]string{
		"activityType": "action.operation", "activity": "action.activity-type", "componentName": "action.component",
		"activityOperationType": "action.verb",
		"activityResult":        "action.result", "category": "action.category", "correlationId": "correlation",
		"activityDateTime":     "occurred",
		"actor.auditActorType": "action.actor-type", "actor.type": "action.actor-type",
		"actor.applicationId":          "action.application-id",
		"actor.applicationDisplayName": "action.application-name", "actor.userPrincipalName": "action.actor-upn",
		"actor.servicePrincipalName": "action.actor-name",
		"actor.ipAddress":            "action.actor-ip", "actor.userId": "action.actor-id",
		"actor.remoteTenantId": "action.partner-tenant",
	}
	graphActionLeft = []string{"id", "displayName", "@odata.type", "actor.@odata.type", "actor.remoteUserId"}
)

// read here apart: lists, and what an action was done to.
var readApart = []string{"detectedApps", "usersLoggedOn", "properties.Actor.UserPermissions",
	"properties.TargetDisplayNames", "properties.TargetObjectIds",
	"properties.Targets", "actor.userPermissions", "resources"}

// canonicalForms says by which form two spellings of one value are the same. What is not named is
// compared as it is.
var canonicalForms = map[string]func(string) string{
	"device.intune-id": strings.ToLower, "device.directory-id": strings.ToLower, "device.user-id": strings.ToLower,
	"device.user-upn":   strings.ToLower,
	"device.user-email": strings.ToLower, "device.wifi-mac": letterForm, "device.ethernet-mac": letterForm,
	"device.imei": letterForm, "device.meid": letterForm, "device.iccid": letterForm,
	"device.udid": letterForm, "device.phone-number": phoneForm, "device.storage-free": gibibyteForm,
	"device.enrolled-at": secondForm, "device.last-contact": secondForm,
	"device.certificate-expires": secondForm, "device.retire-after": secondForm, "device.grace-until": secondForm,
	"device.operating-system": wordForm, "device.device-type": wordForm,
	"device.join-type": wordForm, "device.enrolment-type": wordForm, "device.management-agent": wordForm,
	"device.registration-state": wordForm, "device.management-state": wordForm,
	"device.chassis": wordForm, "device.processor": wordForm, "device.lost-mode": wordForm,
	"device.threat-state":     wordForm,
	"device.compliance-state": wordForm, "device.ownership": wordForm,
	"device.supervised": wordForm, "device.encrypted": wordForm, "device.jail-broken": wordForm,
	"device.eas-activated":      wordForm,
	"device.autopilot-enrolled": wordForm,
	"device.manufacturer":       strings.ToLower, "device.model": strings.ToLower, "device.carrier": strings.ToLower,
	"device.sku-family": strings.ToLower, "device.serial-number": strings.ToLower,
	"device.eas-id":   strings.ToLower,
	"action.actor-id": strings.ToLower, "action.actor-upn": strings.ToLower,
	"action.application-id": strings.ToLower, "action.partner-tenant": strings.ToLower,
	"action.verb": wordForm, "action.result": wordForm, "action.category": wordForm, "action.actor-type": wordForm,
	"action.target-type": wordForm,
}

// sameWords are the spellings that sources have of one word of ours.
var sameWords = map[string]string{
	"corporate": "company", "intune": "mdm", "notcompliant": "noncompliant", "androidforwork": "android",
	"androidpersonallyownedworkprofile": "android",
	"androidenterprise":                 "android", "ipados": "ios", "iosipados": "ios", "patch": "update",
	"itpro": "itpro", "fail": "failure",
}

// sourceCodes are the sources' enumerations, by attribute.
var sourceCodes = map[string][]string{
	"action.verb": {"create", "delete", "patch", "action", "setreference", "removereference", "get", "search"},
	"action.category": {"other", "enrollment", "compliance", "deviceconfiguration", "device", "application",
		"ebookmanagement", "conditionalaccess", "onpremaccess", "role",
		"softwareupdates", "devicesetupconfiguration", "deviceintent", "deviceintentsetting", "devicesecurity",
		"grouppolicyanalytics"},
	"action.actor-type": {"", "itpro", "iw", "system", "partner", "application", "guest"},
}

var notLetters = regexp.MustCompile(`[^a-z0-9]+`)

func letterForm(s string) string { return notLetters.ReplaceAllString(strings.ToLower(s), "") }

func phoneForm(s string) string { return regexp.MustCompile(`[^0-9*]+`).ReplaceAllString(s, "") }

func wordForm(s string) string {
	s = letterForm(s)
	if to := sameWords[s]; to != "" {
		return to
	}
	return s
}

func secondForm(s string) string {
	at, err := independentTime(s)
	if err != nil {
		return s
	}
	return at.Truncate(time.Second).Format(time.RFC3339)
}

// gibibyteForm is whole GiB, of a size in bytes or in GiB.
func gibibyteForm(s string) string {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return s
	}
	if n >= 1<<20 {
		n >>= 30
	}
	return strconv.FormatInt(n, 10)
}

func independentTime(s string) (at time.Time, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.9999999", "2006-01-02T15:04:05.9999999",
		"1/2/2006 3:04:05 PM"} {
		if at, err = time.Parse(layout, s); err == nil {
			return at.UTC(), nil
		}
	}
	return at, err
}

// makersSerials are what makers leave in.
var makersSerials = []string{"0", "system serial number", "to be filled by o.e.m.", "default string"}

// saysAnything reports whether a column says anything: FORMATS §2, not reported.
func saysAnything(attribute, s string) bool {
	folded := strings.ToLower(strings.TrimSpace(s))
	if attribute == "device.serial-number" && slices.Contains(makersSerials, folded) {
		return false
	}
	switch folded {
	case "", "unknown", "[redacted]", "redacted@email.com", "00000000-0000-0000-0000-000000000000", "<null>", "null":
		return false
	case "0":
		return attribute != "device.storage-total" && attribute != "device.memory" && attribute != "action.actor-type"
	}
	if at, err := independentTime(s); err == nil && (at.Year() <= 1 || at.Year() >= 9999) {
		return false
	}
	return true
}

// columnsRead is what was read: attribute (with a target's number) → text; lists by their
// attribute, entries in any order.
type columnsRead struct {
	values map[string]string
	lists  map[string][]string
}

func newReading() columnsRead { return columnsRead{map[string]string{}, map[string][]string{}} }

// sourceReading is one source record, read independently.
type sourceReading struct {
	kind    string // device or action
	raw     json.RawMessage
	context string // of Graph's page
	columnsRead
	columns map[string]string // every column as it is
	id      string            // of the device or action, lower-case
	targets []readTarget
}

type readTarget struct {
	id, name string
	changes  []readChange
}

type readChange struct{ name, old, new string }

func columnText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// flattenColumns gives every column of a record, nested ones by their path.
func flattenColumns(prefix string, m map[string]any, into map[string]any) {
	for k, v := range m {
		nested, is := v.(map[string]any)
		if is && !slices.Contains(readApart, prefix+k) {
			flattenColumns(prefix+k+".", nested, into)
			continue
		}
		into[prefix+k] = v
	}
}

func decodedColumns(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// readSource reads one record of a known kind; ok is false for any other.
func readSource(t testing.TB, raw json.RawMessage, context string) (r sourceReading, ok bool) {
	t.Helper()
	m := decodedColumns(t, raw)
	own, _ := m["@odata.context"].(string)
	odata, _ := m["@odata.type"].(string)
	context = own + context
	category, _ := m["category"].(string)
	properties, _ := m["properties"].(map[string]any)
	r = sourceReading{raw: raw, context: context, columnsRead: newReading(), columns: map[string]string{}}
	columns := map[string]any{}
	var kept map[string]string
	var left []string
	switch {
	case strings.Contains(context, "#deviceManagement/managedDevices") || odata == "#microsoft.graph.managedDevice":
		r.kind, kept, left = "device", graphDeviceColumns, graphDeviceLeft
		flattenColumns("", m, columns)
	case strings.Contains(context, "#deviceManagement/auditEvents") || odata == "#microsoft.graph.auditEvent":
		r.kind, kept, left = "action", graphActionColumns, graphActionLeft
		flattenColumns("", m, columns)
	case category == "Devices" && properties["Stats"] == nil:
		r.kind, kept, left = "device", azureDeviceColumns, azureDeviceLeft
		flattenColumns("", properties, columns)
	case category == "AuditLogs":
		r.kind, kept, left = "action", azureActionColumns, azureActionLeft
		flattenColumns("", m, columns)
	default:
		return r, false
	}
	for _, c := range sortedKeys(columns) {
		r.columns[c] = columnText(columns[c])
		attribute, known := kept[c]
		if !known && !slices.Contains(left, c) && !slices.Contains(readApart, c) {
			t.Errorf("no table says what becomes of the column %s", c)
		}
		// A nested column fills only what the device's own leaves out; of two of one meaning the
		// first that says something is right.
		if _, have := r.values[attribute]; attribute != "" && saysAnything(attribute, r.columns[c]) && (!have ||
			!strings.Contains(c, ".") && r.kind == "device") {
			r.values[attribute] = r.columns[c]
		}
	}
	if r.kind == "device" {
		r.readDevice(t, columns)
	} else {
		r.readAction(t, columns)
	}
	return r, true
}

func (r *sourceReading) readDevice(t testing.TB, columns map[string]any) {
	t.Helper()
	r.id = strings.ToLower(r.values["device.intune-id"])
	for c, attribute := range map[string]string{"StorageTotal": "device.storage-total",
		"StorageFree": "device.storage-free"} {
		if n, err := strconv.ParseInt(r.columns[c], 10, 64); err == nil && r.values[attribute] != "" {
			r.values[attribute] = strconv.FormatInt(n*1024*1024, 10)
		}
	}
	if _, total := r.values["device.storage-total"]; !total && r.values["device.storage-free"] == "0" {
		delete(r.values, "device.storage-free")
	}
	// What hardwareInformation says of encryption and supervision stands for itself only where the
	// device says nothing of either.
	if r.columns["activationLockBypassCode"] != "" {
		r.values["device.unlock-code-withheld"] = "true"
	}
	list := func(column string) (out []map[string]any) {
		entries, _ := columns[column].([]any)
		for _, e := range entries {
			out = append(out, e.(map[string]any))
		}
		return out
	}
	if r.values["device.ownership"] == "company" { // the policy keeps no other device's
		for _, a := range list("detectedApps") {
			size := columnText(a["sizeInByte"])
			if size == "0" {
				size = ""
			}
			r.lists["device.app"] = append(r.lists["device.app"],
				appForm(columnText(a["id"]), columnText(a["displayName"]),
					columnText(a["version"]), columnText(a["publisher"]), size))
		}
	}
	for _, u := range list("usersLoggedOn") {
		r.lists["device.logged-on-user"] = append(r.lists["device.logged-on-user"],
			strings.ToLower(columnText(u["userId"]))+" at "+secondForm(columnText(u["lastLogOnDateTime"])))
	}
}

func appForm(parts ...string) string { return strings.Join(parts, " | ") }

func (r *sourceReading) readAction(t testing.TB, columns map[string]any) {
	t.Helper()
	first := func(names ...string) string {
		for _, n := range names {
			if v := r.columns[n]; saysAnything("", v) {
				return v
			}
		}
		return ""
	}
	r.id = strings.ToLower(first("properties.AuditEventId", "id"))
	if _, err := independentTime(r.values["occurred"]); err != nil {
		r.values["occurred"] = r.columns["properties.ActivityDate"] // a real record has a time that is none
	}
	operation := r.values["action.operation"]
	for attribute, words := range sourceCodes {
		if n, err := strconv.Atoi(r.values[attribute]); err == nil && n < len(words) {
			r.values[attribute] = words[n]
		}
	}
	// The sources have no type of operation for assigning: its name tells it.
	if name := strings.ToLower(operation); strings.HasPrefix(name, "assign") || strings.HasPrefix(name,
		"create ") && strings.HasSuffix(name, "assignment") {
		r.values["action.verb"] = "assign"
	}
	if status, is := r.columns["properties.ActivityResultStatus"]; is {
		r.values["action.result"] = "success" // the one number that is documented
		if status != "1" {
			r.values["action.result"] = r.columns["resultType"]
		}
	}
	if upn := r.columns["properties.Actor.UPN"]; saysAnything("", upn) {
		r.values["action.actor-upn"] = upn
	}
	if !strings.Contains(r.values["action.actor-upn"], "@") {
		delete(r.values, "action.actor-upn")
	}
	if kind := r.columns["actor.auditActorType"]; saysAnything("", kind) {
		r.values["action.actor-type"] = kind
	}
	permissions, _ := columns["properties.Actor.UserPermissions"].([]any)
	if permissions == nil {
		permissions, _ = columns["actor.userPermissions"].([]any)
	}
	if len(permissions) > 0 {
		r.values["action.actor-permissions"] = columnText(permissions)
	}
	array := func(name string) []any { a, _ := columns[name].([]any); return a }
	at := func(a []any, i int) any {
		if i < len(a) {
			return a[i]
		}
		return nil
	}
	change := func(of map[string]any, list, name, old, new string) (out []readChange) {
		properties, _ := of[list].([]any)
		for _, p := range properties {
			p := p.(map[string]any)
			value := func(k string) string {
				if s := columnText(p[k]); s != "<null>" {
					return s
				}
				return ""
			}
			out = append(out, readChange{columnText(p[name]), value(old), value(new)})
		}
		return out
	}
	ids, names, targets := array("properties.TargetObjectIds"), array("properties.TargetDisplayNames"),
		array("properties.Targets")
	for i := range max(len(ids), len(names), len(targets)) {
		target := readTarget{id: strings.ToLower(columnText(at(ids, i)))}
		of, _ := at(targets, i).(map[string]any)
		for _, name := range []string{columnText(at(names, i)), columnText(of["Name"])} {
			if target.name == "" && saysAnything("", name) {
				target.name = name
			}
		}
		target.changes = change(of, "ModifiedProperties", "Name", "Old", "New")
		r.targets = append(r.targets, target)
	}
	for _, v := range array("resources") {
		of := v.(map[string]any)
		target := readTarget{id: strings.ToLower(columnText(of["resourceId"])), changes: change(of,
			"modifiedProperties", "displayName", "oldValue", "newValue")}
		if name := columnText(of["displayName"]); saysAnything("", name) {
			target.name = name
		}
		r.targets = append(r.targets, target)
	}
}

// heldReading is what the ledger holds, opened: of one device, or of one action.
type heldReading struct {
	columnsRead
	occurred    time.Time
	correlation uuid.UUID
	stream      schemas.Stream
}

// heldReadings folds the events of every device and action, values opened, without intake's own
// fold.
func (w *world) heldReadings() []*heldReading {
	w.t.Helper()
	by := map[schemas.Stream]*heldReading{}
	elements := map[schemas.Stream]map[string]string{}
	var out []*heldReading
	for _, r := range w.events() {
		if k := r.Stream.Kind(); k != "device" && k != "adminaction" {
			continue
		}
		d, err := schemas.Default().Decode(schemastest.Envelope(r))
		if err != nil {
			w.t.Fatal(err)
		}
		h := by[r.Stream]
		if h == nil {
			h = &heldReading{newReading(), d.Occurred, d.Correlation, r.Stream}
			by[r.Stream], elements[r.Stream] = h, map[string]string{}
			out = append(out, h)
		}
		for _, v := range d.Values {
			text := v.Text()
			if v.Token != "" {
				if text = w.openToken(d, v); strings.HasPrefix(text, `"`) {
					if err := json.Unmarshal([]byte(text), &text); err != nil {
						w.t.Fatal(err)
					}
				}
			}
			key := v.Attr.ID
			if e := v.Element(); e != "" {
				key += "[" + e + "]"
			}
			_, list := d.Type.Member(v.Attr)
			switch {
			case list && v.Removed:
				delete(elements[r.Stream], key)
			case list:
				elements[r.Stream][key] = text
			case v.Removed:
				delete(h.values, key)
			default:
				h.values[key] = text
			}
		}
	}
	for s, h := range by {
		for key, text := range elements[s] {
			attribute, _, _ := strings.Cut(key, "[")
			h.lists[attribute] = append(h.lists[attribute], entryForm(w.t, attribute, text))
		}
	}
	return out
}

func entryForm(t testing.TB, attribute, text string) string {
	m := decodedColumns(t, []byte(text))
	if attribute == "device.app" {
		return appForm(columnText(m["id"]), columnText(m["name"]), columnText(m["version"]),
			columnText(m["publisher"]),
			columnText(m["size"]))
	}
	return strings.ToLower(columnText(m["userId"])) + " at " + secondForm(columnText(m["lastLogOn"]))
}

func sameForm(attribute, a, b string) bool {
	if form := canonicalForms[attribute]; form != nil {
		return form(a) == form(b)
	}
	return strings.TrimSpace(a) == strings.TrimSpace(b)
}

// ownValues are values that the ledger makes itself.
var ownValues = []string{"action.withheld", "action.target-type"}

// inATable reports whether a table names the attribute.
func inATable(attribute string) bool {
	for _, columns := range []map[string]string{graphDeviceColumns, azureDeviceColumns, graphActionColumns,
		azureActionColumns} {
		for _, a := range columns {
			if a == attribute {
				return true
			}
		}
	}
	return attribute == "device.unlock-code-withheld" || attribute == "action.actor-permissions"
}

// compareValues names every column of which the ledger says something else, and every value of
// the ledger that no column accounts for.
// readings are all that were imported of the device or action: what one of them says may stand.
func compareValues(readings []sourceReading, got columnsRead) (faults []string) {
	toldBy := map[string][]string{}
	for _, r := range readings {
		for a, v := range r.values {
			if a != "occurred" && a != "correlation" {
				toldBy[a] = append(toldBy[a], v)
			}
		}
	}
	for _, a := range sortedKeys(toldBy) {
		value, is := got.values[a]
		// Of an action's two forms the first stays: what only the other tells may be missing.
		late := readings[0].kind == "action" && len(toldBy[a]) < len(readings)
		switch {
		case !is && late:
		case !is:
			faults = append(faults, a+" is told and the ledger does not hold it")
		case !slices.ContainsFunc(toldBy[a], func(v string) bool { return sameForm(a, v, value) }):
			faults = append(faults, a+" is not what the record says")
		}
	}
	for _, a := range sortedKeys(got.values) {
		if toldBy[a] != nil || slices.Contains(ownValues, a) || strings.Contains(a, "[") {
			continue
		}
		// An attribute that no table names yet may hold what some column says.
		literally := !inATable(a) && slices.ContainsFunc(readings, func(r sourceReading) bool {
			for _, v := range r.columns {
				if v != "" && sameForm(a, v, got.values[a]) {
					return true
				}
			}
			return false
		})
		if !literally {
			faults = append(faults, a+" is held and no column says it")
		}
	}
	lists := map[string]bool{}
	for _, r := range append([]sourceReading{{columnsRead: got}}, readings...) {
		for a := range r.lists {
			lists[a] = true
		}
	}
	for _, a := range sortedKeys(lists) {
		have := slices.Sorted(slices.Values(got.lists[a]))
		if !slices.ContainsFunc(readings,
			func(r sourceReading) bool { return slices.Equal(slices.Sorted(slices.Values(r.lists[a])), have) }) {
			faults = append(faults, fmt.Sprintf("%s has %d entries, and not those of the record", a, len(have)))
		}
	}
	return faults
}

// compareTargets compares what an action was done to: the device, resource or id, the name, and
// each changed property.
func (w *world) compareTargets(r sourceReading, got columnsRead) (faults []string) {
	for i, target := range r.targets {
		at := fmt.Sprintf("[%d]", i)
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("target %d: ",
				i)+fmt.Sprintf(format, args...))
		}
		device := w.deviceUUID(target.id)
		id, name := "", got.values["action.target-name"+at]
		for _, a := range []string{"action.target-resource", "action.target-id"} {
			if v := got.values[a+at]; v != "" {
				id = strings.ToLower(v)
			}
		}
		if v := got.values["action.target-device"+at]; v != "" {
			if id = ""; device != "" && v == device {
				id = target.id
			}
		}
		if saysAnything("", target.id) && id != target.id {
			fault("its id is another")
		}
		if name != target.name && saysAnything("", target.name) {
			fault("its name is another")
		}
		var changes []struct {
			Name, Old, New string
			Withheld       bool
		}
		if text := got.values["action.changes"+at]; text != "" {
			if err := json.Unmarshal([]byte(text), &changes); err != nil {
				fault("its changes cannot be read: %v", err)
				continue
			}
		}
		if len(changes) != len(target.changes) {
			fault("%d changed properties are told and %d held", len(target.changes), len(changes))
			continue
		}
		for n, c := range target.changes {
			have := changes[n]
			switch script := strings.Contains(c.name, "ScriptContent"); {
			case have.Name != c.name:
				fault("property %d has another name", n)
			case have.Withheld != script:
				fault("property %d is withheld: %v", n, have.Withheld)
			case !script && (have.Old != c.old || have.New != c.new):
				fault("property %d has other values", n)
			}
		}
	}
	if got.values[fmt.Sprintf("action.target-name[%d]", len(r.targets))] != "" {
		faults = append(faults, "there are more targets than the record names")
	}
	return faults
}

// deviceUUID is our own uuid of the device with that Intune id, "" for none.
func (w *world) deviceUUID(id string) (out string) {
	w.t.Helper()
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		d, found, err := tx.FindDevice(vault.DeviceHint{IntuneID: id})
		if found {
			out = d.ID.String()
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// source is the record as a file of its own, in the form in which its source delivers it.
func (r sourceReading) source() string {
	if r.context != "" && !bytes.Contains(r.raw, []byte(`"@odata.`)) {
		return `{"@odata.context":` + string(schemas.JSON(r.context)) + `,"value":[` + string(r.raw) + `]}`
	}
	return string(r.raw)
}

// compareReadings imports records together and compares each device and action with them.
func compareReadings(t *testing.T, what string, records []sourceReading) {
	t.Helper()
	w := newWorld(t, true)
	files := map[string]string{}
	for i, r := range records {
		files[fmt.Sprintf("%03d.json", i)] = r.source()
	}
	if s := w.importFiles(files); !s.OK() {
		t.Errorf("%s: not all of %d records is taken: %d failed", what, len(records), s.FailedCount)
	}
	holds := w.heldReadings()
	done := map[string]bool{}
	for _, r := range records {
		if done[r.kind+r.id] {
			continue
		}
		done[r.kind+r.id] = true
		var of []sourceReading
		for _, other := range records {
			if other.kind == r.kind && other.id == r.id {
				of = append(of, other)
			}
		}
		h := w.heldOf(r, of, holds)
		if h == nil {
			t.Errorf("%s: the ledger holds no such %s", what, r.kind)
			continue
		}
		faults := compareValues(of, h.columnsRead)
		if r.kind == "action" {
			faults = append(faults, w.compareAction(of, h)...)
		}
		for _, f := range faults {
			t.Errorf("%s, a %s: %s", what, r.kind, f)
		}
	}
}

// heldOf finds a device by its id, and an action by its time and correlation.
func (w *world) heldOf(r sourceReading, of []sourceReading, holds []*heldReading) *heldReading {
	var stream schemas.Stream
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		stream = tx.FactStream("adminaction", "intune/auditEvent", r.id)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if r.kind == "device" {
		stream = schemas.Stream("device-" + w.deviceUUID(r.id))
	}
	for _, h := range holds {
		if h.stream == stream {
			return h
		}
	}
	return nil
}

func (w *world) compareAction(of []sourceReading, h *heldReading) (faults []string) {
	first := func(r sourceReading) bool { // the form that came first stays
		at, err := independentTime(r.values["occurred"])
		return err == nil && at.Truncate(time.Millisecond).Equal(h.occurred)
	}
	i := slices.IndexFunc(of, first)
	if i < 0 {
		return []string{"it happened at another time"}
	}
	err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) error {
		id := strings.ToLower(of[i].values["correlation"])
		said := saysAnything("", id)
		if said != (h.correlation != uuid.Nil) || said && tx.Correlation(id) != h.correlation {
			faults = append(faults, "its correlation is another")
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var best []string
	for n, r := range of {
		if f := w.compareTargets(r, h.columnsRead); n == 0 || len(f) < len(best) {
			best = f
		}
	}
	return append(faults, best...)
}

// readSources reads every record of known kinds in the files of a folder: lines, pages, single
// ones, Event Hubs' batches.
func readSources(t testing.TB, dir string) (out []sourceReading) {
	t.Helper()
	var read func(raw json.RawMessage, context string)
	read = func(raw json.RawMessage, context string) {
		var m struct {
			Context string            `json:"@odata.context"`
			Value   []json.RawMessage `json:"value"`
			Records []json.RawMessage `json:"records"`
		}
		if json.Unmarshal(raw, &m) == nil && (m.Value != nil || m.Records != nil) {
			for _, r := range append(m.Value, m.Records...) {
				read(r, m.Context)
			}
			return
		}
		if r, ok := readSource(t, raw, context); ok {
			out = append(out, r)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(path), "json") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for dec := json.NewDecoder(bytes.NewReader(content)); dec.More(); {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			if raw[0] == '{' {
				read(raw, "")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWhatTheLedgerHoldsIsWhatAnIndependentReadingSays: five devices and five actions of the
// invented fleet in each of their sources' forms,
// each alone and all together.
func TestWhatTheLedgerHoldsIsWhatAnIndependentReadingSays(t *testing.T) {
	cfg := fleet.Sized(40)
	cfg.Days, cfg.Tenant, cfg.DetailPerDay, cfg.GraphShare, cfg.GraphAuditShare = 2, sourceTenant, 5, 1, 0.8
	dir := t.TempDir() + "/fleet"
	if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	var chosen []sourceReading
	count := map[string]int{}
	forms := map[string][]string{} // form → ownership of the devices chosen, so that they differ
	for _, r := range readSources(t, dir) {
		form := r.kind + " of Azure Monitor"
		switch {
		case strings.Contains(r.context, "detectedApps"):
			form = "device of Graph with its apps"
		case r.context != "":
			form = r.kind + " of Graph"
		}
		own := r.values["device.ownership"] + r.values["device.operating-system"] + r.values["action.verb"] +
			r.values["action.target-name"]
		if count[form] == 5 || count[form] < 4 && slices.Contains(forms[form], own) &&
			form != "device of Graph with its apps" {
			continue
		}
		count[form]++
		forms[form] = append(forms[form], own)
		chosen = append(chosen, r)
		compareReadings(t, form, []sourceReading{r})
	}
	for _, form := range []string{"device of Azure Monitor", "device of Graph", "device of Graph with its apps",
		"action of Azure Monitor", "action of Graph"} {
		if count[form] != 5 {
			t.Errorf("%d records are a %s, want 5", count[form], form)
		}
	}
	compareReadings(t, "all together", chosen)
}
