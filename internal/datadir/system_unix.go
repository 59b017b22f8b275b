//go:build unix

package datadir

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// supported is an error on a system that cannot say who reaches a file.
func supported() error { return nil }

func stat(path string) (info os.FileInfo, owner, group int, err error) {
	if info, err = os.Stat(path); err != nil {
		return nil, 0, 0, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, 0, 0, fmt.Errorf("%s: this system does not say whose it is", path)
	}
	return info, int(s.Uid), int(s.Gid), nil
}

// exclude keeps a second holder out, also within a process, or returns ErrAlreadyUp.
func exclude(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrAlreadyUp
	}
	return err
}

// hold lets the kernel name this process to those who ask holderOf.
func hold(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// holderOf is the process that holds the file, 0 for none.
func holderOf(f *os.File) (int, error) {
	ask := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &ask); err != nil {
		return 0, fmt.Errorf("who holds %s: %w", f.Name(), err)
	}
	if ask.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(ask.Pid), nil
}
