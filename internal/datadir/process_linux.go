package datadir

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// processStart is when a process began, in the kernel's words: the boot, and clock ticks since. No
// two processes of a machine share both a number and this. It is "" where the kernel does not say,
// as where /proc hides it.
func processStart(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return startOf(raw, strings.TrimSpace(string(boot)))
}

// startOf reads proc_pid_stat(5). The program's name stands in brackets and may hold any
// character; the start is the 20th field after it. A process that has ended and is not yet waited
// for runs no more.
func startOf(stat []byte, boot string) string {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || bytes.ContainsAny(fields[0], "ZXx") {
		return ""
	}
	return boot + " " + string(fields[19])
}
