package datadir

import (
	"path/filepath"
	"testing"
)

// TestOnlyAnOrderlyEndIsSeenAsOne marks a run's end, and begins again after
// an end, a kill, and two.
func TestOnlyAnOrderlyEndIsSeenAsOne(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "data"))
	for i, tc := range []struct{ ended, want bool }{
		{false, false}, // there was no run before
		{true, false},  // the first was killed
		{true, true},
		{false, true},
		{false, false},
		{true, false},
	} {
		l, err := d.Lock()
		if err != nil {
			t.Fatal(err)
		}
		clean, err := l.Begin()
		if err != nil || clean != tc.want {
			t.Errorf("run %d: clean %t, %v; want %t", i, clean, err, tc.want)
		}
		if tc.ended {
			if err := l.End(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
