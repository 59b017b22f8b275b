package eventlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/disk"
	"github.com/ledgerline/ledgerline/deploy/embedded/eventstore/eventlog/layout"
)

// tail is where the log ends.
type tail struct {
	format  layout.FormatRecord
	checked uint64 // number of the commit at the checked mark
	commit  uint64 // number of the last commit
	next    uint64 // position of the next event
	total   uint64
	created int64 // time of the last event
	system  bool  // there are system streams
}

// verify checks the format, that the commit counter is dense and chains from
// the last verified mark, and that the log ends where the counter says.
func verify(db pebble.Reader) (tail, error) {
	var t tail
	v, err := disk.Get(db, layout.KeyFormat)
	if errors.Is(err, pebble.ErrNotFound) {
		return t, fmt.Errorf("%w: no format record", ErrCorrupt)
	} else if err != nil {
		return t, err
	}
	if t.format, err = layout.DecodeFormat(v); err != nil {
		return t, err
	}
	if v, err = disk.Get(db, layout.KeyChecked); err != nil {
		return t, fmt.Errorf("%w: checked mark: %w", ErrCorrupt, err)
	}
	mark, err := layout.DecodeChecked(v)
	if err != nil {
		return t, err
	}
	t.checked, t.commit, t.next, t.total = mark.Commit, mark.Commit, mark.Next, mark.Total
	if err := verifyCommits(db, &t); err != nil {
		return t, err
	}
	if err := verifyLastEvent(db, &t); err != nil {
		return t, err
	}
	return t, nil
}

// moveChecked moves the checked mark to the tail: what it covers is in
// checksummed tables by now, because Pebble writes its logs there while it opens.
func moveChecked(db *pebble.DB, h *disk.Halt, t *tail) error {
	if t.commit == t.checked {
		return nil
	}
	b := db.NewBatch()
	err := putChecked(b, layout.CheckedMark{Commit: t.commit, Next: t.next, Total: t.total})
	if err == nil {
		err = h.Do(func() error { return b.Commit(pebble.Sync) })
	}
	if err != nil {
		return fmt.Errorf("move checked mark: %w", err)
	}
	t.checked = t.commit
	return nil
}

func putChecked(b *pebble.Batch, m layout.CheckedMark) error {
	return errors.Join(
		b.DeleteRange([]byte{layout.PrefixCommit}, layout.CommitKey(m.Commit+1), nil),
		b.Set(layout.KeyChecked, m.Encode(), nil),
	)
}

// checkedDistance is how many commits Open walks at most, and a few more: it
// bounds the time that Open takes after a long session.
const checkedDistance = 100_000

// advanceChecked moves the checked mark of a running log, with the group, once
// in a while. What a mark covers is never walked again, so it must not rest on
// a log file alone: Pebble is first made to write its memtables to tables.
func (w *writer) advanceChecked(g *group) (err error) {
	if w.flushed != nil {
		select {
		case <-w.flushed:
		default:
			return nil
		}
		w.flushed = nil
		w.checked = w.flushing.Commit
		return putChecked(g.batch, w.flushing)
	}
	if w.commit-w.checked < cmp.Or(w.s.options.checkedDistance, checkedDistance) {
		return nil
	}
	w.flushing = layout.CheckedMark{Commit: w.commit, Next: g.first, Total: w.total - uint64(g.events)}
	w.flushed, err = w.s.db.AsyncFlush()
	return err
}

var commitRange = &pebble.IterOptions{LowerBound: []byte{layout.PrefixCommit},
	UpperBound: []byte{layout.PrefixCommit + 1}}

func verifyCommits(db pebble.Reader, t *tail) (err error) {
	it, err := db.NewIter(commitRange)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		if len(it.Key()) != 9 {
			return fmt.Errorf("%w: commit key of %d bytes", ErrCorrupt, len(it.Key()))
		}
		n := binary.BigEndian.Uint64(it.Key()[1:])
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		c, err := layout.DecodeCommit(v)
		if err != nil {
			return err
		}
		switch {
		case n != t.commit+1:
			return fmt.Errorf("%w: commit %d follows commit %d", ErrCorrupt, n, t.commit)
		case c.First != t.next:
			return fmt.Errorf("%w: commit %d begins at position %d, the one before ended at %d", ErrCorrupt, n,
				c.First, t.next)
		case c.Total != t.total+uint64(c.Events) || c.Events == 0 || c.Next <= c.First:
			return fmt.Errorf("%w: commit %d miscounts its events", ErrCorrupt, n)
		}
		t.commit, t.next, t.total = n, c.Next, c.Total
	}
	return it.Error()
}

func verifyLastEvent(db pebble.Reader, t *tail) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{layout.PrefixEvent},
		UpperBound: []byte{layout.PrefixEvent + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		if err := it.Error(); err != nil {
			return err
		}
		if t.total != 0 {
			return fmt.Errorf("%w: %d events counted, none found", ErrCorrupt, t.total)
		}
		return nil
	}
	position, err := layout.PositionOf(it.Key())
	if err != nil {
		return err
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	r, err := layout.DecodeRecord(position, v)
	if err != nil {
		return err
	}
	if end := position + layout.LogSize(len(v)); end != t.next {
		return fmt.Errorf("%w: the last event ends at position %d, the commit counter at %d", ErrCorrupt, end, t.next)
	}
	t.created = r.Created
	return nil
}
