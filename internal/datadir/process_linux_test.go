package datadir

import (
	"os"
	"testing"
)

func TestWhenAProcessBegan(t *testing.T) {
	if s := processStart(os.Getpid()); s == "" || s != processStart(os.Getpid()) || s == processStart(1) {
		t.Errorf("this process began at %q", s)
	}
	if s := processStart(1 << 30); s != "" {
		t.Errorf("a process that is not began at %q", s)
	}
	const after = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for in, want := range map[string]string{
		"7 (a) R" + after: "b 4242", "7 (a) b) c (d) S" + after: "b 4242", // a name may hold brackets
		"7 (a) Z" + after: "", "7 (a) X" + after: "", "7 (a) R 1 2": "", "": "", ")": "",
	} {
		if got := startOf([]byte(in), "b"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
