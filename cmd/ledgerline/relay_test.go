package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mistyped directory makes no ledger.
func TestRefillRefusesADirectoryWithoutALedger(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"none":                 func(*testing.T, string) {},
		"an empty one":         func(t *testing.T, dir string) { mkdir(t, dir) },
		"another thing's":      func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "photos")) },
		"an empty event store": func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "eventstore")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "typo")
			prepare(t, dir)
			before := tree(t, dir)
			for _, args := range [][]string{{}, {"ledger.device"}, {"--everything"}} {
				code, err := execute(t, append([]string{"relay", "refill", "--data", dir}, args...)...)
				if err == nil || code != exitUsage || !strings.Contains(err.Error(), "there is no ledger in "+dir) {
					t.Errorf("%v: %v", args, err)
				}
			}
			if after := tree(t, dir); after != before {
				t.Errorf("it left %s, there was %s", after, before)
			}
		})
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

// tree names everything below a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}
