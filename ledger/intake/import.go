package intake

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

	"github.com/ledgerline/ledgerline/ledger/vault"
)

// Source is what to import: files and folders, each folder with everything
// below it, in sorted order.
type Source struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
	// Observed is the time of every snapshot that tells none itself. Where it is zero, that is the
	// modification time of its file, which proves no age.
	Observed time.Time

	// DryRun says what would become of the records, and writes nothing.
	DryRun bool
	// TakeNameless takes records that name no source tenant though others of the source name one that
	// is not declared for the tenant. Graph's records never name one, so that nothing but their
	// company tells whose they are.
	TakeNameless bool
}

// maxBatchBytes closes a batch early, so that memory stays bounded whatever the records measure.
const maxBatchBytes = 16 << 20

// Import reads the source into the tenant's ledger and accounts for every record. progress, if not
// nil, gets the summary so far after each batch, from Import's own goroutine. Records that fail are
// in the summary and stop nothing; the error is one that ended the import, with the summary up to
// there: what it calls recorded is durable, and importing the same again completes the rest.
func (in *Intake) Import(
	ctx context.Context, tenant vault.Tenant, src Source, progress func(Summary),
) (Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer in.states.clear() // no plaintext stays behind
	s := newSummary()
	s.DryRun = src.DryRun
	left, err := in.begin(ctx, tenant)
	if err != nil {
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	found := make(chan *entry, in.cfg.BatchSize)
	done := make(chan error, 1)
	go func() {
		done <- in.walk(ctx, tenant, src, found)
		close(found)
	}()
	take := in.take
	if src.DryRun {
		take = in.judge
	}
	err = in.consume(ctx, tenant, take, found, s, left, progress)
	if err != nil {
		cancel(err)
		in.leave(found)
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	if err := <-done; err != nil {
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	s.Bytes = max(s.Bytes, s.BytesTotal)
	return s.clone(), nil
}

// leaveAfter is how long an import that ends waits for the read under way.
const leaveAfter = time.Second

// leave waits for the walk to end. A read that does not return, as of a file server that is gone,
// is left behind: it sends nothing any more.
func (in *Intake) leave(found <-chan *entry) {
	patience := time.NewTimer(leaveAfter)
	defer patience.Stop()
	for {
		select {
		case _, more := <-found:
			if !more {
				return
			}
		case <-patience.C:
			return
		}
	}
}

func (in *Intake) consume(
	ctx context.Context, tenant vault.Tenant,
	take func(context.Context, vault.Tenant, *leftOut, []*entry) error,
	found <-chan *entry, s *Summary, left *leftOut, progress func(Summary),
) error {
	var batch []*entry
	var size int
	flush := func() error {
		err := take(ctx, tenant, left, batch)
		s.EventsLeftOut, s.LeftOutInMore = left.counts()
		if err != nil {
			return err
		}
		for _, e := range batch {
			s.add(e)
			if !s.DryRun {
				in.cfg.Observer.Took(e.outcome.String())
			}
		}
		clear(batch)
		batch, size = batch[:0], 0
		if progress != nil {
			progress(s.clone())
		}
		return nil
	}
	for {
		var e *entry
		more := false
		select {
		case e, more = <-found:
		case <-ctx.Done(): // not only between entries: a read may be stuck
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !more {
			break
		}
		if e.outcome == noted {
			if s.note(e); e.looked && progress != nil {
				progress(s.clone())
			}
			continue
		}
		batch = append(batch, e)
		size += e.size
		if len(batch) >= in.cfg.BatchSize || size >= maxBatchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// walk sends every record of the source. Files are read in the order in which they date their
// records, so that what was observed earlier comes first. A path that cannot be listed or is no
// regular file is one failure.
func (in *Intake) walk(ctx context.Context, tenant vault.Tenant, src Source, to chan<- *entry) error {
	w := &walked{in: in, ctx: ctx, tenant: tenant, src: src, to: to, pages: map[string]*pages{}}
	var files []foundPath
	for _, p := range src.Paths {
		for _, f := range src.files(p) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			files = append(files, f)
			w.total += f.size
		}
	}
	if src.Observed.IsZero() {
		slices.SortStableFunc(files, func(a, b foundPath) int { return a.modified.Compare(b.modified) })
	}
	if err := w.look(files); err != nil {
		return err
	}
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		v := &reading{walked: w, file: f.path, dating: src.date(f, in.cfg.Clock())}
		err := error(nil)
		if f.fault != "" {
			err = v.send(&entry{outcome: failed, reason: f.fault})
		} else {
			err = v.scan(src)
		}
		if err != nil {
			return err
		}
		w.done += f.size
	}
	return w.missing()
}

// walked is what an import knows while it reads, over all files.
type walked struct {
	in     *Intake
	ctx    context.Context
	tenant vault.Tenant
	src    Source
	to     chan<- *entry

	total, done int64             // bytes of all files, and of those that were read
	foreign     bool              // a record names a source tenant that is not declared
	pages       map[string]*pages // by folder and collection
}

// date says how the records of a file are dated that tell no time themselves: a file that was
// modified in the future, or at no time that is known, is of now.
func (src Source) date(f foundPath, now time.Time) dating {
	switch {
	case !src.Observed.IsZero():
		return dating{at: src.Observed, proven: true}
	case f.modified.IsZero(), f.modified.After(now):
		return dating{at: now}
	}
	return dating{at: f.modified}
}

// foundPath is a file to read, or with a fault what cannot be read.
type foundPath struct {
	path, fault string
	size        int64     // when it was listed, for progress
	modified    time.Time // zero where it is not known
}

// files lists the files at and below path, sorted, and beside them what is there and cannot be
// read: folders that cannot be listed, pipes, devices, sockets.
func (src Source) files(path string) []foundPath {
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

// open opens a regular file and nothing else: it looks before it opens, because opening a device
// may act on it, asks not to wait for a pipe's writer, and looks again at what it got.
func (src Source) open(path string) (io.ReadCloser, error) {
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

func regular(f fs.File) (io.ReadCloser, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile{kindOfFile(info.Mode())}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
