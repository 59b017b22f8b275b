package intake

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/schemas"
)

func TestTimesOfEverySourceAreRead(t *testing.T) {
	for in, want := range map[string]string{
		"2025-04-01T19:39:45.0755000Z":      "2025-04-01T19:39:45.0755Z",
		"2021-02-18T16:26:58.0769025Z":      "2021-02-18T16:26:58.0769025Z",
		"2016-12-31T23:59:51.6363086-08:00": "2017-01-01T07:59:51.6363086Z",
		"2026-03-02 05:58:14.6829201":       "2026-03-02T05:58:14.6829201Z",
		"2026-03-02T05:58:14.0858748":       "2026-03-02T05:58:14.0858748Z",
		"2026-03-02T05:58:14Z":              "2026-03-02T05:58:14Z",
		"2026-03-02 05:58:14+02:00":         "2026-03-02T03:58:14Z",
		"4/11/2025 6:21:02 PM":              "2025-04-11T18:21:02Z",
		"4/25/2025 12:44:00 AM":             "2025-04-25T00:44:00Z",
		"12/1/2025 12:00 PM":                "2025-12-01T12:00:00Z",
		"2026-01-01":                        "2026-01-01T00:00:00Z",
		"0001-01-01T00:00:00Z":              "unknown",
		"9999-12-31T23:59:59.9999999Z":      "unknown",
		"9999-12-31 23:59:59.9999999":       "unknown",
		"2025-04-11:21:02.3387000Z":         "no time",
		"13/1/2025 6:21:02 PM":              "no time",
		"2025-02-30T00:00:00Z":              "no time",
		"9/2/2026 10:11:12\u202fAM":         "2026-09-02T10:11:12Z",
		"9/2/2026\u00a010:11:12\u202fpm":    "2026-09-02T22:11:12Z",
		"9/2/2026 10:11:12 AM +01:00":       "2026-09-02T09:11:12Z",
		"9/2/2026 22:11:12":                 "2026-09-02T22:11:12Z",
		"09/02/2026 22:11:12":               "2026-09-02T22:11:12Z",
		"09/02/2026 22:11:12 +02:00":        "2026-09-02T20:11:12Z",
		"2026-09-02 10:11:12 +00:00":        "2026-09-02T10:11:12Z",
		"2026-09-02t10:11:12z":              "2026-09-02T10:11:12Z",
		"/Date(1788343872123)/":             "2026-09-02T10:11:12.123Z",
		"/Date(1788343872123+0200)/":        "2026-09-02T10:11:12.123Z",
		"/Date(-62135596800000)/":           "unknown",
		"21/11/2026 14:09:13":               "no time",
		"02.09.2026 10:11:12":               "no time",
		"2026-09-02T24:00:00Z":              "no time",
		"":                                  "no time",
	} {
		at, ok := parseTime(in)
		got := "no time"
		if ok {
			if got = at.Format(time.RFC3339Nano); at.IsZero() {
				got = "unknown"
			}
		}
		if got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestValuesAreNormalised(t *testing.T) {
	for _, c := range []struct {
		attr, in string
		unit     int64
		want     string // JSON, or unreported, none, error
	}{
		{"device.compliance-state", `"Compliant"`, 1, `"compliant"`},
		{"device.compliance-state", `"compliant"`, 1, `"compliant"`},
		{"device.compliance-state", `1`, 1, `"compliant"`},
		{"device.compliance-state", `"1"`, 1, `"compliant"`},
		{"device.compliance-state", `"In Grace Period"`, 1, `"inGracePeriod"`},
		{"device.compliance-state", `"unknown"`, 1, "unreported"},
		{"device.compliance-state", `77`, 1, `"77"`},
		{"device.compliance-state", `"something new"`, 1, `"something new"`},
		{"device.ownership", `"Corporate"`, 1, `"company"`},
		{"device.ownership", `"company"`, 1, `"company"`},
		{"device.ownership", `"Personal"`, 1, `"personal"`},
		{"device.ownership", `"Unknown"`, 1, "unreported"},
		{"device.join-type", `"Azure AD joined"`, 1, `"azureADJoined"`},
		{"device.management-state", `"Retire Pending"`, 1, `"retirePending"`},
		{"action.verb", `0`, 1, `"create"`},
		{"action.verb", `"Create"`, 1, `"create"`},
		{"action.verb", `"Patch"`, 1, `"update"`},
		{"action.verb", `"SetReference"`, 1, `"set-reference"`},
		{"action.category", `"DeviceConfiguration"`, 1, `"deviceConfiguration"`},
		{"action.category", `3`, 1, `"deviceConfiguration"`},
		{"action.category", `27`, 1, `"27"`},
		{"action.actor-type", `5`, 1, `"application"`},
		{"action.actor-type", `"ItPro"`, 1, `"it-pro"`},
		{"action.actor-type", `0`, 1, "unreported"},
		{"device.encrypted", `"True"`, 1, `true`},
		{"device.encrypted", `false`, 1, `false`},
		{"device.jail-broken", `"Unknown"`, 1, "unreported"},
		{"device.storage-total", `243406`, mebibyte, `255229689856`},
		{"device.storage-total", `68719476736`, 1, `68719476736`},
		{"device.storage-total", `"243406"`, mebibyte, `255229689856`},
		{"device.storage-total", `1e300`, 1, `"1e300"`}, // misses its shape, and is sealed for that
		{"device.storage-total", `"much"`, 1, `"much"`},
		{"device.storage-total", `"+31612345678"`, 1, `"+31612345678"`},
		{"device.storage-total", `{"value":1}`, 1, "error"},
		{"device.storage-free", `215217078272`, 1, `214748364800`}, // whole GiB
		{"device.storage-free", `205247`, mebibyte, `214748364800`},
		{"device.management-state", `"unknownFutureValue"`, 1, "unreported"},
		{"device.encrypted", `"Unknown"`, 1, "unreported"},
		{"device.last-contact", `"2026-03-02 05:58:14.6829201"`, 1, `"2026-03-02T05:58:14Z"`},
		{"device.grace-until", `"9999-12-31 23:59:59.9999999"`, 1, "unreported"},
		{"device.retire-after", `"0001-01-01T00:00:00Z"`, 1, "unreported"},
		{"device.last-contact", `"lately"`, 1, "error"},
		{"device.serial-number", `"0"`, 1, "unreported"},
		{"device.serial-number", `"To be filled by O.E.M."`, 1, "unreported"},
		{"device.serial-number", `"[REDACTED]"`, 1, "unreported"},
		{"device.serial-number", `"<null>"`, 1, "unreported"},
		{"device.serial-number", `" PF0X1 "`, 1, `"PF0X1"`},
		{"device.serial-number", `["a"]`, 1, "error"},
		{"device.serial-number", `[]`, 1, "unreported"},
		{"device.serial-number", `"` + strings.Repeat("x", maxText+1) + `"`, 1, "error"},
		{"device.directory-id", `"00000000-0000-0000-0000-000000000000"`, 1, "unreported"},
		{"device.user-email", `"redacted@email.com"`, 1, "unreported"},
		{"device.user-email", `""`, 1, "none"},
		{"device.user-email", `null`, 1, "unreported"},
		{"device.user-id", `"00000000-0000-0000-0000-000000000000"`, 1, "unreported"},
		{"device.name", `""`, 1, "unreported"},
		{"device.name", `"<Anna> & co"`, 1, `"<Anna> & co"`},
		{"device.security-patch-level", `"2026-01-01"`, 1, `"2026-01-01"`},
		{"device.notes", `"unknown"`, 1, `"unknown"`},
	} {
		a := schemas.Default().MustAttribute(c.attr)
		v, found, err := normalise(a, json.RawMessage(c.in), c.unit)
		got := string(v)
		switch {
		case err != nil:
			got = "error"
			if strings.Contains(err.Error(), "much") || strings.Contains(err.Error(), "lately") {
				t.Errorf("%s: the error tells content: %v", c.attr, err)
			}
		case found == unreported:
			got = "unreported"
		case found == emptied:
			got = "none"
		}
		if got != c.want {
			t.Errorf("%s of %.60s is %s, want %s", c.attr, c.in, got, c.want)
		}
	}
}

func TestKindsAreRecognisedByContent(t *testing.T) {
	const base = "https://graph.microsoft.com/beta/$metadata#"
	for _, c := range []struct {
		in, context, kind string
		taken             bool
	}{
		{`{"category":"AuditLogs","properties":{}}`, "", "AuditLogs", true},
		{`{"category":"auditlogs","properties":{}}`, "", "AuditLogs", true},
		{`{"category":"Devices","properties":{"DeviceId":"x"}}`, "", "Devices", true},
		{`{"category":"Devices","properties":{"Stats":{"RecordCount":2}}}`, "", "Devices/summary", false},
		{`{"category":"Devices","properties":"{}"}`, "", "Devices", true},
		{`{"category":"OperationalLogs","properties":{}}`, "", "OperationalLogs", false},
		{`{"category":"anna@contoso.example","properties":{}}`, "", "unnamed", false},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices", "managedDevices", true},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices(id,deviceName)/$entity", "managedDevices", true},
		{`{"@odata.context":"` + base + `deviceManagement/managedDevices(detectedApps())/$entity","id":"x"}`, "", "managedDevices", true},
		{`{"id":"x"}`, base + "users('a1a1a1a1-0000-4000-8000-000000000001')/managedDevices", "managedDevices", true},
		{`{"id":"x"}`, base + "deviceManagement/managedDevices('x')/detectedApps", "deviceManagement/managedDevices/detectedApps", false},
		{`{"id":"x"}`, base + "deviceManagement/auditEvents", "auditEvents", true},
		{`{"@odata.type":"#microsoft.graph.auditEvent"}`, "", "auditEvents", true},
		{`{"@odata.type":"#microsoft.graph.managedDevice"}`, "", "managedDevices", true},
		{`{"@odata.type":"#microsoft.graph.iosCompliancePolicy"}`, base + "deviceManagement/deviceCompliancePolicies", "deviceManagement/deviceCompliancePolicies", false},
		{`{"@odata.type":"#microsoft.graph.vppToken"}`, "", "vppToken", false},
		{`{"id":"x","enrolledDateTime":"t","managementAgent":"mdm"}`, "", "managedDevices", true},
		{`{"id":"x","activityDateTime":"t","actor":{},"resources":[]}`, "", "auditEvents", true},
		{`{"id":"x"}`, "", "unnamed", false},
		{`{}`, "", "unnamed", false},
		{`"text"`, "", "no object", false},
	} {
		m, err := decodeRecord([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		if kind, taken := recognise(m, c.context); kind != c.kind || taken != c.taken {
			t.Errorf("%s in %q is %s %v, want %s %v", c.in, c.context, kind, taken, c.kind, c.taken)
		}
	}
}

func TestSecretsAndScriptsAreWithheld(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"ScriptContent", "anything", true}, {"$Collection.Rules.ScriptContent[0]", "V3JpdGUtT3V0cHV0ICJ0ZXN0Ig==", true},
		{"ClientSecret", "x", true}, {"Password", "x", true}, {"AccessToken", "x", true}, {"WifiPreSharedKey", "x", true}, {"LicenseKey", "x", true},
		{"CertificateData", "x", true}, {"$Collection.Tokens.Token[3]", "x", true}, {"Payload", "x", true}, {"RecoveryKey", "x", true}, {"EncryptionKey", "x", true},
		{"PasswordMinimumLength", "8", false}, {"PasswordRequired", "True", false}, {"TokenExpirationDateTime", "4/1/2025 7:39:45 PM", false},
		{"Password", "<null>", false}, {"PinCode", "1234", true}, {"Passcode", "0000", true}, {"PasswordState", "set to x", true},
		{"LocalAdminPasswordHistory", "P@ssw0rd!", true}, {"LocalAdminPasswordHistory", "24", true}, {"PasswordHistoryCount", "24", false}, {"NewPIN", "7", true}, {"MinimumPinLength", "6", false}, {"Password", "NotConfigured", false}, {"ScriptContent", "True", false},
		{"Description", "for Bea", false}, {"DisplayName", "badge-reader-setup-1.2.6-win64.exe", false},
		{"InstallCommandLine", `setup.exe /D "C:\Program Files\Invented\Manager" /S`, false},
		{"TargetGroupIDs", "36ca05af-f92e-48b6-8f7a-5bf3924a4926", false},
		{"Digest", "8c130ff7cce5e6f16b5d7ca1f117b8a6fad3a53d653b7934f315e5bfaaf45143", false},
		{"Notes", "V3JpdGUtT3V0cHV0ICJpbnZlbnRlZCI=", true},                                      // text in base64
		{"Notes", "VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAiAGgAaQAiAA==", true},                      // as PowerShell encodes it
		{"Blob", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ", true},       // bytes in base64
		{"Notes", "-----BEGIN RSA PRIVATE KEY-----\nMII", true}, {"Notes", "param ( $x )", true}, // a key, a script
		{"Notes", "Write-Output 'x'", true}, {"Notes", "password = hunter2", true}, {"Notes", "#!/bin/sh", true},
		{"Notes", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", true},
		{"Notes", "a rather long sentence without anything that is secret in it at all", false},
	} {
		if got := secretive(c.name, c.value); got != c.want {
			t.Errorf("%s = %s: withheld %v, want %v", c.name, c.value, got, c.want)
		}
	}
}

func TestALongChangeIsCutAndTheRestKept(t *testing.T) {
	long, short := strings.Repeat("word ", maxChangeText/5+1), "short"
	changes := []change{{name: "Long", new: &long}, {name: "Short", old: &short}}
	middling := strings.Repeat("text ", 3000)
	for range 12 {
		changes = append(changes, change{name: "Middling", new: &middling})
	}
	out, withheld, cut := sealable(changes)
	v := string(schemas.JSON(out))
	if len(v) > maxTargetBytes+64 || withheld != 0 || cut != 1+6 ||
		!strings.Contains(v, `{"name":"Long","cut":true},{"name":"Short","old":"short"}`) || !strings.HasSuffix(v, `,{"more":6}]`) {
		t.Errorf("%d bytes, %d withheld, %d cut: %.200s", len(v), withheld, cut, v)
	}
	if out, withheld, cut := sealable(nil); out != nil || withheld+cut != 0 {
		t.Errorf("nothing became %v", out)
	}
}

func TestNamesThatASourceDecidesAreShownOnlyIfTheyAreNames(t *testing.T) {
	seen := &fields{}
	seen.use("properties.", members{"Known": json.RawMessage(`1`), "Weather": json.RawMessage(`"rain"`), "anna@contoso.example": json.RawMessage(`1`),
		"Empty": json.RawMessage(`""`), "Null": json.RawMessage(`null`), "x@odata.type": json.RawMessage(`"#x"`), "Never": json.RawMessage(`"0001-01-01T00:00:00Z"`)}, "Known")
	if len(seen.unknown) != 2 || seen.unknown["properties.Weather"] != 1 || seen.unknown["(unusual name)"] != 1 {
		t.Errorf("counted %v", seen.unknown)
	}
}

// FuzzParse: no record, however odd, panics, and what is taken from one is valid JSON.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"category":"AuditLogs","time":"2026-01-01T00:00:00Z","properties":{"AuditEventId":"a1a1a1a1-0000-4000-8000-000000000001","Targets":[{"ModifiedProperties":[{"Name":"a","New":1}]}],"TargetObjectIds":["x",null]}}`,
		`{"category":"Devices","time":"2026-01-01T00:00:00Z","properties":{"DeviceId":"a1a1a1a1-0000-4000-8000-000000000001","StorageTotal":1}}`,
		`{"@odata.type":"#microsoft.graph.managedDevice","id":"a1a1a1a1-0000-4000-8000-000000000001","detectedApps":[{"id":"x","sizeInByte":1}],"usersLoggedOn":[{}],"hardwareInformation":{"imei":"1"}}`,
		`{"@odata.type":"#microsoft.graph.auditEvent","id":"a1a1a1a1-0000-4000-8000-000000000001","activityDateTime":"2026-01-01T00:00:00Z","actor":{},"resources":[{"modifiedProperties":[{}]}]}`,
		`[]`, `{"category":{},"properties":[]}`,
	} {
		f.Add([]byte(seed))
	}
	w := newWorld(f, true)
	in := w.intake()
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := in.parse(w.tenant, item{raw: raw}, dating{at: propertyStart})
		switch r := e.record.(type) {
		case nil:
			if e.outcome == pending {
				t.Fatal("no record")
			}
		case *snapshot:
			for a, v := range r.Values {
				if !json.Valid(v) {
					t.Errorf("%s is no JSON: %s", a.ID, v)
				}
			}
			for _, l := range r.Lists {
				for _, item := range l.Items {
					if !json.Valid(item.Value) {
						t.Errorf("%s is no JSON: %s", l.Attr.ID, item.Value)
					}
				}
			}
		case *fact:
			for _, target := range r.targets {
				if out := schemas.JSON(target.changes); !json.Valid(out) || len(out) > maxTargetBytes+64 {
					t.Errorf("%d bytes of changes", len(out))
				}
			}
		}
	})
}
