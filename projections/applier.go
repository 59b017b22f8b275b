package projections

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// applier is the only writer of rows and position: batches follow one another, each saved after
// it is durable. A rebuild relies on that: after one more save, every insert that began before is
// done. Owned by Run's goroutine.
type applier struct {
	p        *Projector
	start    map[string]Place // the position as loaded
	next     map[string]Place // after the rows that are durable
	saved    uint64
	applied  *applied
	handled  *applied // what this process applied, or saved as applied without a gap: it need not be inserted again
	batch    []Row
	offsets  []int64          // of batch
	pending  map[string]Place // next, once batch is durable; set by compare
	bytes    int
	deadline *time.Timer   // of the batch that is being filled
	begun    time.Time     // when the batch before it was
	slow     time.Duration // how long what flows waits behind that one; 0 where nothing flowed
}

const (
	// gather is how long a batch waits for what comes together, where the one before is long ago.
	gather = 10 * time.Millisecond
	// share is the part of the time that inserting takes at most, one in so many: an insert costs
	// much the same whatever its size, and what it costs is missing where the events come from.
	share = 3
	// longestWait is the most that a slow sink makes a batch wait.
	longestWait = 2 * time.Second
	// flowing is how many rows a batch has where events flow: of fewer, somebody waits for each.
	flowing = 16
)

// patience is how long a batch that has its first row waits for more. The slower the sink, the
// longer, so that batches grow where inserts are dear; and what comes alone is not kept waiting.
func (a *applier) patience() time.Duration {
	least := a.p.cfg.BatchWait
	return max(min(gather, least), max(least, a.slow)-a.p.cfg.Now().Sub(a.begun))
}

// load reads the saved position and the sequences that were applied above it before the save.
func (a *applier) load(ctx context.Context) error {
	pos, err := a.p.cfg.Positions.LoadPosition(ctx, a.p.cfg.Name)
	if err != nil {
		return fmt.Errorf("load position %s: %w", a.p.cfg.Name, err)
	}
	a.saved, a.applied, a.handled = pos.Saved, newApplied(pos.Applied), newApplied(pos.Applied)
	a.start, a.next, a.pending = pos.Next, map[string]Place{}, map[string]Place{}
	maps.Copy(a.next, pos.Next)
	a.p.status.skippedBefore(pos.Skipped)
	for seq, err := range a.p.cfg.Positions.AppliedAbove(ctx, pos) {
		if err != nil {
			return fmt.Errorf("sequences applied above %d: %w", pos.Applied, err)
		}
		a.applied.add(seq)
	}
	a.p.status.progress(a.applied, 0, a.p.cfg.Now())
	return nil
}

func (a *applier) run(ctx context.Context) error {
	cfg := &a.p.cfg
	a.deadline = time.NewTimer(cfg.BatchWait)
	a.deadline.Stop()
	defer a.deadline.Stop()
	beat := time.NewTicker(cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.drain(ctx)
		case d := <-a.p.queue.Items():
			a.p.queue.Took(d) // from here on it counts in the batch
			if len(a.batch) == 0 {
				a.p.status.working()
				a.deadline.Reset(a.patience())
			}
			a.batch, a.offsets = append(a.batch, *d.row), append(a.offsets, d.offset)
			a.bytes += d.size
			if len(a.batch) < cfg.BatchRows && a.bytes < cfg.BatchBytes {
				continue
			}
			if err := a.flush(ctx); err != nil {
				return err
			}
			beat.Reset(cfg.Heartbeat)
		case <-a.deadline.C:
			if err := a.flush(ctx); err != nil {
				return err
			}
			beat.Reset(cfg.Heartbeat)
		case <-beat.C:
			if len(a.batch) > 0 {
				continue // the batch's own deadline saves
			}
			if err := a.p.retry(ctx, "save the position", a.save); err != nil {
				return err
			}
		}
	}
}

// flush makes the batch durable, then its position. While the sink fails the queue fills and the
// readers wait.
func (a *applier) flush(ctx context.Context) error {
	a.deadline.Stop()
	if len(a.batch) == 0 {
		return nil
	}
	a.begun, a.slow = a.p.cfg.Now(), 0
	if len(a.batch) >= flowing {
		defer func() { a.slow = min(share*a.p.cfg.Now().Sub(a.begun), longestWait) }()
	}
	if err := a.p.retry(ctx, "compare what came again", a.compare); err != nil {
		return err
	}
	if len(a.batch) == 0 { // all of it came again
		a.p.status.progress(a.applied, 0, a.p.cfg.Now())
		return nil
	}
	if err := a.p.hook(HookBeforeInsert); err != nil {
		return err
	}
	if err := a.p.retry(ctx, "insert", a.insert); err != nil {
		return err
	}
	if err := a.p.hook(HookAfterInsert); err != nil {
		return err
	}
	rows := a.settle()
	if err := a.p.retry(ctx, "save the position", a.save); err != nil {
		return err
	}
	a.p.status.progress(a.applied, rows, a.p.cfg.Now())
	return a.p.hook(HookAfterSave)
}

// compare leaves in the batch what is to be inserted. A sequence that was applied comes again
// where the relay repeats itself, where a partition is read again, or because one of the two
// records is forged: their leaves tell. The views' own row yields where its topic was made anew
// since, because a topic made anew is filled from the ledger; otherwise nobody here can tell
// which is forged, and the partition of the second goes no further.
func (a *applier) compare(ctx context.Context) error {
	var again []uint64
	for i := range a.batch {
		if a.applied.has(a.batch[i].Seq) {
			again = append(again, a.batch[i].Seq)
		}
	}
	stored := map[uint64][]Stored{}
	if len(again) > 0 {
		var err error
		if stored, err = a.p.cfg.Sink.Stored(ctx, again); err != nil {
			return fmt.Errorf("rows of %d sequences that came again: %w", len(again), err)
		}
	}
	noted, _ := a.p.gate.get()
	clear(a.pending)
	kept, bytes := 0, 0
	here := make(map[uint64]int, len(a.batch)) // sequence → its index among those kept
	for i := range a.batch {
		row := a.batch[i]
		if a.p.status.halted(row.Partition) {
			continue
		}
		if j, ok := here[row.Seq]; ok {
			if a.batch[j].Leaf != row.Leaf {
				a.conflict(row, a.offsets[i], a.batch[j].Partition)
			}
			continue
		}
		held, known, other := false, len(stored[row.Seq]) == 0, ""
		for _, s := range stored[row.Seq] {
			_, there := noted.Ends[s.Partition]
			switch {
			case s.Leaf == row.Leaf:
				// A row under a partition that is gone is inserted again, or it would yield to any
				// forgery.
				held, known = held || there, true
			case there:
				other = s.Partition
			}
		}
		if other != "" {
			a.conflict(row, a.offsets[i], other)
			continue
		}
		if held && a.handled.has(row.Seq) {
			continue
		}
		if !known {
			a.p.status.replaced()
			a.p.cfg.Log.Warn("a row of a topic that was made anew is replaced by another event", "sequence", row.Seq,
				"partition", shown(row.Partition))
		}
		a.batch[kept], a.offsets[kept] = row, a.offsets[i]
		here[row.Seq] = kept
		a.pending[row.Partition] = Place{Next: a.offsets[i] + 1, LastSeq: row.Seq}
		bytes += row.Size()
		kept++
	}
	clear(a.batch[kept:]) // let go of the events' bytes
	a.batch, a.offsets, a.bytes = a.batch[:kept], a.offsets[:kept], bytes
	return nil
}

// conflict stops the partition of a record that contradicts another of its sequence.
func (a *applier) conflict(row Row, offset int64, with string) {
	a.p.status.halt(Conflict{Seq: row.Seq, Partition: shown(row.Partition), Offset: offset, With: shown(with)},
		row.Partition)
	a.p.cfg.Log.Error("two records of one sequence differ, so one of them is forged; the partition goes no further",
		"sequence", row.Seq, "partition", shown(row.Partition), "offset", offset, "with", shown(with))
}

func (a *applier) insert(ctx context.Context) error { return a.p.cfg.Sink.Insert(ctx, a.batch) }

// settle moves the position over the batch, which is durable now.
func (a *applier) settle() (rows int) {
	for i := range a.batch {
		a.applied.add(a.batch[i].Seq)
		a.handled.add(a.batch[i].Seq)
	}
	maps.Copy(a.next, a.pending)
	clear(a.pending)
	rows = len(a.batch)
	clear(a.batch) // let go of the events' bytes
	a.batch, a.offsets, a.bytes = a.batch[:0], a.offsets[:0], 0
	return rows
}

func (a *applier) save(ctx context.Context) error {
	// The place of a partition that is no longer there says which of its rows were applied, until
	// all below is.
	if noted, _ := a.p.gate.get(); noted != nil {
		maps.DeleteFunc(a.next, func(name string, place Place) bool {
			_, there := noted.Ends[name]
			return !there && place.LastSeq < a.applied.next
		})
	}
	pos := Position{Saved: a.saved + 1, Applied: a.applied.next, Next: a.next, Skipped: a.p.status.skippedSoFar()}
	if err := a.p.cfg.Positions.SavePosition(ctx, a.p.cfg.Name, pos); err != nil {
		return fmt.Errorf("save position %s: %w", a.p.cfg.Name, err)
	}
	a.saved++
	return nil
}

// drainTime is how long a projector that was told to stop may take for the batch in its hands.
// What it cannot write in it is read again at the next start.
const drainTime = 5 * time.Second

// drain writes the batch that is being filled, once. Its failure loses nothing and is not an
// error.
func (a *applier) drain(ctx context.Context) error {
	if len(a.batch) == 0 {
		return ctx.Err()
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := a.compare(grace)
	if err == nil && len(a.batch) > 0 {
		err = a.insert(grace)
	}
	if err == nil {
		rows := a.settle()
		if err = a.save(grace); err == nil {
			a.p.status.progress(a.applied, rows, a.p.cfg.Now())
		}
	}
	if err != nil {
		a.p.cfg.Log.Warn("last batch not written; it will be read again", "error", err)
	}
	return ctx.Err()
}
