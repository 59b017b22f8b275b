//go:build !unix

package authority

import "io/fs"

// ownerOf does not know: files here have access control lists and no user id.
func ownerOf(fs.FileInfo) (owner int, ok bool) { return 0, false }
