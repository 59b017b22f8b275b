package intake

import (
	"bufio"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

var statesDir = flag.String("states", "",
	"write what imports come to into this folder, to compare it with another commit's")

// unchanged compares what the ledger says after an import with what it said when
// testdata/states.sum was written: moving code changes nothing of it. Whoever means to change it
// rewrites the file (-rewrite) and looks at the difference of the texts (-states DIR, before and
// after).
func (w *world) unchanged(t *testing.T, name string) {
	t.Helper()
	const path = "testdata/states.sum"
	text := w.canonical()
	if *statesDir != "" {
		if err := os.WriteFile(filepath.Join(*statesDir, name+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(string(raw))); lines.Scan(); {
		if n, sum, ok := strings.Cut(lines.Text(), " "); ok {
			sums[n] = sum
		}
	}
	got := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	if sums[name] == got {
		return
	}
	if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
		t.Errorf("%s: the ledger says something else than it did (%d lines); compare it with -states", name,
			strings.Count(text, "\n")+1)
		return
	}
	sums[name] = got
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s %s\n", n, sums[n])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// importDated imports paths whose records that tell no time are of a day that stays the same.
func (w *world) importDated(t *testing.T, paths ...string) {
	t.Helper()
	src := Source{Paths: paths, TakeNameless: true, Observed: time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)}
	s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err != nil || !s.Balanced() || s.Recorded == 0 {
		t.Fatalf("%v: %s", err, asJSON(t, s))
	}
}

// Three fleets and every case say what they said.
func TestWhatImportsComeToIsUnchanged(t *testing.T) {
	for seed := range uint64(3) {
		cfg := fleet.Sized(16)
		cfg.Seed, cfg.Days, cfg.Tenant, cfg.DetailPerDay, cfg.GraphShare = seed+1, 4, sourceTenant, 4, 0.5
		dir := t.TempDir() + "/fleet"
		if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, false)
		w.importDated(t, dir)
		w.unchanged(t, fmt.Sprintf("fleet-%d", seed+1))
	}
	folders, err := os.ReadDir(cases)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, true)
	for _, f := range folders {
		src := Source{Paths: []string{filepath.Join(cases, f.Name())},
			Observed: time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)}
		if _, err := w.intake().Import(context.Background(), w.tenant, src, nil); err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
	}
	w.unchanged(t, "cases")
}
