package content

import (
	"testing"

	"github.com/ledgerline/ledgerline/schemas/catalogue"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// What the record of processing says of retention is what the classes say, or the tenant's own
// policy where it says otherwise: in each language, and from nowhere else.
func TestRetentionIsTheClassesOrTheTenants(t *testing.T) {
	own := func(c catalogue.Class) (catalogue.Period, string) {
		if c.Name == "apps" {
			return catalogue.Period{Months: 1}, "works council"
		}
		return c.Keep, ""
	}
	items := map[string]*catalogue.Item{}
	for _, i := range catalogue.Default().Items() {
		items[i.ID] = i
	}
	for _, tc := range []struct {
		item     string
		keep     Keep
		en, nl   string
		groundEN string
	}{
		{"31", nil, "90 days", "90 dagen", "Art. 5(1)(c) GDPR: minimisation"},
		{"31", own, "1 month", "1 maand", "works council"},
		{"8", own, "current value while managed; history 12 months",
			"huidige waarde zolang beheerd; geschiedenis 12 maanden",
			"Art. 6(1)(f) GDPR: assets and claims after loss"},
		{"X6", nil, "not kept", "niet bewaard", "Art. 5(1)(c) GDPR: minimisation"},
	} {
		period, ground := KeptAs(items[tc.item], tc.keep)
		for lang, want := range map[string]string{"en": tc.en, "nl": tc.nl} {
			l, _ := words.Default().Language(lang)
			if got := Word(l, OfRetention, period); got != want {
				t.Errorf("item %s, %s: %q, want %q", tc.item, lang, got, want)
			}
		}
		if ground == "" {
			ground = Word(words.Default().Base(), OfRetentionGround, items[tc.item].Class)
		}
		if ground != tc.groundEN {
			t.Errorf("item %s: on the ground %q, want %q", tc.item, ground, tc.groundEN)
		}
	}
	for _, lang := range words.Languages() {
		l, _ := words.Default().Language(lang)
		for _, c := range catalogue.Default().Classes() {
			if Word(l, OfRetentionGround, c.Name) == c.Name || Word(l, OfRetention, c.Name+"="+c.Keep.String()) == "" {
				t.Errorf("%s: the class %s has no words", lang, c.Name)
			}
		}
	}
}
