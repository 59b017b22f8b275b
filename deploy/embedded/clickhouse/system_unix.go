//go:build unix

package clickhouse

import "syscall"

// supported is an error on a system that the engine's child process cannot run on.
func supported() error { return nil }

func setNonblock(fd uintptr) error { return syscall.SetNonblock(int(fd), true) }

// socketpair is a pair of connected sockets that no other child inherits.
func socketpair() (fds [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if fds, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	return fds, err
}
