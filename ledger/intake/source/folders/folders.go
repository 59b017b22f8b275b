// Package folders owns which files are read: it lists those at and below paths, and opens regular
// ones and nothing else. It knows nothing of what is in them. What it cannot list or open it
// names.
package folders

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Source is files and folders, each folder with everything below it.
type Source struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
}

// Listing is the files there are, in the order in which they are read.
type Listing struct {
	Found []Found
	Total int64 // bytes
	Dated bool  // they are in the order of their times

	src Source
}

// List lists the files at and below all paths: those of each sorted, one path after the other.
// What cannot be listed, or is no regular file, is in the list with its fault. The error is that
// of ctx.
func (src Source) List(ctx context.Context) (*Listing, error) {
	l := &Listing{src: src}
	for _, p := range src.Paths {
		for _, f := range src.below(p) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			l.Found = append(l.Found, f)
			l.Total += f.Size
		}
	}
	return l, nil
}

// ByDate puts the files in the order of their modification times, and what is in an archive too,
// which has the place of its file.
func (l *Listing) ByDate() {
	l.Dated = true
	slices.SortStableFunc(l.Found, func(a, b Found) int { return a.Modified.Compare(b.Modified) })
}

// Found is a file to read, or with a fault what cannot be read.
type Found struct {
	Path, Fault string
	Size        int64     // when it was listed, for progress
	Modified    time.Time // zero where it is not known
}

// below lists the files at and below path, sorted, and beside them what is there and cannot be
// read: folders that cannot be listed, pipes, devices, sockets.
func (src Source) below(path string) []Found {
	var out []Found
	visit := func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			out = append(out, Found{Path: p, Fault: "cannot be listed: " + ReasonOf(err)})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
		case d.Type().IsRegular(), d.Type()&fs.ModeSymlink != 0, p == path:
			f := Found{Path: p} // opening says what a link leads to
			if info, err := src.stat(p); err == nil && info.Mode().IsRegular() {
				f.Size, f.Modified = info.Size(), info.ModTime()
			}
			out = append(out, f)
		default:
			out = append(out, Found{Path: p, Fault: "is no regular file: " + kindOfFile(d.Type())})
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
		out = append(out, Found{Path: path, Fault: "cannot be listed: " + ReasonOf(err)})
	}
	slices.SortStableFunc(out, func(a, b Found) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func (src Source) stat(path string) (fs.FileInfo, error) {
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

// File is a file that is being read, and how far.
type File struct {
	Done, Size int64       // bytes; of one that is read here and there, no more than it has
	At         io.ReaderAt // nil where the file cannot be read anywhere

	src fs.File
	ctx context.Context
}

// Open opens a found file for reading, which ends with ctx: a file may be read for long. The error
// says why it cannot, in words for whoever named it.
func (l *Listing) Open(ctx context.Context, of Found) (*File, error) {
	if of.Fault != "" {
		return nil, errors.New(of.Fault)
	}
	src, err := l.src.open(of.Path)
	var none errNoFile
	switch {
	case errors.As(err, &none):
		return nil, none
	case err != nil:
		return nil, fmt.Errorf("cannot be opened: %s", ReasonOf(err))
	}
	f := &File{Size: of.Size, src: src, ctx: ctx}
	if info, err := src.Stat(); err == nil {
		f.Size = info.Size()
	}
	if at, can := src.(io.ReaderAt); can {
		f.At = anywhere{f, at}
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.src.Close() }

// Reader returns the file's bytes from where it stands.
func (f *File) Reader() io.Reader { return onwards{f} }

type onwards struct{ *File }

func (o onwards) Read(p []byte) (int, error) {
	if err := context.Cause(o.ctx); err != nil {
		return 0, err
	}
	n, err := o.src.Read(p)
	o.Done += int64(n)
	return n, err
}

type anywhere struct {
	of  *File
	src io.ReaderAt
}

func (a anywhere) ReadAt(p []byte, off int64) (int, error) {
	if err := context.Cause(a.of.ctx); err != nil {
		return 0, err
	}
	n, err := a.src.ReadAt(p, off)
	a.of.Done = min(a.of.Done+int64(n), max(a.of.Done, a.of.Size))
	return n, err
}

// open opens a regular file and nothing else: it looks before it opens, because opening a device
// may act on it, asks not to wait for a pipe's writer, and looks again at what it got.
func (src Source) open(path string) (fs.File, error) {
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

// ReasonOf returns an I/O error without the path, which is named beside it.
func ReasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
