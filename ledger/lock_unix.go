//go:build unix

package ledger

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the file for this process until it is closed, and fails where another has it.
func lockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
