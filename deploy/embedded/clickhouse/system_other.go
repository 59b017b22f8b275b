//go:build !unix

package clickhouse

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// supported says that the engine's child process does not run here: it is handed its sockets and
// its configuration as Unix does that. What is below is never reached.
func supported() error {
	return fmt.Errorf("ClickHouse's engine does not run inside this program on %s: use a ClickHouse server",
		runtime.GOOS)
}

func lockFile(string) (*os.File, error) { return nil, supported() }

func childAttr() *syscall.SysProcAttr { return nil }

func machineMemory() int64 { return 0 }

func setNonblock(uintptr) error { return supported() }

func socketpair() (fds [2]int, err error) { return fds, supported() }
