//go:build linux && (amd64 || arm64)

package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deniedCalls fail with EPERM. Landlock knows files and TCP; UDP (and so DNS), unix sockets, raw
// sockets and the rest of the kernel are closed here. The listener and the control socket are
// inherited: accept, read and write go on.
var deniedCalls = []int{
	// No new way out. connect, bind and listen too, for a socket that was accepted could be taken
	// apart and used again.
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN,
	// Rings do what the calls above do without calling them.
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	// No other program: executable() and bridges start some.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	// No other process's memory or descriptors.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_PROCESS_MADVISE, unix.SYS_PERF_EVENT_OPEN,
	// No other namespace, root or mount: the paths of Landlock's rules stay what they are.
	unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
	unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK,
	unix.SYS_MOUNT_SETATTR,
	unix.SYS_OPEN_BY_HANDLE_AT,
	// The kernel itself, should this run as root, and what its holes were often reached by.
	unix.SYS_BPF, unix.SYS_USERFAULTFD, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
}

// Offsets in struct seccomp_data.
const (
	offsetNumber = 0
	offsetArch   = 4
)

func filterProgram() []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	ret := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	deny := ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	prog := []unix.SockFilter{
		load(offsetArch),
		// A call by another architecture's table (int 0x80) has other numbers: no program here
		// makes one.
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: auditArch, Jt: 1, Jf: 0},
		deny,
		load(offsetNumber),
		// So have the numbers of the x32 interface, which share amd64's architecture.
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x4000_0000, Jt: 0, Jf: 1},
		deny,
	}
	const equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	for _, n := range deniedCalls {
		prog = append(prog, unix.SockFilter{Code: equal, K: uint32(n), Jt: 0, Jf: 1}, deny)
	}
	return append(prog, ret(unix.SECCOMP_RET_ALLOW))
}

// installFilter puts the filter on every thread of this process at once, or says why the kernel
// has none.
func installFilter() (missing string, err error) {
	// Set by the first stage on the thread that all others come from; this one alone where there
	// was no first stage.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "", fmt.Errorf("set no_new_privs: %w", err)
	}
	prog := filterProgram()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		return "this kernel has no seccomp filters", nil
	case errno != 0:
		return "", fmt.Errorf("install the filter of system calls: %w", errno)
	case thread != 0:
		return "", fmt.Errorf("the filter of system calls could not be put on thread %d", thread)
	}
	return "", nil
}

// tryFilter makes every denied call with arguments that the kernel refuses otherwise than by
// EPERM, on this thread and on another one.
func tryFilter() error {
	try := func() error {
		for _, n := range deniedCalls {
			if _, _, errno := unix.RawSyscall6(uintptr(n), none, none, none, none, none, none); errno != unix.EPERM {
				return fmt.Errorf("the filter of system calls does not hold: call %d gave %v", n, errno)
			}
		}
		return nil
	}
	other := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		other <- try()
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return errors.Join(try(), <-other)
}

const none = ^uintptr(0)
