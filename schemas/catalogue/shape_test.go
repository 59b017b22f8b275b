package catalogue

import (
	"encoding/json"
	"testing"
)

// Open is an allowlist: what a shape lets through stands in the ledger in plain for ever, so each
// is shown what it must keep out.
func TestAShapeLetsThroughItsOwnAndNoNames(t *testing.T) {
	c := Default()
	for _, tc := range []struct {
		attr  string
		open  []any
		close []any
	}{
		{"action.operation", []any{"createDeviceComplianceScript DeviceComplianceScript",
			"assignDeviceManagementScript DeviceManagementScript", "Create MobileApp", "Patch RoleAssignment",
			"syncDevice ManagedDevice", "Get VPPToken"},
			[]any{"Patch AnnaDeVries", "AnnaDeVries", "anna", "Create  MobileApp", "Create MobileApp ", "",
				"Create MobileApp for Anna", "Create <b>", 7}},
		{"action.target-type", []any{"DeviceConfiguration", "Win32LobApp", "MobileApp"},
			[]any{"PietJansen", "piet.jansen@contoso.example"}},
		{"device.os-version", []any{"14.4", "11.2.1 (20D74)", "10.0.26100.3194", "15.0", "10.0.19045-rc1", "22.04",
			"22.04.3", "114.0.5735.350", "16.7.10", "10.0.22631"},
			[]any{"12.0.anna.devries", "12 anna", "(20D74)", "12.0 (ANNA)", "anna", "1.2.3.4.5.6.7.8.9", "2403", "15",
				"12.03.1985", "1985.03.12", "12-03-1985", "12.03.85",
				"1985", "06.12.34.56.78", "0612345678.0", "31612345678.0", "123.456.789", "192.168.1.20", "10.0.0.5",
				"1985-03-12.1"}},
		{"device.device-type", []any{"iPhone", "macMDM"}, []any{"AnnaDeVries", "iphone of Anna", "17"}},
		{"device.model", []any{"iPhone 11 Pro", "SM-S921B", "MacBook Pro (M3, 2024)", "Latitude 5440",
			"EliteBook 840 14 inch G10", "20XW", "MacBookPro18,3"},
			[]any{"Anna's iPhone", "x@y", "sealed:v1:x", "5440", "tel 06-12345678", "tel 06 12 34 56 78",
				"490154203237518", "geb. 12-03-1985", "geb 1985/3/12"}},
		{"device.carrier", []any{"KPN", "T-Mobile NL", "O2 - UK"},
			[]any{"+31612345678", "06-12345678", "0612 345 678", "+31 6 1234 5678", "31612345678"}},
		{"device.security-patch-level", []any{"2026-01-01"},
			[]any{"2026-13-01", "January", "2026-01-01T00:00:00Z", "1985-03-12"}},
		{"device.storage-total", []any{68719476736, 0}, []any{-1, "68719476736", 1e30}},
		{"device.supervised", []any{true, false}, []any{"true", 1, nil}},
		{"action.target-resource", []any{"22a27bc3-334d-400b-b428-a05911dc29c4"},
			[]any{"22A27BC3-334D-400B-B428-A05911DC29C4", "anna", "{22a27bc3-334d-400b-b428-a05911dc29c4}"}},
		{"request.right", []any{"access", "erasure"}, []any{"oblivion"}},
	} {
		a := c.MustAttribute(tc.attr)
		for _, v := range tc.open {
			if raw := asJSON(v); !a.MayStandOpen(raw) {
				t.Errorf("%s: %s is sealed, want it open", tc.attr, raw)
			}
		}
		for _, v := range tc.close {
			if raw := asJSON(v); a.MayStandOpen(raw) {
				t.Errorf("%s: %s stands open, want it sealed", tc.attr, raw)
			}
		}
	}
	for _, a := range c.Attributes() {
		if a.Shape == nil && a.MayStandOpen(json.RawMessage(`"x"`)) {
			t.Errorf("%s has no shape and lets a value through", a.ID)
		}
	}
}

func TestEnumsKnowEverySpellingOfOneThing(t *testing.T) {
	c := Default()
	for _, tc := range []struct{ attr, given, want string }{
		{"device.compliance-state", "Compliant", "compliant"}, {"device.compliance-state", "1", "compliant"},
		{"device.ownership", "Corporate", "company"},
		{"device.ownership", "company", "company"}, {"device.ownership", "2", "personal"},
		{"action.verb", "Create", "create"}, {"action.verb", "0", "create"},
		{"action.verb", "Patch", "update"}, {"action.category", "5", "application"},
		{"device.compliance-state", "In grace period", "inGracePeriod"},
	} {
		got, ok := c.MustAttribute(tc.attr).Shape.Canonical(tc.given)
		if !ok || got != tc.want {
			t.Errorf("%s: %q became %q (known: %v), want %q", tc.attr, tc.given, got, ok, tc.want)
		}
	}
	for _, v := range []string{"Anna's", "4711", "17"} {
		if got, ok := c.MustAttribute("device.ownership").Shape.Canonical(v); ok || got != v {
			t.Errorf("%q, which no enum knows, became %q (known: %v)", v, got, ok)
		}
	}
}
