package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ledgerline/ledgerline/internal/retry"
)

// discover keeps a reader on every partition there is, and on every one that appears. It returns
// when ctx ends and all its readers have.
func (p *Projector) discover(ctx context.Context, start map[string]Place) {
	all := p.newReaders(ctx, start)
	defer func() { all.end() }()
	var repaired uint64 // the sequence, plus one, for whose absence everything was read again
	for {
		err := p.retry(ctx, "list partitions", func(ctx context.Context) error {
			names, err := p.cfg.Source.Partitions(ctx)
			if err == nil {
				all.follow(names)
				p.status.listed(len(names))
			}
			return err
		})
		if err != nil {
			return // ctx ended
		}
		// A reader on a partition whose end was lost can go on at an offset that means something
		// else by now. What it skipped shows as a gap that nothing fills: then everything is read
		// again, once for each gap.
		if next, stalled := p.status.stalled(p.cfg.Now(), p.cfg.Stall); stalled && repaired != next+1 {
			repaired = next + 1
			p.cfg.Log.Warn("a published sequence does not come; reading every partition from its first message",
				"sequence", next)
			all.end()
			all = p.newReaders(ctx, nil)
			continue
		}
		if retry.Wait(ctx, p.cfg.Discover) != nil {
			return
		}
	}
}

// readers are a reader for each partition there is. Owned by discover's goroutine.
type readers struct {
	p      *Projector
	ctx    context.Context
	cancel context.CancelFunc
	start  map[string]Place
	known  map[string]context.CancelFunc
	wg     sync.WaitGroup
}

func (p *Projector) newReaders(ctx context.Context, start map[string]Place) *readers {
	r := &readers{p: p, start: start, known: map[string]context.CancelFunc{}}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// follow begins with the partitions that are new, and ends with those that are no longer there.
func (rs *readers) follow(names []string) {
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
		if rs.known[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(rs.ctx)
		rs.known[name] = cancel
		place, placed := rs.start[name]
		r := &reader{p: rs.p, partition: name, place: place, placed: placed}
		rs.wg.Go(func() { r.follow(ctx) })
	}
	for name, cancel := range rs.known {
		if !there[name] {
			cancel()
			delete(rs.known, name)
			rs.p.status.recovered("read " + shown(name)) // what failed is gone
		}
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

// follow reads until ctx ends. After an error it begins again, from where it is.
func (r *reader) follow(ctx context.Context) {
	pauses := r.p.pauses()
	for {
		before := r.sent
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if r.sent > before {
			pauses.Reset()
		}
		what := "read " + shown(r.partition)
		r.p.status.failedOnce(what, err, r.p.cfg.Now(), 3*r.p.cfg.BackoffMax)
		r.p.cfg.Log.Warn("projector reads again", "partition", shown(r.partition), "error", err)
		if pauses.Wait(ctx) != nil {
			return
		}
	}
}

// read checks that the partition still is the one that was read, and follows it. It returns only
// with an error.
func (r *reader) read(ctx context.Context) error {
	from := FirstOffset
	if r.placed {
		item, err := r.p.cfg.Source.Fetch(ctx, r.partition, r.place.Next-1)
		switch {
		case err == nil && item.Foreign == nil && item.Envelope.Seq == r.place.LastSeq:
			from = r.place.Next
		case err == nil || errors.Is(err, ErrNoItem):
			// It lost its end and has another one now: its messages are read from the first, and
			// what came is dropped.
			r.p.cfg.Log.Warn("partition differs from the one read before; reading it from its first message",
				"partition", shown(r.partition), "offset", r.place.Next-1, "sequence", r.place.LastSeq)
			r.placed = false
			r.p.status.anew(r.partition)
		default:
			return fmt.Errorf("fetch the message before the position of %s: %w", shown(r.partition), err)
		}
	}
	for item, err := range r.p.cfg.Source.Read(ctx, r.partition, from) {
		if err != nil {
			return err
		}
		row, err := r.judge(ctx, item)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if r.p.status.foreign(r.partition, item.Offset) {
				r.p.cfg.Log.Warn("skipped a record that is not the ledger's; further ones of it are only counted",
					"partition", shown(r.partition), "offset", item.Offset, "error", err)
			}
			continue
		}
		if r.p.status.halted(r.partition) {
			<-ctx.Done() // until the topic is made anew, which is another partition
			return ctx.Err()
		}
		row.Partition = r.partition
		if err := r.p.queue.Put(ctx, delivery{item.Offset, &row, row.Size()}); err != nil {
			return err
		}
		r.place, r.placed = Place{Next: item.Offset + 1, LastSeq: row.Seq}, true
		r.sent++
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("reading %s ended without an error", shown(r.partition))
}

// judge returns the row of a message of the ledger's, and for any other why it is none. What looks
// like one of the ledger's waits until the relay has noted an end above it.
func (r *reader) judge(ctx context.Context, item Item) (Row, error) {
	if item.Foreign != nil {
		return Row{}, item.Foreign
	}
	noted, err := r.p.gate.Covering(ctx, r.partition, item.Offset)
	if err != nil {
		return Row{}, err
	}
	if item.Envelope.Seq > noted.Through {
		return Row{}, fmt.Errorf("it has sequence %d where the relay had published %d", item.Envelope.Seq,
			noted.Through)
	}
	return RowOf(item.Envelope), nil
}
