package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
)

// planted is a device of somebody, with something of theirs, or of the device's, in one of the
// places that stand open.
func planted(t *rapid.T, at int) (record, secret string) {
	given := rapid.SampledFrom([]string{"Anna", "Bo", "Zoë", "Jürgen", "Łukasz", "Søren", "Marie-Claire"}).Draw(t,
		"given")
	family := rapid.SampledFrom([]string{"Vries", "Großmann", "O'Neill", "Öztürk", "Li", "Wiśniewska"}).Draw(t,
		"family")
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("abcdefghijkmnopqrstuvwxyz")), 5, 9, -1)
	local := letters.Draw(t, "local")
	phone := "+316" + rapid.StringMatching(`[1-9][0-9]{7}`).Draw(t, "phone")
	serial := rapid.StringMatching(`[A-Z]{3}[0-9]{4}[A-Z]{2}`).Draw(t, "serial")
	imei := rapid.StringMatching(`35[0-9]{13}`).Draw(t, "imei")
	mac := rapid.StringMatching(`a[0-9a-f]{10}e`).Draw(t, "mac")
	object := guid(10, rapid.IntRange(1, 9999).Draw(t, "object"))
	secret = rapid.SampledFrom([]string{given, family, local, phone, phone[3:], "0" + phone[3:], serial, imei, mac,
		object, object[:23]}).Draw(t, "secret")
	if secret == object[:23] {
		secret = object // a part of an id alone is none
	}
	dress := rapid.SampledFrom([]func(string) string{
		func(s string) string { return s }, strings.ToUpper, strings.ToLower,
		func(s string) string { return "laptop van " + s }, func(s string) string { return s + " 5" },
		func(s string) string { return "LT-" + s }, func(s string) string { return "(" + s + ")" },
	}).Draw(t, "dress")
	field := rapid.SampledFrom([]string{"manufacturer", "model", "operatingSystem", "osVersion",
		"subscriberCarrier", "skuFamily", "androidSecurityPatchLevel", "chassisType", "joinType",
		"complianceState", "managementAgent", "jailBroken", "totalStorageSpaceInBytes", "windowsActiveMalwareCount",
		"edition"}).Draw(t, "field")
	m := map[string]any{"@odata.type": "#microsoft.graph.managedDevice", "id": guid(20, 1),
		"lastSyncDateTime": fmt.Sprintf("2026-03-%02dT08:00:00Z", at), "userId": object,
		"userDisplayName": given + " " + family, "userPrincipalName": local + "@contoso.example",
		"phoneNumber": phone, "serialNumber": serial, "imei": imei, "wiFiMacAddress": mac,
		"managedDeviceOwnerType": rapid.SampledFrom([]string{"company", "personal", "unknown"}).Draw(t, "ownership")}
	if field == "edition" {
		m["hardwareInformation"] = map[string]any{"operatingSystemEdition": dress(secret)}
	} else {
		m[field] = dress(secret)
	}
	return asLine(m), secret
}

// TestNothingOfAPersonStandsOpenInADevice: whatever of the persons and ids that a record tells
// stands in a place that may be open, it is sealed; and told again, the record is unchanged.
func TestNothingOfAPersonStandsOpenInADevice(t *testing.T) {
	only := func(s string) string {
		return strings.ToLower(strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, s))
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, false)
		var secrets []string // of whoever had the device: what was sealed stays so when it is restated for the next
		days := rapid.IntRange(1, 4).Draw(rt, "days")
		for day := 1; day <= days; day++ {
			record, secret := planted(rt, day)
			secrets = append(secrets, only(secret))
			s, err := run(rt, w, map[string]string{"a.json": record})
			if err != nil || s.Recorded != 1 {
				rt.Fatalf("recorded %d, %v", s.Recorded, err)
			}
			if s, err := run(rt, w, map[string]string{"a.json": record}); err != nil || s.EventsAppended != 0 {
				rt.Fatalf("told again it appended %d events, %v", s.EventsAppended, err)
			}
			for _, e := range w.own() {
				d, err := schemas.Default().Decode(e)
				if err != nil {
					rt.Fatal(err)
				}
				for _, v := range d.Values {
					var text string
					if json.Unmarshal(v.Plain, &text) != nil {
						text = string(v.Plain)
					}
					got := only(text)
					for n, s := range secrets {
						if got == s || len(s) > 3 && strings.Contains(got, s) {
							rt.Fatalf("what day %d told of somebody stands open in %s of %s", n+1, v.Attr.ID, e.Type)
						}
					}
				}
			}
		}
	})
}
