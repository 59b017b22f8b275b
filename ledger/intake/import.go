package intake

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/ledgerline/ledgerline/ledger/intake/record"
	"github.com/ledgerline/ledgerline/ledger/intake/source/folders"
	"github.com/ledgerline/ledgerline/ledger/vault"
	"github.com/ledgerline/ledgerline/schemas"
)

// Source is what to import: files and folders, each folder with everything below it, in sorted
// order.
type Source struct {
	Paths []string
	FS    fs.FS // where the paths are; nil for those of the operating system
	// Observed is the time of every snapshot that tells none itself. Where it is zero, that is the
	// modification time of its file, which proves no age.
	Observed time.Time

	// DryRun says what would become of the records, and writes nothing.
	DryRun bool
	// TakeNameless takes records that name no source tenant though others of the source name one
	// that is not declared for the tenant. Graph's records never name one, so that nothing but
	// their company tells whose they are.
	TakeNameless bool
}

// maxBatchBytes closes a batch early, so that memory stays bounded whatever the records measure.
// Being planned, sealed and encoded, a list of many apps takes some seven times its text.
const maxBatchBytes = 4 << 20

// Import reads the source into the tenant's ledger and accounts for every record. progress, if not
// nil, gets the summary so far after each batch, from Import's own goroutine. Records that fail
// are in the summary and stop nothing; the error is one that ended the import, with the summary up
// to there: what it calls recorded is durable, and importing the same again completes the rest.
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
	before, err := in.remember(ctx, tenant, left, src.DryRun)
	if err != nil {
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	found := make(chan *entry) // what is read ahead waits, bounded, in reading
	done := make(chan error, 1)
	go func() {
		done <- in.walk(ctx, tenant, src, before, found)
		close(found)
	}()
	take := in.take
	if src.DryRun {
		take = in.judge
	}
	err = in.consume(ctx, tenant, take, found, s, left, before, progress)
	if err != nil {
		cancel(err)
		in.leave(found)
		return s.clone(), fmt.Errorf("import: %w", err)
	}
	if err = <-done; err == nil {
		err = before.end(ctx)
	}
	if err != nil {
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

// batch is records that are planned in one transaction, each with what was read of it beside.
type batch struct {
	entries []*entry
	size    int
	known   *known // what is known of the streams that it needs
	touched map[schemas.Stream]bool

	done chan struct{} // closed once it is taken; err says how it ended
	err  error
}

// add adds a record, and behind it what was read of it beside.
func (b *batch) add(e *entry) {
	b.entries = append(b.entries, e)
	b.addParts(e)
}

// addParts adds what was read of a record beside.
func (b *batch) addParts(e *entry) {
	for _, p := range e.parts {
		p.file = e.file
		b.entries = append(b.entries, p)
	}
}

// consume collects batches and has them taken, one after another. While one is planned and
// appended, the next one is collected, and its streams are read but for those that the first one
// needs: two batches are in memory, and what is read of their streams.
func (in *Intake) consume(
	ctx context.Context, tenant vault.Tenant,
	take func(context.Context, vault.Tenant, *leftOut, *recognition, *batch) error,
	found <-chan *entry, s *Summary, left *leftOut, before *recognition, progress func(Summary),
) error {
	var taking *batch // nil where none is
	settle := func() error {
		b := taking
		if taking = nil; b == nil {
			return nil
		}
		<-b.done
		s.EventsLeftOut, s.LeftOutInMore = left.counts()
		if b.err != nil {
			return b.err
		}
		for _, e := range b.entries {
			if e.of != nil {
				s.addPart(e)
				continue
			}
			s.add(e)
			if !s.DryRun {
				in.cfg.Observer.Took(e.outcome.String())
			}
		}
		if progress != nil {
			progress(s.clone())
		}
		return nil
	}
	begin := func(b *batch) error {
		prior := taking
		var busy map[schemas.Stream]bool
		if prior != nil {
			busy = prior.known.needs
		}
		known, failed := in.know(ctx, tenant, left, inOrder(b.entries), map[schemas.Stream]bool{}, busy)
		if err := cmp.Or(settle(), failed); err != nil {
			return err
		}
		if prior != nil {
			for s := range prior.touched { // read while they changed
				delete(known.states, s)
			}
		}
		b.known, b.touched, b.done = known, map[schemas.Stream]bool{}, make(chan struct{})
		taking = b
		go func() {
			defer close(b.done)
			b.err = take(ctx, tenant, left, before, b)
		}()
		return nil
	}
	next := &batch{}
	for {
		var e *entry
		more := false
		var taken <-chan struct{}
		if taking != nil {
			taken = taking.done
		}
		select {
		case <-taken:
			if err := settle(); err != nil {
				return err
			}
			continue
		case e, more = <-found:
		case <-ctx.Done(): // not only between entries: a read may be stuck
		}
		if err := context.Cause(ctx); err != nil {
			return cmp.Or(settle(), err)
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
		next.add(e)
		next.size += e.size
		if len(next.entries) >= in.cfg.BatchSize || next.size >= maxBatchBytes {
			if err := begin(next); err != nil {
				return err
			}
			next = &batch{}
		}
	}
	if len(next.entries) > 0 {
		if err := begin(next); err != nil {
			return err
		}
	}
	return settle()
}

// walk sends every record of the source. Files are read in the order in which they date their
// records, so that what was observed earlier comes first.
// before is nil where nothing is known.
func (in *Intake) walk(
	ctx context.Context, tenant vault.Tenant, src Source, before *recognition, to chan<- *entry,
) error {
	found, err := folders.Source{Paths: src.Paths, FS: src.FS}.List(ctx)
	if err != nil {
		return err
	}
	if src.Observed.IsZero() {
		found.ByDate()
	}
	w := &walked{in: in, ctx: ctx, tenant: tenant, src: src, before: before, to: to}
	if err := w.look(found); err != nil {
		return err
	}
	return w.read(found)
}

// walked is what an import knows while it reads, over all files.
type walked struct {
	in      *Intake
	ctx     context.Context
	tenant  vault.Tenant
	src     Source
	before  *recognition
	to      chan<- *entry
	foreign bool // a record names a source tenant that is not declared
}

// date says how the records of a file are dated that tell no time themselves: a file that was
// modified in the future, or at no time that is known, is of now.
func (src Source) date(modified, now time.Time) record.Dating {
	switch {
	case !src.Observed.IsZero():
		return record.Dating{At: src.Observed, Proven: true}
	case modified.IsZero(), modified.After(now):
		return record.Dating{At: now}
	}
	return record.Dating{At: modified}
}
