package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// maxFindings bounds a report's list; the rest is counted.
const maxFindings = 1000

// Progress says how far a Check is.
type Progress struct {
	Phase string // "files", "events", "index", "differences", "levels"
	Done  uint64 // files, events or entries of this phase
	Total uint64 // what Done will be, as far as the store's own counter knows; 0 where nobody knows
}

// Report is what Check found.
type Report struct {
	// Findings name damage by file, position, commit and revision; never by
	// stream, and without event data. At most 1,000 of Found.
	Findings []string
	Found    uint64

	Events   uint64 // events that are whole
	Streams  uint64 // streams with events
	Commit   uint64 // the last commit
	Next     uint64 // position after the last event
	Bytes    uint64 // of events, keys and bookkeeping not included
	Duration time.Duration
}

// Whole tells whether nothing was found.
func (r Report) Whole() bool { return r.Found == 0 }

// readOnly is a store opened to be read, with nothing in its directory changed.
type readOnly struct {
	db   *pebble.DB
	h    *disk.Halt
	opts *pebble.Options
}

// openReadOnly opens Pebble's files below dir; their logs are read into memory.
func openReadOnly(dir string, o Options) (*readOnly, error) {
	dbPath := o.FS.PathJoin(dir, disk.Dir)
	if err := scanLogs(o.FS, dbPath, func(string) {}); err != nil {
		return nil, err
	}
	h := disk.NewHalt(func(error) {}, "")
	c := &readOnly{h: h, opts: disk.PebbleOptions(o.files(), h)}
	c.opts.ReadOnly = true
	c.opts.ErrorIfNotExists = true
	var err error
	c.db, err = disk.Open(dbPath, c.opts, h)
	return c, err
}

func (c *readOnly) close() error { return disk.Close(c.db, c.h) }

// checker holds one run of Check.
type checker struct {
	ctx      context.Context
	o        Options
	dir      string
	db       *pebble.DB
	opts     *pebble.Options
	progress func(Progress)
	report   Report
	end      tail // by the commit counter
	events   fingerprint
	entries  fingerprint
}

func (c *checker) found(format string, args ...any) {
	c.report.Found++
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, fmt.Sprintf(format, args...))
	}
}

// step reports progress once in a while, and ends a run whose context has ended.
func (c *checker) step(phase string, done, total uint64) error {
	if done%(64<<10) != 0 {
		return nil
	}
	c.progress(Progress{Phase: phase, Done: done, Total: total})
	return c.ctx.Err()
}

// Check reads every record of the closed store in dir, compares all that is
// written twice, and reports every contradiction: damaged files; events that
// are missing, damaged, out of order or miscounted; stream index entries and
// events that do not belong to each other; heads that do not follow from the
// rest; unknown keys. It changes nothing. progress may be nil.
//
// Damage is in the report; an error says that the check did not run to its end.
// Errors: ErrMissing, ErrLocked, ErrFormat, and the context's.
func Check(ctx context.Context, dir string, o Options, progress func(Progress)) (_ Report, err error) {
	began := time.Now()
	if progress == nil {
		progress = func(Progress) {}
	}
	c := &checker{ctx: ctx, o: o, dir: dir, progress: progress}
	exists, err := Exists(dir, o.FS)
	switch {
	case errors.Is(err, ErrGone):
		c.found("%v", err)
		return c.report, nil
	case err != nil:
		return Report{}, fmt.Errorf("check event store: %w", err)
	case !exists:
		return Report{}, fmt.Errorf("check event store: %w", ErrMissing)
	}
	lock, err := lockDirectory(o.FS, dir)
	if err != nil {
		return Report{}, fmt.Errorf("check event store: %w", err)
	}
	err = c.run()
	if err := errors.Join(err, lock.Close()); err != nil {
		return Report{}, fmt.Errorf("check event store: %w", err)
	}
	c.report.Duration = time.Since(began)
	return c.report, nil
}

func (c *checker) run() (err error) {
	mark, marked, err := disk.ReadMark(c.o.FS, c.dir)
	if errors.Is(err, ErrCorrupt) {
		c.found("%v", err)
	} else if err != nil {
		return err
	}
	r, err := openReadOnly(c.dir, c.o)
	if err != nil {
		if errors.Is(err, pebble.ErrClosed) || c.ctx.Err() != nil {
			return err
		}
		// Nothing can be read where the logs or the MANIFEST cannot.
		c.found("the files cannot be opened: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, r.close()) }()
	c.db, c.opts = r.db, r.opts
	if err := c.tables(); err != nil {
		return err
	}
	c.counter(mark, marked)
	for _, pass := range [...]func() error{c.keys, c.chain, c.streams, c.differences, c.levels} {
		if err := pass(); err != nil {
			return err
		}
	}
	return nil
}

// tables verifies the checksum of every block of every table, those that no
// event needs included: a filter with a changed bit would hide a stream.
func (c *checker) tables() error {
	levels, err := c.db.SSTables()
	if err != nil {
		return err
	}
	var done, total uint64
	for _, level := range levels {
		total += uint64(len(level))
	}
	for _, level := range levels {
		for _, t := range level {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			name := t.BackingSSTNum.String() + ".sst"
			if err := c.table(name); err != nil {
				c.found("file %s: %v", name, err)
			}
			done++
			c.progress(Progress{Phase: "files", Done: done, Total: total})
		}
	}
	return nil
}

func (c *checker) table(name string) (err error) {
	f, err := c.o.FS.Open(c.o.FS.PathJoin(c.dir, disk.Dir, name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(c.ctx, readable, c.opts.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.ValidateBlockChecksums()
}

// counter verifies what Open verifies. It leaves in c.end where the log should
// end, which is the start where the counter cannot be read.
func (c *checker) counter(mark disk.Mark, marked bool) {
	t, err := verify(c.db)
	if err != nil {
		c.found("%v", err)
	} else if marked {
		if err := mark.Compare(t.format.ID, t.commit, t.next, t.total); err != nil {
			c.found("%v", err)
		}
	}
	if t.next == 0 {
		t.next = layout.FirstPosition
	}
	c.end = t
	c.report.Commit = t.commit
}

// keys looks for keys that no version of this program writes.
func (c *checker) keys() error {
	for _, gap := range [...]struct{ from, to []byte }{
		{nil, layout.KeyChecked},
		{append(append([]byte(nil), layout.KeyChecked...), 0), layout.KeyFormat},
		{append(append([]byte(nil), layout.KeyFormat...), 0), []byte{layout.PrefixCommit}},
		{[]byte{layout.PrefixHead + 1}, nil},
	} {
		it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: gap.from, UpperBound: gap.to})
		if err != nil {
			return err
		}
		for it.First(); it.Valid(); it.Next() {
			c.found("unknown key of %d bytes that begins with %02x", len(it.Key()), it.Key()[:min(len(it.Key()), 2)])
		}
		if err := it.Close(); err != nil {
			c.found("keys outside the store's cannot be read: %v", err)
		}
	}
	return nil
}

// boundary is a place at which a count of events is known.
type boundary struct {
	name        string
	next, total uint64
}

// chain reads the events in order: each begins where the one before ended.
func (c *checker) chain() error {
	var (
		next    = uint64(layout.FirstPosition) // where the next event must be
		created = int64(math.MinInt64)
		seen    uint64 // events, those with damage included
		bounds  = c.boundaries()
		holes   bool
	)
	pass := func(from uint64) (at uint64, err error) { // the position that could not be read
		it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: layout.EventKey(from),
			UpperBound: []byte{layout.PrefixEvent + 1}})
		if err != nil {
			return next, err
		}
		for it.First(); it.Valid(); it.Next() {
			position, err := layout.PositionOf(it.Key())
			if err != nil {
				c.found("%v", err)
				continue
			}
			v, err := it.ValueAndErr()
			if err != nil {
				return position, errors.Join(err, it.Close())
			}
			if position != next {
				c.found("event at position %d, the one before ended at %d", position, next)
				holes = true
			}
			for bounds.next <= position && bounds.more {
				c.boundary(bounds, position, seen, holes)
			}
			seen++
			next = position + layout.LogSize(len(v))
			c.report.Bytes += uint64(len(v))
			c.event(position, v, &created)
			if err := c.step("events", seen, c.end.total); err != nil {
				return position, errors.Join(err, it.Close())
			}
		}
		return next, it.Close()
	}
	for from := uint64(0); ; {
		at, err := pass(from)
		if err == nil {
			break
		}
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		holes = true
		var ok bool
		if from, ok = c.beyond(at); !ok {
			c.found("events from position %d on cannot be read: %v", at, err)
			break
		}
		c.found("events from position %d on, up to %d, cannot be read: %v", at, from, err)
		next = from
	}
	for bounds.more {
		c.boundary(bounds, next, seen, holes)
	}
	if err := bounds.close(); err != nil {
		c.found("commit records cannot be read: %v", err)
	}
	c.report.Next = next
	if next != c.end.next {
		c.found("the last event ends at position %d, the commit counter at %d", next, c.end.next)
	}
	if seen != c.end.total {
		c.found("%d events are there, %d were counted", seen, c.end.total)
	}
	return nil
}

// event checks one event by itself and takes it into the fingerprint.
func (c *checker) event(position uint64, v []byte, created *int64) {
	r, err := layout.DecodeRecord(position, v)
	if err != nil {
		c.found("%v", err)
		return
	}
	c.report.Events++
	if r.Created < *created {
		c.found("event at position %d is older than the one before it", position)
	}
	*created = max(*created, r.Created)
	if r.Flags&^(layout.FlagJSON|layout.FlagTombstone) != 0 {
		c.found("event at position %d has unknown flags %#x", position, r.Flags)
	}
	if (r.Flags&layout.FlagTombstone != 0) != (r.Revision == layout.TombstoneRevision) {
		c.found("event at position %d has revision %d and flags %#x", position, r.Revision, r.Flags)
	}
	c.events.add(r.Stream, r.Revision, IndexEntry{Position: position, ID: r.ID, Created: r.Created})
}

// beyond looks for an event that can be read behind one that cannot.
func (c *checker) beyond(at uint64) (uint64, bool) {
	for step, tries := uint64(16<<10), 0; at < c.end.next; tries++ {
		at += step
		if tries > 64 {
			step *= 2
		}
		it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: layout.EventKey(at),
			UpperBound: []byte{layout.PrefixEvent + 1}})
		if err != nil {
			return 0, false
		}
		var position uint64
		ok := it.First()
		if ok {
			position, err = layout.PositionOf(it.Key())
		}
		if _, e := it.ValueAndErr(); ok && e != nil {
			err = e
		}
		if err := errors.Join(err, it.Close()); err == nil {
			return position, ok
		}
	}
	return 0, false
}

// levels has Pebble check the order of its tables.
func (c *checker) levels() error {
	c.progress(Progress{Phase: "levels"})
	if err := c.db.CheckLevels(nil); err != nil && c.ctx.Err() == nil {
		// Not the error itself, which names keys and so streams.
		c.found("the tables cannot be read or contradict each other in their order")
	}
	return c.ctx.Err()
}
