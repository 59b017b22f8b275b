package vault

import "testing"

func TestJunk(t *testing.T) {
	for _, v := range []string{"", " ", "0", "0000", "00000000-0000-0000-0000-000000000000",
		"{00000000-0000-0000-0000-000000000000}",
		"00:00:00:00:00:00", "unknown", "Unknown", "[REDACTED]", "redacted@email.com", "<null>", "NULL",
		"To Be Filled By O.E.M.",
		"Default string", "System Serial Number", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
		if !Junk(v) {
			t.Errorf("%q should identify nobody", v)
		}
	}
	for _, v := range []string{"C02XL0GTJGH5", "a@b.nl", "10", "5a14a52f-0f3b-4d12-9fac-2d2b1c1a8e33",
		"unknown.person@example.org", "f"} {
		if Junk(v) {
			t.Errorf("%q identifies", v)
		}
	}
}
