package entity

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/schemas"
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

// What is ASCII is taken apart by bytes, and comes to the same.
func TestWordsOfASCIIAreThoseOfAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[A-Za-z0-9 '._@#-]{0,24}`).Draw(t, "text")
		// With a letter of another script behind it, every rune is looked at.
		behind := func(words []string) []string { return words[:len(words)-1] }
		if got, want := wordsOf(s), behind(wordsOf(s+" жж")); !slices.Equal(got, want) {
			t.Fatalf("words of %q: %q, want %q", s, got, want)
		}
		if got, want := compactFold(s), strings.TrimSuffix(compactFold(s+"жж"), "жж"); got != want {
			t.Fatalf("%q folds to %q, want %q", s, got, want)
		}
	})
}

// Runes that are looked up fold as the whole text does, whatever stands beside them.
func TestFoldingByRunesIsFoldingTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runes := rapid.OneOf(rapid.RuneFrom([]rune("aZé ßİıŁÆœ'ſ\u0301\u0327\u00adKﬁжÅ")), rapid.Rune(),
			rapid.Int32Range(0, 0x1a0))
		s := rapid.StringOf(runes).Draw(t, "text") + rapid.SampledFrom([]string{"", "\xff", "é"}).Draw(t, "end")
		if got, want := fold(s), foldAny(s); got != want {
			t.Fatalf("%q folds to %q, want %q", s, got, want)
		}
	})
}
