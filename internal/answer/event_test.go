package answer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
	"github.com/ledgerline/ledgerline/schemas/words"
)

// A line begins with what tells events of a type apart; what is sealed comes last, and is what a
// long event leaves out.
func TestALineBeginsWithWhatTellsEventsApart(t *testing.T) {
	const sealed = schemas.SealedPrefix + "v1:x"
	values := []projections.Value{{Attribute: "action.verb", Text: "action"},
		{Attribute: "action.operation", Text: "wipe ManagedDevice"}, {Attribute: "action.result", Text: "failure"},
		{Attribute: "action.category", Text: "device"}, {Attribute: "action.component", Removed: true}}
	for range 9 {
		values = append(values, projections.Value{Attribute: "action.actor-upn", Text: sealed})
	}
	for range 50 {
		rand.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		for lang, want := range map[string][]string{
			"en": {"Verb: action; Operation: wipe; Result: failed; ", "Category: device", ": ● (9 times)"},
			"nl": {"Handeling: actie; Bewerking: op afstand wissen; Resultaat: mislukt; ", "Categorie: apparaat",
				": ● (9 keer)"},
		} {
			in, _ := words.Default().Language(lang)
			got := told(in, "adminaction.recorded.v1", values)
			if !strings.HasPrefix(got, want[0]) || strings.Contains(got[strings.Index(got, "●"):], want[1]) ||
				!strings.HasSuffix(got, in.Text("attribute.action.actor-upn")+want[2]) ||
				!strings.Contains(got, want[1]) {
				t.Fatalf("a line reads %q", got)
			}
		}
	}
}

// A value that stands open is shown and not obeyed, and on its line.
func TestAValueStaysOnItsLine(t *testing.T) {
	in := words.Default().Base()
	for text, want := range map[string]string{"a\r\nb": "a b", "a\x1b[2Jb": `a\u001b[2Jb`} {
		v := projections.Value{Attribute: "action.component", Text: text}
		if got := valueText(in, v); got != want {
			t.Errorf("%q reads %q, want %q", text, got, want)
		}
	}
	open := projections.Value{Attribute: "device.encrypted", Text: "true"}
	if got := valueText(in, open); got != "yes" {
		t.Errorf("true reads %q", got)
	}
}

// A long event leaves out its last values, and says how many.
func TestALongEventIsCutShort(t *testing.T) {
	var values []projections.Value
	for _, id := range strings.Split("abcdefghijkl", "") {
		values = append(values, projections.Value{Attribute: "other." + id, Text: id})
	}
	in := words.Default().Base()
	if got := told(in, "device.enrolled.v1", values); !strings.HasSuffix(got, "other.h: h; and 4 more") {
		t.Errorf("got %q", got)
	}
}
