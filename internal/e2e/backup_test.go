package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A backup is taken from a running ledger. Restored elsewhere, with the vault and its key, it is
// whole and goes on as the same ledger: nothing is lost, and the views are made again. A byte that
// has changed in it is found.
func TestBackupRestoreAndGoOn(t *testing.T) {
	dir, gen := smallFleet(t, 20, 2)
	n := newNode(t)
	n.must("a password for the test\n", "eventstore", "user", "add", "anna", "--groups", "$admins")
	if err := n.start(); err != nil {
		n.dumpLog()
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	n.must("", "report", "admin-actions", "--masked", "--output", "json") // waits until the views hold everything
	before := n.must("", "tail", "--from-start", "--until-end", "--output", "json")
	file := filepath.Join(n.dir, "ledger.tar")
	n.must("", "eventstore", "backup", file)
	if r := n.run("", "eventstore", "backup", file); r.code != 2 {
		t.Errorf("a backup over another: exit code %d: %s", r.code, r.stderr)
	}
	if r := n.run("", "eventstore", "fsck"); r.code != 1 || !strings.Contains(r.stderr, "stop `ledgerline up` first") {
		t.Errorf("fsck of a running store: exit code %d: %s", r.code, r.stderr)
	}
	n.stop()
	n.must("", "eventstore", "fsck")

	other := newNode(t)
	other.must("", "eventstore", "restore", file)
	if out := other.must("", "eventstore", "fsck"); !strings.Contains(out, "whole") {
		t.Errorf("fsck of the restored store: %s", out)
	}
	for _, name := range []string{"vault.db", "vault.slots", "keys"} {
		cmd := exec.Command("cp", "-a", filepath.Join(n.dir, "data", name), filepath.Join(other.dir, "data", name))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := other.start(); err != nil {
		other.dumpLog()
		t.Fatal(err)
	}
	other.must("", "report", "admin-actions", "--masked", "--output", "json") // waits until the views hold everything
	if after := other.must("", "tail", "--from-start", "--until-end", "--output", "json"); after != before {
		t.Errorf("the restored ledger shows %d bytes of events, the original %d, or others", len(after), len(before))
	}
	other.must("", "views", "reconcile", "--deep")
	other.stop()

	damaged := newNode(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := damaged.run("", "eventstore", "restore", file); r.code != 1 ||
		!strings.Contains(r.stderr, "not a whole backup") {
		t.Errorf("a changed backup: exit code %d: %s", r.code, r.stderr)
	}
}
