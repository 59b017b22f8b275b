package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ledgerline/ledgerline/ledger"
	"github.com/ledgerline/ledgerline/schemas"
)

// bounded opens a read and yields what it brings, until its end, an error, or a yield that returns false. The client's Recv may
// never return and may panic, so it runs beside; a wait for one message is bounded by CallTimeout.
func (s *Store) bounded(ctx context.Context, open func(context.Context, *connection) (*esdb.ReadStream, error), yield func(*esdb.RecordedEvent) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var conn *connection
	opening, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	stream, err := guard(opening, s, func(_ context.Context, c *connection) (*esdb.ReadStream, error) {
		conn = c
		return open(ctx, c) // ctx, not the opening's: the read outlives its opening
	})
	if err != nil {
		return err
	}
	type item struct {
		event *esdb.RecordedEvent
		err   error
	}
	items := make(chan item, 64)
	send := func(it item) bool {
		select {
		case items <- it:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				send(item{err: fmt.Errorf("event store client: %v", p)})
			}
		}()
		for {
			ev, err := stream.Recv()
			it := item{err: err}
			if err == nil {
				it.event = ev.OriginalEvent()
			}
			if !send(it) || err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(s.cfg.CallTimeout)
	defer timer.Stop()
	for {
		select {
		case it := <-items:
			if errors.Is(it.err, io.EOF) {
				return nil
			}
			if it.err != nil {
				if connectionLost(it.err) {
					s.abandon(conn)
				}
				return it.err
			}
			if it.event != nil && !yield(it.event) {
				return nil
			}
			timer.Reset(s.cfg.CallTimeout)
		case <-timer.C:
			s.abandon(conn)
			return fmt.Errorf("no answer within %s", s.cfg.CallTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ReadStream implements ledger.Store. A read that is cut goes on after the last event seen.
func (s *Store) ReadStream(ctx context.Context, name schemas.Stream, from uint64) iter.Seq2[schemas.Recorded, error] {
	return func(yield func(schemas.Recorded, error) bool) {
		fail := func(err error) { yield(schemas.Recorded{}, fmt.Errorf("read %s: %w", name, err)) }
		for attempt := 0; ; attempt++ {
			var err error
			var more bool
			if from, more, err = s.readStreamOnce(ctx, name, from, yield); err == nil || !more {
				if err != nil {
					fail(err)
				}
				return
			}
			if attempt == readAttempts || ctx.Err() != nil {
				fail(err)
				return
			}
			if err := ledger.Pause(ctx, s.backoff(attempt)); err != nil {
				fail(err)
				return
			}
		}
	}
}

const readAttempts = 8

// readStreamOnce yields until the end, a refusal of yield, or an error; more says that trying again makes sense.
func (s *Store) readStreamOnce(ctx context.Context, name schemas.Stream, from uint64, yield func(schemas.Recorded, error) bool) (next uint64, more bool, err error) {
	err = s.bounded(ctx, func(ctx context.Context, c *connection) (*esdb.ReadStream, error) {
		return c.ReadStream(ctx, string(name), esdb.ReadStreamOptions{From: esdb.Revision(from)}, math.MaxUint64)
	}, func(e *esdb.RecordedEvent) bool {
		from = e.EventNumber + 1
		return yield(recorded(e), nil)
	})
	if c, known := code(err); known && c == esdb.ErrorCodeResourceNotFound {
		return from, false, nil
	}
	return from, connectionLost(err), err
}

// searchWindow is how many events a server considers between two checkpoints of a filtered read; the default of 32 makes replays slow.
const searchWindow = 4096

// ledgerFilter lets the server leave out what is certainly not of the ledger; schemas.InLedger decides.
func ledgerFilter() *esdb.SubscriptionFilter {
	return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: schemas.StreamPattern().String()}
}

// ReadAll implements ledger.Store, by a filtered subscription, since reads of $all have no filter. A dropped one is taken up
// after the last event seen; without live, it ends when the server says that it has caught up.
func (s *Store) ReadAll(ctx context.Context, after schemas.Position, live bool) iter.Seq2[schemas.Recorded, error] {
	return func(yield func(schemas.Recorded, error) bool) {
		fail := func(err error) { yield(schemas.Recorded{}, fmt.Errorf("read the ledger after %s: %w", after, err)) }
		attempt := 0
		for {
			before := after
			done, err := s.readAllOnce(ctx, &after, live, yield)
			if done {
				return
			}
			if after != before {
				attempt = 0
			}
			attempt++
			if ctx.Err() != nil {
				fail(ctx.Err())
				return
			}
			if !connectionLost(err) || (!live && attempt > readAttempts) {
				fail(err)
				return
			}
			s.cfg.Logger.Warn("reading the ledger was cut and is taken up again", "after", after.String(), "error", err)
			if err := ledger.Pause(ctx, s.backoff(attempt)); err != nil {
				fail(err)
				return
			}
		}
	}
}

func (s *Store) readAllOnce(ctx context.Context, after *schemas.Position, live bool, yield func(schemas.Recorded, error) bool) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var from esdb.AllPosition = esdb.Start{}
	if *after != (schemas.Position{}) {
		from = esdb.Position{Commit: after.Commit, Prepare: after.Prepare}
	}
	var conn *connection
	opening, stop := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer stop()
	sub, err := guard(opening, s, func(_ context.Context, c *connection) (*esdb.Subscription, error) {
		conn = c
		return c.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: from, Filter: ledgerFilter(), MaxSearchWindow: searchWindow, CheckpointInterval: 1})
	})
	if err != nil {
		return false, err
	}
	// Recv returns when ctx ends, since the subscription's stream is made with it: it needs no guard.
	for {
		switch ev := sub.Recv(); {
		case ev.SubscriptionDropped != nil:
			err := ev.SubscriptionDropped.Error
			if err == nil {
				err = errors.New("subscription dropped")
			}
			if ctx.Err() == nil {
				s.abandon(conn)
			}
			return false, err
		case ev.EventAppeared != nil:
			e := ev.EventAppeared.OriginalEvent()
			if e == nil || !schemas.InLedger(schemas.Stream(e.StreamID), e.EventType) {
				continue
			}
			r := recorded(e)
			*after = r.Position
			if !yield(r, nil) {
				return true, nil
			}
		case ev.CaughtUp != nil && !live:
			return true, nil
		}
	}
}

// Last implements ledger.Store: it reads $all backwards until it meets a ledger event.
func (s *Store) Last(ctx context.Context) (schemas.Recorded, bool, error) {
	for attempt := 0; ; attempt++ {
		r, found, err := s.lastOnce(ctx)
		if err == nil || !connectionLost(err) || attempt == readAttempts || ctx.Err() != nil {
			if err != nil {
				err = fmt.Errorf("read the ledger's last event: %w", err)
			}
			return r, found, err
		}
		if err := ledger.Pause(ctx, s.backoff(attempt)); err != nil {
			return r, false, err
		}
	}
}

func (s *Store) lastOnce(ctx context.Context) (last schemas.Recorded, found bool, err error) {
	err = s.bounded(ctx, func(ctx context.Context, c *connection) (*esdb.ReadStream, error) {
		return c.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, math.MaxUint64)
	}, func(e *esdb.RecordedEvent) bool {
		if !schemas.InLedger(schemas.Stream(e.StreamID), e.EventType) {
			return true
		}
		last, found = recorded(e), true
		return false
	})
	return last, found, err
}

func (s *Store) backoff(attempt int) time.Duration {
	return min(20*time.Millisecond<<min(attempt, 10), s.cfg.RetryPause)
}
