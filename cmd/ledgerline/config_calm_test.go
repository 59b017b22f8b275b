//go:build !crash && !disturb

package main

import (
	"strings"
	"testing"
)

// A program that was not built for it does not misbehave: the variables by which tests ask for
// that are refused like any other that nothing reads.
func TestWhatIsForTestsOnlyIsRefused(t *testing.T) {
	for _, name := range []string{"LEDGERLINE_CRASH_AT", "LEDGERLINE_DISTURB"} {
		if _, err := loadConfig("", []string{name + "=1"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
