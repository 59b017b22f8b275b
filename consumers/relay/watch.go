package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/consumers"
)

// watch looks at the topics while nothing is published: what is lost shows without an event, and
// what others wrote gets its end noted, so that consumers need not wait with it.
func (r *Relay) watch(ctx context.Context, s *state, fail context.CancelCauseFunc) {
	t := time.NewTicker(r.cfg.CheckEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !r.work.TryLock() {
			continue // a round meets the same broker
		}
		err := r.look(ctx, s)
		r.work.Unlock()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrDataLoss):
			fail(err)
			return
		case err != nil:
			r.status.failed(err)
		default:
			r.status.recovered()
		}
	}
}

// look compares the topics with what is known of them. Records behind the known ends are not this
// relay's, or late copies of its own: the ends are raised over them and noted.
func (r *Relay) look(ctx context.Context, s *state) error {
	lost, grown := map[string]string{}, false
	for name, t := range s.topics {
		id, first, end, err := r.cfg.Publisher.Describe(ctx, name)
		if err != nil {
			return err
		}
		if l := lossOf(name, t.id, t.ends, id, first, end); l != "" {
			lost[name] = l
			continue
		}
		for p := range end {
			grown = grown || end[p] > t.ends[p]
			t.ends[p] = end[p]
		}
	}
	if len(lost) > 0 {
		return lossError(lost)
	}
	if s.through == nil {
		return nil
	}
	if err := r.cfg.Publisher.Ensure(ctx, consumers.DeadLetterTopic, consumers.CheckpointTopic); err != nil {
		return err
	}
	_, _, end, err := r.cfg.Publisher.Describe(ctx, consumers.PositionTopic)
	if err != nil {
		return err
	}
	others := s.notedAt >= 0 && len(end) == 1 && end[0] != s.notedAt+1
	if others {
		if err := r.countPositions(ctx); err != nil {
			return err
		}
	}
	if grown || s.again || others || len(end) != 1 {
		return r.note(ctx, s) // so that the newest is the relay's own again
	}
	return nil
}

// countPositions tells of what others wrote into ledger.position behind the newest of this relay.
// Garbage is counted by whoever reads it.
func (r *Relay) countPositions(ctx context.Context) error {
	own, _, _ := r.Noted()
	forged := 0
	for p, err := range r.cfg.Publisher.Positions(ctx) {
		if err != nil {
			return err
		}
		if p.Through == own.Through || forged == maxPositions {
			break
		}
		forged++
	}
	r.status.skipped.Store(int64(forged))
	return nil
}

// board shows the newest position that was noted, or found at the start, to readers in this
// process: they need not trust what lies in ledger.position.
type board struct {
	mu      sync.Mutex
	p       consumers.Position
	any     bool
	changed chan struct{}
}

func (b *board) set(p consumers.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p, b.any = p, true
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// Noted returns the newest position that this relay knows to be its own, false where there is none
// yet, and a channel that is closed when there is another.
func (r *Relay) Noted() (p consumers.Position, ok bool, changed <-chan struct{}) {
	b := &r.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.p, b.any, b.changed
}
