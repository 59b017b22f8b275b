//go:build canary

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// object is a JSON object of a source.
type object = map[string]any

// canaryWorld is what the test knows of the records that it wrote.
type canaryWorld struct {
	*canaryPlan
	tenantName, tenantID, operator *canary
	anna, bram, chris, admin       canaryPerson
	controls                       []string  // ids of the positive controls
	devices                        []*canary // Intune ids
	personal                       *canary   // anna's own device
	day1, day2                     string    // folders
	marked                                   // what stands in positions that may be open
}

// graphDevice is a managedDevice with a canary in every protected attribute: identifiers are
// ids', the rest is its user's.
func (w *canaryWorld) graphDevice(ids keeper, user canaryPerson, ownership string, synced time.Time) object {
	id := w.guid(ids, string(ids)+" Intune id")
	w.devices = append(w.devices, id)
	word := func(k keeper, attribute string) string { return w.word(k, "").of(attribute) }
	moment := func(attribute string) string { return w.moment(ids, "").of(attribute) + ".1234567Z" }
	return object{
		"@odata.type": "#microsoft.graph.managedDevice",
		"id":          id.of("device.intune-id"), "azureADDeviceId": w.guid(ids,
			string(ids)+" directory id").of("device.directory-id"),
		"deviceName":        word(user.in, "device.name") + "_Windows",
		"managedDeviceName": word(user.in, "device.management-name") + "_7/1/2026",
		"serialNumber":      word(ids, "device.serial-number"), "imei": w.digits(ids, "", 15).of("device.imei"),
		"meid": w.hex(ids, "", 14).of("device.meid"),
		"udid": w.hex(ids, "", 40).of("device.udid"), "iccid": w.digits(ids, "", 19).of("device.iccid"),
		"wiFiMacAddress":            w.mac(ids, "").of("device.wifi-mac"),
		"ethernetMacAddress":        w.mac(ids, "").of("device.ethernet-mac"),
		"phoneNumber":               "+" + w.digits(user.in, "", 14).of("device.phone-number"),
		"easDeviceId":               w.hex(ids, "", 32).of("device.eas-id"),
		"deviceCategoryDisplayName": word(ids, "device.category"),
		"notes":                     "called \"" + word(ids, "device.notes") + "\" <back>",
		"enrolledDateTime":          moment("device.enrolled-at"), "lastSyncDateTime": synced.Format(time.RFC3339),
		"managementCertificateExpirationDate":     moment("device.certificate-expires"),
		"retireAfterDateTime":                     moment("device.retire-after"),
		"complianceGracePeriodExpirationDateTime": moment("device.grace-until"),
		"managedDeviceOwnerType":                  ownership,
		"userId":                                  user.id.of("device.user-id"),
		"userDisplayName":                         user.name.of("device.user-name") + " de Vries",
		"userPrincipalName":                       user.upn.of("device.user-upn") + canaryDomain,
		"emailAddress":                            user.email.of("device.user-email") + canaryDomain,
		"hardwareInformation": object{
			"serialNumber":                  w.word(never, string(ids)+" serial that contradicts the device's").text,
			"deviceFullQualifiedDomainName": word(user.in, "device.host-name") + ".corp.example",
			"ipAddressV4":                   "2001:db8:" + w.ip(user.in, "").of("device.ip-address"),
			"subnetAddress":                 "2001:db8:" + w.ip(user.in, "").of("device.subnet"),
			"wifiMac":                       w.mac(never, string(ids)+" MAC that contradicts the device's").text,
			"someNewSetting":                w.word(never, string(ids)+" unknown field of the hardware").text,
		},
		"activationLockBypassCode": w.word(never, string(ids)+" unlock code").text,
		"aNewField":                w.word(never, string(ids)+" unknown field").text,
		w.word(shown, string(ids)+" name of an unknown field").text: "x",
		"deviceActionResults": []any{object{"actionName": "locateDevice",
			"deviceLocation": object{"latitude": w.word(never, string(ids)+" location").text}}},
		"location":                    w.word(never, string(ids)+" location field").text,
		"detectedApps@odata.nextLink": "",
	}
}

func (w *canaryWorld) app(k keeper) object {
	attribute := "device.app"
	word := func(what string) *canary { return w.word(k, string(k)+" "+what) }
	texts := []*canary{word("app id"), word("app name"), word("app version"), word("app publisher")}
	if k != never {
		for _, c := range texts {
			c.of(attribute)
		}
	}
	return object{"id": texts[0].text, "displayName": texts[1].text, "version": texts[2].text,
		"publisher": texts[3].text, "sizeInByte": 4096, "deviceCount": 3}
}

func (w *canaryWorld) loggedOn(who canaryPerson) object {
	return object{"userId": who.id.of("device.logged-on-user"),
		"lastLogOnDateTime": w.moment(who.in, "").of("device.logged-on-user") + "Z"}
}

// account is the person's account in the directory, with a canary in every attribute: what has a
// shape misses it, and so has to be sealed.
func (w *canaryWorld) account(p canaryPerson) object {
	word := func(attribute string) string { return w.word(p.in, "").of(attribute) }
	moment := func(attribute string) string { return w.moment(p.in, "").of(attribute) + ".1234567Z" }
	guid := func() string { return w.guid(p.in, "").of("account.licence") }
	return object{
		"@odata.type": "#microsoft.graph.user", "id": p.id.of("account.id"),
		"displayName": p.name.of("account.display-name") + " de Vries",
		"givenName":   word("account.given-name"), "surname": word("account.family-name"),
		"userPrincipalName": p.upn.of("account.upn") + canaryDomain,
		"mail":              p.email.of("account.mail") + canaryDomain,
		"mobilePhone":       "+" + w.digits(p.in, "", 14).of("account.mobile-phone"),
		"businessPhones":    []any{"+" + w.digits(p.in, "", 14).of("account.business-phone")},
		"accountEnabled":    word("account.enabled"), "userType": word("account.user-type"),
		"jobTitle": word("account.job-title"), "department": word("account.department"),
		"officeLocation": word("account.office"), "preferredLanguage": word("account.language"),
		"createdDateTime": moment("account.created-at"), "deletedDateTime": moment("account.deleted-at"),
		"assignedLicenses": []any{object{"skuId": guid(), "disabledPlans": []any{guid()}}},
		"aboutMe":          w.word(never, string(p.in)+" unknown field of the account").text,
		"photos":           []any{w.word(never, string(p.in)+" photo").text},
	}
}

// inOrder makes a seed say the same each time.
func inOrder(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// stand puts the positive controls into a device.
func (w *canaryWorld) stand(d object) {
	stem := w.stem()
	for field, attribute := range inOrder(map[string]string{"manufacturer": "device.manufacturer",
		"model": "device.model", "operatingSystem": "device.operating-system",
		"subscriberCarrier": "device.carrier", "skuFamily": "device.sku-family"}) {
		d[field] = w.control(stem, attribute)
	}
	d["osVersion"], d["complianceState"], d["isEncrypted"], d["managementState"] = "10.0.26100.1",
		"compliant", true, "managed"
}

// miss gives every open attribute of a device a value that has not its
// shape, and so has to be sealed.
func (w *canaryWorld) miss(d object, k keeper) {
	missed := func(attribute string) *canary { return w.word(k, "missed shape of "+attribute) }
	for field, attribute := range inOrder(map[string]string{"manufacturer": "device.manufacturer",
		"model": "device.model", "operatingSystem": "device.operating-system",
		"subscriberCarrier": "device.carrier", "skuFamily": "device.sku-family", "deviceType": "device.device-type",
		"deviceEnrollmentType": "device.enrolment-type",
		"managementAgent":      "device.management-agent"}) {
		d[field] = missed(attribute).of(attribute) + " of “home” & co"
	}
	for field, attribute := range inOrder(map[string]string{"osVersion": "device.os-version",
		"androidSecurityPatchLevel": "device.security-patch-level", "easActivated": "device.eas-activated",
		"processorArchitecture": "device.processor", "chassisType": "device.chassis", "joinType": "device.join-type",
		"deviceRegistrationState": "device.registration-state",
		"managementState":         "device.management-state", "isSupervised": "device.supervised",
		"lostModeState": "device.lost-mode", "autopilotEnrolled": "device.autopilot-enrolled",
		"complianceState": "device.compliance-state", "isEncrypted": "device.encrypted",
		"jailBroken": "device.jail-broken", "partnerReportedThreatState": "device.threat-state"}) {
		d[field] = missed(attribute).of(attribute)
	}
	for field, attribute := range inOrder(map[string]string{"totalStorageSpaceInBytes": "device.storage-total",
		"freeStorageSpaceInBytes": "device.storage-free", "physicalMemoryInBytes": "device.memory",
		"windowsActiveMalwareCount":     "device.malware-active",
		"windowsRemediatedMalwareCount": "device.malware-remediated"}) {
		d[field] = json.Number("-" + w.digits(k, "missed shape of "+attribute, 15).of(attribute))
	}
	d["hardwareInformation"].(object)["operatingSystemEdition"] = missed("device.os-edition").of("device.os-edition") +
		" & co"
}

// detail gives a device a canary in each attribute of its security and set-up: what has a shape
// misses it.
func (w *canaryWorld) detail(d object, ids keeper, user canaryPerson) {
	put := func(o object, fields map[string]string) object {
		for field, attribute := range inOrder(fields) {
			o[field] = w.word(ids, "").of(attribute) + " of “home” & co"
		}
		return o
	}
	number := func(attribute string, n int) json.Number {
		return json.Number("-" + w.digits(ids, "missed shape of "+attribute, n).of(attribute))
	}
	moment := func(attribute string) string { return w.moment(ids, "").of(attribute) + "Z" }
	put(d, map[string]string{"exchangeAccessState": "device.exchange-access",
		"exchangeAccessStateReason":                   "device.exchange-reason",
		"requireUserEnrollmentApproval":               "device.approval-required",
		"enrollmentProfileName":                       "device.enrolment-profile",
		"remoteAssistanceSessionErrorDetails":         "device.assistance-error",
		"bootstrapTokenEscrowed":                      "device.bootstrap-token",
		"deviceFirmwareConfigurationInterfaceManaged": "device.firmware-managed"})
	d["exchangeLastSuccessfulSyncDateTime"] = moment("device.exchange-sync")
	d["easActivationDateTime"] = moment("device.eas-activated-at")
	d["preferMdmOverGroupPolicyAppliedDateTime"] = moment("device.mdm-over-policy-at")
	d["roleScopeTagIds"] = []any{w.word(ids, "").of("device.scope-tags")}
	d["remoteAssistanceSessionUrl"] = "https://assist.example/?token=" + w.word(never, "token of a session").text
	word := func(attribute string) string { return w.word(ids, "").of(attribute) }
	d["securityBaselineStates"] = []any{object{"securityBaselineTemplateId": word("device.baseline"),
		"displayName": word("device.baseline"), "state": word("device.baseline")}}
	d["deviceHealthAttestationState"] = put(object{"issuedDateTime": moment("device.attested-at"),
		"pcr0": w.word(never, "measurement").text}, map[string]string{
		"deviceHealthAttestationStatus": "device.attestation-status", "secureBoot": "device.attested-secure-boot",
		"bitLockerStatus": "device.attested-bitlocker", "codeIntegrity": "device.attested-code-integrity",
		"bootDebugging":                  "device.attested-boot-debugging",
		"operatingSystemKernelDebugging": "device.attested-kernel-debugging",
		"testSigning":                    "device.attested-test-signing", "safeMode": "device.attested-safe-mode",
		"windowsPE":                              "device.attested-windows-pe",
		"earlyLaunchAntiMalwareDriverProtection": "device.attested-early-launch",
		"virtualSecureMode":                      "device.attested-virtual-secure-mode",
		"dataExcutionPolicy":                     "device.attested-execution-prevention"})
	d["configurationManagerClientHealthState"] = put(object{"errorCode": number("device.config-manager-error", 17),
		"lastSyncDateTime": moment("device.config-manager-contact")},
		map[string]string{"state": "device.config-manager-state"})
	d["configurationManagerClientInformation"] = object{"clientIdentifier": word("device.config-manager-id"),
		"clientVersion": word("device.config-manager-version"), "isBlocked": word("device.config-manager-blocked")}
	h := put(d["hardwareInformation"].(object), map[string]string{
		"tpmSpecificationVersion": "device.tpm-specification", "tpmVersion": "device.tpm-version",
		"tpmManufacturer": "device.tpm-manufacturer", "systemManagementBIOSVersion": "device.bios-version",
		"deviceGuardVirtualizationBasedSecurityState":                    "device.virtualization-security",
		"deviceGuardVirtualizationBasedSecurityHardwareRequirementState": "device.virtualization-hardware",
		"deviceGuardLocalSystemAuthorityCredentialGuardState":            "device.credential-guard",
		"deviceLicensingStatus":                                          "device.licensing-state",
		"productName":                                                    "device.product-name",
		"cellularTechnology":                                             "device.cellular-technology",
		"isSharedDevice":                                                 "device.shared"})
	h["esimIdentifier"] = w.digits(ids, "", 32).of("device.esim-id")
	h["batterySerialNumber"] = word("device.battery-serial")
	h["residentUsersCount"], h["batteryHealthPercentage"] = number("device.resident-users", 12),
		number("device.battery-health", 12)
	h["batteryChargeCycles"] = number("device.battery-cycles", 12)
	h["wiredIPv4Addresses"] = []any{"2001:db8:" + w.ip(user.in, "").of("device.wired-ip")}
	h["sharedDeviceCachedUsers"] = []any{object{"userPrincipalName": w.word(chris, "").of("device.cached-user") +
		canaryDomain}}
}

// encryption is the state of a device's encryption, with a canary in every attribute.
func (w *canaryWorld) encryption(id string, ids keeper) object {
	word := func(attribute string) string { return w.word(ids, "").of(attribute) }
	return object{"@odata.type": "#microsoft.graph.managedDeviceEncryptionState", "id": id,
		"userPrincipalName":        w.word(never, "user of an encryption state").text + canaryDomain,
		"encryptionReadinessState": word("device.encryption-readiness"),
		"encryptionState":          word("device.encryption-state"), "fileVaultStates": word("device.filevault-state"),
		"encryptionPolicySettingState": word("device.encryption-policy-state"),
		"advancedBitLockerStates":      word("device.bitlocker-state"),
		"policyDetails": []any{object{"policyId": word("device.encryption-policy"),
			"policyName": word("device.encryption-policy") + " of Anna"}}}
}

// complianceOrg is the state of a device as reports on compliance tell it.
func (w *canaryWorld) complianceOrg(id string, ids keeper, at time.Time) object {
	return object{"time": at.Format(time.RFC3339), "tenantId": w.tenantID.text, "category": "DeviceComplianceOrg",
		"operationName": "DeviceCompliance", "properties": object{"DeviceId": id,
			"DeviceHealthThreatLevel": w.word(ids, "").of("device.threat-level"),
			"BatchId":                 w.guid(never, "batch id of a report on compliance").text}}
}

// alert is a record of the operational logs with a canary in every attribute.
func (w *canaryWorld) alert(device string, user canaryPerson, at time.Time) object {
	word := func(attribute string) string { return w.word(user.in, "").of(attribute) }
	ours := func(attribute string) string { return w.word(tenants, "missed shape of "+attribute).of(attribute) }
	return object{"time": at.Format(time.RFC3339), "tenantId": w.tenantID.text, "category": "OperationalLogs",
		"operationName": "Compliance", "resultType": ours("alert.result"), "properties": object{
			"OperationalLogCategory": ours("alert.category"), "AlertType": ours("alert.kind"),
			"AlertDisplayName": "Managed Device " + word("alert.title"),
			"Description": w.word(user.in, "").of("alert.policy", "alert.description") + "." +
				w.word(user.in, "").of("alert.setting", "alert.description") + "||of “home” & co",
			"DeviceName": word("alert.device-name"), "DeviceOperatingSystem": word("alert.operating-system") + " 1." +
				word("alert.os-version"), "EnrollmentType": word("alert.enrolment-type"),
			"FailureCategory": word("alert.failure-category"), "FailureReason": word("alert.failure-reason") + " & co",
			"IntuneDeviceId": device, "IntuneUserId": user.id.of("alert.user-id"),
			"UserName": user.upn.of("alert.user-upn"), "UPNSuffix": strings.TrimPrefix(canaryDomain, "@"),
			"UserDisplayName": user.name.of("alert.user-name") + " de Vries",
			"MessageId":       w.guid(native, "message id of an alert").text,
			"DeviceDnsDomain": w.word(never, "domain of an alert's device").text}}
}

// betray puts what the record tells of its person and device into places that
// stand open by their shape.
func (w *canaryWorld) betray(d object) {
	plant := func(field, attribute, from, dress string) {
		text := strings.TrimPrefix(d[from].(string), "+")
		text, _, _ = strings.Cut(strings.TrimSuffix(text, canaryDomain), " ")
		i := slices.IndexFunc(w.all, func(c *canary) bool { return c.text == text })
		if i < 0 {
			panic("no canary is planted as " + from)
		}
		d[field] = dress + w.all[i].of(attribute)
	}
	plant("model", "device.model", "userDisplayName", "laptop van ")
	plant("operatingSystem", "device.operating-system", "userPrincipalName", "OS van ")
	plant("subscriberCarrier", "device.carrier", "phoneNumber", "")
	plant("manufacturer", "device.manufacturer", "serialNumber", "")
	plant("skuFamily", "device.sku-family", "wiFiMacAddress", "SKU ")
	plant("totalStorageSpaceInBytes", "device.storage-total", "imei", "")
}

// azureDevice is a record of the Devices category.
func (w *canaryWorld) azureDevice(ids keeper, user canaryPerson, at time.Time) object {
	word := func(k keeper, attribute string) string { return w.word(k, "").of(attribute) }
	moment := func(attribute string) string { return w.moment(ids, "").of(attribute) }
	id := w.guid(ids, string(ids)+" Intune id of Azure Monitor")
	w.devices = append(w.devices, id)
	return object{"time": at.Format(time.RFC3339), "tenantId": w.tenantID.text, "category": "Devices",
		"operationName": "Devices", "resultType": "None", "properties": object{
			"DeviceId": id.of("device.intune-id"), "ReferenceId": w.guid(ids,
				string(ids)+" directory id of Azure Monitor").of("device.directory-id"),
			"DeviceName": word(user.in, "device.name"), "ManagedDeviceName": word(user.in, "device.management-name"),
			"SerialNumber": word(ids, "device.serial-number"),
			"IMEI":         w.digits(ids, "", 15).of("device.imei"), "MEID": w.hex(ids, "", 14).of("device.meid"),
			"WifiMacAddress": w.mac(ids, "").of("device.wifi-mac"),
			"PhoneNumber":    w.digits(user.in, "", 12).of("device.phone-number"),
			"EasID":          w.hex(ids, "", 32).of("device.eas-id"), "CategoryName": word(ids, "device.category"),
			"CreatedDate": moment("device.enrolled-at"), "LastContact": moment("device.last-contact"),
			"InGracePeriodUntil": moment("device.grace-until"), "Ownership": "Corporate",
			"PrimaryUser": user.id.of("device.user-id"), "UserName": user.name.of("device.user-name"),
			"UPN":       user.upn.of("device.user-upn") + canaryDomain,
			"UserEmail": user.email.of("device.user-email") + canaryDomain,
			"Model":     w.control("Z", "model from Azure Monitor"), "BatchId": w.guid(never, "batch id").text,
			"IntuneAccountId": w.guid(never, "Intune account id").text, "AADTenantId": w.tenantID.text,
			"Surprise": w.word(never, "unknown field of Azure Monitor's device").text,
		}}
}

// change is a modified property of a target, kept for the target's person.
func (w *canaryWorld) change(k keeper, name, old, new string) object {
	word := func(what string) string {
		return w.word(k, string(k)+" "+what+" of a changed property").of("action.changes")
	}
	return object{name: word("name"), old: word("old value") + " of old", new: word("new value") + " of \"new\" & co"}
}

// secrets are modified properties whose values may be stored nowhere.
func (w *canaryWorld) secrets(name, old, new string) []any {
	script := "Write-Output 'start'\r\n# " + w.word(never, "script").text + "\r\n"
	var wide []byte
	for _, r := range "powershell " + w.word(never, "script in UTF-16").text {
		wide = append(wide, byte(r), 0)
	}
	return []any{
		object{name: "WifiPassword", old: w.word(never, "old password").text, new: w.word(never, "new password").text},
		object{name: "ScriptContent", old: "<null>", new: base64.StdEncoding.EncodeToString([]byte(script))},
		object{name: "Remark", old: "<null>", new: base64.StdEncoding.EncodeToString(wide)},
		object{name: "Setting", old: nil, new: script},
		object{name: "Remark", old: "-----BEGIN PRIVATE KEY----- " + w.word(never, "private key").text, new: "x"},
	}
}

func (w *canaryWorld) auditLog(target canaryPerson, at time.Time) object {
	word := func(k keeper, attribute string) string { return w.word(k, "").of(attribute) }
	return object{"time": at.Format("2006-01-02T") + w.fraction("fraction of a log record's second", at).text + "Z",
		"tenantId": w.tenantID.text, "category": "AuditLogs", "operationName": "Patch User",
		"identity": w.admin.upn.text + canaryDomain, "correlationId": w.guid(native,
			"correlation id of Azure Monitor").text, "properties": object{
			"AuditEventId": w.guid(native, "audit event id of Azure Monitor").text,
			"ActivityDate": at.Format("1/2/2006 3:04:05 PM"), "ActivityType": 2,
			"ActivityResultStatus": 1, "Category": 4,
			"AdditionalDetails": "because of " + w.word(target.in, "").of("action.details") + " & co",
			"AADTenantId":       w.tenantID.text, "IntuneAccountId": w.guid(never,
				"Intune account id of an audit log").text,
			"Actor": object{"ActorType": "ItPro", "Application": w.word(admin,
				"missed shape of action.application-id").of("action.application-id"),
				"ApplicationName":  word(admin, "action.application-name") + " Portal",
				"IsDelegatedAdmin": w.word(tenants, "missed shape of action.delegated").of("action.delegated"),
				"ObjectId":         w.admin.id.of("action.actor-id"),
				"PartnerTenantId":  w.guid(tenants, "").of("action.partner-tenant"),
				"UPN":              w.admin.upn.of("action.actor-upn") + canaryDomain,
				"Name":             w.admin.name.of("action.actor-name"),
				"UserPermissions":  []any{word(admin, "action.actor-permissions"), "*"},
				"Mood":             w.word(never, "unknown field of an actor").text},
			"TargetObjectIds":    []any{target.id.of("action.target-id")},
			"TargetDisplayNames": []any{word(target.in, "action.target-name")},
			"Targets": []any{object{"Name": target.name.text,
				"ModifiedProperties": append([]any{w.change(target.in, "Name", "Old", "New")},
					w.secrets("Name", "Old", "New")...)}},
		}}
}

func (w *canaryWorld) auditEvent(at time.Time, device *canary) object {
	word := func(k keeper, attribute string) string { return w.word(k, "").of(attribute) }
	return object{"id": w.guid(native, "audit event id of Graph").text, "displayName": "Patch ManagedDevice",
		"componentName": "ManagedDevices",
		"activity":      nil, "activityDateTime": at.Format("2006-01-02T") +
			w.fraction("fraction of an action's second", at).text + "Z", "activityType": "Patch ManagedDevice",
		"activityOperationType": "Patch",
		"activityResult":        "Success", "correlationId": w.guid(native, "correlation id of Graph").text,
		"category": "Device",
		"actor": object{"auditActorType": "ItPro", "userPermissions": []any{word(admin, "action.actor-permissions")},
			"applicationId":          "5926fc8e-304e-4f59-8bed-58ca97cc39a4",
			"applicationDisplayName": word(admin, "action.application-name"),
			"userPrincipalName":      w.admin.upn.of("action.actor-upn") + canaryDomain,
			"servicePrincipalName":   word(admin, "action.actor-name"),
			"ipAddress":              "2001:db8:" + w.ip(admin, "").of("action.actor-ip"),
			"userId":                 w.admin.id.of("action.actor-id"),
			"remoteTenantId":         w.guid(tenants, "").of("action.partner-tenant")},
		"resources": []any{
			object{"displayName": word(tenants, "action.target-name"), "auditResourceType": "ManagedDevice",
				"resourceId": device.text,
				"modifiedProperties": append([]any{w.change(tenants, "displayName", "oldValue", "newValue")},
					w.secrets("displayName", "oldValue", "newValue")...)},
			object{"displayName": word(tenants, "action.target-name"),
				"auditResourceType": w.word(tenants, "missed shape of action.target-type").of("action.target-type"),
				"resourceId":        w.guid(tenants, "").of("action.target-id"), "modifiedProperties": []any{}},
		}}
}

// missedAction is an action whose open attributes all miss their shapes.
func (w *canaryWorld) missedAction(at time.Time) object {
	missed := func(attribute string) string { return w.word(tenants, "missed shape of "+attribute).of(attribute) }
	return object{"@odata.type": "#microsoft.graph.auditEvent",
		"id": w.guid(native, "audit event id of missed shapes").text, "componentName": missed("action.component"),
		"activity": missed("action.activity-type"), "activityDateTime": at.Format(time.RFC3339),
		"activityType":          missed("action.operation"),
		"activityOperationType": missed("action.verb"), "activityResult": missed("action.result"),
		"correlationId": w.guid(native, "correlation id of missed shapes").text,
		"displayName":   missed("action.display-name"), "category": missed("action.category"),
		"actor": object{"auditActorType": missed("action.actor-type"),
			"userPrincipalName": w.admin.upn.text + canaryDomain, "userId": w.admin.id.text},
		"resources": []any{}}
}

// asked are remote actions on devices of one person: as the service lists one, as an audit log of
// one that was not taken tells it, and as a device's record has its result.
func (w *canaryWorld) asked(of canaryPerson, at time.Time, on object) (listed, audited object) {
	word := func(k keeper, attribute string) string { return w.word(k, "").of(attribute) }
	missed := func(attribute string) string { return w.word(tenants, "missed shape of "+attribute).of(attribute) }
	listed = object{"@odata.type": "#microsoft.graph.remoteActionAudit",
		"id": w.guid(native, "id of a remote action audit").text, "managedDeviceId": w.guid(native,
			"device of a remote action audit").text,
		"deviceActionId":               w.guid(native, "id of an action on a device").text,
		"bulkDeviceActionId":           w.guid(native, "id of a bulk action").text,
		"deviceDisplayName":            word(of.in, "remoteaction.device-name"),
		"userName":                     w.admin.name.of("remoteaction.actor-name"),
		"initiatedByUserPrincipalName": w.admin.upn.of("remoteaction.actor-upn") + canaryDomain,
		"action":                       missed("remoteaction.action"),
		"requestDateTime":              at.Format(time.RFC3339),
		"deviceOwnerUserPrincipalName": of.upn.of("remoteaction.user-upn") + canaryDomain,
		"deviceIMEI":                   w.digits(native, "IMEI of a remote action audit", 15).text,
		"actionState":                  missed("remoteaction.state"),
		"mood":                         w.word(never, "unknown field of a remote action audit").text,
		"deviceLocation":               w.word(never, "location in a remote action audit").text,
	}
	audited = object{"time": at.Format(time.RFC3339), "tenantId": w.tenantID.text, "category": "AuditLogs",
		"operationName": "wipe ManagedDevice", "identity": w.admin.upn.text + canaryDomain, "resultType": "Failure",
		"resultDescription": "because of " + word(tenants, "remoteaction.failure"), "properties": object{
			"AuditEventId": w.guid(native, "audit event id of a remote task").text,
			"ActivityDate": at.Format("1/2/2006 3:04:05 PM"), "ActivityType": 3, "ActivityResultStatus": 0,
			"Actor": object{"ActorType": 1, "ObjectId": w.admin.id.of("remoteaction.actor-id"),
				"UPN": w.admin.upn.text + canaryDomain},
			"TargetObjectIds": []any{w.guid(tenants, "target of a remote task").of("action.target-id")},
			"Targets":         []any{object{"ModifiedProperties": []any{}}}}}
	results, _ := on["deviceActionResults"].([]any)
	on["deviceActionResults"] = append(results, object{"actionName": "resetPasscode", "actionState": "failed",
		"startDateTime": at.Format(time.RFC3339), "lastUpdatedDateTime": at.Format(time.RFC3339),
		"errorCode": missed("remoteaction.error-code"), "passcode": w.word(never, "passcode of a result").text,
		"unlockPin": w.word(never, "PIN of a result").text, "mood": w.word(never, "unknown field of a result").text,
		"deviceLocation": object{"latitude": w.word(never, "latitude of a result").text}})
	return listed, audited
}

// openPositions are actions that give the ids of persons and devices in every place where
// another id may stand open.
func (w *canaryWorld) openPositions(at time.Time, device *canary) (out []any) {
	for _, kind := range []string{"DeviceConfiguration", "WindowsAutopilotDeploymentProfile", "MobileAppAssignment",
		"DeviceCategory", "MobileApp", "Unheard"} {
		for _, id := range []*canary{w.admin.id, w.anna.id, w.bram.id, device} {
			out = append(out, object{"@odata.type": "#microsoft.graph.auditEvent",
				"id":               w.guid(native, "audit event id of an open position").text,
				"activityDateTime": at.Format(time.RFC3339), "activityType": "Patch " + kind,
				"actor": object{"auditActorType": "ItPro", "userId": w.admin.id.text, "applicationId": id.text,
					"remoteTenantId": id.text},
				"resources": []any{object{"auditResourceType": kind, "resourceId": id.text}}})
		}
	}
	return out
}

// otherwise is the same action as another form tells it: in everything that it
// says otherwise is a canary.
func (w *canaryWorld) otherwise(event object) object {
	other := object{}
	for k, v := range event {
		other[k] = v
	}
	actor, target := object{}, object{}
	for k, v := range event["actor"].(object) {
		actor[k] = v
	}
	for k, v := range event["resources"].([]any)[1].(object) {
		target[k] = v
	}
	actor["ipAddress"] = "2001:db8:" + w.ip(admin, "").of("action.disputed-value")
	target["displayName"] = w.word(tenants, "").of("action.disputed-target-value")
	other["actor"], other["resources"] = actor, []any{target}
	return other
}

// newCanaryWorld writes the records of two days below dir.
func newCanaryWorld(t *testing.T, dir string) *canaryWorld {
	w := &canaryWorld{canaryPlan: newCanaryPlan(t)}
	w.tenantName, w.tenantID, w.operator = w.word(tenants, "tenant name"), w.guid(tenants, "source tenant"),
		w.word(officer, "operator's login")
	w.tenantName.of("tenant.name")
	w.tenantID.of("tenant.source")
	w.operator.of("access.officer")
	w.anna, w.bram, w.admin = w.person(anna), w.person(bram), w.person(admin)
	w.chris = canaryPerson{in: chris, id: w.guid(chris, "chris object id")}

	folder := filepath.Join(dir, w.word(shown, "name of a folder").text)
	w.day1, w.day2 = filepath.Join(folder, "1"), filepath.Join(folder, "2")
	w.folder = filepath.Join(folder, "3")
	write := func(day, name string, content []byte) {
		t.Helper()
		if err := os.MkdirAll(day, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(day, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	page := func(records ...any) []byte { return text(object{"value": records}) }

	first, second := time.Date(2026, 9, 7, 8, 9, 10, 0, time.UTC), time.Date(2026, 9, 8, 8, 9, 10, 0, time.UTC)
	company := w.graphDevice(annas, w.anna, "company", first)
	company["detectedApps"] = []any{w.app(annas), w.app(annas)}
	company["usersLoggedOn"] = []any{w.loggedOn(w.anna), w.loggedOn(w.chris)}
	w.stand(company)
	companyID := w.devices[0]

	odd := w.graphDevice(brams, w.bram, "company", first)
	w.miss(odd, brams)
	w.detail(odd, brams, w.bram)
	write(w.day1, "encryption.json", page(w.encryption(odd["id"].(string), brams)))
	write(w.day1, "compliance.ndjson", append(text(w.complianceOrg(odd["id"].(string), brams, first)), '\n'))
	write(w.day1, "operational.ndjson", append(text(w.alert(odd["id"].(string), w.bram, first)), '\n'))

	private := w.graphDevice(anna, w.anna, "personal", first)
	w.personal = w.devices[len(w.devices)-1]
	private["detectedApps"] = []any{w.app(never), w.app(never)}
	w.betray(private)

	unknown := w.graphDevice(bram, w.bram, w.word(bram, "missed shape of device.ownership").of("device.ownership"),
		first)
	unknown["detectedApps"] = []any{w.app(never)}

	mover := w.bram
	mover.in = moved
	before := w.graphDevice(moved, mover, "company", first)
	before["detectedApps"] = []any{w.app(moved)}
	after := object{}
	for k, v := range before { // the same device, now anna's own
		after[k] = v
	}
	after["managedDeviceOwnerType"], after["lastSyncDateTime"] = "personal", second.Format(time.RFC3339)
	after["userId"], after["userPrincipalName"] = w.anna.id.text, w.anna.upn.text+canaryDomain
	after["userDisplayName"], after["emailAddress"] = w.anna.name.text, w.anna.email.text+canaryDomain
	after["detectedApps"] = []any{w.app(never)}

	listed, audited := w.asked(w.bram, first, odd)
	write(w.day1, "devices.json", page(company, odd, private, unknown, before))
	write(w.day1, "remote.json", text(listed))
	write(w.day1, "remote-audit.json", text(audited))
	write(w.day1, "users.json", page(w.account(w.anna), w.account(w.bram)))
	w.resources(func(name string, page object) { write(w.day1, name, text(page)) })
	w.occurrences(func(name string, event object) { write(w.day1, name, text(event)) })
	write(w.day1, "one-action.json", text(w.missedAction(first)))
	event := w.auditEvent(first, companyID)
	write(w.day1, "actions.json",
		text(object{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#deviceManagement/auditEvents",
			"value": append([]any{event, w.otherwise(event)}, w.openPositions(first, companyID)...)}))
	foreign := w.auditLog(canaryPerson{in: never, id: w.guid(never, "foreign object id"),
		name: w.word(never, "foreign name")}, first)
	w.disown(foreign)
	var lines bytes.Buffer
	for _, record := range []any{w.azureDevice(brams, w.bram, first), w.auditLog(w.anna, first), foreign,
		object{"category": w.word(shown, "unrecognised kind").text,
			"properties": object{"x": w.word(never, "unrecognised record").text}}} {
		lines.Write(text(record))
		lines.WriteString("\r\n")
	}
	fmt.Fprintf(&lines, `{"category":"Devices","properties":{"DeviceName":"%s",}}`+"\r\n",
		w.word(never, "malformed line").text)
	fmt.Fprintf(&lines, `{"category":"Devices","time":"%s","tenantId":"%s","properties":{"DeviceId":"%s"}}`+"\r\n",
		w.word(never, "unreadable time").text, w.tenantID.text, w.guid(never, "id of a device that fails").text)
	write(w.day1, "insights.ndjson", lines.Bytes())
	write(w.day1, "readme.txt", []byte(w.word(never, "foreign file").text))
	w.refusable(first, write, page)
	w.markedRecords(first, func(name string, records ...any) {
		var lines bytes.Buffer
		for _, r := range records {
			lines.Write(append(text(r), '\n'))
		}
		write(w.folder, name, lines.Bytes())
	})
	write(w.day2, w.word(shown, "name of a file").text+".json", page(after))
	for _, c := range w.all {
		if c.in == standing {
			w.controls = append(w.controls, c.id)
		}
	}
	return w
}

// refusable writes what cannot be taken in, each for a reason of its own: four fail, one is
// refused, two are of no known kind.
func (w *canaryWorld) refusable(at time.Time, write func(day, name string, content []byte), page func(...any) []byte) {
	device := func(field string, value any) object {
		return object{"@odata.type": "#microsoft.graph.managedDevice",
			"id":               w.guid(never, "id of a device with a bad "+field).text,
			"lastSyncDateTime": at.Format(time.RFC3339), field: value}
	}
	never := func(what string) string { return w.word(never, what).text }
	write(w.day1, "bad.json", page(
		device("notes", strings.Repeat("long ", 8000)+never("text that is too long")),
		device("serialNumber", object{"is": never("object where a text should be")}),
		device("detectedApps", never("text where a list should be")),
		device("deviceName", "sealed:v1:"+never("text that claims to be sealed")),
		object{"@odata.type": "#microsoft.graph." + w.word(shown, "unrecognised type").text,
			"id": never("id of an unrecognised type")},
	))
	write(w.day1, "cut.json",
		[]byte(`{"value":[`+"\n"+`{"@odata.type":"#microsoft.graph.managedDevice","deviceName":"`+
			never("record that ends too early")))
	var wide []byte
	for _, r := range "\ufeff{\"value\":\"" + never("file in UTF-16") + "\"}" {
		wide = append(wide, byte(r), byte(r>>8))
	}
	write(w.day1, "wide.json", wide)
}

// disown makes a record another tenant's: every canary that it alone holds may be nowhere.
func (w *canaryWorld) disown(record object) {
	other := w.guid(never, "foreign tenant").text
	record["tenantId"] = other
	properties := record["properties"].(object)
	properties["AADTenantId"] = other
	raw, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	known := map[*canary]bool{w.admin.id: true, w.admin.upn: true, w.admin.name: true, w.anna.id: true}
	for _, c := range w.all {
		if !known[c] && len(c.attributes) > 0 && bytes.Contains(raw, []byte(c.text)) {
			c.id, c.in = "foreign "+c.id, never
			clear(c.attributes)
		}
	}
}
