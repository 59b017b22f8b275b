package datadir

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// processStart is when a process began; no two processes of a machine share both a number and
// this. It is "" where the kernel does not say.
func processStart(pid int) string {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(info.Proc.P_pid) != pid {
		return ""
	}
	return fmt.Sprintf("%d.%06d", info.Proc.P_starttime.Sec, info.Proc.P_starttime.Usec)
}
