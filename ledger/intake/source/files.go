package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Files are files and folders, each folder with everything below it.
type Files struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
}

// Listing is the files there are, in the order in which they are read.
type Listing struct {
	src   Files
	files []foundPath
	total int64 // bytes
	dated bool  // in the order of their times
}

// List lists the files at and below all paths: those of each sorted, one path after the other.
// What cannot be listed, or is no regular file, is in the list with its fault. The error is that
// of ctx.
func (src Files) List(ctx context.Context) (*Listing, error) {
	l := &Listing{src: src}
	for _, p := range src.Paths {
		for _, f := range src.below(p) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			l.files = append(l.files, f)
			l.total += f.size
		}
	}
	return l, nil
}

// ByDate puts the files in the order of their modification times, and what is in an archive too,
// which has the place of its file.
func (l *Listing) ByDate() {
	l.dated = true
	slices.SortStableFunc(l.files, func(a, b foundPath) int { return a.modified.Compare(b.modified) })
}

// foundPath is a file to read, or with a fault what cannot be read.
type foundPath struct {
	path, fault string
	size        int64     // when it was listed, for progress
	modified    time.Time // zero where it is not known
}

// below lists the files at and below path, sorted, and beside them what is there and cannot be
// read: folders that cannot be listed, pipes, devices, sockets.
func (src Files) below(path string) []foundPath {
	var out []foundPath
	visit := func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			out = append(out, foundPath{path: p, fault: "cannot be listed: " + reasonOf(err)})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
		case d.Type().IsRegular(), d.Type()&fs.ModeSymlink != 0, p == path:
			f := foundPath{path: p} // opening says what a link leads to
			if info, err := src.stat(p); err == nil && info.Mode().IsRegular() {
				f.size, f.modified = info.Size(), info.ModTime()
			}
			out = append(out, f)
		default:
			out = append(out, foundPath{path: p, fault: "is no regular file: " + kindOfFile(d.Type())})
		}
		return nil
	}
	var err error
	if src.FS != nil {
		err = fs.WalkDir(src.FS, path, visit)
	} else {
		err = filepath.WalkDir(path, visit)
	}
	if err != nil { // visit returns none but SkipDir
		out = append(out, foundPath{path: path, fault: "cannot be listed: " + reasonOf(err)})
	}
	slices.SortStableFunc(out, func(a, b foundPath) int { return strings.Compare(a.path, b.path) })
	return out
}

func (src Files) stat(path string) (fs.FileInfo, error) {
	if src.FS != nil {
		return fs.Stat(src.FS, path)
	}
	return os.Stat(path)
}

func kindOfFile(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return m.Type().String()
}

// errNoFile: only regular files end and can be read again.
type errNoFile struct{ kind string }

func (e errNoFile) Error() string { return "is no regular file: " + e.kind }

// open opens a regular file and nothing else: it looks before it opens, because opening a device
// may act on it, asks not to wait for a pipe's writer, and looks again at what it got.
func (src Files) open(path string) (fs.File, error) {
	if src.FS != nil {
		f, err := src.FS.Open(path)
		if err != nil {
			return nil, err
		}
		return regular(f)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile{kindOfFile(info.Mode())}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return regular(f)
}

func regular(f fs.File) (fs.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile{kindOfFile(info.Mode())}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// reasonOf is an I/O error without the path, which is named beside it.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
