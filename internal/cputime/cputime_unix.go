//go:build unix

package cputime

import (
	"fmt"
	"syscall"
	"time"
)

// Used returns the processor time that this process has used, in user mode and in the kernel's, by
// getrusage(2), which fails only where it is called wrongly.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("processor time: %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
