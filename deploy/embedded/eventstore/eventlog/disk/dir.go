package disk

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Dir is Pebble's directory, below the store's.
const Dir = "db"

// MakeDir makes dir and its missing parents, durably: a directory whose entry
// in its parent is not synced may be gone after a power failure, with all in it.
func MakeDir(dir string, fs vfs.FS) error {
	parents := []string{fs.PathDir(dir)}
	for d := parents[0]; ; {
		if _, err := fs.Stat(d); err == nil {
			break
		}
		up := fs.PathDir(d)
		if up == d {
			break
		}
		parents = append(parents, up)
		d = up
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range parents {
		if err := SyncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir makes what a directory lists durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
