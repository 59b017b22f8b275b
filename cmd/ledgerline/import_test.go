package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/cli"
)

// The exit code says whether all was understood, and the message what to do.
func TestTheExitCodeOfAnImport(t *testing.T) {
	own, other := uuid.NewString(), uuid.NewString()
	action := func(tenant string) string {
		return `{"time":"2026-03-01T00:00:00Z","category":"AuditLogs","operationName":"Delete MobileApp",` +
			`"properties":{"AuditEventId":"` + uuid.NewString() + `"},"tenantId":"` + tenant + `"}`
	}
	graph := `{"@odata.type":"#microsoft.graph.managedDevice","id":"` + uuid.NewString() + `"}`
	for name, c := range map[string]struct {
		files []string
		args  []string
		code  int
		says  string
		adds  bool
	}{
		"understood":       {[]string{action(own), graph}, nil, cli.OK, "", true},
		"a kind not taken": {[]string{`{"category":"UpdateLogs","properties":{}}`}, nil, cli.OK, "", false},
		"CSV": {[]string{"Device ID,Name\n1,x\n"}, nil, cli.Partial,
			"in 1 file no record has a known name", false},
		"another tenant's": {[]string{action(other), graph}, nil, cli.Partial, "tenant set", false},
		"another tenant's, yes": {[]string{action(other), graph}, []string{"--yes"}, cli.Partial,
			"1 of 2 records failed", true},
		"dry": {[]string{action(own), graph}, []string{"--dry-run"}, cli.OK, "", false},
		"dry, another tenant's": {[]string{action(other), graph}, []string{"--dry-run"}, cli.Partial,
			"2 of 2 records would fail", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesktop(t)
			if _, code, err := d.run("", "tenant", "set", "contoso", "--source-tenant", own); code != cli.OK {
				t.Fatal(err)
			}
			var err error
			if d.desk.Tenant, err = d.vault.Tenant(t.Context(), "Contoso"); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for i, content := range c.files {
				if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := len(d.store.Events())
			out, code, err := d.run("", append([]string{"import", dir}, c.args...)...)
			if code != c.code || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("exit %d, %v, want %d: %s", code, err, c.code, out)
			}
			if adds := len(d.store.Events()) > before; adds != c.adds {
				t.Errorf("appended: %v, want %v: %s", adds, c.adds, out)
			}
		})
	}
}
