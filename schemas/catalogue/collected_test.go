package catalogue

import (
	"encoding/json"
	"strings"
	"testing"
)

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

// What is told apart by name alone is written as it is compared, each once.
func TestWhatIsCollectedIsWrittenAsItIsCompared(t *testing.T) {
	c := readCollected()
	for what, texts := range map[string]map[string]bool{"nothing": c.nothing, "junk": c.junk} {
		for text := range texts {
			if text != strings.ToLower(strings.TrimSpace(text)) {
				t.Errorf("%s: %q is never equal to what is compared", what, text)
			}
		}
	}
	for text, want := range map[string]bool{" [REDACTED] ": true, "<Null>": true, "": true, "unknown": false,
		"0": false} {
		if Nothing(text) != want {
			t.Errorf("%q means nothing in any field: %v", text, !want)
		}
	}
	if NeverCollected("serialNumber") != "" {
		t.Error("a serial number is never collected")
	}
}

// asJSON is a value as events hold it.
func asJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
