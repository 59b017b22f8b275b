package answer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File is where a command's result goes: a file that appears whole, or not at all. It is made
// before the first act, so that an act is not recorded for a result that cannot be kept.
type File struct {
	*os.File // what is written; nil after Finish
	path     string
}

// NewFile makes the file under another name beside its place, for its owner alone.
func NewFile(path string) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".ledgerline-*") // its mode is 0600
	return &File{f, path}, err
}

// Path is where the file appears.
func (t *File) Path() string { return t.path }

// Cause is an error of the file system without the path.
func Cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Finish puts the file in its place where err is nil, and otherwise removes it. It replaces no
// other, but on a file system without links one that came since it was looked for.
func (t *File) Finish(err error) error {
	if t.File == nil {
		return err
	}
	f := t.File
	t.File = nil
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		if err = os.Link(f.Name(), t.path); err != nil && !errors.Is(err, fs.ErrExist) {
			return os.Rename(f.Name(), t.path) // a file system without links
		}
	}
	return errors.Join(err, os.Remove(f.Name()))
}
