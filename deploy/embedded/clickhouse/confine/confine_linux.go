//go:build linux && (amd64 || arm64)

package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter has two stages. Landlock restricts one thread, and a Go process has several before main
// runs; so the first stage restricts its own thread and executes the program again from it: every
// thread of the new image is restricted. (Go's syscall.AllThreadsSyscall, which go-landlock builds
// on, refuses to run in a program that uses purego.) The second stage tries out what the first one
// claims, adds the filter of system calls, which can be put on all threads at once and forbids to
// execute anything further, tries that out too, and returns.
func Enter(p Plan) (Confinement, error) {
	if p.Landlock == 0 && len(p.Missing) == 0 {
		missing, err := firstStage(p)
		if err != nil {
			return Confinement{}, err
		}
		p.Missing = append(p.Missing, missing) // the program was not executed again: go on without Landlock
	}
	return secondStage(p)
}

// firstStage returns only where it failed or where the kernel has no Landlock to offer, with the
// reason.
func firstStage(p Plan) (missing string, err error) {
	abi, reason := landlockABI()
	if reason != "" {
		return reason, nil
	}
	p.Opened = openable(append([]string{"/"}, p.Beside))
	runtime.LockOSThread() // the thread that is restricted is the one that executes; it is never given back
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "", fmt.Errorf("set no_new_privs: %w", err)
	}
	rules, err := landlockRules(p)
	if err != nil {
		return "", err
	}
	if err := landlockRestrict(abi, rules); err != nil {
		return "", err
	}
	p.Landlock = abi
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, PlanEnv+"=") {
			env = append(env, kv)
		}
	}
	// What the parent passed on must stay open over the execve; Go has set it so only for what it
	// opened itself.
	for _, fd := range []int{ControlFD, ListenerFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil && !errors.Is(err, unix.EBADF) {
			return "", fmt.Errorf("pass on descriptor %d: %w", fd, err)
		}
	}
	err = syscall.Exec(selfExe, os.Args, append(env, PlanEnv+"="+string(b)))
	return "", fmt.Errorf("execute this program again under Landlock: %w", err)
}

const selfExe = "/proc/self/exe"

func openable(dirs []string) (opened []string) {
	for _, dir := range dirs {
		if fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			_ = unix.Close(fd)
			opened = append(opened, dir)
		}
	}
	return opened
}

func secondStage(p Plan) (Confinement, error) {
	held := Confinement{Landlock: p.Landlock, Missing: p.Missing}
	if p.Landlock > 0 {
		if err := held.tryLandlock(p); err != nil {
			return held, err
		}
	}
	reason, err := installFilter()
	if err != nil {
		return held, err
	}
	if reason != "" {
		held.Missing = append(held.Missing, reason)
		return held, nil
	}
	if err := tryFilter(); err != nil {
		return held, err
	}
	held.Syscalls = true
	return held, nil
}

// tryLandlock tries what must be refused now. Each trial is one that would succeed, or fail
// otherwise, without Landlock.
func (c *Confinement) tryLandlock(p Plan) error {
	if len(p.Opened) == 0 {
		return errors.New("no folder was found to try Landlock with")
	}
	for _, dir := range p.Opened {
		if fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); !errors.Is(err, unix.EACCES) {
			if err == nil {
				_ = unix.Close(fd)
			}
			return fmt.Errorf("the confinement by Landlock does not hold: opening %s, which should be "+
				"refused, gave %v", dir, err)
		}
	}
	c.Files = true
	if p.Landlock < 3 {
		c.Missing = append(c.Missing, fmt.Sprintf("Landlock ABI %d does not cover truncate(2)", p.Landlock))
	}
	if p.Landlock < 4 {
		c.Missing = append(c.Missing, fmt.Sprintf("Landlock ABI %d does not cover TCP", p.Landlock))
	} else if err := tryTCP(); err != nil {
		return err
	} else {
		c.TCP = true
	}
	if p.Landlock < 6 {
		c.Missing = append(c.Missing, fmt.Sprintf("Landlock ABI %d does not cover signals", p.Landlock))
		return nil
	}
	// Signal 0 is sent to nobody; the kernel only checks whether it could be.
	if err := unix.Kill(os.Getppid(), 0); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the confinement by Landlock does not hold: a signal to the parent, which should be "+
			"refused, gave %v", err)
	}
	c.Signals = true
	return nil
}

func tryTCP() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) { // a machine without IPv4 has no address to try
		return nil
	}
	if err != nil {
		return fmt.Errorf("try Landlock on a socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	here := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, here); !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("the confinement by Landlock does not hold: a TCP connection, which should be "+
			"refused, gave %v", err)
	}
	here.Port = 0
	if err := unix.Bind(fd, here); !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("the confinement by Landlock does not hold: a TCP bind, which should be refused, gave %v",
			err)
	}
	return nil
}
