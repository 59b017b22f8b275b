package answer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A result appears whole in its place or not at all, and never in place of another.
func TestATargetAppearsWholeOrNotAtAll(t *testing.T) {
	t.Run("with links", appearsWhole)
	link = func(string, string) error { return errors.ErrUnsupported }
	defer func() { link = os.Link }()
	t.Run("without", appearsWhole)
}

func appearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, fails := range []error{nil, errors.New("cut")} {
		to, err := NewTarget("--file", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.WriteString("whole"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there before it is whole: %v", err)
		}
		if err := to.Finish(fails); !errors.Is(err, fails) {
			t.Error(err)
		}
		raw, err := os.ReadFile(path)
		if (err == nil) != (fails == nil) || err == nil && string(raw) != "whole" {
			t.Errorf("after %v: %q, %v", fails, raw, err)
		}
		if err := to.Finish(errors.New("again")); err == nil || err.Error() != "again" {
			t.Errorf("finishing twice: %v", err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
	to, err := NewTarget("--file", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := to.Finish(nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("one that came meanwhile: %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "another's" {
		t.Errorf("one that came meanwhile is %q, %v", raw, err)
	}
}

// What is in the way of a result is said before anything is made.
func TestATargetThatCannotBeIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, fits := range map[string]bool{filepath.Join(dir, "new"): true, file: false, dir: false,
		filepath.Join(file, "x"): false, filepath.Join(dir, "none", "x"): false} {
		if err := CheckTarget("--file", path); (err == nil) != fits {
			t.Errorf("%s: checked: %v", path, err)
		}
		to, err := NewTarget("--file", path)
		if (err == nil) != fits {
			t.Errorf("%s: made: %v", path, err)
		}
		if to != nil {
			if err := to.Finish(fs.ErrClosed); !errors.Is(err, fs.ErrClosed) {
				t.Error(err)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
