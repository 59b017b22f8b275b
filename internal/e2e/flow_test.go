package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

// smallFleet writes a small generated fleet and returns its folder and
// what an import must come to.
func smallFleet(t testing.TB, devices, days int) (string, fleet.Summary) {
	t.Helper()
	cfg := fleet.Sized(devices)
	cfg.Days, cfg.Seed, cfg.Malformed, cfg.Foreign = days, 7, 1, 1
	dir := filepath.Join(t.TempDir(), "fleet")
	sum, err := fleet.Write(context.Background(), cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir, sum
}

// The main job, by the commands a user types: import, views, reports, a person's
// package, erasure, restart.
func TestRecordsGoInAndReportsAndAPersonsPackageComeOut(t *testing.T) {
	dir, gen := smallFleet(t, 40, 4)
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	if r := n.run("", "up"); r.code == 0 || !strings.Contains(r.stderr, "runs on this directory") {
		t.Errorf("a second up: exit %d, %s, want it refused", r.code, r.stderr)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant, "--language", "nl")
	s := n.importJSON("Contoso", dir)
	if s.Read != gen.Expected.Read || s.FailedCount != gen.Expected.Failed {
		t.Errorf("read %d and failed %d records, the fleet wrote %d and %d", s.Read, s.FailedCount, gen.Expected.Read,
			gen.Expected.Failed)
	}
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}
	f := check(t, n)
	actions := 0
	for _, d := range f.drafts {
		if d.Type.Name == "adminaction.recorded.v1" {
			actions++
		}
	}
	if actions != gen.Expected.AuditFacts {
		t.Errorf("%d admin actions in the ledger, the fleet made %d", actions, gen.Expected.AuditFacts)
	}
	var rep struct {
		Rows   []struct{ ID string }
		Totals struct {
			Masked int `json:"valuesMasked"`
		}
	}
	for id, args := range map[string][]string{
		"admin-actions":      {"--purpose", "review: monthly"},
		"device-inventory":   {"--purpose", "review: stocktaking", "--lang", "nl"},
		"remote-actions":     {"--purpose", "review: monthly"},
		"refused-collection": nil,
		"compliance-status":  {"--purpose", "compliance-check"},
	} {
		out := n.must("", append([]string{"report", id, "--output", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &rep); err != nil || len(rep.Rows) == 0 || rep.Totals.Masked != 0 {
			t.Errorf("report %s: %d rows, %d masked, %v", id, len(rep.Rows), rep.Totals.Masked, err)
		}
	}
	out := n.must("", "report", "data-access", "--purpose", "audit", "--output", "json")
	if err := json.Unmarshal([]byte(out), &rep); err != nil || len(rep.Rows) != 4 {
		t.Errorf("the viewings of four reports: %d rows, %v", len(rep.Rows), err)
	}
	remote := n.must("", "report", "remote-actions", "--masked", "--output", "json")
	if err := json.Unmarshal([]byte(remote), &rep); err != nil || len(rep.Rows) == 0 {
		t.Fatalf("remote actions: %d rows, %v", len(rep.Rows), err)
	}
	out = n.must("", "report", "device-exposure", "--device", rep.Rows[0].ID, "--purpose",
		"security-incident: lost on a train")
	if !strings.Contains(out, "Op afstand gevraagd") {
		t.Errorf("the exposure of a device that something was asked of: %s", out)
	}
	path := filepath.Join(t.TempDir(), "actions.csv")
	if out := n.must("", "report", "admin-actions", "--masked", "--output", "html", "--lang", "nl"); !strings.Contains(
		out, `<html lang="nl">`) || !strings.HasSuffix(strings.TrimSpace(out), "</html>") {
		t.Errorf("a report as a page: %.300s", out)
	}
	n.must("", "report", "admin-actions", "--masked", "--output", "csv", "--file", path)
	if st, err := os.Stat(path); err != nil || st.Size() == 0 || st.Mode().Perm() != 0o600 {
		t.Errorf("a report in a file: %v, %v", st, err)
	}
	if r := n.run("", "report", "admin-actions", "--masked", "--file", path); r.code == 0 ||
		!strings.Contains(r.stderr, "--file") {
		t.Errorf("a file that exists: exit %d, %s, want it kept", r.code, r.stderr)
	}
	if r := n.run("", "report", "admin-actions"); r.code != 2 || !strings.Contains(r.stderr, "--purpose") {
		t.Errorf("without a purpose: exit %d, %s", r.code, r.stderr)
	}
	if out := n.must("", "views", "rebuild", "all"); !strings.Contains(out, "rebuilt attribute_current") {
		t.Errorf("rebuilding all views said %q", out)
	}
	if out := n.must("", "views", "reconcile", "--deep"); !strings.Contains(out,
		"no difference in what was compared") {
		t.Errorf("reconcile said %q", out)
	}
	n.stop()
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	f = check(t, n)

	// What somebody takes out of the views is found and named.
	n.door("clickhouse", "ledger").ask(t, context.Background(), http.MethodPost, "/?mutations_sync=2",
		"ALTER TABLE ledgerline.events DELETE WHERE ledger_seq IN (3, 7)")
	r := n.run("", "views", "reconcile", "--output", "json")
	var doc struct {
		Findings []struct {
			View, What string
			Sequence   int
		}
	}
	err := json.Unmarshal([]byte(r.stdout), &doc)
	var missing []int
	for _, x := range doc.Findings {
		if x.View == "events" && x.What == "missing" {
			missing = append(missing, x.Sequence)
		}
	}
	if err != nil || r.code != 1 || !slices.Equal(missing, []int{3, 7}) {
		t.Errorf("of %d events 3 and 7 were deleted from the views; reconcile exits with %d and names %+v (%v)",
			len(f.events), r.code, doc.Findings, err)
	}
}

// Topics, views and the sequence index are copies: whichever is lost is made again from the
// ledger, and nothing with it.
func TestWhatIsLostIsMadeAgainFromTheLedger(t *testing.T) {
	dir, gen := smallFleet(t, 25, 2)
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	want := check(t, n)
	for _, lost := range [][]string{{"kafka"}, {"clickhouse"}, {"sequence.index"},
		{"kafka", "clickhouse", "sequence.index"}} {
		n.stop()
		for _, name := range lost {
			if err := os.RemoveAll(filepath.Join(n.dir, "data", name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.start(); err != nil {
			n.dumpLog()
			t.Fatalf("without %v: %v", lost, err)
		}
		got := check(t, n)
		if len(got.leaves) != len(want.leaves) {
			t.Errorf("without %v the ledger has %d events, before %d", lost, len(got.leaves), len(want.leaves))
		}
	}
	if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
		t.Errorf("importing again appended %d events", again.EventsAppended)
	}
}
