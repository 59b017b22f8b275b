package intake

import (
	"bytes"
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
	"github.com/ledgerline/ledgerline/schemas"
)

// Source is what to import: files and folders, each folder with everything
// below it, in sorted order.
type Source struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
	// Observed is the time of every snapshot that tells none itself. Where it is zero, that is the
	// modification time of its file, which proves no age.
	Observed time.Time
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
	err = in.consume(ctx, tenant, found, s, left, progress)
	if err != nil {
		cancel(err)
		in.leave(found)
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	if err := <-done; err != nil {
		return s.clone(), fmt.Errorf("import: %w", err)
	}
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
	ctx context.Context, tenant vault.Tenant, found <-chan *entry, s *Summary, left *leftOut, progress func(Summary),
) error {
	var batch []*entry
	var size int
	flush := func() error {
		err := in.take(ctx, tenant, left, batch)
		s.EventsLeftOut, s.LeftOutInMore = left.counts()
		if err != nil {
			return err
		}
		for _, e := range batch {
			s.add(e)
			in.cfg.Observer.Took(e.outcome.String())
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
	var found []foundPath
	for _, p := range src.Paths {
		found = append(found, src.files(p)...)
	}
	if src.Observed.IsZero() {
		slices.SortStableFunc(found, func(a, b foundPath) int { return a.modified.Compare(b.modified) })
	}
	for _, f := range found {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		v := &reading{in: in, ctx: ctx, tenant: tenant, file: f.path, to: to, dating: src.date(f, in.cfg.Clock())}
		err := error(nil)
		if f.fault != "" {
			err = v.send(&entry{outcome: failed, reason: f.fault})
		} else {
			err = v.scan(src)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
			out = append(out, foundPath{path: p, modified: src.modified(p)}) // opening says what a link leads to
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

// modified returns when the file was modified, zero where that is not known; opening tells why.
func (src Source) modified(path string) time.Time {
	info, err := os.Stat(path)
	if src.FS != nil {
		info, err = fs.Stat(src.FS, path)
	}
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
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

// reading is one file being read; it is the scan's visitor.
type reading struct {
	in     *Intake
	ctx    context.Context
	tenant vault.Tenant
	file   string
	to     chan<- *entry
	dating // of a record that tells no time
}

// scan reads the file. One that cannot be opened or read to its end is a failure of
// its own, and the import goes on.
func (r *reading) scan(src Source) error {
	f, err := src.open(r.file)
	var none errNoFile
	switch {
	case errors.As(err, &none):
		return r.send(&entry{outcome: failed, reason: none.Error()})
	case err != nil:
		return r.send(&entry{outcome: failed, reason: "cannot be opened: " + reasonOf(err)})
	}
	defer f.Close()
	if err := scan(f, r); err != nil {
		if ctxErr := context.Cause(r.ctx); ctxErr != nil {
			return ctxErr
		}
		return r.send(&entry{outcome: failed, reason: "cannot be read to its end: " + reasonOf(err)})
	}
	return nil
}

// reasonOf is an I/O error without the path, which the failure names already.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func (r *reading) send(e *entry) error {
	e.file = r.file
	select {
	case r.to <- e:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func (r *reading) broken(line, number int, reason string) error {
	return r.send(&entry{line: line, number: number, outcome: failed, reason: reason})
}

func (r *reading) foreign(kind string) error {
	return r.send(&entry{outcome: unrecognised, kind: kind})
}

func (r *reading) record(it item) error {
	e := r.in.parse(r.tenant, it, r.dating)
	return r.send(e)
}

// parse recognises one record and puts it into the ledger's terms.
func (in *Intake) parse(tenant vault.Tenant, it item, file dating) *entry {
	e := &entry{line: it.line, number: it.number, size: len(it.raw)}
	m, err := decodeRecord(it.raw)
	if err != nil {
		e.outcome, e.reason = failed, err.Error()
		return e
	}
	kind, taken := recognise(m, it.context)
	if !taken {
		e.outcome, e.kind = unrecognised, kind
		return e
	}
	fail := func(err error) *entry {
		var f *fieldError
		e.outcome, e.reason, e.fact, e.snap = failed, "cannot be understood", nil, nil
		if errors.As(err, &f) {
			e.field, e.reason = f.field, f.reason
		}
		return e
	}
	if err := in.check(tenant, m); err != nil {
		return fail(err)
	}
	seen := &fields{}
	switch kind {
	case kindAuditLog:
		e.fact, err = parseAuditLog(m, seen)
	case kindAuditEvent:
		e.fact, err = parseAuditEvent(m, seen)
	case kindDevice:
		e.snap, err = parseDevice(in.cfg.Catalogue, m, in.cfg.Clock(), seen)
	default:
		e.snap, err = parseManagedDevice(in.cfg.Catalogue, m, file, in.cfg.Clock(), seen)
	}
	if err != nil {
		return fail(err)
	}
	e.fields, e.decoded = seen.unknown, seen.decoded > 0
	e.forged = bytes.Contains(it.raw, []byte(`"`+schemas.SealedPrefix))
	return e
}

// check refuses a record of a source tenant that was not declared.
func (in *Intake) check(tenant vault.Tenant, m sourceRecord) error {
	for _, named := range []named{{"tenantId", m.text("tenantId")},
		{"properties.AADTenantId", m.properties.text("AADTenantId")}} {
		if named.value != "" && !isNothing(named.value) && !tenant.Takes(named.value) {
			return &fieldError{named.field, "names a source tenant that is not declared for this tenant"}
		}
	}
	return nil
}
