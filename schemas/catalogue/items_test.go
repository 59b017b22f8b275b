package catalogue

import (
	"slices"
	"strconv"
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// Each item of the list is there, in its order, with a name in each language and with a home: an
// attribute, or a rule that keeps it out.
func TestEachItemHasAHome(t *testing.T) {
	var want, have []string
	for i := range 70 {
		want = append(want, strconv.Itoa(i+1))
	}
	for i := range 6 {
		want = append(want, "X"+strconv.Itoa(i+1))
	}
	c := Default()
	for _, i := range c.Items() {
		have = append(have, i.ID)
		if !i.Home() {
			t.Errorf("item %s has no home", i.ID)
		}
		for _, lang := range words.Languages() {
			if name := i.Label.In(lang); name == i.ID {
				t.Errorf("item %s has no name in %s", i.ID, lang)
			}
		}
		if len(i.Attributes()) > 0 && len(i.Types(c)) == 0 {
			t.Errorf("item %s: no event type carries it", i.ID)
		}
	}
	if !slices.Equal(have, want) {
		t.Errorf("items are %v", have)
	}
}

// What an attribute may let stand open tells of nobody, whatever item it is of.
func TestAnItemOfAPersonIsSealed(t *testing.T) {
	for _, i := range Default().Items() {
		for _, a := range i.Attributes() {
			if i.Value == "" && a.Item == i.ID && a.Shape != nil && a.Identifiability != "non-personal" {
				t.Errorf("item %s: %s may stand open", i.ID, a.ID)
			}
			if i.Rule == RuleNever {
				t.Errorf("item %s is never collected and has the attribute %s", i.ID, a.ID)
			}
		}
	}
}
