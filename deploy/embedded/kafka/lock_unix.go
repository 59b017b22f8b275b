//go:build unix

package kafka

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the file for this process, or returns ErrInUse.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}
