package intake

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/schemas"

	"pgregory.net/rapid"
)

// element is the random id of a list's element, as canonicalEvent writes it.
var element = regexp.MustCompile(`\[[0-9a-f-]{36}\]`)

// streamTexts are the events of each stream in their order, with all that they say but random ids.
func (w *world) streamTexts() []string {
	by := map[schemas.Stream]*strings.Builder{}
	for _, e := range w.own() {
		if by[e.Stream] == nil {
			by[e.Stream] = &strings.Builder{}
		}
		// Entries of a list are read in the order of their random ids.
		lines := strings.SplitAfter(element.ReplaceAllString(w.canonicalEvent(e), "[]"), "\n")
		slices.Sort(lines[1:])
		fmt.Fprintf(by[e.Stream], "%s#%d %s", e.Stream.Kind(), e.Revision, strings.Join(lines, ""))
	}
	var out []string
	for _, b := range by {
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

// TestEncodingBesidePlanningChangesNothing: whether events are sealed and encoded by nobody else,
// by one goroutine or by many beside the planning, an import counts the same, and each stream gets
// the same events in the same order.
func TestEncodingBesidePlanningChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		parts := []map[string]string{files(rt, anyRecords(rt)), files(rt, anyRecords(rt))}
		batch := rapid.IntRange(1, 14).Draw(rt, "batch")
		var texts, counts []string
		for _, hands := range []int{0, 1, 8} {
			w := newWorld(t, false)
			rt.Cleanup(w.close)
			w.config.BatchSize = batch
			told := ""
			for _, p := range parts {
				told += asJSON(t, w.importBeside(hands, p))
			}
			texts, counts = append(texts, strings.Join(w.streamTexts(), "\n")), append(counts, told)
		}
		for i := range texts {
			if texts[i] != texts[0] || counts[i] != counts[0] {
				rt.Fatalf("with more hands:\n%s\n%s\nwith none:\n%s\n%s", counts[i], texts[i], counts[0], texts[0])
			}
		}
	})
}

// A fleet fills batches, so that hands are busy while others are planned.
func TestEncodingAFleetBesidePlanningChangesNothing(t *testing.T) {
	cfg := fleet.Sized(60)
	cfg.Days, cfg.Tenant, cfg.DetailPerDay, cfg.GraphShare = 3, sourceTenant, 3, 0.5
	dir := t.TempDir() + "/fleet"
	if _, err := fleet.Write(context.Background(), cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, hands := range []int{0, 1, 8} {
		w := newWorld(t, false)
		in := w.intake()
		in.hands = hands
		s, err := in.Import(context.Background(), w.tenant, Source{Paths: []string{dir}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text := asJSON(t, s) + strings.Join(w.streamTexts(), "\n")
		if first == "" {
			first = text
		}
		if text != first {
			t.Errorf("with %d hands the ledger says something else", hands)
		}
	}
}

func (w *world) importBeside(hands int, files map[string]string) Summary {
	w.t.Helper()
	in := w.intake()
	in.hands = hands
	s, err := w.tryImportBy(in, files)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}
