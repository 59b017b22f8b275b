package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/internal/accounts"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/ledger/vault"
)

// machine is a data directory with a vault and two tenants, at which commands are run as a user
// types them.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t, dataDir(t)}
	s, err := settings.Load("", []string{"LEDGERLINE_DATA=" + m.dir})
	if err != nil {
		t.Fatal(err)
	}
	c := node.Config{Settings: s, Log: slog.New(slog.DiscardHandler)}
	if err := c.Dir().Make(); err != nil {
		t.Fatal(err)
	}
	local := node.Local(c)
	v, err := local.OpenVault(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Contoso", "Fabrikam"} {
		if _, err := v.AddTenant(context.Background(), vault.NewTenant{Name: name, AnySource: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a command and returns what it printed, on both outputs, and its exit code and error.
func (m machine) run(input string, args ...string) string {
	m.t.Helper()
	a := &app{places: places{cost: accounts.Cost{Passes: 1, MemoryKB: 8, Lanes: 1}}}
	root := newRoot(a)
	var out bytes.Buffer
	root.SetArgs(append(args, "--data", m.dir))
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(input))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	code, err := a.execute(ctx, root)
	if err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	return fmt.Sprintf("%s[%d]", out.String(), code)
}

// The whole of accounts as a user meets it: nobody has one, the first, others, wrong passwords,
// too many of them, what a role may not do, the last one.
func TestAccountsAsTheyAreTyped(t *testing.T) {
	m := newMachine(t)
	const anna, piet = "anna's password\n", "piet's password\n"
	asAnna, asPiet := []string{"--as", "anna@contoso.example"}, []string{"--as", "piet"}
	for i, step := range []struct {
		input string
		args  []string
		as    []string
		says  []string
	}{
		{"", []string{"tenant", "list"}, nil, []string{"nobody has an account: whoever is this " +
			"machine's user acts as tenant-admin, officer and operator of all tenants", "said once", "Fabrikam",
			"[0]"}},
		{"", []string{"officer", "list"}, nil, []string{"nobody has an account", "[0]"}},
		{"x\n", []string{"tenant", "list"}, asAnna, []string{"nobody has an account yet", "[2]"}},
		{piet, []string{"officer", "add", "piet", "--role", "viewer", "--tenant", "contoso"}, nil,
			[]string{"the first account", "[2]"}},
		{"short\n", []string{"officer", "add", "anna@contoso.example", "--role", "tenant-admin", "--tenant", "all"},
			nil, []string{"at least 12", "[2]"}},
		{anna, []string{"officer", "add", "anna@contoso.example", "--role", "tenant-admin", "--tenant", "all"}, nil,
			[]string{"anna@contoso.example", "tenant-admin", "[0]"}},
		{"", []string{"tenant", "list"}, nil, []string{"--as NAME", "[1]"}},
		{anna + piet, []string{"officer", "add", "piet", "--role", "viewer", "--tenant", "contoso"}, asAnna,
			[]string{"[0]"}},
		{anna + piet, []string{"officer", "add", "PIET", "--role", "viewer", "--tenant", "contoso"}, asAnna,
			[]string{"there is an account of that name", "[1]"}},
		{anna + piet, []string{"officer", "add", "x", "--role", "king", "--tenant", "contoso"}, asAnna,
			[]string{`--role "king" is not known`, "[2]"}},
		{anna + piet, []string{"officer", "add", "x", "--role", "viewer"}, asAnna,
			[]string{"--tenant is required", "[2]"}},
		{anna, []string{"officer", "list"}, asAnna,
			[]string{"viewer of Contoso", "tenant-admin of all tenants", "[0]"}},
		{piet, []string{"tenant", "list"}, asPiet, []string{"Contoso", "[0]"}},
		{piet, []string{"officer", "list"}, asPiet, []string{"it takes one of the roles", "[1]"}},
		{piet + anna, []string{"officer", "add", "x", "--role", "officer", "--tenant", "contoso"}, asPiet,
			[]string{"it takes the role tenant-admin", "[1]"}},
		{piet + "piet's new password\n", []string{"officer", "passwd"}, asPiet, []string{"has a new password", "[0]"}},
		{piet, []string{"tenant", "list"}, asPiet, []string{"name or password is wrong", "[1]"}},
		{anna + piet, []string{"officer", "passwd", "piet"}, asAnna, []string{"has a new password", "[0]"}},
		{anna, []string{"officer", "set", "piet", "--role", "auditor", "--tenant", "fabrikam"}, asAnna,
			[]string{"[0]"}},
		{piet, []string{"officer", "list"}, asPiet, []string{"auditor of Fabrikam", "[0]"}},
		{anna, []string{"officer", "remove", "anna@contoso.example"}, asAnna,
			[]string{"it is the last account", "[1]"}},
		{anna, []string{"officer", "set", "anna@contoso.example", "--role", "officer", "--tenant", "all"}, asAnna,
			[]string{"it is the last account", "[1]"}},
		{anna, []string{"officer", "remove", "piet"}, asAnna, []string{"no account any more", "[0]"}},
		{piet, []string{"tenant", "list"}, asPiet, []string{"name or password is wrong", "[1]"}},
		{"", []string{"tenant", "list"}, asPiet, []string{"no password was given", "[2]"}},
	} {
		got := m.run(step.input, append(step.args, step.as...)...)
		for _, want := range step.says {
			if !strings.Contains(got, want) {
				t.Errorf("step %d, %s: %q does not say %q", i, strings.Join(step.args, " "), got, want)
			}
		}
		shown := strings.Contains(got, "anna's") || strings.Contains(got, "piet's")
		if shown || strings.Contains(got, "Fabrikam") && step.input == piet && i < 17 {
			t.Errorf("step %d, %s: shows what it must not: %q", i, strings.Join(step.args, " "), got)
		}
	}
}

// A password may lie in a file that nobody else can read, and in no variable; a name in a
// variable.
func TestAPasswordIsReadFromAPrivateFile(t *testing.T) {
	m := newMachine(t)
	got := m.run("anna's password\n", "officer", "add", "anna", "--role", "tenant-admin", "--tenant", "all")
	if !strings.HasSuffix(got, "[0]") {
		t.Fatal(got)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("anna's password\nand a second line"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEDGERLINE_AS", "anna")
	t.Setenv("LEDGERLINE_AS_PASSWORD_FILE", file)
	if got := m.run("", "tenant", "list"); !strings.Contains(got, "chmod 600") || !strings.HasSuffix(got, "[2]") {
		t.Errorf("a file that others can read: %s", got)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := m.run("", "tenant", "list"); !strings.Contains(got, "Fabrikam") || !strings.HasSuffix(got, "[0]") {
		t.Errorf("%s", got)
	}
	t.Setenv("LEDGERLINE_AS", "")
	if got := m.run("", "tenant", "list"); !strings.Contains(got, "none is named") || !strings.HasSuffix(got, "[2]") {
		t.Errorf("a file without a name: %s", got)
	}
}
