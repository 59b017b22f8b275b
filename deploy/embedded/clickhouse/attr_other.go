//go:build unix && !linux

package clickhouse

import "syscall"

// childAttr puts the child into a process group of its own, so that a Ctrl-C reaches the parent
// alone. The end of its stdin tells it that the parent is gone.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// machineMemory is not asked for here.
func machineMemory() int64 { return 0 }
