package intake

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/ledgerline/ledgerline/schemas"

	"pgregory.net/rapid"
)

func TestWhatIsToldOfSomebodyDoesNotStandOpen(t *testing.T) {
	c := schemas.Default()
	var who tells
	who.name("Anna de Vries", "Zoë O'Neill-Großmann", "Bo Li", "[REDACTED]")
	who.address("a.devries2@contoso.example", "k_jansen_home.example#EXT#@contoso.example", "redacted@email.com")
	who.number("+31 6 1234 5678", "******0100", "")
	who.id("5926fc8e-304e-4f59-8bed-58ca97cc39a4", "PF0X123", "490154203237518", "A0:B1:C2:D3:E4:F5", "10.20.30.41",
		"00000000-0000-0000-0000-000000000000", "S1")
	for _, tc := range []struct {
		attr        string
		close, open []any
	}{
		{"device.model", []any{"laptop van Anna", "Annas laptop", "LaptopAnna", "ANNA-LT", "Latitude de Vries",
			"LaptopVries", "Zoe", "ZOË 5", "ONeill", "O Neill", "Grossmann", "Großmann",
			"phone of Bo", "PhoneBo", "Jansen", "adevries2", "a.devries2", "PF0X123", "pf-0x 123 b", "S1",
			"nr 12345678", "A0B1C2D3E4F5 x", "laptop 490154203237518"},
			[]any{"Latitude 5440", "iPhone 15 Pro Max", "Board", "Bosch", "Lite", "SM-S921B", "S10", "Redacted"}},
		{"device.carrier", []any{"0612345678", "+31612345678", "06-1234 5678", "KPN 612345678"}, []any{"KPN",
			"T-Mobile NL"}},
		{"device.os-version", []any{"10.20.30.41", "612345678.0", "1.12345678"}, []any{"10.0.26100.3194", "14.4"}},
		{"device.operating-system", []any{"Anna OS"}, []any{"Windows", "iOS/iPadOS"}},
		{"device.storage-total", []any{31612345678, 490154203237518}, []any{255229689856, 0}},
		{"action.application-id", []any{"5926fc8e-304e-4f59-8bed-58ca97cc39a4"},
			[]any{"11111111-2222-4333-8444-555555555555"}},
		{"device.ownership", nil, []any{"company", "personal"}}, {"device.encrypted", nil, []any{true}},
		{"action.operation", nil, []any{"Create MobileApp"}},
		{"device.device-type", nil, []any{"android"}},
	} {
		a := c.MustAttribute(tc.attr)
		for _, v := range tc.close {
			if !who.in(a, schemas.JSON(v)) {
				t.Errorf("%s: %v stands open", tc.attr, v)
			}
		}
		for _, v := range tc.open {
			if who.in(a, schemas.JSON(v)) {
				t.Errorf("%s: %v is sealed", tc.attr, v)
			}
		}
	}
	var nobody tells
	if nobody.in(c.MustAttribute("device.model"), schemas.JSON("anything")) {
		t.Error("nothing is told and a value is sealed for it")
	}
}

// A display name that is the system's own does not seal the system's name; a name of a person does
// seal one that only looks so.
func TestNamesOfTheCatalogueStandOpenWhoeverIsCalledSo(t *testing.T) {
	var who tells
	who.name("iPad Reception")
	a := schemas.Default().MustAttribute("device.operating-system")
	if who.in(a, schemas.JSON("iOS/iPadOS")) || !who.in(a, schemas.JSON("ipad os")) {
		t.Error("the catalogue's own name is told from what a source made of it")
	}
}

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
