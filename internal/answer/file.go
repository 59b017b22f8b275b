package answer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ledgerline/ledgerline/internal/refusal"
	"github.com/ledgerline/ledgerline/schemas/words"
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

// CheckTarget refuses a file that exists, and one whose folder is none. flag is how it was named.
func CheckTarget(flag, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return unfit("file-exists", flag, path)
	}
	folder := filepath.Dir(path)
	switch info, err := os.Stat(folder); {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return unfit("no-folder", flag, folder)
	case err != nil:
		return unfit("file", flag, err.Error())
	}
	return nil
}

// unfit says in what a file cannot be a result's.
func unfit(key, flag, given string) error {
	return &refusal.Typed{Key: key, Args: words.Args{"flag": flag, "given": given}}
}

// NewTarget is NewFile for a file that must not exist yet; its error says what to do. flag is how
// it was named.
func NewTarget(flag, path string) (*File, error) {
	if err := CheckTarget(flag, path); err != nil {
		return nil, err
	}
	t, err := NewFile(path)
	if err != nil {
		folder := filepath.Dir(path)
		return nil, &refusal.Typed{Key: "no-file", Args: words.Args{"flag": flag, "given": folder, "why": cause(err)}}
	}
	return t, nil
}

// Path is where the file appears.
func (t *File) Path() string { return t.path }

// cause is an error of the file system without the path.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// link is os.Link, but in tests.
var link = os.Link

// Finish puts the file in its place where err is nil, and otherwise removes it. It replaces no
// other, not even one that came since it was looked for.
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
		if err = link(f.Name(), t.path); err != nil && !errors.Is(err, fs.ErrExist) {
			err = t.replacing(f.Name()) // a file system without links
		}
	}
	if removed := os.Remove(f.Name()); !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

// replacing takes the place with an empty file, which must not be there yet, and puts the named
// file over it.
func (t *File) replacing(name string) error {
	empty, err := os.OpenFile(t.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := empty.Close(); err != nil {
		return err
	}
	return os.Rename(name, t.path)
}
