package ledger

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes the file for this process until it is closed, and fails where another has it. It
// locks a byte far behind the records, because Windows keeps others from reading what is locked.
func lockFile(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}
