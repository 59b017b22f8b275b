package record

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Numbers of cards and accounts are told by their shape, wherever they stand; other numbers are
// left alone.
func TestNumbersOfPaymentsAreToldByTheirShape(t *testing.T) {
	for text, want := range map[string]bool{
		"4111111111111111":                      true,
		"4111 1111 1111 1111":                   true,
		"card 5500-0000-0000-0004, until 12/27": true,
		"4111 1111 1111 1111 12":                true,
		"340000000000009":                       true,
		"6011000000000004":                      true,
		"NL91ABNA0417164300":                    true,
		"nl91 abna 0417 1643 00":                true,
		"IBAN: BE68 5390 0754 7034 (Contoso)":   true,
		"DE89370400440532013000":                true,
		"GB82WEST12345698765432":                true,

		"":                                     false,
		"4111111111111112":                     false, // the check digit
		"NL91ABNA0417164301":                   false,
		"NL91ABNA041716430":                    false,
		"+4917612345678901":                    false,
		"0031612345678":                        false,
		"411111111111":                         false,
		"41111111111111111111111111":           false,
		"INV-2026-000123":                      false,
		"a5c1b8f2-0000-4000-8000-000000000001": false,
		"2026-01-02 03:04:05":                  false,
		"x4111111111111111":                    false,
	} {
		if got := Payment(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`[3-6][0-9]{11,17}`).Draw(t, "digits")
		for c := range 10 {
			if n := digits + string(rune('0'+c)); luhn(n) {
				sep := rapid.SampledFrom([]string{"", " ", "-"}).Draw(t, "separator")
				n = n[:4] + sep + n[4:8] + sep + n[8:]
				around := rapid.SampledFrom([]string{"%", "a % b", "(%)", "no: %."}).Draw(t, "around")
				if text := strings.Replace(around, "%", n, 1); !Payment(text) {
					t.Fatalf("%q is not told", text)
				}
			}
		}
		Payment(rapid.String().Draw(t, "anything"))
	})
}
