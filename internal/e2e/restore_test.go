//go:build crash

package e2e

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/internal/fleet"
)

// data is a path in the node's data directory.
func (n *node) data(elem ...string) string {
	return filepath.Join(append([]string{n.dir, "data"}, elem...)...)
}

func (n *node) remove(names ...string) {
	n.t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(n.data(name)); err != nil {
			n.t.Fatal(err)
		}
	}
}

// copyVault copies the vault of a stopped node, as an operator would, and returns the folder.
func (n *node) copyVault() string {
	n.t.Helper()
	dir := n.t.TempDir()
	for _, name := range []string{"vault.db", "vault.slots"} {
		if out, err := exec.Command("cp", "-a", n.data(name), filepath.Join(dir, name)).CombinedOutput(); err != nil {
			n.t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

func (n *node) mustStart() {
	n.t.Helper()
	if err := n.start(); err != nil {
		n.dumpLog()
		n.t.Fatal(err)
	}
}

// An event store that is lost, or of which an older copy was put back, is
// completed from the topics: every leaf is the same, what is imported again is
// known, and the views have nothing to say.
func TestRestoredEventStoreIsCompletedFromTheTopics(t *testing.T) {
	dir, gen := smallFleet(t, 15, 2)
	n := newNode(t)
	n.mustStart()
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	backup := filepath.Join(n.dir, "early.tar")
	n.must("", "eventstore", "backup", backup)
	n.importJSON("Contoso", dir)
	want := check(t, n)
	n.stop()

	if r := n.run("", "restore", "eventstore"); r.code != 0 || !strings.Contains(r.stdout, "nothing to complete") {
		t.Errorf("a whole event store: exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for _, how := range []string{"lost", "older"} {
		n.remove("eventstore")
		if how == "older" {
			n.must("", "eventstore", "restore", backup)
		}
		r := n.run("", "restore", "eventstore", "--output", "json")
		var doc struct{ Held, Appended, Published, Sequence int }
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != 0 {
			t.Fatalf("%s: exit %d, %v\n%s%s", how, r.code, err, r.stdout, r.stderr)
		}
		if doc.Held+doc.Appended != len(want.leaves) || doc.Sequence != len(want.leaves)-1 ||
			(doc.Held > 0) != (how == "older") {
			t.Errorf("%s: %+v, the ledger had %d events", how, doc, len(want.leaves))
		}
		n.must("", "eventstore", "fsck")
		n.mustStart()
		got := check(t, n)
		if len(got.leaves) != len(want.leaves) {
			t.Fatalf("%s: the ledger has %d events, had %d", how, len(got.leaves), len(want.leaves))
		}
		for i := range got.leaves {
			if got.leaves[i] != want.leaves[i] {
				t.Fatalf("%s: sequence %d is another event", how, i)
			}
		}
		n.must("", "views", "reconcile", "--deep")
		if again := n.importJSON("Contoso", dir); again.EventsAppended != 0 {
			t.Errorf("%s: importing again appended %d events", how, again.EventsAppended)
		}
		n.stop()
	}

	n.remove("sequence.index", "sequence.index.foreign")
	if out := n.must("", "reindex"); !strings.Contains(out, fmt.Sprintf("%d events", len(want.leaves))) {
		t.Errorf("reindex of %d events said %s", len(want.leaves), out)
	}

	// Without a vault nobody can tell what is genuine, and without topics there is nothing to
	// complete from: nothing is made.
	aside := n.data("aside")
	for _, c := range []struct{ what, says string }{{"kafka", "no topics"}, {"vault.db", "no vault"}} {
		n.remove("eventstore")
		if err := os.Rename(n.data(c.what), aside); err != nil {
			t.Fatal(err)
		}
		if r := n.run("", "restore", "eventstore"); r.code != 1 || !strings.Contains(r.stderr, c.says) {
			t.Errorf("without %s: exit %d, %s", c.what, r.code, r.stderr)
		}
		if _, err := os.Stat(n.data("eventstore")); err == nil {
			t.Errorf("without %s an event store was made", c.what)
		}
		if err := os.Rename(aside, n.data(c.what)); err != nil {
			t.Fatal(err)
		}
	}
}

// A vault from before new persons came does not read what is sealed under their keys: that is
// said before anything is changed, and once it is accepted, such values are lost, which one event
// says, and are recorded again.
func TestRestoredVaultSaysWhatItCannotReadAndThenItIsLost(t *testing.T) {
	dir, _ := smallFleet(t, 6, 1)
	more := filepath.Join(t.TempDir(), "more")
	cfg := fleet.Sized(14)
	cfg.Days, cfg.Seed = 1, 99
	if _, err := fleet.Write(t.Context(), cfg, more, nil); err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	n.mustStart()
	n.must("", "tenant", "add", "Contoso", "--source-tenant", "any")
	n.importJSON("Contoso", dir)
	n.stop()
	older := n.copyVault()
	n.mustStart()
	n.importJSON("Contoso", more)
	n.must("", "report", "device-inventory", "--masked") // waits until the views hold everything
	n.stop()

	if r := n.run("", "restore", "vault", "--from", older); r.code != 2 || !strings.Contains(r.stderr, "mv ") {
		t.Errorf("over an existing vault: exit %d, %s", r.code, r.stderr)
	}
	n.remove("vault.db", "vault.slots")
	if r := n.run("", "restore", "vault"); r.code != 1 || !strings.Contains(r.stderr, "no way to make it again") {
		t.Errorf("without any vault: exit %d, %s", r.code, r.stderr)
	}
	if r := n.run("", "restore", "vault", "--from", older); r.code != 1 ||
		!strings.Contains(r.stderr, "aliases of keys that this vault does not hold") {
		t.Errorf("an older vault: exit %d, %s", r.code, r.stderr)
	}
	if _, err := os.Stat(n.data("vault.db")); err == nil {
		t.Error("a copy that was refused was put in place")
	}
	if r := n.run("", "restore", "vault", "--from", older, "--accept-loss"); r.code != 2 ||
		!strings.Contains(r.stderr, "--yes") {
		t.Errorf("accepting without --yes: exit %d, %s", r.code, r.stderr)
	}
	out := n.must("", "restore", "vault", "--from", older, "--accept-loss", "--yes")
	if !strings.Contains(out, "declared lost") {
		t.Errorf("accepting said %s", out)
	}
	if out := n.must("", "restore", "vault"); strings.Contains(out, "lost") {
		t.Errorf("again, it said %s", out)
	}
	n.mustStart()
	report := n.must("", "report", "device-inventory", "--purpose", "review", "--output", "json")
	if !strings.Contains(report, `{"state":"lost"}`) || !strings.Contains(report, `"valuesLost":`) {
		t.Errorf("the report does not say what is lost: %.2000s", report)
	}
	if tail := n.must("", "tail", "--from-start", "--until-end", "--output", "json"); strings.Count(tail,
		`"ledger.keys-lost.v1"`) != 1 {
		t.Errorf("%d events tell of the loss", strings.Count(tail, `"ledger.keys-lost.v1"`))
	}
	if s := n.importJSON("Contoso", more); s.EventsAppended == 0 {
		t.Error("what was lost was not recorded again")
	}
	if s := n.importJSON("Contoso", more, dir); s.EventsAppended != 0 {
		t.Errorf("the third import appended %d events", s.EventsAppended)
	}
	n.must("", "report", "device-inventory", "--masked")
	n.must("", "views", "reconcile", "--deep")
	n.stop()
}

var upnForm = regexp.MustCompile(`[a-z0-9.-]+@[a-z0-9.-]+[a-z]`)

// A vault from before an erasure holds the person again. Restored, it does not:
// the order stands in the ledger.
func TestRestoredVaultForgetsWhoWasErasedSince(t *testing.T) {
	dir, _ := smallFleet(t, 6, 1)
	n := newNode(t)
	n.mustStart()
	n.must("", "tenant", "add", "Contoso", "--source-tenant", "any")
	n.importJSON("Contoso", dir)
	inventory := n.must("", "report", "device-inventory", "--purpose", "review", "--output", "json")
	upn := ""
	for _, u := range upnForm.FindAllString(inventory, -1) {
		if u != "operator@test.example" {
			upn = u
			break
		}
	}
	if upn == "" {
		t.Fatal("the inventory names nobody")
	}
	var opened struct{ Request string }
	if err := json.Unmarshal([]byte(n.must(upn+"\n", "dsar", "open", "--subject", "-", "--right",
		"erasure", "--output",
		"json")), &opened); err != nil {
		t.Fatal(err)
	}
	n.stop()
	older := n.copyVault()
	n.mustStart()
	n.must("", "dsar", "erase", opened.Request, "--ground", "no-longer-necessary", "--yes")
	n.stop()

	n.remove("vault.db", "vault.slots")
	r := n.run("", "restore", "vault", "--from", older, "--output", "json")
	var doc struct {
		Replayed struct{ Orders, Replayed, Keys int }
		Accepted bool
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	if doc.Replayed.Orders != 1 || doc.Replayed.Replayed != 1 || doc.Replayed.Keys == 0 || doc.Accepted {
		t.Errorf("restored: %+v, want the one order carried out", doc)
	}
	n.mustStart()
	if r := n.run(upn+"\n", "dsar", "open", "--subject", "-", "--right", "access"); r.code != 1 {
		t.Errorf("the person is found again: exit %d, %s", r.code, r.stdout)
	}
	out := t.TempDir()
	n.must("", "dsar", "export", opened.Request, "--dir", out)
	if page := readZip(t, filepath.Join(out, "dsar-"+opened.Request+".zip"),
		"02-your-data.html"); strings.Contains(page, upn) {
		t.Error("the package shows the person again")
	}
	if again := n.must("", "report", "device-inventory", "--purpose", "review", "--output",
		"json"); strings.Contains(again, `"`+upn+`"`) {
		t.Error("the inventory shows the person again")
	}
	check(t, n)
	n.stop()
	if out := n.must("", "restore", "vault"); !strings.Contains(out, "carried out now: 0") {
		t.Errorf("again, it said %s", out)
	}
}

// readZip returns a file of a package.
func readZip(t *testing.T, path, name string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	raw, err := fs.ReadFile(z, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
