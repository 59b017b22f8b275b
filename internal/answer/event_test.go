package answer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/projections"
	"github.com/ledgerline/ledgerline/schemas"
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
		got := told("adminaction.recorded.v1", values)
		begins := "action.verb=action action.operation=wipe ManagedDevice action.result=failure "
		if !strings.HasPrefix(got, begins) || strings.Contains(got[strings.Index(got, "●"):], "category") {
			t.Fatalf("a line reads %q", got)
		}
		if !strings.HasSuffix(got, "… 6 more") || !strings.Contains(got, "action.category=device") {
			t.Fatalf("a line reads %q", got)
		}
	}
}
