//go:build linux && (amd64 || arm64)

package confine

import (
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel takes the ruleset of each version that it offers, and so do older kernels, which know
// no more than it.
func TestLandlockRulesets(t *testing.T) {
	offered, missing := landlockABI()
	if missing != "" {
		t.Fatalf("this test needs Landlock: %s", missing)
	}
	var before uint64
	for abi := 1; abi <= offered; abi++ {
		attr, size := handled(abi)
		fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
		if errno != 0 {
			t.Errorf("ABI %d: %v", abi, errno)
			continue
		}
		_ = unix.Close(int(fd))
		if rights := attr.Handled_access_fs; rights&before != before {
			t.Errorf("ABI %d handles fewer rights than the one before it", abi)
		} else {
			before = rights
		}
	}
}

// Nothing is claimed that was not tried, and what is missing is named.
func TestConfinementSays(t *testing.T) {
	for _, c := range []struct {
		held     Confinement
		complete bool
		want     string
	}{
		{Confinement{Landlock: 7, Files: true, TCP: true, Signals: true, Syscalls: true}, true,
			"Landlock ABI 7: files, TCP, signals; seccomp: no sockets, no programs, no other processes"},
		{Confinement{Landlock: 3, Files: true, Syscalls: true, Missing: []string{"Landlock ABI 3 does not cover TCP"}},
			false,
			"Landlock ABI 3: files; seccomp: no sockets, no programs, no other processes; missing: Landlock ABI 3 " +
				"does not cover TCP"},
		{Confinement{Missing: []string{"this kernel has no Landlock"}}, false,
			"not confined; missing: this kernel has no Landlock"},
		{Confinement{}, false, "not confined"},
	} {
		if got := c.held.String(); got != c.want || c.held.Complete() != c.complete {
			t.Errorf("%+v says %q, complete %v", c.held, got, c.held.Complete())
		}
	}
}

// A process that was not confined does not pass for one that was: each trial fails here, in the
// test's own process.
func TestTrialsFindWhatIsOpen(t *testing.T) {
	var held Confinement
	err := held.tryLandlock(Plan{Landlock: 7, Opened: []string{"/"}})
	if err == nil || !strings.Contains(err.Error(), "does not hold") || held.Files {
		t.Errorf("files: %v, %+v", err, held)
	}
	if err := held.tryLandlock(Plan{Landlock: 7}); err == nil {
		t.Error("nothing to try with, and it holds")
	}
	if err := tryTCP(); err == nil || !strings.Contains(err.Error(), "does not hold") {
		t.Errorf("TCP: %v", err)
	}
	if err := tryFilter(); err == nil || !strings.Contains(err.Error(), "does not hold") {
		t.Errorf("system calls: %v", err)
	}
}
