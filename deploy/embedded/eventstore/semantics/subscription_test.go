package semantics

import (
	"errors"
	"fmt"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// subscription follows a stream or $all, and resumes after the last event that
// it got where the server drops it, as a client of a cluster must.
type subscription struct {
	w    *world
	open func(after *esdb.RecordedEvent) (*esdb.Subscription, error)
	sub  *esdb.Subscription
	last *esdb.RecordedEvent

	foreign int // events that it got and that are not the test's own
}

// subscribeStream follows a stream from the given revision, which it excludes.
func (w *world) subscribeStream(stream string, from esdb.StreamPosition) *subscription {
	w.t.Helper()
	again := from
	if _, ok := from.(esdb.End); ok { // where the end is now, for resuming before the first event
		switch now, err := w.readStream(stream, esdb.Backwards, esdb.End{}, 1); {
		case err == nil && len(now) == 1:
			again = esdb.Revision(now[0].EventNumber)
		default:
			again = esdb.Start{}
		}
	}
	return w.subscribe(func(after *esdb.RecordedEvent) (*esdb.Subscription, error) {
		opts := esdb.SubscribeToStreamOptions{From: from}
		from = again
		if after != nil {
			opts.From = esdb.Revision(after.EventNumber)
		}
		return w.client.SubscribeToStream(w.ctx, w.stream(stream), opts)
	})
}

// subscribeAll follows $all from the given position, which it excludes.
func (w *world) subscribeAll(opts esdb.SubscribeToAllOptions) *subscription {
	w.t.Helper()
	again := opts.From
	if _, ok := opts.From.(esdb.End); ok {
		again = esdb.Start{}
		w.eachOfAll(esdb.Backwards, esdb.End{}, func(e *esdb.RecordedEvent) bool {
			again = e.Position
			return false
		})
	}
	return w.subscribe(func(after *esdb.RecordedEvent) (*esdb.Subscription, error) {
		o := opts
		opts.From = again
		if after != nil {
			o.From = after.Position
		}
		return w.client.SubscribeToAll(w.ctx, o)
	})
}

func (w *world) subscribe(open func(after *esdb.RecordedEvent) (*esdb.Subscription, error)) *subscription {
	w.t.Helper()
	s := &subscription{w: w, open: open}
	if err := s.reopen(); err != nil {
		w.t.Fatalf("subscribe: %v", err)
	}
	return s
}

func (s *subscription) reopen() error {
	return s.w.settled(func() error {
		sub, err := s.open(s.last)
		if err != nil {
			return err
		}
		s.sub = sub
		s.w.t.Cleanup(func() { _ = sub.Close() })
		return nil
	})
}

// errEnded is returned by recv when the subscription was ended for good.
var errEnded = errors.New("subscription ended")

// recv is the next message. again is true where the subscription had to be
// resumed before it: counts of events between checkpoints begin anew then.
func (s *subscription) recv() (e *esdb.SubscriptionEvent, again bool, err error) {
	for {
		e = s.sub.Recv()
		if e.SubscriptionDropped == nil {
			if e.EventAppeared != nil {
				s.last = e.EventAppeared.OriginalEvent()
				if _, ok := s.w.short(s.last.StreamID); !ok {
					s.foreign++
				}
			}
			return e, again, nil
		}
		if !passing(e.SubscriptionDropped.Error) {
			return nil, again, fmt.Errorf("%w: %w", errEnded, e.SubscriptionDropped.Error)
		}
		if err := s.reopen(); err != nil {
			return nil, again, err
		}
		again = true
	}
}

// next is the next event that is the test's own.
func (s *subscription) next() *esdb.RecordedEvent {
	s.w.t.Helper()
	for {
		e, _, err := s.recv()
		if err != nil {
			s.w.t.Fatal(err)
		}
		if e.EventAppeared == nil {
			continue
		}
		if _, ok := s.w.short(s.last.StreamID); ok {
			return s.last
		}
	}
}

// catchUp is what the subscription shows of the test's events up to its first caught-up.
func (s *subscription) catchUp() (out []*esdb.RecordedEvent) {
	s.w.t.Helper()
	for {
		e, _, err := s.recv()
		if err != nil {
			s.w.t.Fatal(err)
		}
		if e.CaughtUp != nil {
			return out
		}
		if e.EventAppeared != nil {
			if _, ok := s.w.short(s.last.StreamID); ok {
				out = append(out, s.last)
			}
		}
	}
}

func (s *subscription) wantCatchUp(what string, want ...string) {
	s.w.t.Helper()
	if got := s.w.names(s.catchUp()); !slices.Equal(got, want) {
		s.w.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (s *subscription) wantNext(what, want string) {
	s.w.t.Helper()
	if got := s.w.names([]*esdb.RecordedEvent{s.next()})[0]; got != want {
		s.w.t.Errorf("%s: got %s, want %s", what, got, want)
	}
}
