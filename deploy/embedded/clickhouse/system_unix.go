//go:build unix

package clickhouse

import (
	"syscall"

	"github.com/ebitengine/purego"
)

// supported is an error on a system that the engine's child process cannot run on.
func supported() error { return nil }

func dlopen(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func dlsym(handle uintptr, name string) (uintptr, error) { return purego.Dlsym(handle, name) }

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
