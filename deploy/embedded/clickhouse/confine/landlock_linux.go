//go:build linux && (amd64 || arm64)

package confine

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The interface: https://docs.kernel.org/userspace-api/landlock.html.

// newestABI is the newest version whose rights this file knows; a newer kernel is asked for these.
const newestABI = 7

const (
	readFile    = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree    = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	executeFile = readFile | unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeDevice = readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	// What a table needs of its folder; neither devices nor sockets nor programs. The engine's
	// catalogue of tables has symbolic links: following one is checked where it leads.
	changeTree = readTree | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	// Rights that a file, as opposed to a folder, can have.
	fileRights = executeFile | writeDevice | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// handled are the rights that a ruleset of this version takes away unless a rule gives them back.
func handled(abi int) (attr unix.LandlockRulesetAttr, size uintptr) {
	attr.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1 // the rights of version 1
	size = unsafe.Sizeof(attr.Handled_access_fs)
	if abi >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		size += unsafe.Sizeof(attr.Handled_access_net)
	}
	if abi >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size += unsafe.Sizeof(attr.Scoped)
	}
	return attr, size
}

// landlockABI asks the kernel, and says why where it has nothing that could be used.
func landlockABI() (abi int, missing string) {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno == unix.ENOSYS:
		return 0, "this kernel has no Landlock"
	case errno == unix.EOPNOTSUPP:
		return 0, "Landlock is switched off in this kernel"
	case errno != 0:
		return 0, fmt.Sprintf("Landlock cannot be used here (%v)", errno)
	case v < 2:
		// Under version 1 no file can be moved between folders, which the engine does when it
		// drops a table.
		return 0, "this kernel's Landlock (ABI 1) forbids what the engine needs"
	}
	return min(int(v), newestABI), ""
}

type landlockRule struct {
	path     string
	rights   uint64
	optional bool // the machine may have no such file
	// The kernel makes the entries of /proc anew when it was short of memory, and a rule is about
	// the one that it was made for: a descriptor that stays open keeps it.
	pinned bool
}

// landlockRules lists all that the process may open. It was found by tracing the engine's start,
// queries, merges and backups; what is not here and was asked for is refused, and the engine does
// without.
func landlockRules(p Plan) ([]landlockRule, error) {
	var rules []landlockRule
	for _, dir := range p.Write {
		rules = append(rules, landlockRule{path: dir, rights: changeTree})
	}
	for _, file := range p.Read {
		rules = append(rules, landlockRule{path: file, rights: readFile})
	}
	// This program and its loader, to execute it again.
	interpreter, err := programInterpreter()
	if err != nil {
		return nil, err
	}
	rules = append(rules, landlockRule{path: selfExe, rights: executeFile})
	if interpreter != "" {
		rules = append(rules, landlockRule{path: interpreter, rights: executeFile})
	}
	// Where the C library came from; the engine's library needs a few others from there.
	dirs, err := libraryFolders()
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		rules = append(rules, landlockRule{path: dir, rights: readTree})
	}
	for _, r := range []landlockRule{
		{path: "/etc/ld.so.cache", rights: readFile}, // where the other libraries are
		{path: "/etc/localtime", rights: readFile},   // the machine's time zone, and the others
		{path: "/usr/share/zoneinfo", rights: readTree},
		{path: "/usr/lib/locale", rights: readTree}, // what LANG names
		{path: "/dev/null", rights: writeDevice},
		{path: "/dev/urandom", rights: readFile},
		{path: "/dev/random", rights: readFile},
		// Processors, huge pages and the limits of the container: they size thread pools and the
		// memory limit.
		{path: "/sys/devices/system/cpu", rights: readTree},
		{path: "/sys/devices/system/node", rights: readTree},
		{path: "/sys/kernel/mm/transparent_hugepage", rights: readTree},
		{path: "/sys/fs/cgroup", rights: readTree},
		// The engine's counters of its own threads: without them each statement costs an exception
		// per thread. The files beside them tell of this process alone; its environment holds no
		// secret.
		{path: "/proc/self/task", rights: readFile, pinned: true},
		// The main thread finds the end of its stack here, in glibc's pthread_getattr_np: without
		// it, every statement fails that runs on that thread.
		{path: "/proc/self/maps", rights: readFile, pinned: true},
		{path: "/proc/self/cgroup", rights: readFile, pinned: true},
		{path: "/proc/self/mountinfo", rights: readFile, pinned: true},
		{path: "/proc/meminfo", rights: readFile},
		{path: "/proc/cpuinfo", rights: readFile},
		{path: "/proc/sys/vm/overcommit_memory", rights: readFile}, // decides how the allocator maps memory
	} {
		r.optional = true
		rules = append(rules, r)
	}
	return rules, nil
}

// programInterpreter is the dynamic loader that this program names, "" for a static one.
func programInterpreter() (string, error) {
	f, err := elf.Open(selfExe)
	if err != nil {
		return "", fmt.Errorf("find this program's loader: %w", err)
	}
	defer func() { _ = f.Close() }()
	for _, s := range f.Progs {
		if s.Type == elf.PT_INTERP {
			b, err := io.ReadAll(io.LimitReader(s.Open(), unix.PathMax))
			return strings.TrimRight(string(b), "\x00"), err
		}
	}
	return "", nil
}

// libraryFolders are those from which this process's own libraries were loaded.
func libraryFolders() ([]string, error) {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("find the system's libraries: %w", err)
	}
	var dirs []string
	for line := range strings.SplitSeq(string(b), "\n") {
		i := strings.Index(line, "/")
		if i < 0 || !strings.Contains(filepath.Base(line[i:]), ".so") {
			continue
		}
		if dir := filepath.Dir(line[i:]); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// landlockRestrict restricts the calling thread, and what it will execute, to the rules.
func landlockRestrict(abi int, rules []landlockRule) error {
	attr, size := handled(abi)
	rs, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("create a Landlock ruleset: %w", errno)
	}
	defer func() { _ = unix.Close(int(rs)) }()
	for _, r := range rules {
		if err := addRule(int(rs), attr.Handled_access_fs, r); err != nil {
			return fmt.Errorf("allow %s: %w", r.path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rs, 0, 0); errno != 0 {
		return fmt.Errorf("restrict this process by Landlock: %w", errno)
	}
	return nil
}

func addRule(rs int, handled uint64, r landlockRule) error {
	flags := unix.O_PATH | unix.O_CLOEXEC
	if r.pinned {
		flags = unix.O_PATH // over the execve
	}
	fd, err := unix.Open(r.path, flags, 0)
	if r.optional && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES)) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.pinned {
		defer func() { _ = unix.Close(fd) }()
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := r.rights & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rs), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
