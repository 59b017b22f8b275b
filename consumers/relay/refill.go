package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ledgerline/ledgerline/consumers"
	"github.com/ledgerline/ledgerline/schemas"
)

var errReached = errors.New("the noted position is reached")

// Refill recreates the topics that lost something, and those named, and fills them with all their
// events from sequence 0 up to the noted position, in order; Run can go on after it. It returns
// the topics it recreated, sorted. A crash in between leaves them to the next Refill: only at the
// end is the new position noted.
func (r *Relay) Refill(ctx context.Context, topics ...string) ([]string, error) {
	if !r.busy.TryLock() {
		return nil, ErrBusy
	}
	defer r.busy.Unlock()
	r.status.begin(StateRefilling)
	defer r.status.begin(StateStopped)
	names, err := r.refill(ctx, topics)
	if err != nil {
		r.status.failed(err)
		return names, fmt.Errorf("refill: %w", err)
	}
	r.status.recovered()
	return names, nil
}

// RefillAll deletes every topic that events are published to, and every position. Run fills them
// from the ledger as it is. What only the topics held is lost: it is for topics of another ledger,
// or of one that went on where this one does not.
func (r *Relay) RefillAll(ctx context.Context) ([]string, error) {
	if !r.busy.TryLock() {
		return nil, ErrBusy
	}
	defer r.busy.Unlock()
	r.status.begin(StateRefilling)
	defer r.status.begin(StateStopped)
	// The positions first: without any, what is left of the topics after a crash is compared with
	// the ledger.
	names := append([]string{consumers.PositionTopic}, consumers.EventTopics()...)
	for _, name := range names {
		if err := r.cfg.Publisher.Drop(ctx, name); err != nil {
			r.status.failed(err)
			return nil, fmt.Errorf("refill everything: %w", err)
		}
	}
	if err := r.cfg.Publisher.Ensure(ctx, names...); err != nil {
		r.status.failed(err)
		return nil, fmt.Errorf("refill everything: %w", err)
	}
	r.forget(names)
	r.status.recovered()
	return names, nil
}

func (r *Relay) forget(names []string) {
	for _, name := range names {
		r.cfg.Foreign.Forget(name)
		r.status.forged.Forget(name)
		r.status.setUnreadable(name, "")
		if name == consumers.PositionTopic {
			r.status.skipped.Store(0)
		}
	}
}

func (r *Relay) refill(ctx context.Context, named []string) ([]string, error) {
	f, err := r.inspect(ctx)
	if err != nil {
		return nil, err
	}
	damaged, positions := map[string]bool{}, false
	for name := range f.lost {
		damaged[name] = true
	}
	for _, name := range named {
		_, noted := f.ends[name]
		switch {
		case name == consumers.PositionTopic:
			positions = true
		case noted || slices.Contains(consumers.EventTopics(), name):
			damaged[name] = true
		default:
			return nil, fmt.Errorf("%q is not a topic that the relay fills", name)
		}
	}
	names := slices.Sorted(maps.Keys(damaged))
	if positions {
		names = append(names, consumers.PositionTopic)
	}
	if len(names) == 0 {
		return nil, nil
	}
	s := &state{through: f.through, topics: map[string]*topic{}, notedAt: -1}
	for name, ends := range f.ends {
		if !damaged[name] {
			s.topics[name] = &topic{id: f.ids[name], ends: ends}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(damaged)) {
		if err := r.cfg.Publisher.Drop(ctx, name); err != nil {
			return names, err
		}
		if err := r.cfg.Hook(PointDropped); err != nil {
			return names, err
		}
		if s.topics[name], err = r.create(ctx, name); err != nil {
			return names, err
		}
	}
	// Where no position was ever noted, Run fills from the start by itself.
	if f.through != nil && len(damaged) > 0 {
		if err := r.republish(ctx, s, *f.through, damaged); err != nil {
			return names, err
		}
	}
	if err := r.cfg.Hook(PointRefilled); err != nil {
		return names, err
	}
	if positions {
		// Last, and without it everything is compared with the ledger: nothing is lost in between.
		if err := r.cfg.Publisher.Drop(ctx, consumers.PositionTopic); err != nil {
			return names, err
		}
		if err := r.cfg.Publisher.Ensure(ctx, consumers.PositionTopic); err != nil {
			return names, err
		}
	}
	if f.through != nil {
		if err := r.note(ctx, s); err != nil {
			return names, err
		}
	}
	r.forget(names)
	return names, nil
}

// reached returns errReached when the event is the one that was noted.
func (r *Relay) reached(e schemas.Envelope, goal schemas.Anchor) error {
	a := r.anchor(e)
	if a.EventID != goal.EventID || a.Leaf != goal.Leaf {
		return fmt.Errorf("sequence %d of the ledger is not the event that was noted: %w", goal.Seq, ErrDiverged)
	}
	return errReached
}

// republish publishes the damaged topics' events up to the goal, whose event must be the ledger's.
func (r *Relay) republish(ctx context.Context, s *state, goal schemas.Anchor, damaged map[string]bool) error {
	var next uint64
	err := r.cfg.Ledger.Follow(ctx, nil, func(ctx context.Context, batch []schemas.Envelope) error {
		if len(batch) == 0 {
			return nil
		}
		if batch[0].Seq != next {
			return fmt.Errorf("the ledger handed over sequence %d where %d follows", batch[0].Seq, next)
		}
		next = batch[len(batch)-1].Seq + 1
		if next > goal.Seq+1 {
			batch = batch[:len(batch)-int(next-goal.Seq-1)]
		}
		last := batch[len(batch)-1]
		if last.Seq == goal.Seq {
			if err := r.reached(last, goal); !errors.Is(err, errReached) {
				return err
			}
		}
		err := r.each(batch, func(round []schemas.Envelope) error {
			parts, err := r.split(ctx, s, round, damaged)
			if err != nil {
				return err
			}
			return r.publish(ctx, s, parts)
		})
		if err == nil && r.cfg.Progress != nil {
			r.cfg.Progress(last.Seq+1, goal.Seq+1)
		}
		if err == nil && last.Seq == goal.Seq {
			err = errReached
		}
		return err
	})
	if errors.Is(err, errReached) {
		return nil
	}
	if err == nil {
		err = errors.New("the ledger ended before the noted position")
	}
	return err
}

// Check compares the noted position with the topics as they are, changing nothing. It returns
// ErrDataLoss, ErrDiverged or nil.
func (r *Relay) Check(ctx context.Context) error {
	f, err := r.inspect(ctx)
	if err == nil && len(f.lost) > 0 {
		err = lossError(f.lost)
	}
	if err != nil {
		return fmt.Errorf("relay: check: %w", err)
	}
	return nil
}
