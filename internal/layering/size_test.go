package layering

import (
	"bytes"
	"path"
	"strings"
	"testing"
)

// maxLines is how many lines a package may have, without its tests.
const maxLines = 3500

// stillLarge are packages that are being taken apart. None is added here; one that has
// become small is taken out.
var stillLarge = map[string]bool{}

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

// tooLarge returns what breaks the rule, in words.
func tooLarge(sizes map[string]int, allowed map[string]bool) (out []string) {
	for dir := range allowed {
		if sizes[dir] <= maxLines {
			out = append(out, dir+" is small now: take it out of stillLarge")
		}
	}
	for dir, n := range sizes {
		if n > maxLines && !allowed[dir] {
			out = append(out, dir+" is too large: split it where one sentence cannot say what it does")
		}
	}
	return out
}

func TestPackagesAreSmall(t *testing.T) {
	sizes := packageSizes(t)
	if len(sizes) < 30 {
		t.Fatalf("only %d packages were looked at", len(sizes))
	}
	for _, what := range tooLarge(sizes, stillLarge) {
		t.Errorf("%s (at most %d lines without tests)", what, maxLines)
	}
}

func TestALargePackageIsFound(t *testing.T) {
	for name, tc := range map[string]struct {
		sizes map[string]int
		found int
	}{
		"as they may be":          {map[string]int{"new": maxLines, "old": maxLines + 1}, 0},
		"a new one":               {map[string]int{"new": maxLines + 1, "old": maxLines + 1}, 1},
		"an old one is small now": {map[string]int{"old": maxLines}, 1},
		"an old one is gone":      {map[string]int{"new": 1}, 1},
	} {
		if got := tooLarge(tc.sizes, map[string]bool{"old": true}); len(got) != tc.found {
			t.Errorf("%s: %q, want %d", name, got, tc.found)
		}
	}
}
