package intake

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMain draws fewer cases than rapid's hundred, each of which is several imports into a vault
// on disk. More: -rapid.checks=N.
func TestMain(m *testing.M) {
	if !slices.ContainsFunc(os.Args, func(a string) bool { return strings.Contains(a, "rapid.checks") }) {
		if err := flag.Set("rapid.checks", "12"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
