package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
		if err == nil || code != exitUsage || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("ledgerline %s: exit %d, %v, want exit 2 and %q", strings.Join(tc.args, " "), code, err, tc.says)
		}
	}
	if code, err := execute(t, "status", "--data", dir); err == nil || code != exitFailed ||
		!strings.Contains(err.Error(), "ledgerline up") {
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

func TestANameIsReadFromStandardInput(t *testing.T) {
	for _, tc := range []struct{ given, input, want string }{
		{"-", "anna@contoso.example\n", "anna@contoso.example"},
		{"-", "  anna@contoso.example", "anna@contoso.example"},
		{"piet@contoso.example", "anna", "piet@contoso.example"},
	} {
		if got, err := readSecret("subject", tc.given, strings.NewReader(tc.input)); err != nil || got != tc.want {
			t.Errorf("given %q with %q: %q, %v", tc.given, tc.input, got, err)
		}
	}
	if _, err := readSecret("subject", "-", strings.NewReader("\n")); err == nil {
		t.Error("an empty line was taken for a name")
	}
}

// dataDir is where a data directory may be made.
func dataDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data")
}
