package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// disk writes files so that a killed process or a power failure leaves the old or the new ones,
// whole. Nothing is tidied after an error: what a step left behind is in the way of nobody, and
// is removed by the next attempt, as after a kill.
type disk struct {
	step func(name string) error
}

type file struct {
	name    string
	content []byte
}

// Suffixes of what is being made.
const (
	creatingSuffix = ".creating"
	newSuffix      = ".new"
)

// createDir makes a directory, missing or empty now, with the files. It appears by a rename.
func (d disk) createDir(dir string, files []file) error {
	parent, creating := filepath.Dir(dir), dir+creatingSuffix
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	if err := errors.Join(d.step("remove leftovers"), os.RemoveAll(creating), os.Mkdir(creating, 0o700)); err != nil {
		return err
	}
	for _, f := range files {
		if err := d.write(filepath.Join(creating, f.name), f.content); err != nil {
			return err
		}
	}
	if err := d.syncDir(creating); err != nil {
		return err
	}
	if err := d.step("remove the empty directory"); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // fails where it is not empty any more
		return err
	}
	return d.rename(creating, dir)
}

// replace puts a file in place of path.
func (d disk) replace(path string, content []byte) error {
	making := path + newSuffix
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.write(making, content); err != nil {
		return err
	}
	return d.rename(making, path)
}

// write makes a file that only its owner may read, and that was not there.
func (d disk) write(path string, content []byte) error {
	if err := d.step("create " + filepath.Base(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	half := len(content) / 2
	_, err = f.Write(content[:half])
	err = errors.Join(err, d.step("write the rest of "+filepath.Base(path)))
	if err == nil {
		_, err = f.Write(content[half:])
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func (d disk) rename(from, to string) error {
	if err := d.step("rename " + filepath.Base(from)); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(to))
}

func (d disk) syncDir(dir string) error {
	if err := d.step("sync " + filepath.Base(dir)); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// private refuses what is not of the kind, is another's, or can be used by others.
func private(path string, kind fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	mode := info.Mode()
	switch owner, ok := ownerOf(info); {
	case mode.Type() != kind:
		return fmt.Errorf("%s is not what it is to be: %s", path, mode)
	case ok && owner != os.Geteuid():
		return fmt.Errorf("%s belongs to another user: chown it to the user who runs this", path)
	case mode.Perm()&0o077 != 0 && kind == fs.ModeDir:
		return fmt.Errorf("others may use the directory %s: chmod 700", path)
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("others may use %s: chmod 600", path)
	}
	return nil
}
