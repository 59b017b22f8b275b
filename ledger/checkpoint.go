package ledger

import (
	"context"
	"hash/crc64"
	"io"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/schemas"
)

// This file keeps the beginning of a sequence index whose end does not describe the store, so that
// the whole ledger need not be counted for a few records. A record that is where the store has
// some event proves no number: bytes that went missing in the middle leave every record in its
// place. So what is kept is what was summed up when it was written.

// checkpoint says what the index was when the notes beside it were saved: the sum of its records,
// the last of which is that of Last.
type checkpoint struct {
	Sum  uint64         `json:"sum"`
	Last schemas.Anchor `json:"last"`
}

func (c *checkpoint) records() uint64 {
	if c == nil {
		return 0
	}
	return c.Last.Seq + 1
}

var sums = crc64.MakeTable(crc64.ECMA)

// goOn takes the sum of the records up to the checkpoint as it was noted. What it was made of is
// looked at only when somebody wants to keep it.
func (ix *sequenceIndex) goOn(c *checkpoint) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if n := c.records(); n > 0 && n <= ix.length {
		ix.summed, ix.sum = n, c.Sum
	}
}

// checkpoint returns that of the index as it is, nil where nothing was recorded in this run.
func (ix *sequenceIndex) checkpoint() (*checkpoint, error) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.tip.EventID == uuid.Nil || ix.tip.Seq+1 != ix.length {
		return nil, nil
	}
	sum, err := ix.sumUp(ix.sum, ix.summed, ix.length)
	if err != nil {
		return nil, err
	}
	ix.summed, ix.sum = ix.length, sum
	return &checkpoint{sum, ix.tip}, nil
}

// sumUp adds the records from one to another to a sum.
func (ix *sequenceIndex) sumUp(sum, from, to uint64) (uint64, error) {
	r := io.NewSectionReader(ix.file, int64(from)*indexRecord, int64(to-from)*indexRecord)
	b := make([]byte, min(int64(1<<20), r.Size()))
	for {
		n, err := r.Read(b)
		sum = crc64.Update(sum, sums, b[:n])
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// cut keeps the first n records, as the checkpoint sums them up.
func (ix *sequenceIndex) cut(c *checkpoint) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if err := ix.file.Truncate(int64(c.records()) * indexRecord); err != nil {
		return err
	}
	ix.length, ix.summed, ix.sum, ix.tip = c.records(), c.records(), c.Sum, c.Last
	return nil
}

// keepChecked cuts the index behind the newest checkpoint, where its records are as they were then
// and the store has that event there, and takes the notes back to that moment. It returns how many
// records are kept, 0 where none are. It does so once: whatever does not fit the store after that
// is counted anew from the beginning.
func (l *Ledger) keepChecked(ctx context.Context) uint64 {
	n := loadForeign(l.foreign.path, l.id)
	c := n.Checkpoint
	if l.kept.Swap(true) || c.records() == 0 || c.records() > l.index.len() {
		return 0
	}
	if sum, err := l.index.sumUp(0, 0, c.records()); err != nil || sum != c.Sum {
		return 0
	}
	after, err := l.before(c.Last.Seq)
	if err != nil || !l.has(ctx, after, c.Last) || l.index.cut(c) != nil {
		return 0
	}
	l.foreignMu.Lock()
	defer l.foreignMu.Unlock()
	l.foreign = n
	return c.records()
}

// has reports whether the anchored event is the first of the ledger after a position.
func (l *Ledger) has(ctx context.Context, after schemas.Position, a schemas.Anchor) bool {
	for e, err := range l.readAll(ctx, after, false, nil) {
		return err == nil && e.Position == a.Position && e.ID == a.EventID && e.Leaf() == a.Leaf
	}
	return false
}
