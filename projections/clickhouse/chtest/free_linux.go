package chtest

import "syscall"

// freeBytes is how much a file system takes that this process may write to.
func freeBytes(dir string) (uint64, bool) {
	const write = 2 // W_OK
	var s syscall.Statfs_t
	if syscall.Access(dir, write) != nil || syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
