package eventlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// tail is where the log ends.
type tail struct {
	format  formatRecord
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
	v, err := getCopy(db, keyFormat)
	if errors.Is(err, pebble.ErrNotFound) {
		return t, fmt.Errorf("%w: no format record", ErrCorrupt)
	} else if err != nil {
		return t, err
	}
	if t.format, err = decodeFormat(v); err != nil {
		return t, err
	}
	if v, err = getCopy(db, keyChecked); err != nil {
		return t, fmt.Errorf("%w: checked mark: %w", ErrCorrupt, err)
	}
	mark, err := decodeChecked(v)
	if err != nil {
		return t, err
	}
	t.checked, t.commit, t.next, t.total = mark.commit, mark.commit, mark.next, mark.total
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
func moveChecked(db *pebble.DB, h *halt, t *tail) error {
	if t.commit == t.checked {
		return nil
	}
	b := db.NewBatch()
	err := putChecked(b, checkedMark{commit: t.commit, next: t.next, total: t.total})
	if err == nil {
		err = h.do(func() error { return b.Commit(pebble.Sync) })
	}
	if err != nil {
		return fmt.Errorf("move checked mark: %w", err)
	}
	t.checked = t.commit
	return nil
}

func putChecked(b *pebble.Batch, m checkedMark) error {
	return errors.Join(
		b.DeleteRange([]byte{prefixCommit}, commitKey(m.commit+1), nil),
		b.Set(keyChecked, m.encode(), nil),
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
		w.checked = w.flushing.commit
		return putChecked(g.batch, w.flushing)
	}
	if w.commit-w.checked < cmp.Or(w.s.options.checkedDistance, checkedDistance) {
		return nil
	}
	w.flushing = checkedMark{commit: w.commit, next: g.first, total: w.total - uint64(g.events)}
	w.flushed, err = w.s.db.AsyncFlush()
	return err
}

var commitRange = &pebble.IterOptions{LowerBound: []byte{prefixCommit}, UpperBound: []byte{prefixCommit + 1}}

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
		c, err := decodeCommit(v)
		if err != nil {
			return err
		}
		switch {
		case n != t.commit+1:
			return fmt.Errorf("%w: commit %d follows commit %d", ErrCorrupt, n, t.commit)
		case c.first != t.next:
			return fmt.Errorf("%w: commit %d begins at position %d, the one before ended at %d", ErrCorrupt, n, c.first, t.next)
		case c.total != t.total+uint64(c.events) || c.events == 0 || c.next <= c.first:
			return fmt.Errorf("%w: commit %d miscounts its events", ErrCorrupt, n)
		}
		t.commit, t.next, t.total = n, c.next, c.total
	}
	return it.Error()
}

func verifyLastEvent(db pebble.Reader, t *tail) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
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
	position, err := positionOf(it.Key())
	if err != nil {
		return err
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	r, err := decodeRecord(position, v)
	if err != nil {
		return err
	}
	if end := position + logSize(len(v)); end != t.next {
		return fmt.Errorf("%w: the last event ends at position %d, the commit counter at %d", ErrCorrupt, end, t.next)
	}
	t.created = r.Created
	return nil
}
