package projections

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// applier is the only writer of rows and position: batches follow one another, each saved after it is durable.
// A rebuild relies on that: after one more save, every insert that began before is done. Owned by Run's goroutine.
type applier struct {
	p        *Projector
	start    map[string]Place // the position as loaded
	next     map[string]Place // after the rows that are durable
	saved    uint64
	applied  *applied
	batch    []Row
	pending  map[string]Place // next, once batch is durable
	bytes    int
	deadline *time.Timer // of the batch that is being filled
}

// load reads the saved position and the sequences that were applied above it before the save.
func (a *applier) load(ctx context.Context) error {
	pos, err := a.p.cfg.Positions.LoadPosition(ctx, a.p.cfg.Name)
	if err != nil {
		return fmt.Errorf("load position %s: %w", a.p.cfg.Name, err)
	}
	a.saved, a.applied = pos.Saved, newApplied(pos.Applied)
	a.start, a.next, a.pending = pos.Next, map[string]Place{}, map[string]Place{}
	maps.Copy(a.next, pos.Next)
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
		case d := <-a.p.queue:
			if len(a.batch) == 0 {
				a.p.status.working()
				a.deadline.Reset(cfg.BatchWait)
			}
			a.batch = append(a.batch, d.row)
			a.bytes += d.row.Size()
			a.pending[d.row.Partition] = Place{Next: d.offset + 1, LastSeq: d.row.Seq}
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

// flush makes the batch durable, then its position. While the sink fails the queue fills and the readers wait.
func (a *applier) flush(ctx context.Context) error {
	a.deadline.Stop()
	if len(a.batch) == 0 {
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

func (a *applier) insert(ctx context.Context) error { return a.p.cfg.Sink.Insert(ctx, a.batch) }

// settle moves the position over the batch, which is durable now.
func (a *applier) settle() (rows int) {
	for i := range a.batch {
		a.applied.add(a.batch[i].Seq)
	}
	maps.Copy(a.next, a.pending)
	clear(a.pending)
	rows = len(a.batch)
	clear(a.batch) // let go of the events' bytes
	a.batch, a.bytes = a.batch[:0], 0
	return rows
}

func (a *applier) save(ctx context.Context) error {
	pos := Position{Saved: a.saved + 1, Applied: a.applied.next, Next: a.next}
	if err := a.p.cfg.Positions.SavePosition(ctx, a.p.cfg.Name, pos); err != nil {
		return fmt.Errorf("save position %s: %w", a.p.cfg.Name, err)
	}
	a.saved++
	return nil
}

// drainTime is how long a projector that was told to stop may take for the batch in its hands. What it cannot
// write in it is read again at the next start.
const drainTime = 5 * time.Second

// drain writes the batch that is being filled, once. Its failure loses nothing and is not an error.
func (a *applier) drain(ctx context.Context) error {
	if len(a.batch) == 0 {
		return ctx.Err()
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := a.insert(grace)
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
