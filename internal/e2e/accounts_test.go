package e2e

import (
	"strings"
	"testing"
)

// With accounts, each command acts as somebody, does what their role may and no more, and what it
// did stands in the ledger under their name. What keeps the ledger running takes no account.
func TestAnAccountActsUnderItsNameAndWithinItsRole(t *testing.T) {
	dir, gen := smallFleet(t, 10, 2)
	n := newNode(t)
	if err := n.start(); err != nil {
		t.Fatal(err)
	}
	n.must("", "tenant", "add", "Contoso", "--source-tenant", gen.Tenant)
	n.importJSON("Contoso", dir)
	const anna, piet = "anna's password\n", "piet's password\n"
	const annaName, pietName = "anna@contoso.example", "piet@contoso.example"
	n.must(anna, "officer", "add", annaName, "--role", "tenant-admin,officer", "--tenant", "all")
	n.must(anna+piet, "officer", "add", pietName, "--role", "viewer", "--as", annaName)
	inventory := []string{"report", "device-inventory", "--output", "json"}
	reveal, masked := append(inventory, "--purpose", "review"), append(inventory, "--masked")
	if r := n.run("", masked...); r.code != 1 || !strings.Contains(r.stderr, "--as NAME") {
		t.Errorf("nobody: exit %d, %s", r.code, r.stderr)
	}
	if out := n.must(piet, append(masked, "--as", pietName)...); !strings.Contains(out, pietName) {
		t.Errorf("the report does not say who made it: %s", out)
	}
	if r := n.run(piet, append(reveal, "--as", pietName)...); r.code != 1 ||
		!strings.Contains(r.stderr, "it takes the role officer") {
		t.Errorf("a viewer reveals: exit %d, %s", r.code, r.stderr)
	}
	views := func() int {
		out := n.must(anna, "tail", "--from-start", "--until-end", "--type", "access.", "--output", "json",
			"--as", annaName)
		return strings.Count(out, "access.unsealed.v2")
	}
	before := views()
	out := n.must(anna, append(reveal, "--as", annaName)...)
	if !strings.Contains(out, annaName) {
		t.Errorf("the report does not say who made it: %s", out)
	}
	if after := views(); before != 0 || after == 0 {
		t.Errorf("%d accesses stood in the ledger before the one, %d after it", before, after)
	}
	if r := n.run("", "status"); r.code != 0 {
		t.Errorf("status: exit %d, %s", r.code, r.stderr)
	}
	n.must("", "views", "reconcile")
	check(t, n)
}
