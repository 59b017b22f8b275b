package eventlog

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
)

// ErrBackup says that a stream is not a whole backup: cut short, altered, or
// something else.
var ErrBackup = errors.New("not a whole backup")

// Restore makes dir, which is missing or empty, a store from what BackupTo
// wrote. The store appears by one rename when everything has been read,
// compared with the manifest, fsynced and opened once; otherwise dir is as it
// was. Errors: ErrExists, ErrBackup.
func Restore(ctx context.Context, dir string, o Options, r io.Reader) error {
	if err := restore(ctx, dir, o, r); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func restore(ctx context.Context, dir string, o Options, r io.Reader) error {
	if names, err := o.FS.List(dir); err == nil && len(names) > 0 {
		return fmt.Errorf("%w: %s", ErrExists, names[0])
	}
	return fillDir(o.FS, dir, func(unborn string) error {
		m, err := unpack(ctx, unborn, o.FS, r)
		if err != nil {
			return err
		}
		mark, ok, err := disk.ReadMark(o.FS, unborn)
		if err != nil {
			return err
		}
		if !ok || m.Store != hex.EncodeToString(mark.ID[:]) || m.Commit != mark.Commit || m.Next != mark.Next ||
			m.Events != mark.Total {
			return fmt.Errorf("%w: manifest and file %q differ", ErrBackup, disk.MarkFile)
		}
		if err := verifyCopy(unborn, o, mark); err != nil {
			return err
		}
		if _, err := o.FS.Stat(dir); err == nil {
			return o.FS.Remove(dir) // it is empty, or this fails
		}
		return nil
	})
}

// unpack writes the files of a backup below dir and compares them with its manifest.
func unpack(ctx context.Context, dir string, fs vfs.FS, r io.Reader) (m backupManifest, err error) {
	if err := fs.MkdirAll(fs.PathJoin(dir, disk.Dir), 0o700); err != nil {
		return m, err
	}
	var files []backupFile
	tr := tar.NewReader(&contextReader{ctx, r})
	for {
		h, err := tr.Next()
		if err != nil {
			return m, broken(ctx, err)
		}
		if h.Typeflag != tar.TypeReg {
			return m, fmt.Errorf("%w: entry %d is no file", ErrBackup, len(files)+1)
		}
		if h.Name == manifestName {
			if m, err = readManifest(ctx, tr); err != nil {
				return m, err
			}
			break
		}
		if !storeFile(h.Name) || slices.ContainsFunc(files, func(f backupFile) bool { return f.Name == h.Name }) {
			return m, fmt.Errorf("%w: entry %d is no file of a store", ErrBackup, len(files)+1)
		}
		f, err := unpackFile(ctx, fs, dir, h.Name, tr)
		if err != nil {
			return m, err
		}
		files = append(files, f)
	}
	if _, err := tr.Next(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%w: it goes on after its manifest", ErrBackup)
	}
	if !slices.Equal(files, m.Files) {
		return m, fmt.Errorf("%w: its files are not those of its manifest", ErrBackup)
	}
	return m, disk.SyncDir(fs, fs.PathJoin(dir, disk.Dir))
}

// storeFile tells whether name is one that BackupTo gives; so it never leads
// out of the directory.
func storeFile(name string) bool {
	if name == disk.MarkFile {
		return true
	}
	base, ok := strings.CutPrefix(name, disk.Dir+"/")
	if !ok || base == "" || base == lockFile || strings.Contains(base, "..") {
		return false
	}
	for i := range len(base) {
		c := base[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' ||
			c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// broken names what is wrong with the stream, unless it was given up.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrBackup, err)
}

func readManifest(ctx context.Context, r io.Reader) (m backupManifest, err error) {
	b, err := io.ReadAll(io.LimitReader(r, manifestMaxSize+1))
	if err != nil {
		return m, broken(ctx, err)
	}
	if len(b) > manifestMaxSize {
		return m, fmt.Errorf("%w: its manifest has more than %d bytes", ErrBackup, manifestMaxSize)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrBackup, err)
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("%w: backup format %d, this program reads format %d", ErrFormat, m.Format, manifestFormat)
	}
	return m, nil
}

func unpackFile(ctx context.Context, fs vfs.FS, dir, name string, r io.Reader) (_ backupFile, err error) {
	f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return backupFile{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	var size int64
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		sum.Write(buf[:n])
		size += int64(n)
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return backupFile{}, err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return backupFile{}, broken(ctx, err)
		}
	}
	if err := f.Sync(); err != nil {
		return backupFile{}, err
	}
	return backupFile{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}
