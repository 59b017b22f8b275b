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
	"time"

	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Source is what to import: files and folders, each folder with everything below it, in sorted order.
type Source struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
}

// maxBatchBytes closes a batch early, so that memory stays bounded whatever the records measure.
const maxBatchBytes = 16 << 20

// Import reads the source into the tenant's ledger and accounts for every record. progress, if not nil, gets the summary so far after each batch, from
// Import's own goroutine. Records that fail are in the summary and stop nothing; the error is one that ended the import, with the summary up
// to there: what it calls recorded is durable, and importing the same again completes the rest.
func (in *Intake) Import(ctx context.Context, tenant vault.Tenant, src Source, progress func(Summary)) (Summary, error) {
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
		defer close(found)
		done <- in.walk(ctx, tenant, src, found)
	}()
	err = in.consume(ctx, tenant, found, s, left, progress)
	if err != nil {
		cancel(err)
		for range found { // the walk ends, and is waited for
		}
	}
	if walkErr := <-done; err == nil {
		err = walkErr
	}
	if err != nil {
		err = fmt.Errorf("import: %w", err)
	}
	return s.clone(), err
}

func (in *Intake) consume(ctx context.Context, tenant vault.Tenant, found <-chan *entry, s *Summary, left *leftOut, progress func(Summary)) error {
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
	for e := range found {
		batch = append(batch, e)
		size += e.size
		if len(batch) >= in.cfg.BatchSize || size >= maxBatchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return context.Cause(ctx)
	}
	return flush()
}

// walk sends every record of the source, in order.
func (in *Intake) walk(ctx context.Context, tenant vault.Tenant, src Source, to chan<- *entry) error {
	for _, p := range src.Paths {
		files, err := src.files(p)
		if err != nil {
			return err
		}
		for _, f := range files {
			v := &reading{in: in, ctx: ctx, tenant: tenant, file: f, to: to, read: in.cfg.Clock()}
			if err := v.scan(src); err != nil {
				return err
			}
		}
	}
	return nil
}

// files lists the regular files at and below path, sorted.
func (src Source) files(path string) ([]string, error) {
	var out []string
	visit := func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0 || p == path) {
			out = append(out, p)
		}
		return err
	}
	var err error
	if src.FS != nil {
		err = fs.WalkDir(src.FS, path, visit)
	} else {
		err = filepath.WalkDir(path, visit)
	}
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	slices.Sort(out)
	return out, nil
}

func (src Source) open(path string) (io.ReadCloser, error) {
	if src.FS != nil {
		return src.FS.Open(path)
	}
	return os.Open(path)
}

// reading is one file being read; it is the scan's visitor.
type reading struct {
	in     *Intake
	ctx    context.Context
	tenant vault.Tenant
	file   string
	to     chan<- *entry
	read   time.Time // when: the observation of a record that tells no time
}

// scan reads the file. One that cannot be opened or read to its end is a failure of its own, and the import goes on.
func (r *reading) scan(src Source) error {
	f, err := src.open(r.file)
	if err != nil {
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
	e := r.in.parse(r.tenant, it, r.read)
	return r.send(e)
}

// parse recognises one record and puts it into the ledger's terms.
func (in *Intake) parse(tenant vault.Tenant, it item, read time.Time) *entry {
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
		e.snap, err = parseDevice(in.cfg.Catalogue, m, seen)
	default:
		e.snap, err = parseManagedDevice(in.cfg.Catalogue, m, read, seen)
	}
	if err != nil {
		return fail(err)
	}
	e.fields = seen.unknown
	e.forged = bytes.Contains(it.raw, []byte(`"`+schemas.SealedPrefix))
	return e
}

// check refuses a record of a source tenant that was not declared.
func (in *Intake) check(tenant vault.Tenant, m sourceRecord) error {
	for _, named := range []named{{"tenantId", m.text("tenantId")}, {"properties.AADTenantId", m.properties.text("AADTenantId")}} {
		if named.value != "" && !isNothing(named.value) && !tenant.Takes(named.value) {
			return &fieldError{named.field, "names a source tenant that is not declared for this tenant"}
		}
	}
	return nil
}
