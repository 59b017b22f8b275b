package record

import (
	"testing"
)

func TestSecretsAndScriptsAreWithheld(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"ScriptContent", "anything", true},
		{"$Collection.Rules.ScriptContent[0]", "V3JpdGUtT3V0cHV0ICJ0ZXN0Ig==", true},
		{"ClientSecret", "x", true}, {"Password", "x", true}, {"AccessToken", "x", true},
		{"WifiPreSharedKey", "x", true}, {"LicenseKey", "x", true},
		{"CertificateData", "x", true}, {"$Collection.Tokens.Token[3]", "x", true}, {"Payload", "x", true},
		{"RecoveryKey", "x", true}, {"EncryptionKey", "x", true},
		{"PasswordMinimumLength", "8", false}, {"PasswordRequired", "True", false},
		{"TokenExpirationDateTime", "4/1/2025 7:39:45 PM", false},
		{"Password", "<null>", false}, {"PinCode", "1234", true}, {"Passcode", "0000", true},
		{"PasswordState", "set to x", true},
		{"LocalAdminPasswordHistory", "P@ssw0rd!", true}, {"LocalAdminPasswordHistory", "24", true},
		{"PasswordHistoryCount", "24", false}, {"NewPIN", "7", true}, {"MinimumPinLength", "6", false},
		{"Password", "NotConfigured", false}, {"ScriptContent", "True", false},
		{"Description", "for Bea", false}, {"DisplayName", "badge-reader-setup-1.2.6-win64.exe", false},
		{"InstallCommandLine", `setup.exe /D "C:\Program Files\Invented\Manager" /S`, false},
		{"TargetGroupIDs", "36ca05af-f92e-48b6-8f7a-5bf3924a4926", false},
		{"Digest", "8c130ff7cce5e6f16b5d7ca1f117b8a6fad3a53d653b7934f315e5bfaaf45143", false},
		{"Notes", "V3JpdGUtT3V0cHV0ICJpbnZlbnRlZCI=", true},                                      // text in base64
		{"Notes", "VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAiAGgAaQAiAA==", true},                      // as PowerShell
		{"Blob", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ", true},       // bytes in base64
		{"Notes", "-----BEGIN RSA PRIVATE KEY-----\nMII", true}, {"Notes", "param ( $x )", true}, // a key, a script
		{"Notes", "Write-Output 'x'", true}, {"Notes", "password = hunter2", true}, {"Notes", "#!/bin/sh", true},
		{"Notes", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", true},
		{"Notes", "a rather long sentence without anything that is secret in it at all", false},
	} {
		if got := Secretive(c.name, c.value); got != c.want {
			t.Errorf("%s = %s: withheld %v, want %v", c.name, c.value, got, c.want)
		}
	}
}
