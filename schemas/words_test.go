package schemas

import (
	"testing"

	"github.com/ledgerline/ledgerline/schemas/words"
)

// Every attribute and type of the catalogue has a label, every value of a vocabulary that has
// words one for each of its values or none, and no label is of something that is not there.
func TestTheCatalogueHasItsLabels(t *testing.T) {
	c, set := Default(), words.Default()
	known := map[string]bool{"attribute.occurred-at": true} // an event's time, which may be disputed
	for _, a := range c.Attributes() {
		known[string(a.Label)] = true
	}
	for _, typ := range c.Types() {
		known[string(typ.Label)] = true
	}
	for key := range known {
		if _, ok := set.Base().Find(key); !ok {
			t.Errorf("%s has no text in schemas/words", key)
		}
	}
	for _, key := range append(set.Keys("attribute."), set.Keys("type.")...) {
		if !known[key] {
			t.Errorf("%s is a text of nothing in the catalogue", key)
		}
	}
	for _, a := range c.Attributes() {
		if a.Label.In("nl") == a.Label.In("zz") && a.Label.In("nl") == a.ID {
			t.Errorf("%s is shown by its id", a.ID)
		}
	}
	if got := Label("type.alert.raised.v1").In("nl"); got != "alert.raised.v1" {
		t.Errorf("a type without a label reads %q", got)
	}
}
