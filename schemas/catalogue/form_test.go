package catalogue

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFormsOfOneValueAreOne(t *testing.T) {
	c := Default()
	for attr, groups := range map[string][][]string{
		"device.wifi-mac": {{"a0b1c2d3e4f5", "A0B1C2D3E4F5", "a0:b1:c2:d3:e4:f5", "A0-B1-C2-D3-E4-F5",
			"a0b1.c2d3.e4f5", " A0B1C2D3E4F5 "}, {"no address", "no address "}},
		"device.imei": {{"350000000000001", "350000000000001.0", "35-000000-000000-1",
			"35 000000 000000 1", "35/000000/000000/1", "3.50000000000001E+14", "'350000000000001"}, {"3.5E+14"}},
		"device.iccid": {{"8931440300000000001", "8931 4403 0000 0000 001", "8931440300000000001F",
			"8931440300000000001.0", "8.931440300000000001E18"}},
		"device.meid": {{"A000004F0B1B2C", "a000004f0b1b2c", "A0-0000-4F0B1B-2C"}, {"35000000000000",
			"35000000000000.0"}},
		"device.intune-id": {{"fc32928f-a648-551e-a785-0076507fca38", "FC32928F-A648-551E-A785-0076507FCA38",
			"{fc32928f-a648-551e-a785-0076507fca38}", "fc32928fa648551ea7850076507fca38"}},
		"device.user-upn": {{"Anna.deVries@contoso.example", "anna.devries@CONTOSO.example"},
			{"anna@contoso.example"}},
		"device.phone-number": {{"+31612345678", "+31 6 1234 5678", "+31 (0)6-12345678", "0031612345678",
			"0612345678", "06-12345678", "31612345678", "31612345678.0"}, {"+31687654321"}},
		"device.operating-system": {{"macOS", "MacOS", "MACOS"}, {"iOS", "IOS", "iOS/iPadOS", "iPadOS"},
			{"AndroidForWork", "Android (Personally-Owned Work Profile)"}, {"Android"}, {"Tizen", "TIZEN"}},
		"device.os-version": {{"14.6.1 (23G93)", "14.6.1(23G93)", "14.6.1  ( 23G93 )", "14.6.1\u00a0(23g93)"},
			{"15", "15.0", "15.0.0"}, {"10.0.26100.3194"}, {"10.0.26100"}},
		"device.manufacturer": {{"samsung", "Samsung", "SAMSUNG"}, {"Dell Inc.", "dell  inc."}},
		"device.ip-address":   {{"2001:db8::1", "2001:0DB8:0:0:0:0:0:1"}, {"10.0.0.5", "::ffff:10.0.0.5"}},
		"device.name": {{"anna_Windows_2/20/2026_9:01 AM", "anna_Windows_2/20/2026_9:01\u202fAM"},
			{"ANNA_Windows_2/20/2026_9:01 AM"}},
		"device.compliance-state": {{"compliant", "Compliant", "1"}, {"inGracePeriod", "In grace period",
			"in_grace_period"}, {"something new", "Something-New"}},
		"device.serial-number": {{"PF0X1", "pf0x1", " PF0X1"}},
	} {
		a := c.MustAttribute(attr)
		for i, g := range groups {
			for j, h := range groups {
				for _, x := range g {
					for _, y := range h {
						if got := a.Same(asJSON(a.Canonical(x)), asJSON(a.Canonical(y))); got != (i == j) {
							t.Errorf("%s: %q and %q are one value: %v", attr, x, y, got)
						}
					}
				}
			}
		}
	}
}

// Sources hide digits of a phone number, each in its own way: what is shown decides.
func TestAPhoneNumberWithHiddenDigits(t *testing.T) {
	a := Default().MustAttribute("device.phone-number")
	same := func(x, y string) bool { return a.Same(asJSON(a.Canonical(x)), asJSON(a.Canonical(y))) }
	if !same("+*******0016", "******0016") || !same("+31612340016", "******0016") || same("******0016", "******0017") {
		t.Error("hidden digits are compared by something else than what is shown")
	}
}

// Whatever a source writes, its canonical form is a fixed point, and comparing is reflexive and
// symmetric.
func TestCanonicalFormsAreFixed(t *testing.T) {
	attributes := Default().Attributes()
	odd := []rune("0123456789abcdefABCDEF+-.:/()*'{}@# \u00a0\u202fEeßé")
	text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom(odd), 0, 40, -1),
		rapid.SampledFrom([]string{"350000000000001.0", "{fc32928f-a648-551e-a785-0076507fca38}", "1E99", "+31(0)6",
			"iphone OS", "14 (x) (y)", "0x10", "8931440300000000001ff"}))
	rapid.Check(t, func(rt *rapid.T) {
		a := rapid.SampledFrom(attributes).Draw(rt, "attribute")
		x, y := a.Canonical(text.Draw(rt, "x")), a.Canonical(text.Draw(rt, "y"))
		if again := a.Canonical(x); again != x {
			rt.Fatalf("%s: %q becomes %q when it is canonical already", a.ID, x, again)
		}
		jx, jy := asJSON(x), asJSON(y)
		if !a.Same(jx, jx) || a.Same(jx, jy) != a.Same(jy, jx) {
			rt.Fatalf("%s: comparing %q with %q depends on the order", a.ID, x, y)
		}
	})
}

// A text attribute whose shape is no form of its own declares one, and nothing else does.
func TestEveryAttributeHasOneForm(t *testing.T) {
	for _, a := range []*Attribute{
		{ID: "a.b", Type: "text"}, {ID: "a.b", Type: "text", Form: "loud"}, {ID: "a.b", Type: "bool", Form: "name"},
		{ID: "a.b", Type: "text", Form: "name", Step: 2}, {ID: "a.b", Type: "text", Form: "name",
			Names: Names{"X": {"x"}}},
		{ID: "a.b", Type: "text", Form: "product", Names: Names{"X": {"y"}, "Y": nil}},
	} {
		a.Identifiability, a.Key, a.Class = "pseudonymous", KeyTenant, "account"
		if err := a.validate(); err == nil || !strings.Contains(err.Error(), "a.b") {
			t.Errorf("%+v loads: %v", a, err)
		}
	}
}
