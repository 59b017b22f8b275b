package intake

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

// aDetailedDevice is one of which Graph tells all that it can.
func aDetailedDevice() map[string]any {
	return map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1),
		"lastSyncDateTime": toldAt.Format(time.RFC3339), "operatingSystem": "Windows",
		"managedDeviceOwnerType": "company", "userId": guid(10, 1), "userPrincipalName": "anna@contoso.example",
		"roleScopeTagIds": []any{"7", "0"}, "enrollmentProfileName": "Branch office", "exchangeAccessState": "blocked",
		"exchangeAccessStateReason":  "notCompliant",
		"remoteAssistanceSessionUrl": "https://x.example/?token=S3cretLink",
		"bootstrapTokenEscrowed":     true, "requireUserEnrollmentApproval": true,
		"configurationManagerClientEnabledFeatures": map[string]any{"inventory": true, "officeApps": false},
		"configurationManagerClientHealthState":     map[string]any{"state": "healthy", "errorCode": 0},
		"configurationManagerClientInformation":     map[string]any{"clientIdentifier": "GUID:1", "isBlocked": false},
		"deviceHealthAttestationState": map[string]any{"secureBoot": "Enabled", "bitLockerStatus": "On",
			"issuedDateTime": "2026-02-01T08:00:00Z", "codeIntegrity": "of a later kind"},
		"securityBaselineStates": []any{map[string]any{"id": "b1", "securityBaselineTemplateId": "t1",
			"displayName": "Windows", "state": "notSecure"}},
		"hardwareInformation": map[string]any{"tpmSpecificationVersion": "2.0, 0, 1.38", "tpmVersion": "7.85.4555.0",
			"tpmManufacturer": "INTC", "systemManagementBIOSVersion": "N1MET68W (1.53 )",
			"deviceGuardVirtualizationBasedSecurityState":         "running",
			"deviceGuardLocalSystemAuthorityCredentialGuardState": "running", "isSharedDevice": true,
			"wiredIPv4Addresses": []any{"10.0.0.9", "10.0.0.2"}, "esimIdentifier": "89049032000001000000012345678901",
			"productName": "Tablet 5", "cellularTechnology": "GSM", "residentUsersCount": 2,
			"batteryHealthPercentage": 93, "batteryChargeCycles": 412,
			"sharedDeviceCachedUsers": []any{map[string]any{"userPrincipalName": "bob@contoso.example"}}}}
}

// What officers miss is told once, each in its type, and by no more events when it is told again.
func TestSecurityAndSetUpOfADeviceAreTold(t *testing.T) {
	w := newWorld(t, true)
	w.importToldAt(asLine(aDetailedDevice()))
	told := w.canonical()
	for _, want := range []string{`device.tpm-specification = "2.0, 0, 1.38"`, `device.tpm-version = "7.85.4555.0"`,
		`device.bios-version = "N1MET68W (1.53 )"`, `device.credential-guard = "running"`,
		`device.virtualization-security = "running"`, `device.shared = true`, `device.product-name = "Tablet 5"`,
		`device.exchange-access = "blocked"`, `device.attested-secure-boot = "enabled"`,
		`device.attested-bitlocker = "enabled"`, `device.battery-health = 93`, `device.battery-cycles = 400`,
		`device.bootstrap-token = true`, `device.assistance-link-withheld = true`, `= "inventory"`,
		`device.config-manager-state = "healthy"`, `device.config-manager-blocked = false`, "10.0.0.2, 10.0.0.9",
		`"0, 7"`, `{"upn":"bob@contoso.example"}`, `{"name":"Windows","state":"notSecure","template":"t1"}`} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told", want)
		}
	}
	for _, never := range []string{"S3cretLink", "x.example", "officeApps"} {
		if strings.Contains(told, never) {
			t.Errorf("%s is told", never)
		}
	}
	for _, e := range w.events() {
		for _, sealed := range []string{"10.0.0.2", "bob@contoso", "Branch office", "890490320", "GUID:1", "0, 7",
			"of a later kind", "notSecure"} {
			if strings.Contains(string(e.Data), sealed) {
				t.Errorf("%s stands open in %s", sealed, e.Type)
			}
		}
	}
	if s := w.importToldAt(asLine(aDetailedDevice())); s.EventsAppended != 0 {
		t.Errorf("told again it appends %d events", s.EventsAppended)
	}
}

// What Graph answers where it has not looked is no value, however it stands there.
func TestDefaultsOfGraphAreNeverRecorded(t *testing.T) {
	hardware := map[string]any{"isSharedDevice": false, "residentUsersCount": 0, "batteryHealthPercentage": 0,
		"batteryChargeCycles": 0, "tpmSpecificationVersion": nil, "wiredIPv4Addresses": []any{},
		"sharedDeviceCachedUsers": []any{},
		"deviceGuardVirtualizationBasedSecurityHardwareRequirementState": "meetHardwareRequirements",
		"deviceGuardVirtualizationBasedSecurityState":                    "running",
		"deviceGuardLocalSystemAuthorityCredentialGuardState":            "running",
		"deviceLicensingStatus":                                          "licenseRefreshStarted"}
	d := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1),
		"lastSyncDateTime": toldAt.Format(time.RFC3339), "hardwareInformation": hardware, "roleScopeTagIds": []any{},
		"exchangeAccessState": "none", "exchangeAccessStateReason": "none", "bootstrapTokenEscrowed": false,
		"deviceFirmwareConfigurationInterfaceManaged": false, "deviceHealthAttestationState": nil,
		"configurationManagerClientEnabledFeatures": nil, "remoteAssistanceSessionUrl": nil,
		"easActivationDateTime": "0001-01-01T00:00:00Z"}
	w := newWorld(t, true)
	w.importToldAt(asLine(d))
	for _, e := range w.events() {
		if strings.HasPrefix(e.Type, "device.security-changed.") ||
			strings.HasPrefix(e.Type, "device.setup-changed.") {
			t.Errorf("%s: %s", e.Type, e.Data)
		}
	}
	// Behind what was looked up they change nothing of it.
	w = newWorld(t, true)
	w.importToldAt(asLine(aDetailedDevice()))
	d["lastSyncDateTime"] = toldAt.Add(-time.Hour).Format(time.RFC3339)
	before := len(w.events())
	w.importToldAt(asLine(d))
	for _, e := range w.events()[before:] {
		if strings.Contains(string(e.Data), "unset") {
			t.Errorf("%s: %s", e.Type, e.Data)
		}
	}
	// One guard that is no default says that Graph has looked at all of them.
	seen := maps.Clone(hardware)
	seen["deviceGuardLocalSystemAuthorityCredentialGuardState"] = "notConfigured"
	w = newWorld(t, true)
	w.importToldAt(asLine(with(d, "hardwareInformation", seen)))
	if told := w.canonical(); !strings.Contains(told, `device.virtualization-security = "running"`) {
		t.Errorf("what was looked at is not told: %s", told)
	}
}

// Who has data on a shared device is each sealed under their own key, and goes with it; its
// addresses are nobody's.
func TestUsersOfASharedDeviceAreEachTheirOwn(t *testing.T) {
	w := newWorld(t, true)
	w.importToldAt(asLine(aDetailedDevice()))
	l := newLabels()
	dump := w.dump(l)
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.Contains(line, "device.cached-user") || strings.Contains(line, "device.wired-ip") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 2 || !strings.Contains(lines[0], "device.wired-ip") || !strings.Contains(lines[0], "tenant") ||
		!strings.Contains(lines[1], "device.cached-user") || !strings.Contains(lines[1], "person") {
		t.Errorf("sealed under\n%s", strings.Join(lines, ""))
	}
}

// The state of a device's encryption stands in the device's stream, whichever record comes first.
func TestEncryptionIsAStateOfItsDevice(t *testing.T) {
	state := asLine(map[string]any{"@odata.type": "#microsoft.graph.managedDeviceEncryptionState", "id": guid(20, 1),
		"userPrincipalName": "anna@contoso.example", "deviceName": "LT-1", "encryptionReadinessState": "notReady",
		"encryptionState": "notEncrypted", "encryptionPolicySettingState": "nonCompliant",
		"advancedBitLockerStates": "tpmNotReady,noUserConsent", "fileVaultStates": "success",
		"policyDetails": []any{map[string]any{"policyId": guid(60, 1), "policyName": "Disks"}}})
	for _, order := range [][]string{{asLine(aDetailedDevice()), state}, {state, asLine(aDetailedDevice())}} {
		w := newWorld(t, true)
		for _, content := range order {
			w.importToldAt(content)
		}
		streams := map[schemas.Stream]bool{}
		for _, e := range w.events() {
			if e.Stream.Kind() == "device" {
				streams[e.Stream] = true
			}
		}
		told := w.canonical()
		for _, want := range []string{`device.encryption-state = "notEncrypted"`, `= "tpmNotReady"`,
			`= "noUserConsent"`, `device.encryption-policy-state = "nonCompliant"`, `{"name":"Disks",`} {
			if !strings.Contains(told, want) {
				t.Errorf("%s is not told", want)
			}
		}
		if len(streams) != 1 {
			t.Errorf("%d streams of one device", len(streams))
		}
		if s := w.importToldAt(order[0] + "\n" + order[1]); s.EventsAppended != 0 {
			t.Errorf("told again it appends %d events", s.EventsAppended)
		}
	}
}
