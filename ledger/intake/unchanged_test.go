package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/internal/fleet"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

var statesDir = flag.String("states", "",
	"write what imports come to into this folder, to compare it with another commit's")

// golden is what an import came to when testdata/states.sum was written, and by programs of which
// forms.
type golden struct {
	known, folding int    // knownForm and foldingForm
	told, states   string // sums: of summaries and events, and of what folding makes of those
}

// next returns what is to stand in the place of g; changed tells that it is something else. It
// errs where that is made of the same records, or of the same events, by a program that says it is
// of the same form: what older ones kept would be taken for what this one makes.
func (g golden) next(now golden) (changed bool, err error) {
	switch {
	case g == golden{} || g == now:
	case g.told != now.told && now.known <= g.known:
		err = errors.New("another summary or other events come of the same records: raise knownForm (known.go)")
	case g.told == now.told && g.states != now.states && now.folding <= g.folding:
		err = errors.New("folding makes something else of the same events: raise foldingForm (remember.go)")
	case now.known < g.known || now.folding < g.folding:
		err = errors.New("a form is not taken back: an older program may have kept something in it")
	}
	return g != now, err
}

const goldenPath = "testdata/states.sum"

// goldens reads the file: a name, the forms and the sums a line.
func goldens(t *testing.T) map[string]golden {
	t.Helper()
	raw, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]golden{}
	for line := range strings.Lines(string(raw)) {
		var name string
		var g golden
		if _, err := fmt.Sscan(line, &name, &g.known, &g.folding, &g.told, &g.states); err != nil {
			t.Fatalf("%s: %q: %v", goldenPath, line, err)
		}
		all[name] = g
	}
	return all
}

// unchanged compares what was told by an import and what the ledger says after it with what it was
// when testdata/states.sum was written: moving code changes nothing of it. Whoever means to change
// it rewrites the file (-rewrite) and looks at the difference of the texts (-states DIR, before
// and after). That is refused where the form was not raised.
func (w *world) unchanged(t *testing.T, name string, summaries ...Summary) {
	t.Helper()
	states, told := w.canonical(), w.told()
	for _, s := range summaries {
		s.Files = nil // their folders are the test's own
		told += asJSON(t, s) + "\n"
	}
	if *statesDir != "" {
		for ending, text := range map[string]string{".txt": states, ".told.txt": told} {
			if err := os.WriteFile(filepath.Join(*statesDir, name+ending), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	now := golden{knownForm, foldingForm, sum(told), sum(states)}
	all := goldens(t)
	changed, err := all[name].next(now)
	switch f := flag.Lookup("rewrite"); {
	case err != nil:
		t.Errorf("%s: %v; compare it with -states", name, err)
		return
	case !changed:
		return
	case f == nil || f.Value.String() != "true":
		t.Errorf("%s: it comes to something else than it did, or is of another form; compare it with -states, "+
			"and -rewrite", name)
		return
	}
	all[name] = now
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(all)) {
		g := all[n]
		fmt.Fprintf(&b, "%s %d %d %s %s\n", n, g.known, g.folding, g.told, g.states)
	}
	if err := os.WriteFile(goldenPath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whatever comes to something else, and at whatever place, is refused where the form stays, and
// taken where it was raised.
func TestAChangeWithoutItsFormIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.StringMatching(`[0-9a-f]{4}`)
		form := rapid.IntRange(1, 4)
		was := golden{form.Draw(t, "known"), form.Draw(t, "folding"), some.Draw(t, "told"), some.Draw(t, "states")}
		now := was
		if rapid.Bool().Draw(t, "other events") {
			now.told += some.Draw(t, "more")
		}
		if rapid.Bool().Draw(t, "other states") {
			now.states += some.Draw(t, "more")
		}
		now.known += rapid.IntRange(-1, 1).Draw(t, "known raised")
		now.folding += rapid.IntRange(-1, 1).Draw(t, "folding raised")
		forgotten := now.told != was.told && now.known == was.known ||
			now.told == was.told && now.states != was.states && now.folding == was.folding
		back := now.known < was.known || now.folding < was.folding
		changed, err := was.next(now)
		if (err != nil) != (forgotten || back) || changed != (now != was) {
			t.Errorf("%+v after %+v: changed %v, %v", now, was, changed, err)
		}
		if changed, err := (golden{}).next(now); err != nil || !changed {
			t.Errorf("something new: %v", err)
		}
	})
}

// A record of which parsing makes something else shows in what is compared.
func TestAnotherReadingOfARecordShows(t *testing.T) {
	sums := map[string]string{}
	for name, change := range map[string][2]string{
		"as it is":          {},
		"another value":     {"14.4.1", "14.4.2"},
		"another last sync": {"2026-09-03T10", "2026-09-03T11"},
		"an unknown field":  {`"model"`, `"modell"`},
		"another user":      {"anna@", "bo@"},
	} {
		w := newWorld(t, false)
		text := strings.Replace(`{"@odata.type":"#microsoft.graph.managedDevice",
			"id":"22222222-2222-4333-8444-000000000001",
			"deviceName":"MAC","model":"MacBook","osVersion":"14.4.1",
			"managedDeviceOwnerType":"company",
			"userId":"11111111-2222-4333-8444-000000000001","userPrincipalName":"anna@voorbeeld.nl",
			"lastSyncDateTime":"2026-09-03T10:00:00Z"}`, change[0], change[1], 1)
		s := w.importFiles(map[string]string{"d.json": text})
		if !s.Balanced() || s.Recorded != 1 {
			t.Fatalf("%s: %s", name, asJSON(t, s))
		}
		s.Files = nil
		sum := w.told() + asJSON(t, s)
		if other, twice := sums[sum]; twice {
			t.Errorf("%q comes to the same as %q", name, other)
		}
		sums[sum] = name
	}
}

// told is what the tenant's own events tell, by streams, without random ids: what planning made of
// the records.
func (w *world) told() string {
	w.t.Helper()
	by := map[schemas.Stream]string{}
	for _, r := range w.own() {
		by[r.Stream] += w.toldBy(r)
	}
	return strings.Join(slices.Sorted(maps.Values(by)), "\n")
}

func (w *world) toldBy(r schemas.Envelope) string {
	w.t.Helper()
	d, err := schemas.Default().Decode(r)
	if err != nil {
		w.t.Fatal(err)
	}
	whose := func(alias uuid.UUID) string {
		var o schemas.Owner
		err := w.vault.View(context.Background(), w.tenant.ID, func(tx *vault.Tx) (err error) {
			o, err = tx.AliasOwner(alias)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if o.Kind == schemas.OwnerPerson {
			return w.personName(o.ID)
		}
		return string(o.Kind)
	}
	var lines []string
	for _, s := range d.Subjects {
		lines = append(lines, "  "+s.Role+" "+whose(s.Alias))
	}
	for _, v := range d.Values {
		element, text := v.Element(), string(v.Plain)
		if len(element) == len(uuid.Nil.String()) {
			element = "element"
		}
		switch {
		case ours[v.Attr.ID] != "":
			text = "a " + ours[v.Attr.ID]
		case v.Removed:
			text = "removed"
		case v.Token != "":
			h, _, err := v.Token.Parse()
			if err != nil {
				w.t.Fatal(err)
			}
			text = w.openToken(d, v) + " sealed for " + whose(h.Alias)
		}
		lines = append(lines, fmt.Sprintf("  %s[%s] = %s at %s", v.Attr.ID, element, text, schemas.Time(v.Observed)))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s at %s of %s, silent %q\n%s\n", d.Type.Name, schemas.Time(d.Occurred), d.Source, d.Silent,
		strings.Join(lines, "\n"))
}

// importDated imports paths whose records that tell no time are of a day that stays the same.
func (w *world) importDated(t *testing.T, paths ...string) Summary {
	t.Helper()
	src := Source{Paths: paths, TakeNameless: true, Observed: time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)}
	s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
	if err != nil || !s.Balanced() || s.Recorded == 0 {
		t.Fatalf("%v: %s", err, asJSON(t, s))
	}
	return s
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
		w.unchanged(t, fmt.Sprintf("fleet-%d", seed+1), w.importDated(t, dir))
	}
	folders, err := os.ReadDir(cases)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, true)
	var summaries []Summary
	for _, f := range folders {
		src := Source{Paths: []string{filepath.Join(cases, f.Name())},
			Observed: time.Date(2026, 9, 4, 8, 0, 0, 0, time.UTC)}
		s, err := w.intake().Import(context.Background(), w.tenant, src, nil)
		if err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		summaries = append(summaries, s)
	}
	w.unchanged(t, "cases", summaries...)
}
