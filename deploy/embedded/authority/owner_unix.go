//go:build unix

package authority

import (
	"io/fs"
	"syscall"
)

// ownerOf is the user whose file it is; ok is false where the file system does not say.
func ownerOf(info fs.FileInfo) (owner int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
