package clickhouse

import "syscall"

// childAttr puts the child into a process group of its own, so that a Ctrl-C reaches the parent alone, and
// has the kernel end it when the parent's thread ends. SIGTERM, so that it still closes the engine.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
