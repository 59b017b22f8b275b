//go:build !crash && !disturb

package node

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/settings"
)

// A program that was not built for it does not misbehave: the variables by which tests ask for
// that are refused like any other that nothing reads.
func TestWhatIsForTestsOnlyIsRefused(t *testing.T) {
	for _, name := range []string{"LEDGERLINE_CRASH_AT", "LEDGERLINE_DISTURB"} {
		if _, err := settings.Load("", []string{name + "=1"}, TestVariables()...); err == nil ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
