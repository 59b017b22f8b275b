package clickhouse

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttr puts the child into a process group of its own, so that a Ctrl-C reaches the
// parent alone, and has the kernel end it when the parent's thread ends. SIGTERM, so that
// it still closes the engine.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// machineMemory is the machine's memory in bytes, 0 where the kernel does not say.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(min(uint64(info.Totalram)*uint64(info.Unit), math.MaxInt64))
}
