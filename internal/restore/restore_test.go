package restore

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerline/ledgerline/internal/access"
	"github.com/ledgerline/ledgerline/internal/node"
	"github.com/ledgerline/ledgerline/internal/settings"
	"github.com/ledgerline/ledgerline/internal/terminal"
)

func config(t *testing.T) node.Config {
	t.Helper()
	s, err := settings.Load("", []string{"LEDGERLINE_DATA=" + filepath.Join(t.TempDir(), "data"),
		"LEDGERLINE_EMBEDDED_EVENTSTORE_ADDR=127.0.0.1:0", "LEDGERLINE_EMBEDDED_KAFKA_ADDR=127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	return node.Config{Settings: s, Log: slog.New(slog.DiscardHandler), Console: terminal.NewProgress(io.Discard),
		Command: func(command string) string { return "ledgerline " + command }}
}

func write(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// What stands against restoring is found before anything is made or changed, and told by its code.
func TestNothingIsRestoredWhereSomethingIsMissingOrInTheWay(t *testing.T) {
	vault := func(from string) func(*testing.T, node.Config) error {
		return func(t *testing.T, c node.Config) error {
			_, err := Vault(t.Context(), c, access.Principal{}, VaultOptions{From: from})
			return err
		}
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "vault.db"))
	for _, tc := range []struct {
		name  string
		there []string // in the data directory
		act   func(*testing.T, node.Config) error
		code  error // nil: another error
	}{
		{"no vault", nil, vault(""), ErrNoVault},
		{"no copy", nil, vault("/none"), ErrNoCopy},
		{"half a copy", nil, vault(folder), ErrNoCopy},
		{"a vault in the way", []string{"vault.db"}, vault(folder), ErrInTheWay},
		{"slots in the way", []string{"vault.slots"}, vault(folder), ErrInTheWay},
		{"a log in the way", []string{"vault.db-wal"}, vault(folder), ErrInTheWay},
		{"a vault and no event store", []string{"vault.db"}, vault(""), nil},
		{"topics without a ledger", nil, func(t *testing.T, c node.Config) error {
			_, err := Topics(t.Context(), c, true, nil)
			return err
		}, ErrNoLedger},
		{"an event store without a vault", nil, func(t *testing.T, c node.Config) error {
			_, err := EventStore(t.Context(), c, false)
			return err
		}, nil},
		{"an event store without topics", []string{"vault.db"}, func(t *testing.T, c node.Config) error {
			_, err := EventStore(t.Context(), c, false)
			return err
		}, nil},
		{"nothing to count", nil, func(t *testing.T, c node.Config) error {
			_, err := Reindex(t.Context(), c)
			return err
		}, nil},
	} {
		c := config(t)
		for _, name := range tc.there {
			write(t, c.Dir().Path(name))
		}
		err := tc.act(t, c)
		var p *Problem
		if err == nil || errors.As(err, &p) != (tc.code != nil) || tc.code != nil && !errors.Is(err, tc.code) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.code)
		}
		left, err := os.ReadDir(string(c.Dir()))
		if err != nil && !errors.Is(err, os.ErrNotExist) || len(left) != len(tc.there) {
			t.Errorf("%s: the directory holds %v, %v", tc.name, left, err)
		}
	}
}
