package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/internal/cli"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
)

func TestWrongCommandLinesExitWithTwoAndSayWhatToDo(t *testing.T) {
	dir := dataDir(t)
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"import", "--data", dir}, "file or folder"},
		{[]string{"import", "--data", dir, filepath.Join(dir, "nothing-here")}, "cannot import"},
		{[]string{"tenant", "add", "--data", dir, "X"}, "--source-tenant"},
		{[]string{"dsar", "export", "--data", dir, "not-a-uuid"}, "uuid"},
		{[]string{"dsar", "erase", "--data", dir, "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051"}, "--ground"},
		{[]string{"dsar", "erase", "--data", dir, "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051", "--ground", "unlawful"},
			"--yes"},
		{[]string{"dsar", "open", "--data", dir, "--right", "oblivion"}, "--right"},
		{[]string{"status", "--data", dir, "--log-level", "loud"}, "log.level"},
		{[]string{"status", "--no-such-flag"}, "no-such-flag"},
		{[]string{"status", "too", "many"}, "unknown command"},
		{[]string{"stauts"}, "unknown command"},
		{[]string{"relay", "refill", "--data", dir, "orders"}, "not a topic"},
		{[]string{"dsar", "export"}, "arg"},
		{[]string{"ledger", "disown", "--data", dir}, "ledger check"},
		{[]string{"ledger", "disown", "--data", dir, "7", "--ground", "test", "--yes"}, "uuid"},
		{[]string{"ledger", "disown", "--data", dir, "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051", "--ground", "why not",
			"--yes"}, "--ground"},
		{[]string{"ledger", "disown", "--data", dir, "7b1c2a34-5d6e-4f70-8a9b-0c1d2e3f4051",
			"--ground", "test"}, "--yes"},
	} {
		code, err := execute(t, tc.args...)
		if err == nil || code != cli.Wrong || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("ledgerline %s: exit %d, %v, want exit 2 and %q", strings.Join(tc.args, " "), code, err, tc.says)
		}
	}
	if code, err := execute(t, "status", "--data", dir); err == nil || code != cli.Failed ||
		!strings.Contains(err.Error(), " up --data") {
		t.Errorf("status without a ledger: exit %d, %v, want it to say how to start one", code, err)
	}
}

func execute(t *testing.T, args ...string) (int, error) {
	t.Helper()
	a := &app{}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	root.SetIn(strings.NewReader(""))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return a.execute(ctx, root)
}

func TestEveryCommandTeaches(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no help", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&app{}))
}

// dataDir is where a data directory may be made.
func dataDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data")
}

// Where nobody can be asked how a ledger stands, it is said whether one lies there.
func TestStatusOfALedgerThatIsStopped(t *testing.T) {
	dir := dataDir(t)
	_, err := execute(t, "status", "--data", dir)
	if err == nil || !strings.Contains(err.Error(), "there is no ledger in") {
		t.Errorf("nothing there: %v", err)
	}
	cfg := node.Config{Settings: settings.Settings{Data: dir}}
	if err := os.MkdirAll(filepath.Dir(cfg.VaultPath()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.VaultPath(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, err := execute(t, "status", "--data", dir)
	if err == nil || code != cli.Failed || !strings.Contains(err.Error(), "is stopped: nothing of it is published") {
		t.Errorf("stopped: exit %d, %v", code, err)
	}
}
