package adminaction

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
)

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
		!strings.Contains(v, `{"name":"Long","cut":true},{"name":"Short","old":"short"}`) ||
		!strings.HasSuffix(v, `,{"more":6}]`) {
		t.Errorf("%d bytes, %d withheld, %d cut: %.200s", len(v), withheld, cut, v)
	}
	if out, withheld, cut := sealable(nil); out != nil || withheld+cut != 0 {
		t.Errorf("nothing became %v", out)
	}
}

// Of a property with a secret's name nothing is kept but a switch, and a small number where the
// name is a setting's.
func TestNothingIsKeptOfASecret(t *testing.T) {
	secrets := []string{"Password", "PinCode", "Passcode", "PIN", "ClientSecret", "AccessToken", "PresharedKey",
		"RecoveryKey", "Wachtwoord", "Passphrase", "Otp"}
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom([]string{"", "LocalAdmin", "$Collection.Settings[3].", "New_", "device "}).Draw(r,
			"before") +
			rapid.SampledFrom(secrets).Draw(r, "secret")
		suffix := rapid.SampledFrom([]string{"", "State", "History", "Policy", "Type", "Id", "Status", "Enabled",
			"Date", "[0]"}).Draw(r, "behind")
		if !strings.HasSuffix(name, "Token") && !strings.HasSuffix(name, "PresharedKey") {
			name += suffix // a token's expiry is none
		}
		value := rapid.OneOf(rapid.StringMatching(`[0-9]{1,8}`), rapid.StringMatching(`[!-~]{1,40}`),
			rapid.SampledFrom([]string{"P@ssw0rd!", "1234", "0000", "none", "Yes"})).Draw(r, "value")
		out, withheld, cut := sealable([]change{{name: name, old: &value, new: &value}})
		switch strings.ToLower(value) {
		case "true", "false", "notconfigured", "<null>":
			return
		}
		if withheld != 1 || cut != 0 || !out[0].Withheld || out[0].Old != nil || out[0].New != nil {
			r.Fatalf("%s = %s is kept: %s", name, value, schemas.JSON(out))
		}
	})
	for name, value := range map[string]string{"PasswordRequired": "True", "PinRequired": "false",
		"Password": "notConfigured", "PasswordMinimumLength": "8",
		"MinimumPinLength": "6", "PasscodeExpirationDays": "90", "PasswordPreviousPasswordCount": "24"} {
		if _, withheld, _ := sealable([]change{{name: name, new: &value}}); withheld != 0 {
			t.Errorf("%s = %s is a setting and was withheld", name, value)
		}
	}
	// In a name, and in the details, it is one too.
	secret := "x"
	if out, n, _ := sealable([]change{{name: "Password=hunter2", new: &secret}}); n != 1 ||
		strings.Contains(string(schemas.JSON(out)), "hunter2") {
		t.Errorf("kept %s", schemas.JSON(out))
	}
	f := &fact{}
	if kept := f.text("", "Key = LocalAdminPasswordValue = hunter2"); kept != "" || f.withheld != 1 {
		t.Errorf("details %q", kept)
	}
}
