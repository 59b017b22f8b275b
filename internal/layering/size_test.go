package layering

import (
	"bytes"
	"path"
	"strings"
	"testing"
)

// maxLines is how many lines a package may have, without its tests.
const maxLines = 3500

// ownLimits are the lines of packages that have less to do than others.
var ownLimits = map[string]int{"cmd/ledgerline": 1500} // flags and printing

// limit is how many lines a folder's package may have.
func limit(dir string) int {
	if own, ok := ownLimits[dir]; ok {
		return own
	}
	return maxLines
}

// packageSizes returns how many lines each folder's Go files have, without its tests.
func packageSizes(t *testing.T) map[string]int {
	t.Helper()
	sizes := map[string]int{}
	everyFile(t, func(name string, text []byte) {
		if path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
			sizes[path.Dir(name)] += bytes.Count(text, []byte("\n"))
		}
	})
	return sizes
}

// tooLarge returns the folders whose package is.
func tooLarge(sizes map[string]int) (out []string) {
	for dir, n := range sizes {
		if n > limit(dir) {
			out = append(out, dir)
		}
	}
	return out
}

func TestPackagesAreSmall(t *testing.T) {
	sizes := packageSizes(t)
	if len(sizes) < 30 {
		t.Fatalf("only %d packages were looked at", len(sizes))
	}
	for dir := range ownLimits {
		if sizes[dir] == 0 {
			t.Errorf("%s has a limit of its own, and is not there", dir)
		}
	}
	for _, dir := range tooLarge(sizes) {
		t.Errorf("%s has %d lines without tests, and may have %d: split it where one sentence cannot say what it does",
			dir, sizes[dir], limit(dir))
	}
}

func TestALargePackageIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		sizes map[string]int
		found int
	}{
		"as they may be":         {map[string]int{"a": maxLines, "cmd/ledgerline": 1500}, 0},
		"one too large":          {map[string]int{"a": maxLines + 1, "b": 1}, 1},
		"the commands too large": {map[string]int{"a": maxLines, "cmd/ledgerline": 1501}, 1},
	} {
		if got := tooLarge(tc.sizes); len(got) != tc.found {
			t.Errorf("%s: %q, want %d", name, got, tc.found)
		}
	}
}
