package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// discover keeps a reader on every partition there is and on every one that appears, and notes how far the relay has
// published. It returns when ctx ends and all its readers have.
func (p *Projector) discover(ctx context.Context, stop context.CancelCauseFunc, start map[string]Place) {
	all := p.newReaders(ctx, stop, start)
	defer func() { all.end() }()
	var repaired uint64 // the sequence, plus one, for whose absence everything was read again
	for {
		err := p.retry(ctx, "list partitions", func(ctx context.Context) error {
			names, err := p.cfg.Source.Partitions(ctx)
			if err != nil {
				return err
			}
			all.follow(names)
			seq, ok, err := p.cfg.Source.Published(ctx)
			if err != nil {
				return fmt.Errorf("position of the relay: %w", err)
			}
			p.status.published(seq, ok, len(all.known), p.cfg.Now())
			return nil
		})
		if err != nil {
			if ctx.Err() == nil {
				stop(err)
			}
			return
		}
		// A reader on a topic that was made anew under it can go on at an offset that means something else there. What
		// it skipped shows as a gap that nothing fills: then everything is read again, once for each gap.
		if next, stalled := p.status.stalled(p.cfg.Now(), p.cfg.Stall); stalled && repaired != next+1 {
			repaired = next + 1
			p.cfg.Log.Warn("a published sequence does not come; reading every partition from its first message", "sequence", next)
			all.end()
			all = p.newReaders(ctx, stop, nil)
			continue
		}
		if !sleep(ctx, p.cfg.Discover) {
			return
		}
	}
}

// readers are a reader for each known partition, all ended together. Owned by discover's goroutine.
type readers struct {
	p      *Projector
	ctx    context.Context
	cancel context.CancelFunc
	stop   context.CancelCauseFunc
	start  map[string]Place
	known  map[string]bool
	wg     sync.WaitGroup
}

func (p *Projector) newReaders(ctx context.Context, stop context.CancelCauseFunc, start map[string]Place) *readers {
	r := &readers{p: p, stop: stop, start: start, known: map[string]bool{}}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

func (rs *readers) follow(names []string) {
	for _, name := range names {
		if rs.known[name] {
			continue
		}
		rs.known[name] = true
		place, placed := rs.start[name]
		r := &reader{p: rs.p, partition: name, place: place, placed: placed}
		rs.wg.Go(func() {
			if err := r.follow(rs.ctx); err != nil && rs.ctx.Err() == nil {
				rs.stop(err)
			}
		})
	}
}

func (rs *readers) end() {
	rs.cancel()
	rs.wg.Wait()
}

// reader follows one partition. Owned by its goroutine.
type reader struct {
	p         *Projector
	partition string
	place     Place // after the last message sent on; meaningful when placed
	placed    bool
	sent      int // messages sent on since start
}

// follow reads until ctx ends or a message cannot be placed. After any other error it begins again, from where it is.
func (r *reader) follow(ctx context.Context) error {
	wait := r.p.cfg.BackoffMin
	for {
		before := r.sent
		err := r.read(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if permanent(err) {
			return err
		}
		if r.sent > before {
			wait = r.p.cfg.BackoffMin
		}
		what := "read " + r.partition
		r.p.status.failedOnce(what, err, r.p.cfg.Now(), 3*r.p.cfg.BackoffMax)
		r.p.cfg.Log.Warn("projector reads again", "partition", r.partition, "error", err)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, r.p.cfg.BackoffMax)
	}
}

// read checks that the partition still is the one that was read, and follows it. It returns only with an error.
func (r *reader) read(ctx context.Context) error {
	from := FirstOffset
	if r.placed {
		item, err := r.p.cfg.Source.Fetch(ctx, r.partition, r.place.Next-1)
		switch {
		case err == nil && item.Recorded.Seq == r.place.LastSeq:
			from = r.place.Next
		case err == nil || errors.Is(err, ErrNoItem):
			// Another topic under the same name: its messages are read from the first, and applied again.
			r.p.cfg.Log.Warn("partition differs from the one read before; reading it from its first message",
				"partition", r.partition, "offset", r.place.Next-1, "sequence", r.place.LastSeq)
			r.placed = false
		default:
			return fmt.Errorf("fetch the message before the position of %s: %w", r.partition, err)
		}
	}
	for item, err := range r.p.cfg.Source.Read(ctx, r.partition, from) {
		if err != nil {
			return err
		}
		// A sequence not above the highest handled is a duplicate. The place stays behind it, so that the message
		// before the place always is the last one handled.
		if r.placed && item.Recorded.Seq <= r.place.LastSeq {
			continue
		}
		row, err := RowOf(item.Recorded)
		if err != nil {
			return fmt.Errorf("%s, offset %d: %w", r.partition, item.Offset, err)
		}
		row.Partition = r.partition
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r.p.queue <- delivery{offset: item.Offset, row: row}:
			r.place, r.placed = Place{Next: item.Offset + 1, LastSeq: row.Seq}, true
			r.sent++
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("reading %s ended without an error", r.partition)
}
