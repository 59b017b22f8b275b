// Package datadir owns a data directory as a whole: that only its user can reach it, which process
// holds it, where that process's servers listen, and the accounts with which they are asked.
//
// It may lose the addresses, which the next `up` writes anew, and the accounts, which it makes
// anew. It trusts the file system to keep other users out of a directory of mode 0700, and the
// kernel to say who holds a lock; it trusts no port. See DESIGN.md.
package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Dir is a data directory: everything that one ledger keeps on one machine.
type Dir string

// Path is a file or folder in the directory.
func (d Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Make makes the directory where it is missing, for its user alone, and
// refuses one that others can reach.
func (d Dir) Make() error {
	if err := supported(); err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return d.Private()
}

// overflowUser owns what belongs to nobody known in this user namespace: the host's root, for one.
const overflowUser = 65534

// Private returns nil where nobody but this user and root can read, write or replace what is in
// the directory. A Problem says which mode or owner lets somebody in.
func (d Dir) Private() error {
	path, err := filepath.Abs(string(d))
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	info, owner, _, err := stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !info.IsDir():
		return &Problem{Code: ErrNoFolder, Path: path}
	case owner != os.Geteuid():
		return &Problem{Code: ErrOthersOwn, Path: path, Owner: owner}
	case info.Mode().Perm()&0o077 != 0:
		return &Problem{Code: ErrOthersReach, Path: path, Mode: info.Mode().Perm()}
	}
	for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
		if err := checkParent(path, parent); err != nil {
			return err
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// checkParent refuses a folder above the directory in which others could put
// something else in its place.
func checkParent(path, parent string) error {
	info, owner, group, err := stat(parent)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	mode := info.Mode()
	ours := group == 0 || group == os.Getegid()
	switch {
	case mode&os.ModeSticky != 0: // as /tmp: nobody renames what is another's
	case mode.Perm()&0o002 != 0, mode.Perm()&0o020 != 0 && !ours:
		return &Problem{Code: ErrOthersWrite, Path: path, Above: parent, Mode: mode.Perm()}
	case owner != 0 && owner != os.Geteuid() && owner != overflowUser:
		return &Problem{Code: ErrOthersAbove, Path: path, Above: parent, Owner: owner}
	}
	return nil
}

// WritePrivate puts a file that only its owner may read in place of path, whole or not at all.
func WritePrivate(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// ReadPrivate reads a file that only its owner may read, and refuses one
// that others can read or write.
func ReadPrivate(path string) ([]byte, error) {
	info, owner, _, err := stat(path)
	switch {
	case err != nil:
		return nil, err
	case owner != os.Geteuid() && owner != 0:
		return nil, fmt.Errorf("%s belongs to user %d and this is user %d", path, owner, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s holds a secret and has mode %04o, so that others can reach it: chmod 600 %s",
			path, info.Mode().Perm(), path)
	}
	return os.ReadFile(path)
}
